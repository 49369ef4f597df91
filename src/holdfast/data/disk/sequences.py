"""Sequences and texts of files of any size, piece by piece: what is kept on disk is read this way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from holdfast.data import readers
from holdfast.data.disk.files import Entry, FileSource, Part
from holdfast.data.disk.store import Store
from holdfast.data.disk.tables import FileRows, Hold, rows_of, table_pieces
from holdfast.data.examples import Examples
from holdfast.data.pieces.arrays import array_pieces
from holdfast.data.pieces.delimited_rows import DelimitedRows
from holdfast.data.pieces.tables import settled
from holdfast.data.readers import audio, images, npz, tables
from holdfast.data.readers.folders import listing
from holdfast.data.readers.paths import check_paths
from holdfast.data.readers.table import Table
from holdfast.data.settings import ReadingSettings
from holdfast.data.targets import Targets
from holdfast.errors import DataError

_NOT_READ = (
    *("source", "train", "test", "validation", "test_fraction", "limit", "storage"),
    *("scaling", "unit", "vocabulary_size", "least", "lower"),
)
"""Settings that do not change what is read."""


def source(
    paths: Sequence[Path], settings: ReadingSettings, part: npz.Part = "test", targets: Targets = "labels"
) -> FileSource:
    """The source of sequences of numbers; the arguments are those of :func:`holdfast.data.readers.read`.

    Folders are read file by file, tables and NPY files in pieces, and every other file as a whole.

    Raises:
        MissingDataError: A path does not exist.
    """
    check_paths(paths)
    about = {"part": part, "targets": targets, **reading(settings)}
    entries = partial(_entries, paths, settings, part, targets)
    return FileSource(
        "sequences", paths, about, lambda: list(entries()), verify=together if settings.id_column else None
    )


def reading(settings: Any) -> dict[str, Any]:
    """The settings that change what is read, as JSON values."""
    table: dict[str, Any] = settings.model_dump(mode="json")
    return {name: value for name, value in table.items() if name not in _NOT_READ}


def _entries(paths: Sequence[Path], settings: ReadingSettings, part: npz.Part, targets: Targets) -> Iterator[Entry]:
    tables.check_times(settings, targets)
    in_pieces = tables.by_id(settings, targets) or not tables.rows_are_steps(settings, targets)
    for path, kind, read, labels in readers.found(paths):
        if path.is_dir():
            yield from _folder(path, kind, settings, targets)
        elif kind == "table" and in_pieces:
            yield Entry(path, partial(_table, path, settings, targets))
        elif kind == "npy":
            yield Entry(path, partial(array_pieces, path, labels, targets, gaps=settings.missing != "error"))
        else:
            yield Entry.whole(path, partial(read, settings, part, targets))


def _folder(path: Path, kind: str, settings: ReadingSettings, targets: Targets) -> Iterator[Entry]:
    """The recordings or images of a folder, one by one."""
    if kind == "recordings":
        files, labels = listing(path, audio.SUFFIXES, "recording")
        for place, file in enumerate(files):
            label = None if labels is None else [labels[place]]
            yield Entry.whole(file, partial(audio.recordings, [file], label, settings, targets))
        return
    files, labels = listing(path, images.SUFFIXES, "image")
    first = cache(lambda: (images.shape_of(files[0]), files[0]))

    def picture(place: int) -> Examples:
        label = None if labels is None else [labels[place]]
        return images.pictures([files[place]], label, settings, targets, first())

    for place, file in enumerate(files):
        yield Entry.whole(file, partial(picture, place))


def _table(path: Path, settings: ReadingSettings, targets: Targets, position: Any) -> Iterator[tuple[Part, Any]]:
    """The sequences of a table; those of an id are read together."""
    hold: Hold | None = partial(_whole_ids, settings) if tables.by_id(settings, targets) else None
    rows = rows_of(path, settings)
    fitting = _settled(rows, settings)
    for table, after in table_pieces(rows, position, hold):
        yield tables.of_table(table, fitting, targets), after


def _settled(rows: FileRows, settings: ReadingSettings) -> ReadingSettings:
    """The settings, with the decimal sign that the first inputs of the file have."""
    if not isinstance(rows, DelimitedRows):
        return settings
    inputs = tables.features_of(rows.empty, settings)
    return settled(rows, settings, [name for name in rows.columns if name not in inputs])


def together(store: Store) -> None:
    """Checks that no id was found in two pieces."""
    numbers = np.fromiter((hash(origin) for origin in store.column("origins")), np.int64, len(store))
    order = np.argsort(numbers, kind="stable")
    again = order[1:][numbers[order][1:] == numbers[order][:-1]]
    if len(again):
        origin = store.origin(int(again.min()))
        raise apart(origin, origin.rpartition("[id=")[2].removesuffix("]"))


def _whole_ids(settings: ReadingSettings, table: Table, ended: bool) -> int:
    return whole_ids(table, tables.ids_of(table, settings), ended)


def whole_ids(table: Table, ids: Sequence[str], ended: bool) -> int:
    """The rows before the last id of a piece, whose sequence may continue in the next one.

    Args:
        table: The piece.
        ids: The id of each row.
        ended: Whether the file ends with the piece.

    Raises:
        DataError: The rows of an id are apart.
    """
    changes = [row for row in range(1, len(ids)) if ids[row] != ids[row - 1]]
    if len(changes) + 1 > len(set(ids)):
        seen: set[str] = set()
        for row in [0, *changes]:
            if ids[row] in seen:
                raise apart(table.where(row), ids[row])
            seen.add(ids[row])
    return len(ids) if ended else (changes[-1] if changes else 0)


def apart(where: str, name: str) -> DataError:
    """The error for a sequence whose rows are not together."""
    return DataError(
        f'{where}: rows of the id {name!r} follow after rows of other ids; with data.storage = "disk" the rows of an '
        'id must be together. Sort the file by its ids, or set data.storage = "memory".'
    )
