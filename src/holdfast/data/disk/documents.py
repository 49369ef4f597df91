"""Long texts on disk: each file is cut into pieces where no token is cut, and read again piece by piece."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, overload

import numpy as np

from holdfast.data.disk.build import Piece
from holdfast.data.disk.cache import files_identity, prepared
from holdfast.data.disk.columns import Column, Indices
from holdfast.data.disk.store import Store
from holdfast.data.readers.compressed import opened
from holdfast.data.records import Records
from holdfast.errors import DataError

PIECE = 2**19
"""Characters of a piece; it ends at the next place where no token is cut."""
_CUTS = {"characters": re.compile(""), "words": re.compile("[ \n]"), "pieces": re.compile(" ")}
"""By the unit of tokens, what a piece ends before: byte-pair pieces contain line breaks, and no spaces."""


class Documents(Sequence[str]):
    """Texts on disk, or a part of them.

    Args:
        texts: The pieces of all texts.
        counts: The characters of each piece.
        numbers: The number of the text that each piece belongs to.
        skip: Characters of the first piece that are left out.
        most: Characters of the last piece that are used; None for all.

    Attributes:
        store: The set.
        characters: The number of characters.
        span: What identifies the part, as a JSON value.
    """

    def __init__(
        self, texts: Column[str], counts: Indices, numbers: Indices, skip: int = 0, most: int | None = None
    ) -> None:
        self._texts, self._counts, self._numbers, self._skip, self._most = texts, counts, numbers, skip, most
        self.store = texts.store
        left = 0 if most is None or not len(counts) else int(counts[-1]) - most
        self.characters = int(counts.sum()) - skip - left
        rows = texts.rows
        self.span = [int(rows[0]) if len(rows) else 0, len(rows), skip, most]
        self._first = int(np.searchsorted(numbers, numbers[0])) if len(numbers) else 0
        self._begins = np.flatnonzero(np.diff(numbers, prepend=-1))

    def __len__(self) -> int:
        """The number of texts."""
        return len(self._begins)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        """A whole text, in memory."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        ends = [*self._begins[1:].tolist(), len(self._texts)]
        return "".join(self._piece(row) for row in range(int(self._begins[place]), ends[place]))

    def pieces(self, start: int = 0) -> Iterator[tuple[int, int, str]]:
        """The pieces from one on: the number of its text, the number of the text of the next piece (-1), and itself."""
        for row in range(start, len(self._texts)):
            following = int(self._numbers[row + 1]) if row + 1 < len(self._texts) else -1
            yield int(self._numbers[row]), following, self._piece(row)

    def texts(self) -> Iterator[str]:
        """The pieces alone."""
        return (text for _, _, text in self.pieces())

    def numbers(self) -> list[int]:
        """The number of each text in the set."""
        return [int(number) for number in self._numbers[self._begins]]

    def cut(self, position: int) -> tuple[Documents, Documents]:
        """Two parts: ``position`` characters, and the rest; the text at the cut is in both."""
        ends = np.cumsum(self._counts)
        place = min(max(position, 0), self.characters) + self._skip
        row = int(np.searchsorted(ends, place, "left"))
        inside = place - (int(ends[row - 1]) if row else 0)
        front = self._part(0, row + 1 if inside else row, self._skip, inside if inside else None)
        whole = row < len(ends) and inside == int(self._counts[row])
        return front, self._part(row + 1 if whole else row, len(ends), 0 if whole else inside, self._most)

    def _part(self, begin: int, end: int, skip: int, most: int | None) -> Documents:
        rows = np.arange(begin, min(end, len(self._counts)))
        rows = rows[self._counts[rows] > 0]
        return Documents(self._texts.take(rows), self._counts[rows], self._numbers[rows], skip, most)

    def _piece(self, row: int) -> str:
        text = self._texts[row]
        if row == len(self._texts) - 1 and self._most is not None:
            text = text[: self._most]
        return text[self._skip :] if row == 0 else text


class _Source:
    """The source of long texts: files."""

    def __init__(self, files: Sequence[Path], unit: str) -> None:
        self._files, self._unit = files, unit
        self.about = f"{files[0]}{f' and {len(files) - 1} more' if len(files) > 1 else ''}"

    @property
    def total(self) -> int:
        """The bytes of all files."""
        return sum(file.stat().st_size for file in self._files)

    def identity(self) -> Any:
        """The files, and where they may be cut."""
        return ["documents", files_identity(self._files), self._unit]

    def verify(self, store: Store) -> None:
        """Accepts every set."""

    def pieces(self, position: Any, facts: dict[str, Any]) -> Iterator[Piece]:
        """The pieces of all texts; a position is the number of the file and the characters before it."""
        start, characters = position or (0, 0)
        done = sum(file.stat().st_size for file in self._files[:start])
        for number, path in enumerate(self._files[start:], start):
            for text, after in _pieces(path, characters, _CUTS[self._unit]):
                columns: dict[str, Any] = {
                    "inputs": [text],
                    "origins": [str(path)],
                    "characters": [len(text)],
                    "texts": [number],
                }
                place = [number + 1, 0] if after is None else [number, after]
                yield Piece(
                    columns,
                    {"inputs": "text", "origins": "text", "characters": "number", "texts": "number"},
                    {},
                    place,
                    done + (path.stat().st_size if after is None else after),
                )
            characters = 0
            done += path.stat().st_size


def _pieces(path: Path, before: int, cuts: re.Pattern[str]) -> Iterator[tuple[str, int | None]]:
    """The pieces of a file after some characters, each with the characters up to its end; None for the last one."""
    text, place, searched = "", before, 0
    try:
        with opened(path) as file:
            reader = io.TextIOWrapper(file, encoding="utf-8-sig")
            for skipped in range(0, before, PIECE):
                reader.read(min(PIECE, before - skipped))
            for block in iter(partial(reader.read, PIECE), ""):
                text += block
                while len(text) > PIECE:
                    cut = cuts.search(text, max(PIECE, searched))
                    if cut is None or cut.start() == len(text):
                        searched = len(text)
                        break
                    place += cut.start()
                    yield text[: cut.start()], place
                    text, searched = text[cut.start() :], 0
            reader.detach()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not text in UTF-8 (after {place + len(text):,} characters: {error.reason}). Save it in UTF-8."
        ) from error
    yield text, None


def documents(files: Sequence[Path], unit: str) -> Records[str, str]:
    """Files as texts on disk; each is its own target, for a language model.

    Args:
        files: The files.
        unit: The unit of tokens: ``"characters"``, ``"words"`` or ``"pieces"``.
    """
    store = prepared(_Source(files, unit))
    numbers, counts = (store.numbers(name).astype(np.int64) for name in ("texts", "characters"))
    texts = Documents(store.column("inputs"), counts, numbers)
    return named(texts)


def named(texts: Documents) -> Records[str, str]:
    """Texts with their files as origins."""
    files = texts.store.column("origins")
    numbers = texts.store.numbers("texts").astype(np.int64)
    origins = [files[int(np.searchsorted(numbers, number))] for number in texts.numbers()]
    return Records(texts, texts, origins)


def pieces_of(texts: Sequence[str]) -> Iterator[str]:
    """The texts, one by one; of texts on disk, their pieces."""
    return texts.texts() if isinstance(texts, Documents) else iter(texts)


def characters_of(texts: Sequence[str]) -> int:
    """The number of characters of all texts."""
    return texts.characters if isinstance(texts, Documents) else sum(map(len, texts))
