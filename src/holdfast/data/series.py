"""A series of numbers over time, its parts in time, and the windows that are forecast from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from holdfast.data.time_axis import TimeAxis

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Series:
    """A series as it was read. Its T rows are taken to be one step apart, whatever their times say.

    Attributes:
        origin: Where it came from.
        times: [T + A], ascending; A more than there are targets, where more is known of what is ahead.
        targets: [T, C]: what is to be forecast; here and below, NaN for a missing value.
        past: [T, P]: what is known up to now only.
        known: [T + A, F]: what is known ahead of time.
        names: Of the targets, C.
        first: Where the first row stands among those that were read.
    """

    origin: str
    times: TimeAxis
    targets: Numbers
    past: Numbers
    known: Numbers
    names: tuple[str, ...]
    first: int = 0

    def __len__(self) -> int:
        """T, the rows that have targets."""
        return len(self.targets)

    def part(self, begin: int, end: int) -> Series:
        """The rows from ``begin`` until before ``end``, and nothing of what comes after them."""
        rows = slice(begin, end)
        cut = {name: getattr(self, name)[rows] for name in ("times", "targets", "past", "known")}
        return replace(self, **cut, first=self.first + begin)

    def times_with(self, more: int) -> TimeAxis:
        """The times of the rows that have targets and of ``more`` that follow, as the series tells them or goes on."""
        told = len(self.times) - len(self)
        return self.times[: len(self) + more] if more <= told else self.times.extended(more - told)


@dataclass(frozen=True, eq=False)
class Windows:
    """Places in series to forecast from.

    Attributes:
        series: The series.
        starts: The series and the first row to forecast of each window, [N, 2], int64.
        horizon: Rows to forecast from each; their targets are within the series unless ``ahead``.
        ahead: Whether each window ends where its series does, so that what is forecast is not known.
    """

    series: tuple[Series, ...]
    starts: npt.NDArray[np.int64]
    horizon: int
    ahead: bool = False

    @classmethod
    def of(cls, series: Iterable[Series], first: int, horizon: int, stride: int = 1) -> Windows:
        """Every window of some series.

        Args:
            series: Any number of them.
            first: The first row of a series that is forecast: as many rows as are read before it.
            horizon: Rows to forecast.
            stride: Rows from one window to the next.
        """
        several = tuple(series)
        starts = [(k, row) for k, one in enumerate(several) for row in range(first, len(one) - horizon + 1, stride)]
        return cls(several, np.array(starts, np.int64).reshape(-1, 2), horizon)

    def __len__(self) -> int:
        """The number of windows, N."""
        return len(self.starts)

    @property
    def origins(self) -> list[str]:
        """The series of each window; and the first row that is forecast, unless the window ends with its series."""
        if self.ahead:
            return [self.series[k].origin for k, _ in self.starts.tolist()]
        return [f"{self.series[k].origin}[{self.series[k].first + row}]" for k, row in self.starts.tolist()]

    @property
    def labels(self) -> None:
        """Nothing: series are split in time, not in proportions."""
        return

    def subset(self, indices: Iterable[int]) -> Windows:
        """The windows at these positions, in this order."""
        return replace(self, starts=self.starts[np.fromiter(indices, np.int64)])

    def unlabelled(self) -> Windows:
        """What is to be answered: each series goes on after its last row."""
        ends: Any = [(k, len(one)) for k, one in enumerate(self.series)]
        return replace(self, starts=np.array(ends, np.int64).reshape(-1, 2), ahead=True)
