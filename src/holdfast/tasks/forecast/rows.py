"""The rows of series, taken block by block: for statistics, and scaled for the network, in memory or on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from holdfast.data.disk.build import Piece
from holdfast.data.disk.cache import prepared
from holdfast.data.disk.store import Store
from holdfast.data.series import Numbers, Series

_BLOCK = 2**16
"""Rows of a series that are taken at once."""
_NAMES = ("now", "known", "targets")


class Rows(Sequence[Numbers]):
    """Values of the rows of series, computed block by block; for :func:`holdfast.data.fit_scaling`.

    Args:
        series: At least one series.
        values: Gives the values [T, C] of a part of a series.
        gaps: Whether NaN stands for a missing value.

    Attributes:
        channels: C.
        gaps: As the argument.
        weights: None: all rows count alike.
    """

    def __init__(self, series: Sequence[Series], values: Callable[[Series], Numbers], gaps: bool) -> None:
        self._series, self._values, self.gaps, self.weights = series, values, gaps, None
        self._blocks = [
            (number, begin, min(begin + _BLOCK, len(each)))
            for number, each in enumerate(series)
            for begin in range(0, len(each), _BLOCK)
        ]
        self.channels = int(values(series[0].part(0, 1)).shape[1])

    def __len__(self) -> int:
        """The number of blocks."""
        return len(self._blocks)

    def __getitem__(self, index: Any) -> Any:
        """The values of a block, or of some."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        number, begin, end = self._blocks[index]
        return self._values(self._series[number].part(begin, end))

    @property
    def inputs(self) -> Sequence[Numbers]:
        """The blocks."""
        return self

    @property
    def origins(self) -> Sequence[str]:
        """Where the first block came from."""
        return [self._series[0].origin]

    @property
    def lengths(self) -> Any:
        """The rows of each block."""
        return np.array([end - begin for _, begin, end in self._blocks], dtype=np.int64)

    @property
    def missing(self) -> list[bool]:
        """Whether values of each channel are missing, C."""
        found = np.zeros(self.channels, np.bool_)
        for block in self:
            found |= np.isnan(block).any(0)
        return list(found.tolist())

    def ranges(self) -> list[tuple[float, float]]:
        """The smallest and the largest known value of each channel; NaN where none is known."""
        low, high = (np.full(self.channels, np.nan) for _ in range(2))
        for block in self:
            low, high = np.fmin(low, np.fmin.reduce(block, 0)), np.fmax(high, np.fmax.reduce(block, 0))
        return list(zip(low.tolist(), high.tolist(), strict=True))


def mean_naive_error(all_series: Sequence[Series], season: int) -> Numbers:
    """The mean absolute error of the seasonal-naive forecast of one row over all series, [C]."""
    total, count = np.zeros(len(all_series[0].names)), np.zeros(len(all_series[0].names))
    for errors in _regrouped(_naive_errors(all_series, season)):
        known = ~np.isnan(errors)
        total += np.where(known, errors, 0).sum(0)
        count += known.sum(0)
    return np.asarray(total / count.clip(min=1))


def _naive_errors(all_series: Sequence[Series], season: int) -> Iterator[Numbers]:
    for series in all_series:
        for begin in range(season, len(series), _BLOCK):
            end = min(begin + _BLOCK, len(series))
            yield np.abs(series.targets[begin:end] - series.targets[begin - season : end - season])


def _regrouped(blocks: Iterator[Numbers], most: int = 2**20) -> Iterator[Numbers]:
    """The rows of blocks, about ``most`` at a time: the sums of less have the same bits however they are cut."""
    waiting: list[Numbers] = []
    for block in blocks:
        waiting.append(block)
        if sum(map(len, waiting)) >= most:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)


@dataclass(frozen=True, eq=False)
class EncodedSeries:
    """A series as the network reads it, with rows ahead that have known columns only.

    Attributes:
        now: The scaled targets and past columns, [T + A, C + P], float32; NaN for a missing value.
        known: The known columns, [T + A, F], float32, without those of static columns.
        static: The values of the static columns, [S].
        targets: The targets in original units, [T + A, C].
    """

    now: Any
    known: Any
    static: Sequence[float]
    targets: Numbers


