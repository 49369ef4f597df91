"""Texts of files of any size, piece by piece: lines, and rows of tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from holdfast.data.disk.files import Entry, FileSource, Part
from holdfast.data.disk.sequences import reading
from holdfast.data.disk.tables import rows_of, table_pieces
from holdfast.data.pieces.text_lines import line_pieces
from holdfast.data.readers import table
from holdfast.data.readers import texts as whole
from holdfast.data.readers.listing import Listed
from holdfast.data.readers.paths import check_paths
from holdfast.data.settings import ReadingSettings
from holdfast.data.targets import Targets


def source(
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
        if file.suffix in table.SUFFIXES:
            return Entry(file.path, partial(_rows, file, settings, targets))
        if file.suffix not in table.TEXT_SUFFIXES:
            return Entry(file.path, partial(_lines, file, settings, targets))
    return Entry.whole(file.path, partial(whole.read_file, file, settings, targets))


def _rows(file: Listed, settings: ReadingSettings, targets: Targets, position: Any) -> Iterator[tuple[Part, Any]]:
    for rows, after in table_pieces(rows_of(file.path, settings, texts=True), position):
        yield whole.of_table(rows, settings, targets), after


def _lines(file: Listed, settings: ReadingSettings, targets: Targets, position: Any) -> Iterator[tuple[Part, Any]]:
    label_first = None if position is None else position["label_first"]
    found = False
    for piece in line_pieces(file.path, settings.encoding, position):
        if label_first is None:
            label_first = whole.label_first(file, "\n".join(piece.lines), settings)
        lines = enumerate(piece.lines, piece.before)
        part = whole.of_lines(file, lines, settings, targets, label_first=label_first)
        if len(part):
            found = True
            yield part, None if piece.last else {**piece.after, "label_first": label_first}
    if not found and position is None:
        yield whole.read_file(file, settings, targets), None  # raises the error for a file without texts
