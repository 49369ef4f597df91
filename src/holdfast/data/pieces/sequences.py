"""Files of sequences of numbers, in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.data import readers
from holdfast.data.examples import Examples
from holdfast.data.pieces.arrays import ArraySource
from holdfast.data.pieces.files import FilesSource
from holdfast.data.pieces.grouped import grouped_source
from holdfast.data.pieces.piece import Source
from holdfast.data.pieces.tables import TableSource, settled, table_rows
from holdfast.data.pieces.whole import WholeSource
from holdfast.data.readers import audio, folders, images, tables
from holdfast.data.readers.table import IN_MEMORY, Table
from holdfast.data.settings import ReadingSettings
from holdfast.data.targets import Targets
from holdfast.errors import DataError

if TYPE_CHECKING:
    import polars


def sources(
    paths: Sequence[Path], settings: ReadingSettings, targets: Targets = "labels", aside: Sequence[str] = ()
) -> list[Source]:
    """The sequences in files and folders, in the order of :func:`holdfast.data.readers.read`, without targets.

    Tables, NPY files, and folders of images and recordings are read in pieces. Other files are read whole, one after
    another, and so is a table whose rows of an id do not follow one another.

    Args:
        paths: Files and folders of any kind that the reader knows.
        settings: How to read them.
        targets: What the task learns: it says whether a row of a table is a step.
        aside: Columns of tables that are no inputs, unless ``settings.feature_columns`` has them.

    Raises:
        MissingDataError: A path does not exist.
        DataError: A file is of an unknown kind, or is damaged.
    """
    all_sources: list[Source] = []
    for kind, group in groupby(readers.found(paths), lambda each: each.kind):
        members = [each.path for each in group]
        if kind in ("images", "recordings"):
            all_sources += _files(members, kind, settings)
        else:
            all_sources += [_source(path, kind, settings, targets, aside) for path in members]
    return all_sources


def _source(path: Path, kind: str, settings: ReadingSettings, targets: Targets, aside: Sequence[str]) -> Source:
    if kind == "npy":
        return ArraySource(path, gaps=settings.missing != "error")
    if kind == "table":
        return _table(path, settings, targets, aside)
    return WholeSource(str(path), lambda: readers.read([path], settings, targets=targets))


def _table(path: Path, settings: ReadingSettings, targets: Targets, aside: Sequence[str]) -> Source:
    tables.check_times(settings, targets)
    whole = partial(readers.read, [path], settings, targets=targets)
    if tables.rows_are_steps(settings, targets) and not settings.id_column:
        return WholeSource(str(path), whole)  # one sequence
    names = unread(settings, aside)
    rows = table_rows(path, settings)
    if not len(rows):
        return WholeSource(str(path), whole)  # which says what is missing
    settings = settled(rows, settings, [*names, settings.id_column, settings.time_column])

    def read(table: Table) -> Examples:
        return tables.of_table(table.without(names), settings, targets)

    if settings.id_column:
        return grouped_source(rows, read, whole, settings.id_column)
    return TableSource(rows, read)


def unread(settings: ReadingSettings, aside: Sequence[str]) -> list[str]:
    """The columns of a table that are no inputs: the targets, and those of these that the settings do not name."""
    used = {settings.id_column, settings.time_column, *settings.feature_columns}
    return [*settings.target_names, *(name for name in aside if name not in used)]


def of_frame(
    frame: polars.DataFrame, settings: ReadingSettings, targets: Targets = "labels", aside: Sequence[str] = ()
) -> Examples:
    """The sequences of a table in memory, without targets; the arguments are those of :func:`sources`.

    Raises:
        DataError: The table does not fit; or a row is a step, and there is no column of ids.
    """
    tables.check_times(settings, targets)
    if tables.rows_are_steps(settings, targets) and not settings.id_column:
        raise DataError(
            "The model reads a whole table as one sequence, and a batch may be a part of one; expected a model with "
            "data.id_column, or a column that holds a sequence in each row. Name that column."
        )
    return tables.of_table(Table(IN_MEMORY, frame).without(unread(settings, aside)), settings, targets)


def _files(paths: Sequence[Path], kind: str, settings: ReadingSettings) -> Iterator[Source]:
    """Folders of images or recordings, and single ones: those that follow one another are read together."""
    suffixes, noun = (images.SUFFIXES, "image") if kind == "images" else (audio.SUFFIXES, "recording")
    for folder, group in groupby(paths, Path.is_dir):
        if not folder:
            members = list(group)
            yield FilesSource(str(members[0]), members, _single(kind, settings))
            continue
        for path in group:
            files, _ = folders.listing(path, suffixes, noun)
            yield FilesSource(
                str(path), files, _alike(files[0], settings) if kind == "images" else _single(kind, settings)
            )


def _single(kind: str, settings: ReadingSettings) -> Callable[[Sequence[Path]], Examples]:
    read = images.read if kind == "images" else audio.read
    return lambda files: Examples.join([read(file, settings) for file in files])


def _alike(first: Path, settings: ReadingSettings) -> Callable[[Sequence[Path]], Examples]:
    """Reads images of a folder, which have one size."""
    shape = cache(images.shape_of)

    def read(files: Sequence[Path]) -> Examples:
        return images.pictures(files, None, settings, "labels", (shape(first), first))

    return read
