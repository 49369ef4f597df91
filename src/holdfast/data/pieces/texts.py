"""Files of texts, in pieces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from holdfast.data.pieces.files import FilesSource
from holdfast.data.pieces.lines import LinesSource
from holdfast.data.pieces.piece import Source
from holdfast.data.pieces.tables import TableSource, table_rows
from holdfast.data.pieces.text_lines import line_lists
from holdfast.data.pieces.whole import WholeSource
from holdfast.data.readers import texts
from holdfast.data.readers.listing import Listed, listed
from holdfast.data.readers.paths import check_paths
from holdfast.data.readers.table import TEXT_SUFFIXES, Table
from holdfast.data.records import Records
from holdfast.data.settings import ReadingSettings


def sources(paths: Sequence[Path], settings: ReadingSettings) -> list[Source]:
    """The texts in files and folders, in the order of :func:`holdfast.data.readers.texts.read`, without targets.

    All are read in pieces, except zip archives, which are read whole.

    Args:
        paths: Files and folders.
        settings: How to read them.

    Raises:
        MissingDataError: A path does not exist.
        DataError: A file is of an unknown kind, or is damaged.
    """
    check_paths(paths)
    return [source for path in paths for source in _of_path(path, settings)]


def _of_path(path: Path, settings: ReadingSettings) -> list[Source]:
    if path.is_file() and path.suffix.lower() == ".zip":
        return [WholeSource(str(path), lambda: texts.read([path], settings))]
    if path.is_file():
        return [_file(listed(path)[0], settings)]
    files = texts.files_of(path, settings)
    if texts.nested(files[0]):
        return [FilesSource(str(path), files, lambda some: _joined(some, settings))]
    return [_file(file, settings) for file in files]


def _joined(files: Sequence[Listed], settings: ReadingSettings) -> texts.Texts:
    return Records.join([texts.read_file(file, settings, "labels") for file in files]).unlabelled()


def _file(file: Listed, settings: ReadingSettings) -> Source:
    """A table with one text per row, or a text file with one text per line."""
    path = file.path
    if file.suffix in TEXT_SUFFIXES:
        rows = table_rows(path, settings, texts=True)
        if not len(rows):
            return WholeSource(str(path), lambda: texts.read([path], settings))  # which says what is missing
        return TableSource(rows, lambda table: of_table(table, settings))
    first = _first_line(path, settings)
    labelled = texts.label_first(file, first, settings)
    if not first or not (file.suffix in texts.SUFFIXES or labelled):
        return WholeSource(str(path), lambda: texts.read([path], settings))  # which says what is wrong

    def read(lines: Sequence[str], places: Sequence[int]) -> Any:
        numbered = zip(places, lines, strict=True)
        return texts.of_lines(file, numbered, settings, "labels", label_first=labelled).unlabelled()

    return LinesSource(path, read, settings.encoding)


def of_table(table: Table, settings: ReadingSettings) -> Any:
    """The texts of a table, without targets.

    Raises:
        DataError: There is no column of texts, or a row has no text.
    """
    return texts.of_table(
        table.without([name for name in settings.target_names if name != settings.text_column]), settings
    )


def _first_line(path: Path, settings: ReadingSettings) -> str:
    """The first line that is not blank."""
    for lines in line_lists(path, settings.encoding):
        for line in lines:
            if line.strip():
                return line
    return ""
