"""The step of a series: months, working days, whole days, or the most frequent difference of its times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from holdfast.data.time_form import Times

Positions = npt.NDArray[np.int64]
Steps = Callable[[Positions], Times]
"""Gives the local times that are some steps after the last row; negative for earlier times."""

_DAY = np.timedelta64(1, "D").astype("timedelta64[us]")
_MOST_PER_ROW, _MOST_BESIDES = 100, 10_000
"""A series of T rows is completed to at most _MOST_BESIDES + _MOST_PER_ROW * T steps."""


def most_frequent(steps: npt.NDArray[Any]) -> Any:
    """The step that occurs most often; of several, the shortest."""
    different, counts = np.unique(steps, return_counts=True)
    return different[counts.argmax()]


def day_steps(times: Times) -> Steps | None:
    """Local times by months, working days or whole days; None for any other step.

    Args:
        times: Local times, [T], ascending, datetime64[us].
    """
    days, clock = times.astype("datetime64[D]"), times - times.astype("datetime64[D]")
    if len(np.unique(clock)) > 1:
        return None
    months = days.astype("datetime64[M]")
    month_steps = np.diff(months.astype(np.int64))
    if (month_steps > 0).all():
        size = most_frequent(month_steps)
        for rule in _month_rules(days):
            if (rule(months) == days).all():
                return lambda ahead: np.asarray(rule(months[-1] + ahead * size) + clock[-1])
    step = most_frequent(np.diff(times))
    if step == _DAY and len(times) > 7 and np.is_busday(days).all():
        return lambda ahead: np.asarray(np.busday_offset(days[-1], ahead) + clock[-1])
    # Shorter steps are elapsed time: a local time occurs twice when the clock is set back.
    return (lambda ahead: np.asarray(times[-1] + ahead * step)) if step >= _DAY else None


def regular(times: Times, steps: Steps | None) -> tuple[Times, Positions]:
    """Every time from the first to the last.

    Args:
        times: Ascending times or numbers, [T], T at least 2.
        steps: The result of :func:`day_steps` for them; None for the most frequent difference.

    Returns:
        The times, and the position of each row among them; -1 for a row between two steps, and for all rows but the
        first where there would be too many steps.
    """
    most = _MOST_BESIDES + _MOST_PER_ROW * len(times)
    too_many = np.where(np.arange(len(times)) > 0, -1, 0)
    if steps is None:
        step = most_frequent(np.diff(times))
        # Seconds in binary, such as 0.1, are not exact: a row is on a step if it is within a millionth of it.
        places = (times - times[0]) / step
        if places[-1] >= most:
            return times, too_many
        positions = np.rint(places).astype(np.int64)
        grid = times[0] + np.arange(positions[-1] + 1) * step
        return grid, np.where(np.abs(places - positions) < 1e-6, positions, -1)
    count = len(times) - 1
    while steps(np.array([-count]))[0] > times[0]:
        count *= 2
        if count >= 2 * most:
            return times, too_many
    grid = steps(np.arange(-count, 1))
    grid = grid[grid >= times[0]]
    if len(grid) > most:
        return times, too_many
    positions = np.searchsorted(grid, times)
    return grid, np.where(grid[positions] == times, positions, -1)


def _month_rules(days: Times) -> list[Callable[[Times], Times]]:
    """Rules that give the day of each month of a monthly series, the most likely rule first."""
    latest = int((days - days.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64).max())
    day = np.timedelta64(1, "D")

    def last(months: Times) -> Times:
        return np.asarray((months + np.timedelta64(1, "M")).astype("datetime64[D]") - day)

    def same_day(months: Times) -> Times:
        """The same day of each month, or the last day of a shorter month."""
        return np.asarray(np.minimum(months.astype("datetime64[D]") + latest * day, last(months)))

    def last_working(months: Times) -> Times:
        return np.asarray(np.busday_offset(last(months), 0, "backward"))

    def first_working(months: Times) -> Times:
        return np.asarray(np.busday_offset(months.astype("datetime64[D]"), 0, "forward"))

    return [last, same_day, last_working, first_working]
