"""Prepares a set: pieces of a source are written to files; after a kill, it resumes after the last whole file."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from holdfast.data.disk.blocks import Kind
from holdfast.data.disk.parts import Part, PartWriter, stored_dtype
from holdfast.data.disk.store import DamagedError, Description, Store
from holdfast.errors import DataError

PART_BYTES = 2**28
"""A file ends with the piece that reaches this size; a kill loses at most the file that is being written."""
PROGRESS = "progress.json"
"""The description of what is whole so far."""


@dataclass(frozen=True)
class Piece:
    """Some examples of a source.

    Attributes:
        columns: The items of each column.
        kinds: The kind of each column, the same in every piece.
        facts: What is known about the source so far.
        position: Where the next piece begins, as a JSON value.
        done: The bytes of the source up to there.
    """

    columns: Mapping[str, Sequence[Any]]
    kinds: Mapping[str, Kind]
    facts: dict[str, Any]
    position: Any
    done: int


class Source(Protocol):
    """What a set is made from."""

    @property
    def about(self) -> str:
        """The source in words, for a person."""

    @property
    def total(self) -> int:
        """The bytes that are read."""

    def identity(self) -> Any:
        """A JSON value that changes when the content or the settings do."""

    def pieces(self, position: Any, facts: dict[str, Any]) -> Iterator[Piece]:
        """The pieces from a position on; None for the beginning.

        Args:
            position: That of an earlier piece.
            facts: Those of that piece; empty at the beginning.
        """

    def verify(self, store: Store) -> None:
        """Checks the whole set, once.

        Raises:
            DataError: It cannot be used.
        """


class Progress(Protocol):
    """Is told how far the preparation is."""

    def __call__(self, done: int, /) -> None:
        """Bytes of the source that are done."""


@dataclass
class _State:
    kinds: dict[str, Kind] = field(default_factory=dict)
    rests: dict[str, list[int]] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    position: Any = None

    def described(self, about: str) -> Description:
        return Description(self.kinds, self.rests, self.parts, self.facts, about)


def build(folder: Path, source: Source, progress: Progress) -> None:
    """Prepares a set in a folder, from its beginning or from where an earlier process was killed.

    In the end the folder has the files of the set, and its description as ``PROGRESS``.

    Raises:
        DataError: The source cannot be read, or there is no room.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _Building(folder, source, progress).run()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        raise DataError(
            f"The data cannot be prepared in {folder}: {error.strerror}. Make room there (`holdfast cache` lists what "
            "is prepared), or name another folder in HOLDFAST_CACHE. What is whole is kept."
        ) from error


class _Building:
    """The preparation of one set."""

    def __init__(self, folder: Path, source: Source, progress: Progress) -> None:
        self._folder, self._source, self._progress = folder, source, progress
        self._state = _State()
        self._writer: PartWriter | None = None

    def run(self) -> None:
        self._state = self._resumed()
        kept = {f"{part.name}.arrow" for part in self._state.parts}
        for leftover in self._folder.iterdir():
            if leftover.name not in (PROGRESS, *kept):
                leftover.unlink()
        state, position, facts = self._state, self._state.position, self._state.facts
        try:
            for piece in self._source.pieces(position, dict(facts)):
                dtypes = self._checked(piece)
                if self._writer is not None and not self._writer.fits(dtypes):
                    self._close(position, facts)
                if self._writer is None:
                    path = self._folder / f"{len(state.parts):05d}.arrow"
                    self._writer = PartWriter(path, state.kinds)
                self._writer.add(piece.columns, dtypes)
                position, facts = piece.position, piece.facts
                self._progress(piece.done)
                if self._writer.size >= PART_BYTES:
                    self._close(position, facts)
            if self._writer is not None:
                self._close(position, facts)
        except BaseException:
            if self._writer is not None:
                self._writer.discard()
            raise
        state.position, state.facts = position, facts
        self._note()

    def _close(self, position: Any, facts: dict[str, Any]) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            self._state.parts.append(writer.close())
        except BaseException:
            writer.discard()
            raise
        self._state.position, self._state.facts = position, facts
        self._note()

    def _note(self) -> None:
        state = self._state
        state.described(self._source.about).write(self._folder / PROGRESS, position=state.position)

    def _resumed(self) -> _State:
        """The state of an earlier process that was killed, if its files are whole."""
        with suppress(DamagedError, LookupError):
            known, more = Description.read(self._folder / PROGRESS)
            whole = [self._folder / f"{part.name}.arrow" for part in known.parts]
            sizes = [path.stat().st_size if path.is_file() else -1 for path in whole]
            if sizes == [part.size for part in known.parts]:
                return _State(known.kinds, known.rests, known.parts, known.facts, more["position"])
        return _State()

    def _checked(self, piece: Piece) -> dict[str, np.dtype[Any]]:
        """Checks that a piece has the columns of the pieces before it; the type of each column of arrays."""
        state = self._state
        if not state.kinds:
            state.kinds = dict(piece.kinds)
        if state.kinds != piece.kinds:
            raise DataError(
                f"{_origin(piece)} has {_named(piece.kinds)}, and the examples before it have {_named(state.kinds)}; "
                "expected the same in all files. Read them separately."
            )
        dtypes = {}
        for name, kind in piece.kinds.items():
            if kind != "array" or not len(piece.columns[name]):
                continue
            items = [np.asarray(item) for item in piece.columns[name]]
            dtypes[name] = stored_dtype(np.result_type(*{item.dtype for item in items}))
            rest = state.rests.setdefault(name, list(items[0].shape[1:]))
            for row, item in enumerate(items):
                if list(item.shape[1:]) != rest:
                    raise DataError(
                        f"{_origin(piece, row)} has {'x'.join(map(str, item.shape[1:])) or 'single'} values per step; "
                        f"the examples before it have {'x'.join(map(str, rest)) or 'single ones'}. All must agree."
                    )
        return dtypes


def _origin(piece: Piece, row: int = 0) -> str:
    origins = piece.columns.get("origins") or ["an example"]
    return str(origins[row])


def _named(kinds: Mapping[str, Kind]) -> str:
    words = {"array": "arrays", "number": "numbers", "text": "texts", "texts": "lists of texts"}
    return ", ".join(f"{words[kind]} as {name}" for name, kind in kinds.items() if name != "origins")
