"""Pairs of texts: lines of ``source<TAB>target``, or two parallel files; plain or gzipped, UTF-8."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from holdfast.data.readers.compressed import lines
from holdfast.data.records import Records
from holdfast.errors import DataError, MissingDataError

Pairs = Records[str, list[str]]
"""Texts, each with all its correct targets."""


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
    if not paths:
        raise DataError("No files were given to read; expected at least one.")
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise MissingDataError(
            f"There is no file {', '.join(missing)}. Check the path; relative paths start at {Path.cwd()}."
        )
    if not parallel:
        return Records.join([_two_columns(path) for path in paths])
    if len(paths) == 1:
        rows = [line for _, line in lines(paths[0])]
        kept = [number for number, line in enumerate(rows) if line.strip()]
        return Records([plain(rows[n]) for n in kept], None, [f"{paths[0]}[{n}]" for n in kept])
    if len(paths) % 2:
        raise DataError(f"{len(paths)} files were given; expected pairs of a file of sources and a file of targets.")
    return Records.join([_two_files(a, b) for a, b in zip(paths[::2], paths[1::2], strict=True)])


def grouped(sources: Sequence[str], targets: Sequence[str], origins: Sequence[str]) -> Pairs:
    """One record per source, at its first place, with its different targets in order."""
    by_source: dict[str, tuple[str, dict[str, None]]] = {}
    for source, target, origin in zip(sources, targets, origins, strict=True):
        by_source.setdefault(source, (origin, {}))[1].setdefault(target)
    all_targets = [list(source_targets) for _, source_targets in by_source.values()]
    return Records(list(by_source), all_targets, [origin for origin, _ in by_source.values()])


def inverted(pairs: Pairs) -> Pairs:
    """The pairs in the other direction: one record per target, with its sources."""
    rows = zip(pairs.inputs, pairs.targets or [], pairs.origins, strict=True)
    each = [(target, source, origin) for source, targets, origin in rows for target in targets]
    return grouped(*([row[column] for row in each] for column in range(3)))


def apart(pairs: Pairs) -> Pairs:
    """The pairs with one target per record."""
    rows = zip(pairs.inputs, pairs.targets or [], pairs.origins, strict=True)
    each = [(source, [target], origin) for source, targets, origin in rows for target in targets]
    counts = [len(targets) for targets in pairs.targets or []]
    weights = None if pairs.weights is None else np.repeat(pairs.weights, counts)
    return Records([row[0] for row in each], [row[1] for row in each], [row[2] for row in each], weights=weights)


def _two_columns(path: Path) -> Pairs:
    rows = [line for _, line in lines(path)]
    kept = [number for number, line in enumerate(rows) if line.strip()]
    if not kept:
        raise DataError(f"{path} is empty; expected at least one line.")
    columns = [[plain(cell) for cell in rows[number].split("\t")] for number in kept]
    origins = [f"{path}[{number}]" for number in kept]
    bare = [number for number, cells in zip(kept, columns, strict=True) if len(cells) == 1]
    if len(bare) == len(kept):
        return Records([cells[0] for cells in columns], None, origins)
    if bare:
        raise DataError(
            f"{path}, line {bare[0] + 1}, has no tab, and other lines have one; expected source<TAB>target in each."
        )
    for number, cells in zip(kept, columns, strict=True):
        if not (cells[0] and cells[1]):
            raise DataError(f"{path}, line {number + 1}, has an empty source or target; expected source<TAB>target.")
    return grouped([cells[0] for cells in columns], [cells[1] for cells in columns], origins)


def _two_files(source: Path, target: Path) -> Pairs:
    sources, targets = ([line for _, line in lines(path)] for path in (source, target))
    if len(sources) != len(targets):
        raise DataError(
            f"{source} has {len(sources)} lines and {target} has {len(targets)}; expected the same number of lines."
        )
    kept = [n for n, pair in enumerate(zip(sources, targets, strict=True)) if any(line.strip() for line in pair)]
    for number in kept:
        if not (sources[number].strip() and targets[number].strip()):
            empty = target if sources[number].strip() else source
            raise DataError(f"{empty}, line {number + 1}, is empty, and the same line of the other file is not.")
    if not kept:
        raise DataError(f"{source} is empty; expected at least one line.")
    source_texts, target_texts = ([plain(rows[number]) for number in kept] for rows in (sources, targets))
    return grouped(source_texts, target_texts, [f"{source}[{number}]" for number in kept])


def plain(text: str) -> str:
    """The text with each run of white space replaced by one space, and none at the ends."""
    return " ".join(text.split())
