"""A series of numbers over time, its parts, and windows of it to forecast from."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from holdfast.data.disk.store import Store
from holdfast.data.time_axis import TimeAxis
from holdfast.errors import DataError, HoldfastWarning

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Series:
    """A series as it was read. Its T rows are treated as one step apart, whatever their times are.

    Attributes:
        origin: Where it came from.
        times: [T + A], ascending; A rows after the last target have known columns only.
        targets: [T, C]: the columns to forecast; here and below, NaN for a missing value.
        past: [T, P]: columns known only up to now.
        known: [T + A, F]: columns known ahead of time.
        names: The names of the targets, C.
        first: The position of the first row among the rows of the file.
        name: The id of the series, in a table of many series.
        static: The values of the static columns, as text.
        keys: The names of the id column and of the time column; empty without one.
        store: The set on disk that the values are mapped from; None for values in memory.
    """

    origin: str
    times: TimeAxis
    targets: Numbers
    past: Numbers
    known: Numbers
    names: tuple[str, ...]
    first: int = 0
    name: str = ""
    static: tuple[str, ...] = ()
    keys: tuple[str, str] = ("", "")
    store: Store | None = None

    def __len__(self) -> int:
        """T, the rows that have targets."""
        return len(self.targets)

    def part(self, begin: int, end: int) -> Series:
        """The rows from ``begin`` to before ``end``, without any later row."""
        rows = slice(begin, end)
        cut = {name: getattr(self, name)[rows] for name in ("times", "targets", "past", "known")}
        return replace(self, **cut, first=self.first + begin)

    def times_with(self, more: int) -> TimeAxis:
        """The times of the rows that have targets and of ``more`` later rows, extended where the series ends."""
        ahead = len(self.times) - len(self)
        return self.times[: len(self) + more] if more <= ahead else self.times.extended(more - ahead)


@dataclass(frozen=True, eq=False)
class Windows:
    """Places in series to forecast from.

    Attributes:
        series: The series.
        starts: The series and the first row to forecast of each window, [N, 2], int64.
        horizon: Rows to forecast per window; their targets are within the series unless ``ahead``.
        ahead: Whether each window ends with its series, so that the forecast rows are unknown.
        least: Rows that a series needs before a forecast.
    """

    series: tuple[Series, ...]
    starts: npt.NDArray[np.int64]
    horizon: int
    ahead: bool = False
    least: int = 0

    @classmethod
    def of(cls, series: Iterable[Series], first: int, horizon: int, stride: int = 1) -> Windows:
        """All windows of some series.

        Args:
            series: Any number of series.
            first: The first row of a series to forecast, which is the number of rows read before it.
            horizon: Rows to forecast.
            stride: Rows from one window to the next.
        """
        all_series = tuple(series)
        starts = [np.arange(first, len(part) - horizon + 1, stride, dtype=np.int64) for part in all_series]
        numbers = np.repeat(np.arange(len(starts)), [len(rows) for rows in starts])
        places = np.stack([numbers, np.concatenate([*starts, np.zeros(0, np.int64)])], 1)
        return cls(all_series, places, horizon, least=first)

    def __len__(self) -> int:
        """The number of windows, N."""
        return len(self.starts)

    @property
    def origins(self) -> list[str]:
        """The series of each window, and the first forecast row unless the window ends with its series."""
        if self.ahead:
            return [self.series[k].origin for k, _ in self.starts.tolist()]
        return [f"{self.series[k].origin}[{self.series[k].first + row}]" for k, row in self.starts.tolist()]

    @property
    def labels(self) -> None:
        """None: series are split in time, without shares of labels."""
        return

    @property
    def weights(self) -> None:
        """None: all windows count alike."""
        return

    def subset(self, indices: Iterable[int]) -> Windows:
        """The windows at these positions, in this order."""
        return replace(self, starts=self.starts[np.fromiter(indices, np.int64)])

    @staticmethod
    def join(parts: Sequence[Windows]) -> Windows:
        """All windows of several sets, one after another.

        Args:
            parts: At least one set, all of one horizon.

        Raises:
            DataError: The sets differ in the columns to forecast.
        """
        series = tuple(each for part in parts for each in part.series)
        for each in series:
            if each.names != series[0].names:
                raise DataError(
                    f"{each.origin} has the columns {', '.join(each.names)} to forecast, and {series[0].origin} has "
                    f"{', '.join(series[0].names)}; expected the same. Name them in data.target_columns."
                )
        firsts = np.cumsum([0, *(len(part.series) for part in parts)])
        starts = [part.starts + np.array([first, 0]) for part, first in zip(parts, firsts, strict=False)]
        return replace(parts[0], series=series, starts=np.concatenate(starts))

    def unlabelled(self) -> Windows:
        """One window per series, which forecasts the rows after its last row.

        Of a table of many series, those with too few rows are left out, with a warning.
        """
        series = long_enough(self.series, self.least)
        ends = [(k, len(each)) for k, each in enumerate(series)]
        return replace(self, series=series, starts=np.array(ends, np.int64).reshape(-1, 2), ahead=True)


def long_enough(series: Sequence[Series], least: int) -> tuple[Series, ...]:
    """The series with enough rows to forecast from; all of them if none has, or if they have no ids.

    Args:
        series: Any number of series.
        least: Rows that a forecast needs.
    """
    short = too_short(series, least)
    if not short or len(short) == len(series):
        return tuple(series)
    warnings.warn(
        f"{len(short)} of {len(series)} series, such as {short[0].origin} with {len(short[0])} rows, have fewer than "
        f"{max(least, 2)} rows to forecast from, and are left out.",
        HoldfastWarning,
        stacklevel=3,
    )
    return tuple(each for each in series if not each.name or len(each) >= max(least, 2))


def too_short(series: Sequence[Series], least: int) -> list[Series]:
    """The series with ids that have too few rows to forecast from; two show the step between times."""
    return [each for each in series if each.name and len(each) < max(least, 2)]
