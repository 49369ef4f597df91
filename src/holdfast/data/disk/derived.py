"""What is computed from a column once and kept on disk, such as the ids of texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from holdfast.data.disk.build import Piece
from holdfast.data.disk.cache import prepared
from holdfast.data.disk.columns import Column
from holdfast.data.disk.store import Store

_AT_ONCE = 1024
_NAME = "values"


class _Derived:
    """The source of a set that is computed from a column of another one."""

    def __init__(
        self, column: Column[Any], compute: Callable[[list[Any]], Sequence[Any]], identity: Any, about: str
    ) -> None:
        self._column, self._compute, self._identity = column, compute, identity
        self.about = about

    @property
    def total(self) -> int:
        """The bytes of the other set."""
        return self._column.store.size

    def identity(self) -> Any:
        """The other set, the column and the computation."""
        return ["derived", self._column.store.key, self._column.name, self._identity]

    def verify(self, store: Store) -> None:
        """Accepts every set."""

    def pieces(self, position: Any, facts: dict[str, Any]) -> Iterator[Piece]:
        """The results for all items of the column, in the order of the set."""
        count = len(self._column)
        for begin in range(int(position or 0), count, _AT_ONCE):
            end = min(begin + _AT_ONCE, count)
            values = self._compute(self._column[begin:end])
            yield Piece({_NAME: values}, {_NAME: "array"}, {}, end, self.total * end // count)


def derived(
    column: Column[Any], compute: Callable[[list[Any]], Sequence[Any]], identity: Any, about: str
) -> Column[Any]:
    """Arrays that are computed from the items of a column, once for the whole set, in the order of the column.

    Args:
        column: The items.
        compute: Gives an array for each of some items.
        identity: A JSON value that identifies the computation, and for a function that changes the items.
        about: The result in words, for a person.
    """
    whole = column.whole()
    return Column(prepared(_Derived(whole, compute, identity, about)), _NAME, column.rows)


def ids(texts: Sequence[Any], encode: Callable[[list[Any]], list[list[int]]], identity: Any) -> Sequence[Sequence[int]]:
    """The ids of texts: a list for a list, a column for a column.

    Args:
        texts: The texts.
        encode: Gives the ids of each of some texts.
        identity: A JSON value that identifies ``encode``.
    """
    if not isinstance(texts, Column):
        return encode(list(texts))

    def compute(some: list[Any]) -> list[Any]:
        return [np.array(row, np.int32) for row in encode(some)]

    return derived(texts, compute, identity, f"the ids of {len(texts.store):,} texts")
