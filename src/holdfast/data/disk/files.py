"""Files as the source of a set: read piece by piece, and found again in the cache while they do not change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from holdfast.data.disk.blocks import Kind
from holdfast.data.disk.build import Piece
from holdfast.data.disk.cache import files_identity, prepared
from holdfast.data.disk.store import Store, facts_of
from holdfast.data.examples import Examples
from holdfast.data.records import Records
from holdfast.errors import DataError
from holdfast.files.inside import files_inside
from holdfast.files.json_values import as_text

Part = Examples | Records[Any, Any]
Pieces = Iterator[tuple[Part, Any]]


@dataclass(frozen=True)
class Entry:
    """A file that is read piece by piece.

    Attributes:
        path: The file.
        read: Gives the pieces from a position in the file on (None for its beginning), each with the position after
            it, a JSON value; None after the last one.
    """

    path: Path
    read: Callable[[Any], Pieces]

    @classmethod
    def whole(cls, path: Path, read: Callable[[], Part]) -> Entry:
        """A file that is read in one piece."""
        return cls(path, lambda position: iter([(read(), None)]))


class FileSource:
    """The source of a set: files.

    Args:
        kind: What is read from them, for the name of the set.
        paths: The files and folders, as the user names them.
        settings: The settings that change what is read, as JSON values.
        entries: Lists the files to read, in order.
        more: Further files whose content is read, such as the recordings that a table names.
        verify: Checks the whole set, once; raises DataError.
    """

    def __init__(
        self,
        kind: str,
        paths: Sequence[Path],
        settings: Mapping[str, Any],
        entries: Callable[[], Sequence[Entry]],
        more: Sequence[Path] = (),
        verify: Callable[[Store], None] | None = None,
    ) -> None:
        self._verify = verify
        self._kind, self._settings, self._entries = kind, dict(settings), entries
        self._files = list(dict.fromkeys([*files_in(paths), *more]))
        others = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        self.about = f"{paths[0]}{others}"

    @property
    def total(self) -> int:
        """The bytes of all files."""
        return sum(file.stat().st_size for file in self._files)

    def identity(self) -> Any:
        """The files, with their sizes and times, and the settings."""
        return [self._kind, files_identity(self._files), self._settings]

    def verify(self, store: Store) -> None:
        """Checks the whole set.

        Raises:
            DataError: It cannot be used.
        """
        if self._verify is not None:
            self._verify(store)

    def pieces(self, position: Any, facts: dict[str, Any]) -> Iterator[Piece]:
        """The pieces of all files from a position on: the number of the file, and the place in it."""
        start, place = position or (0, None)
        entries = self._entries()
        done = sum(_size(entry.path) for entry in entries[:start])
        for number, entry in enumerate(entries[start:], start):
            for part, after in entry.read(place):
                fitting, facts = _fitting(part, facts)
                inside = after.get("byte", 0) if isinstance(after, dict) else _size(entry.path)
                columns, kinds = _columns(fitting)
                position = [number + 1, None] if after is None else [number, after]
                yield Piece(columns, kinds, facts, position, done + inside)
            place = None
            done += _size(entry.path)


def kept(source: FileSource) -> Any:
    """The examples of a source, on disk: prepared now, or found in the cache.

    Returns:
        ``Examples`` or ``Records`` whose inputs, targets and origins are columns.

    Raises:
        DataError: The source cannot be read, or has no examples.
    """
    store = prepared(source)
    if not len(store):
        raise DataError(f"{source.about}: there is nothing to read; expected at least one example.")
    targets = store.column("targets") if "targets" in store.kinds else None
    inputs, origins = store.column("inputs"), store.column("origins")
    if facts_of(store.facts, "records", False):
        return Records(inputs, targets, origins, facts_of(store.facts, "stratified", False))
    return Examples(
        inputs,
        targets,
        origins,
        gaps=facts_of(store.facts, "gaps", False),
        columns=tuple(map(str, facts_of(store.facts, "columns", []))),
        per_step=facts_of(store.facts, "per_step", False),
    )


def store_of(examples: Any) -> Store | None:
    """The set on disk that examples are from; None for examples in memory."""
    series = getattr(examples, "series", ())
    source = series[0] if series else getattr(examples, "inputs", None)
    store = getattr(source, "store", None)
    return store if isinstance(store, Store) else None


def files_in(paths: Sequence[Path]) -> list[Path]:
    """The files, and those in folders and their subfolders, by name."""
    return [file for path in paths for file in (files_inside(path) if path.is_dir() else [path])]


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0  # members of an archive have no size of their own


def _fitting(part: Part, facts: dict[str, Any]) -> tuple[Part, dict[str, Any]]:
    """A piece in the form of those before it, as ``Examples.join`` does it, and the facts with this piece."""
    if isinstance(part, Records):
        return part, {"records": True, "stratified": bool(facts.get("stratified", part.stratified))}
    part = part.ordered(facts.get("columns", ()))
    if facts and part.targets is not None and facts["per_step"] != part.per_step:
        steps, whole = ("other files have", "it has") if facts["per_step"] else ("it has", "other files have")
        raise DataError(
            f"{part.origins[0]}: {steps} targets for each step, and {whole} them for the whole sequence; expected one "
            'kind in all files. Set data.per = "step" or "sequence".'
        )
    return part, {
        "gaps": bool(part.gaps or facts.get("gaps", False)),
        "columns": list(facts.get("columns") or part.columns),
        "per_step": part.per_step,
    }


def _columns(part: Part) -> tuple[dict[str, Sequence[Any]], dict[str, Kind]]:
    columns: dict[str, Any] = {"inputs": part.inputs}
    if part.targets is not None:
        columns["targets"] = part.targets
    columns["origins"] = [as_text(origin) for origin in part.origins]
    return columns, {name: _kind(values[0]) if len(values) else "text" for name, values in columns.items()}


def _kind(item: Any) -> Kind:
    if isinstance(item, str):
        return "text"
    if isinstance(item, np.ndarray):
        return "array"
    return "texts" if isinstance(item, list | tuple) else "number"
