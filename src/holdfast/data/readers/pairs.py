"""Pairs of texts: lines of ``source<TAB>target``, or two parallel files; plain or gzipped, UTF-8."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from holdfast.data.disk import groups
from holdfast.data.disk.files import Entry, FileSource
from holdfast.data.pieces import numbered_lines
from holdfast.data.pieces.numbered_lines import numbered
from holdfast.data.records import Records
from holdfast.errors import DataError, MissingDataError

Pairs = Records[str, list[str]]
"""Texts, each with all its correct targets."""
Lines = Records[str, str]
"""Texts, each with one target."""
_Numbered = Sequence[tuple[int, str]]


def read(paths: Sequence[Path], *, parallel: bool = False) -> Pairs:
    """Reads files and joins them in the order given.

    Blank lines are skipped. Runs of white space, including no-break spaces, become one space. All targets of a repeated
    source go into one record, at the first place of the source.

    Args:
        paths: Files with ``source<TAB>target`` in each line (further columns are ignored), or with only a source in
            each.
        parallel: The files are pairs of a file of sources and a file of targets, line by line; a single file has
            sources.

    Raises:
        MissingDataError: A file does not exist.
        DataError: A file cannot be read, only some lines have a target, one is empty, or parallel files differ in
            length.
    """
    _check(paths)
    if not parallel:
        return Records.join([_two_columns(path) for path in paths])
    if len(paths) == 1:
        rows = [line for _, line in numbered(paths[0])]
        kept = [number for number, line in enumerate(rows) if line.strip()]
        return Records([plain(rows[n]) for n in kept], None, [f"{paths[0]}[{n}]" for n in kept])
    return Records.join([_two_files(a, b) for a, b in _both(paths)])


def in_pieces(paths: Sequence[Path], *, parallel: bool = False) -> FileSource:
    """The source of lines with a source and a target, which reads files in pieces; as :func:`read`, but not grouped.

    Raises:
        MissingDataError: A file does not exist.
        DataError: There are no files, or an odd number of parallel ones.
    """
    _check(paths)
    if parallel:
        files = [Entry(source, partial(_two_files_in_pieces, source, target)) for source, target in _both(paths)]
    else:
        files = [Entry(path, partial(_two_columns_in_pieces, path)) for path in paths]
    return FileSource("pairs", paths, {"parallel": parallel}, lambda: files)


def _check(paths: Sequence[Path]) -> None:
    if not paths:
        raise DataError("No files were given to read; expected at least one.")
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise MissingDataError(
            f"There is no file {', '.join(missing)}. Check the path; relative paths start at {Path.cwd()}."
        )


def _both(paths: Sequence[Path]) -> list[tuple[Path, Path]]:
    """The pairs of a file of sources and a file of targets."""
    if len(paths) % 2:
        raise DataError(f"{len(paths)} files were given; expected pairs of a file of sources and a file of targets.")
    return list(zip(paths[::2], paths[1::2], strict=True))


def grouped(sources: Sequence[str], targets: Sequence[str], origins: Sequence[str]) -> Pairs:
    """One record per source, at its first place, with its different targets in order."""
    by_source: dict[str, tuple[str, dict[str, None]]] = {}
    for source, target, origin in zip(sources, targets, origins, strict=True):
        by_source.setdefault(source, (origin, {}))[1].setdefault(target)
    all_targets = [list(source_targets) for _, source_targets in by_source.values()]
    return Records(list(by_source), all_targets, [origin for origin, _ in by_source.values()])


def inverted(pairs: Pairs) -> Pairs:
    """The pairs in the other direction: one record per target, with its sources."""
    if isinstance(pairs.targets, groups.Groups):
        return cast(Pairs, groups.inverted(pairs))
    rows = zip(pairs.inputs, pairs.targets or [], pairs.origins, strict=True)
    each = [(target, source, origin) for source, targets, origin in rows for target in targets]
    return grouped(*([row[column] for row in each] for column in range(3)))


def apart(pairs: Pairs) -> Pairs:
    """The pairs with one target per record."""
    if isinstance(pairs.targets, groups.Groups):
        return cast(Pairs, groups.apart(pairs))
    rows = zip(pairs.inputs, pairs.targets or [], pairs.origins, strict=True)
    each = [(source, [target], origin) for source, targets, origin in rows for target in targets]
    counts = [len(targets) for targets in pairs.targets or []]
    weights = None if pairs.weights is None else np.repeat(pairs.weights, counts)
    return Records([row[0] for row in each], [row[1] for row in each], [row[2] for row in each], weights=weights)


def _two_columns(path: Path) -> Pairs:
    rows = _of_columns(path, numbered(path))
    if not len(rows):
        raise DataError(f"{path} is empty; expected at least one line.")
    return rows_grouped(rows)


def rows_grouped(rows: Lines) -> Pairs:
    """The records of lines of one file, each with a source and a target; unchanged where they have no targets."""
    if rows.targets is None:
        return Records(rows.inputs, None, rows.origins)
    return grouped(rows.inputs, rows.targets, rows.origins)


def _of_columns(path: Path, numbered: Iterable[tuple[int, str]]) -> Lines:
    """Lines of ``source<TAB>target``, numbered from 1."""
    kept = [(number - 1, [plain(cell) for cell in line.split("\t")]) for number, line in numbered if line.strip()]
    origins = [f"{path}[{number}]" for number, _ in kept]
    bare = [number for number, cells in kept if len(cells) == 1]
    if len(bare) == len(kept):
        return Records([cells[0] for _, cells in kept], None, origins)
    if bare:
        raise DataError(
            f"{path}, line {bare[0] + 1}, has no tab, and other lines have one; expected source<TAB>target in each."
        )
    for number, cells in kept:
        if not (cells[0] and cells[1]):
            raise DataError(f"{path}, line {number + 1}, has an empty source or target; expected source<TAB>target.")
    return Records([cells[0] for _, cells in kept], [cells[1] for _, cells in kept], origins)


def _two_columns_in_pieces(path: Path, position: Any) -> Iterator[tuple[Lines, Any]]:
    for rows, after in numbered_lines.numbered_pieces(path, position):
        part = _of_columns(path, rows)
        if len(part):
            yield part, after
        elif position is None and after is None:
            _two_columns(path)  # raises the error for an empty file


def _two_files(source: Path, target: Path) -> Pairs:
    rows = _of_files(source, target, list(numbered(source)), list(numbered(target)))
    if not len(rows):
        raise DataError(f"{source} is empty; expected at least one line.")
    return rows_grouped(rows)


def _of_files(source: Path, target: Path, sources: _Numbered, targets: _Numbered) -> Lines:
    """Parallel lines of two files, numbered from 1."""
    if len(sources) != len(targets):
        counts = [sources[-1][0] if sources else 0, targets[-1][0] if targets else 0]
        raise DataError(
            f"{source} has {counts[0]} lines and {target} has {counts[1]}; expected the same number of lines."
        )
    kept = [(number - 1, a, b) for (number, a), (_, b) in zip(sources, targets, strict=True) if a.strip() or b.strip()]
    for number, a, b in kept:
        if not (a.strip() and b.strip()):
            empty = target if a.strip() else source
            raise DataError(f"{empty}, line {number + 1}, is empty, and the same line of the other file is not.")
    origins = [f"{source}[{number}]" for number, _, _ in kept]
    return Records([plain(a) for _, a, _ in kept], [plain(b) for _, _, b in kept], origins)


def _two_files_in_pieces(source: Path, target: Path, position: Any) -> Iterator[tuple[Lines, Any]]:
    """The lines of two files, each piece of as many lines of both."""
    line, size = (position["line"], position["byte"]) if position else (0, 0)
    both = [itertools.islice(numbered(path), line, None) for path in (source, target)]
    ended = False
    while not ended:
        sources, targets = (list(itertools.islice(rows, numbered_lines.MOST_LINES)) for rows in both)
        part = _of_files(source, target, sources, targets)
        ended = len(sources) < numbered_lines.MOST_LINES
        line, size = line + len(sources), size + sum(len(text) + 1 for _, text in sources)
        if len(part):
            yield part, None if ended else {"line": line, "byte": size}
        elif ended and line == len(sources):
            _two_files(source, target)  # raises the error for an empty file


def plain(text: str) -> str:
    """The text with each run of white space replaced by one space, and none at the ends."""
    return " ".join(text.split())
