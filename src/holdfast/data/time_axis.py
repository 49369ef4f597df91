"""The times of a series: read from text, continued beyond the last one, and told to a network as sines and cosines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import polars

Times = npt.NDArray[Any]
"""Dates and times as datetime64[us], or numbers as int64 or float64."""

_DAY = np.timedelta64(1, "D").astype("timedelta64[us]")
_PERIODS = {"hour": 24.0, "weekday": 7.0, "month": 12.0, "day_of_year": 365.2425}


def parsed(column: polars.Series) -> polars.Series:
    """A column of times as datetimes or numbers; null where a value is neither, or another kind than the first.

    Args:
        column: Text, numbers, dates or datetimes. A text is a date as in ISO 8601, from ``1949-01`` or ``19490101`` to
            ``2016-07-01T00:15:00.5``, or else a number; a zone is taken off after its time was turned into UTC.
    """
    import polars

    if column.dtype.is_temporal():
        if isinstance(column.dtype, polars.Datetime) and column.dtype.time_zone:
            column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return column.cast(polars.Datetime("us"), strict=False)
    if column.dtype.is_numeric():
        return column.fill_nan(None) if column.dtype.is_float() else column
    text = column.str.strip_chars()
    if text.str.contains(r"^\d{8}$").all() and not (days := text.str.to_datetime("%Y%m%d", strict=False)).null_count():
        return days
    for kind in (polars.Int64, polars.Float64):
        numbers = text.cast(kind, strict=False)
        if len(numbers) and numbers[0] is not None:
            return numbers if kind == polars.Int64 else numbers.fill_nan(None)
    whole = text.str.replace(r"^(\d{4}-\d{2})$", "$1-01").str.replace(" ", "T", literal=True)
    zoned = whole.str.contains(r"T.*(Z|[+-]\d{2}:?\d{2})$").any()
    form = "%Y-%m-%dT%H:%M:%S%.f"
    whole = whole.str.replace(r"^(\d{4}-\d{2}-\d{2})$", "${1}T00:00").str.replace(
        r"(T\d{2}:\d{2})($|Z|[+-])", "$1:00$2"
    )
    if zoned:
        times = whole.str.replace(r"Z$", "+0000").str.strptime(polars.Datetime("us", "UTC"), form + "%z", strict=False)
        return times.dt.replace_time_zone(None)
    return whole.str.strptime(polars.Datetime("us"), form, strict=False)


def moment(text: str, like: Times) -> Any | None:
    """One time from text, of the kind of the times of a series; None where it is none.

    Args:
        text: As in :func:`parsed`; a date, such as the year ``"1950"``, is a number where the times are numbers.
        like: The times that it is to be compared with.
    """
    import polars

    found = parsed(polars.Series([text]))
    if found[0] is None or (found.dtype == polars.Datetime("us")) != (like.dtype.kind == "M"):
        return None
    return found.to_numpy()[0]


def continued(times: Times, count: int) -> Times:
    """The times that follow, by the step of the series.

    The step is a whole number of months where the series steps from month to month on one day of the month (or on its
    last day), a working day where a daily series leaves out the weekends, and else the commonest difference.

    Args:
        times: [T], ascending, T at least 2.
        count: How many to add.

    Returns:
        [count], of the same dtype.
    """
    ahead = np.arange(1, count + 1)
    if times.dtype.kind != "M":
        return np.asarray(times[-1] + ahead * _commonest(np.diff(times)), times.dtype)
    days, clock = times.astype("datetime64[D]"), times - times.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    steps = np.unique(np.diff(months.astype(np.int64)))
    if len(steps) == 1 and steps[0] and len(np.unique(clock)) == 1:
        following = months[-1] + ahead * steps[0]
        within = days - months.astype("datetime64[D]")
        lengths = [(m + 1).astype("datetime64[D]") - m.astype("datetime64[D]") for m in (months, following)]
        if len(np.unique(within)) == 1:
            return np.asarray(following.astype("datetime64[D]") + within[-1] + clock[-1], times.dtype)
        if (within + 1 == lengths[0]).all():
            return np.asarray(following.astype("datetime64[D]") + lengths[1] - 1 + clock[-1], times.dtype)
    step = _commonest(np.diff(times))
    if step == _DAY and len(times) > 7 and np.is_busday(days).all():
        return np.asarray(np.busday_offset(days[-1], ahead) + clock[-1], times.dtype)
    return np.asarray(times[-1] + ahead * step, times.dtype)


def _commonest(steps: npt.NDArray[Any]) -> Any:
    """The step that occurs most often; of several, the shortest."""
    found, counts = np.unique(steps, return_counts=True)
    return found[counts.argmax()]


def calendar(times: Times, names: Sequence[str]) -> npt.NDArray[np.float32]:
    """Where in the day, the week or the year each time is, as points on circles.

    Args:
        times: [T]; datetime64, if there are names.
        names: Of ``hour`` (with the minutes as its fraction), ``weekday``, ``month``, ``day_of_year``.

    Returns:
        [T, 2 * len(names)]: the sine and cosine of each.
    """
    if not names:
        return np.zeros((len(times), 0), np.float32)
    days = times.astype("datetime64[D]")
    years = days.astype("datetime64[Y]")
    places = {
        "hour": (times - days) / np.timedelta64(1, "h"),
        "weekday": (days.astype(np.int64) + 3) % 7,  # 1970-01-01 was a Thursday; Monday is 0
        "month": days.astype("datetime64[M]").astype(np.int64) % 12,
        "day_of_year": (days - years.astype("datetime64[D]")).astype(np.int64),
    }
    angles = [2 * np.pi * places[name] / _PERIODS[name] for name in names]
    return np.stack([wave(angle) for angle in angles for wave in (np.sin, np.cos)], -1).astype(np.float32)


def shown(times: Times) -> list[Any]:
    """The times for JSON: numbers, or text as in ISO 8601, without a clock time where all are midnight."""
    if times.dtype.kind != "M":
        return list(times.tolist())
    unit: Any = next(unit for unit in ("D", "s", "us") if (times == times.astype(f"datetime64[{unit}]")).all())
    return list(np.datetime_as_string(times, unit=unit).tolist())
