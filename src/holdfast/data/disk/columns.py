"""A list on disk: its items are read from the mapped files when they are used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

import numpy as np
import numpy.typing as npt

from holdfast.errors import DataError

if TYPE_CHECKING:
    from holdfast.data.disk.store import Store

T = TypeVar("T")
Indices = npt.NDArray[np.int64]
_AT_ONCE = 4096


class Column(Sequence[T]):
    """Some items of a set on disk, in any order.

    Args:
        store: The set.
        name: The column of the set.
        rows: The positions of the items in the set; None for all.
        function: What each item becomes when it is read; None to leave it.
        shape: The dimensions of an array after the first one, where ``function`` changes them.
        by_step: Whether ``function`` changes each step by itself.

    Attributes:
        store: The set.
        name: The column.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        rows: Indices | None = None,
        function: Callable[[Any], T] | None = None,
        shape: tuple[int, ...] | None = None,
        *,
        by_step: bool = True,
    ) -> None:
        self.store, self.name = store, name
        self._rows, self._function, self._shape, self._by_step = rows, function, shape, by_step

    def __len__(self) -> int:
        """The number of items."""
        return len(self.store) if self._rows is None else len(self._rows)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        """An item, or a list of some."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        item = self.store.item(self.name, place if self._rows is None else int(self._rows[place]))
        return cast(T, item) if self._function is None else self._function(item)

    def __iter__(self) -> Iterator[T]:
        """The items in order; an item is forgotten once the next one is read."""
        return (self[place] for place in range(len(self)))

    def take(self, indices: Iterable[int]) -> Column[T]:
        """The items at these positions, in this order, still on disk."""
        chosen = np.asarray(indices if isinstance(indices, Sequence | np.ndarray | range) else list(indices), np.int64)
        if len(chosen) and not (chosen.min() >= 0 and chosen.max() < len(self)):
            raise IndexError(f"a position is not among {len(self)} items")
        rows = chosen if self._rows is None else self._rows[chosen]
        return Column(self.store, self.name, rows, self._function, self._shape, by_step=self._by_step)

    def steps(self, index: int, begin: int, end: int) -> T:
        """Some steps of an array, from ``begin`` to before ``end``; only these are read where that is possible."""
        if not self._by_step:
            return cast(T, cast(Any, self[index])[begin:end])
        item = self.store.steps(self.name, index if self._rows is None else int(self._rows[index]), begin, end)
        return cast(T, item) if self._function is None else self._function(item)

    def map(
        self, function: Callable[[T], Any], shape: tuple[int, ...] | None = None, *, by_step: bool = False
    ) -> Column[Any]:
        """The items, each changed by a function whenever it is read.

        Args:
            function: It keeps the first dimension of arrays.
            shape: As for the class.
            by_step: As for the class.
        """
        both = function if self._function is None else _after(self._function, function)
        return Column(self.store, self.name, self._rows, both, shape or self._shape, by_step=by_step and self._by_step)

    def whole(self) -> Column[T]:
        """All items of the column of the set, changed by the same function."""
        return Column(self.store, self.name, None, self._function, self._shape, by_step=self._by_step)

    @property
    def rows(self) -> Indices:
        """The positions of the items in the set, [N]."""
        return np.arange(len(self.store)) if self._rows is None else self._rows

    @property
    def sizes(self) -> Indices:
        """The first dimension of each array, or the number of texts of each list, [N]."""
        sizes = self.store.sizes(self.name)
        return sizes if self._rows is None else sizes[self._rows]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of a column of arrays."""
        return self.store.dtype(self.name)

    @property
    def shape(self) -> tuple[int, ...]:
        """The dimensions of an array after the first one."""
        return self.store.rest(self.name) if self._shape is None else self._shape

    @property
    def is_text(self) -> bool:
        """Whether the items are texts."""
        return self.store.kinds[self.name] == "text"

    @property
    def is_number(self) -> bool:
        """Whether the items are numbers."""
        return self.store.kinds[self.name] == "number"

    def gathered(self) -> npt.NDArray[Any]:
        """All numbers, in memory: [N], or [N, K] for arrays of one size.

        Raises:
            DataError: The arrays are of several sizes.
        """
        if not self.is_number and len(set(self.sizes.tolist())) > 1:
            raise DataError(f"{self.store.origin(int(self.rows[0]))} and others have different numbers of targets.")
        values = self.store.numbers(self.name)
        if not self.is_number:
            values = values.reshape(len(self.store), -1)
        return values if self._rows is None else values[self._rows]

    def names(self) -> list[str]:
        """The texts, in memory; equal texts are one object."""
        return [sys.intern(str(item)) for item in self]


def take(values: Any, indices: Sequence[int] | Indices) -> Any:
    """Some items of a list, or of a column or another sequence with a method of this name."""
    if not isinstance(values, list | tuple) and hasattr(values, "take"):
        return values.take(indices)
    return [values[int(index)] for index in indices]


def chunks(values: Sequence[T], count: int = _AT_ONCE) -> Iterator[Sequence[T]]:
    """The items of a list or a column, ``count`` at a time."""
    return (values[begin : begin + count] for begin in range(0, len(values), count))


def sizes(values: Sequence[Any]) -> Indices:
    """The length of each item of a list or of a column of arrays or lists, [N]."""
    if isinstance(values, Column):
        return values.sizes
    return np.array([len(value) for value in values], dtype=np.int64)


def _after(first: Callable[[Any], Any], second: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda item: second(first(item))