class EncodedRows(Protocol):
    """The rows of all series as the network reads them, one series after another."""

    @property
    def static(self) -> Sequence[Sequence[float]]:
        """The values of the static columns of each series."""

    @property
    def counts(self) -> Sequence[int]:
        """The rows of each series."""

    @property
    def on_disk(self) -> bool:
        """Whether they are on disk."""

    def part(self, name: str, rows: Tensor) -> Tensor:
        """Some values.

        Args:
            name: One of ``now``, ``known`` and ``targets``, as in :class:`EncodedSeries`.
            rows: Positions among all rows, [B, W]; each row of it has consecutive ones.

        Returns:
            [B, W, values].
        """


class _InMemory:
    """Encoded rows in memory."""

    on_disk = False

    def __init__(self, rows: Sequence[EncodedSeries]) -> None:
        self._values = {name: torch.from_numpy(np.concatenate([getattr(r, name) for r in rows])) for name in _NAMES}
        self.static, self.counts = [each.static for each in rows], [len(each.targets) for each in rows]

    def part(self, name: str, rows: Tensor) -> Tensor:
        return self._values[name][rows]


class _OnDisk:
    """Encoded rows on disk."""

    on_disk = True

    def __init__(self, store: Store) -> None:
        self._store = store
        self.static: list[list[float]] = [list(each) for each in store.column("static")]
        self.counts = store.sizes("targets").tolist()
        self._widths = {name: int(store.facts["widths"][name]) for name in _NAMES}

    def part(self, name: str, rows: Tensor) -> Tensor:
        width = self._widths[name]
        if not width:
            dtype = torch.float64 if name == "targets" else torch.float32
            return torch.zeros(*rows.shape, 0, dtype=dtype)
        begins, count = rows[:, 0].tolist() if rows.shape[1] else [], rows.shape[1]
        parts = [self._store.flat(name, begin * width, (begin + count) * width) for begin in begins]
        values = np.stack(parts).reshape(len(parts), count, width) if parts else np.zeros((len(rows), count, width))
        return torch.from_numpy(values)


class Encoding:
    """How series become encoded rows: in memory for series in memory, else once onto disk.

    Args:
        series: The series.
        encode: Encodes one of them, given its number.
    """

    def __init__(self, series: Sequence[Series], encode: Callable[[int, Series], EncodedSeries]) -> None:
        self._series, self._encode = series, encode
        self.about = f"the rows of {len(series):,} series"

    def kept(self, identity: Any) -> EncodedRows:
        """The rows.

        Args:
            identity: A JSON value that identifies the encoding, apart from the series.
        """
        if self._series[0].store is None:
            return _InMemory([self._encode(number, each) for number, each in enumerate(self._series)])
        self._identity = identity
        return _OnDisk(prepared(self))

    @property
    def total(self) -> int:
        """The bytes of the targets."""
        return sum(each.targets.nbytes for each in self._series)

    def identity(self) -> Any:
        """The set of the series, the part of each, and the encoding."""
        store = self._series[0].store
        spans = [[each.name, each.first, len(each), len(each.times)] for each in self._series]
        return ["rows", store.key if store else "", spans, self._identity]

    def verify(self, store: Store) -> None:
        """Accepts every set."""

    def pieces(self, position: Any, facts: dict[str, Any]) -> Iterator[Piece]:
        """A piece for each series; a position is the number of the next one."""
        done = sum(each.targets.nbytes for each in self._series[: position or 0])
        for number, series in enumerate(self._series[position or 0 :], position or 0):
            encoded = self._encode(number, series)
            values = {name: getattr(encoded, name) for name in _NAMES}
            facts = {"widths": {name: int(each.shape[1]) for name, each in values.items()}}
            columns: dict[str, list[Any]] = {name: [each] for name, each in values.items() if each.shape[1]}
            columns["static"] = [np.array(encoded.static, np.float64)]
            done += series.targets.nbytes
            yield Piece(columns, dict.fromkeys(columns, "array"), facts, number + 1, done)
