"""Pairs of texts on disk, grouped by their sources: what :mod:`holdfast.data.readers.pairs` does with lists in memory.

Texts are compared by 128 bits of BLAKE2; two different texts have the same bits with a probability below 1e-20.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from holdfast.data.disk.columns import Column, Indices
from holdfast.data.records import Records

Codes = npt.NDArray[np.uint64]


class Groups(Sequence[list[str]]):
    """Lists of texts on disk.

    Args:
        texts: The texts of all lists.
        starts: The first text of each list, and the number of all texts, [N + 1].
        members: The positions of the texts, list after list.
    """

    def __init__(self, texts: Column[str], starts: Indices, members: Indices) -> None:
        self._texts, self._starts, self.members = texts, starts, members

    def __len__(self) -> int:
        """The number of lists, N."""
        return len(self._starts) - 1

    @overload
    def __getitem__(self, index: int) -> list[str]: ...
    @overload
    def __getitem__(self, index: slice) -> list[list[str]]: ...
    def __getitem__(self, index: int | slice) -> list[str] | list[list[str]]:
        """A list, or some lists."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        return [self._texts[int(member)] for member in self.members[self._starts[place] : self._starts[place + 1]]]

    def take(self, indices: Iterable[int]) -> Groups:
        """Some lists, in this order."""
        chosen = np.fromiter(indices, np.int64)
        counts = np.diff(self._starts)[chosen]
        return Groups(self._texts, _starts(counts), self.members[_ranges(self._starts[chosen], counts)])

    @property
    def lists(self) -> Indices:
        """The number of the list of each member."""
        return np.repeat(np.arange(len(self)), np.diff(self._starts))

    @property
    def firsts(self) -> Column[str]:
        """The first text of each list."""
        return self._texts.take(self.members[self._starts[:-1]])

    @property
    def texts(self) -> Column[str]:
        """All texts, list after list."""
        return self._texts.take(self.members)

    @classmethod
    def of_one(cls, texts: Column[str]) -> Groups:
        """One list for each text."""
        return cls(texts, np.arange(len(texts) + 1), np.arange(len(texts)))


def grouped(
    sources: Column[str], targets: Column[str], origins: Column[str], files: Sequence[str] | None = None
) -> Any:
    """One record per source, at its first place, with its different targets in order.

    Args:
        sources: N sources.
        targets: A target of each.
        origins: Where each came from.
        files: The file of each source; sources of two files are different. None to compare sources alone.
    """
    of_sources = codes(sources, files)
    both = np.concatenate([of_sources, codes(targets)], 1)
    kept = np.sort(_grouped(both)[0])
    firsts, starts, members = _grouped(of_sources[kept])
    rows = kept[firsts]
    return Records(sources.take(rows), Groups(targets, starts, kept[members]), origins.take(rows))


def inverted(pairs: Any) -> Any:
    """The pairs in the other direction: one record per target, with its sources."""
    lists = pairs.targets.lists
    return grouped(pairs.targets.texts, pairs.inputs.take(lists), pairs.origins.take(lists))


def apart(pairs: Any) -> Any:
    """The pairs with one target per record."""
    lists = pairs.targets.lists
    weights = None if pairs.weights is None else pairs.weights[lists]
    return Records(
        pairs.inputs.take(lists), Groups.of_one(pairs.targets.texts), pairs.origins.take(lists), weights=weights
    )


def unseen(part: Any, train: Any) -> Any:
    """The records whose source is not in the training part."""
    known = np.concatenate([codes(train.inputs), codes(part.inputs)])
    _, starts, members = _grouped(known)
    numbers = np.empty(len(known), np.int64)
    numbers[members] = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    return part.subset(np.flatnonzero(~np.isin(numbers[len(train) :], numbers[: len(train)])))


def codes(texts: Sequence[str], more: Sequence[str] | None = None) -> Codes:
    """128 bits that stand for each text, [N, 2]."""
    found = np.zeros((len(texts), 2), np.uint64)
    others: Iterable[str] = ("" for _ in texts) if more is None else more
    for row, (text, other) in enumerate(zip(texts, others, strict=True)):
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, key=_key(other))
        found[row] = np.frombuffer(digest.digest(), np.uint64)
    return found


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=32).digest() if text else b""


def _grouped(found: Codes) -> tuple[Indices, Indices, Indices]:
    """The first row of each group of equal codes, in order; the starts of the groups; and their rows, in order."""
    order = np.lexsort(found.T[::-1])  # stable: equal codes keep their order
    ordered = found[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (ordered[1:] != ordered[:-1]).any(1)
    begins = np.flatnonzero(new)
    counts = np.diff(np.append(begins, len(order)))
    rank = np.argsort(order[begins], kind="stable")
    return order[begins][rank], _starts(counts[rank]), order[_ranges(begins[rank], counts[rank])]


def _starts(counts: Indices) -> Indices:
    starts: Indices = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return starts


def _ranges(begins: Indices, counts: Indices) -> Indices:
    """The numbers from each begin on, ``counts`` of each."""
    starts = _starts(counts)
    return np.repeat(begins - starts[:-1], counts) + np.arange(starts[-1])
