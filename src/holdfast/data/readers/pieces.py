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
from holdfast.data.examples import Examples
from holdfast.data.readers import audio, images, npz, tables
from holdfast.data.readers import values as cells
from holdfast.data.readers.folders import holds, listing
from holdfast.data.readers.paths import check_paths
from holdfast.data.readers.table import Table
from holdfast.data.readers.table_pieces import Hold, parquet_pieces, text_pieces
from holdfast.data.settings import ReadingSettings
from holdfast.data.targets import Targets
from holdfast.errors import DataError

_NOT_READ = (
    *("source", "train", "test", "validation", "test_fraction", "limit", "storage"),
    *("scaling", "unit", "vocabulary_size", "least", "lower"),
)
"""Settings that do not change what is read."""
_WIDE = ("utf-16", "utf16", "utf-32", "utf32", "u16", "u32")


def sequences(
    paths: Sequence[Path], settings: ReadingSettings, part: npz.Part = "test", targets: Targets = "labels"
) -> FileSource:
    """The source of sequences of numbers; the arguments are those of :func:`holdfast.data.readers.read`.

    Folders are read file by file, tables in pieces, and every other file as a whole.

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


def in_pieces(path: Path, settings: Any) -> bool:
    """Whether a file of text can be cut at bytes that are line feeds."""
    with path.open("rb") as file:
        start = file.read(4)
    return not start.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")) and not str(
        getattr(settings, "encoding", "utf-8")
    ).lower().replace("_", "-").startswith(_WIDE)


def _entries(paths: Sequence[Path], settings: ReadingSettings, part: npz.Part, targets: Targets) -> Iterator[Entry]:
    tables.check_times(settings, targets)
    for path, read in readers.entries(paths, settings, part, targets):
        if path.is_dir():
            yield from _folder(path, settings, targets)
        elif _is_table(path) and (tables.by_id(settings, targets) or not tables.rows_are_steps(settings, targets)):
            if in_pieces(path, settings) or _is_parquet(path):
                yield Entry(path, partial(_table, path, settings, targets))
            else:
                yield Entry.whole(path, read)
        else:
            yield Entry.whole(path, read)


def _folder(path: Path, settings: ReadingSettings, targets: Targets) -> Iterator[Entry]:
    """The recordings or images of a folder, one by one."""
    if holds(path, audio.SUFFIXES):
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


def _is_table(path: Path) -> bool:
    return bool({suffix.lower() for suffix in path.suffixes[-2:]} & set(tables.SUFFIXES))


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in (".parquet", ".pq")


def _table(path: Path, settings: ReadingSettings, targets: Targets, position: Any) -> Iterator[tuple[Part, Any]]:
    """The sequences of a table; those of an id are read together."""
    hold: Hold | None = partial(_whole_ids, settings) if tables.by_id(settings, targets) else None
    if _is_parquet(path):
        for table, after in parquet_pieces(path, position, hold):
            yield tables.of_table(table, settings, targets), after
        return
    pinned = (position or {}).get("decimal", settings.decimal)
    for table, after in text_pieces(path, settings, position, hold):
        part = tables.of_table(table, settings.model_copy(update={"decimal": pinned}), targets)
        if not pinned:  # the decimal sign of the first piece is that of the file
            comma = cells.decimal_comma(table, tables.features_of(table, settings), settings)
            pinned = "," if comma else "."
        yield part, None if after is None else {**after, "decimal": pinned}


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
