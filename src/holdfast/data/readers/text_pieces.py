"""Texts of files of any size, piece by piece: lines, and rows of tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from holdfast.data.disk.files import Entry, FileSource, Part
from holdfast.data.readers import table, table_pieces
from holdfast.data.readers import texts as whole
from holdfast.data.readers.line_pieces import line_pieces
from holdfast.data.readers.listing import Listed
from holdfast.data.readers.paths import check_paths
from holdfast.data.readers.pieces import in_pieces, reading
from holdfast.data.settings import ReadingSettings
from holdfast.data.targets import Targets


def texts(
    paths: Sequence[Path], settings: ReadingSettings, part: str = "test", targets: Targets = "labels"
) -> FileSource:
    """The source of texts; the arguments are those of :func:`holdfast.data.readers.texts.read`.

    Lines, CSV, TSV and Parquet are read in pieces; JSON lines and the members of archives each as a whole.

    Raises:
        MissingDataError: A path does not exist.
    """
    check_paths(paths)

    def entries() -> list[Entry]:
        return [_entry(file, settings, targets) for path in paths for file in whole.files_of(path, settings)]

    return FileSource("texts", paths, {"targets": targets, **reading(settings)}, entries)


def _entry(file: Listed, settings: ReadingSettings, targets: Targets) -> Entry:
    if len(file.place.parts) == 1 and file.path.is_file():
        if file.suffix in (".parquet", ".pq"):
            return Entry(file.path, partial(_rows, table_pieces.parquet_pieces, file, settings, targets))
        if file.suffix in (".csv", ".tsv") and in_pieces(file.path, settings):
            read = partial(table_pieces.text_pieces, settings=settings, texts=True)
            return Entry(file.path, partial(_rows, read, file, settings, targets))
        if file.suffix not in table.TEXT_SUFFIXES and in_pieces(file.path, settings):
            return Entry(file.path, partial(_lines, file, settings, targets))
    return Entry.whole(file.path, partial(whole.read_file, file, settings, targets))


def _rows(
    read: Callable[..., Iterator[tuple[table.Table, Any]]],
    file: Listed,
    settings: ReadingSettings,
    targets: Targets,
    position: Any,
) -> Iterator[tuple[Part, Any]]:
    for rows, after in read(file.path, position=position):
        yield whole.of_table(rows, settings, targets), after


def _lines(file: Listed, settings: ReadingSettings, targets: Targets, position: Any) -> Iterator[tuple[Part, Any]]:
    label_first = None if position is None else position["label_first"]
    found = False
    for content, lines_before, after in line_pieces(file.path, settings.encoding, position):
        if label_first is None:
            label_first = whole.label_first(file, content, settings)
        lines = enumerate(content.split("\n"), lines_before)
        part = whole.of_lines(file, lines, settings, targets, label_first=label_first)
        if len(part):
            found = True
            yield part, None if after is None else {**after, "label_first": label_first}
    if not found and position is None:
        yield whole.read_file(file, settings, targets), None  # raises the error for a file without texts
