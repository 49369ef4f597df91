"""Texts with labels: text files, folders and archives of them, and tables with a column of texts."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from holdfast.data.readers import table, tables
from holdfast.data.readers.encoding import decode
from holdfast.data.readers.listing import Listed, listed
from holdfast.data.records import Records
from holdfast.errors import DataError, MissingDataError
from holdfast.recipes.classify import ClassifyData

NAMED_BY_ENDING = (".pos", ".neg")
"""Text files whose ending is the label, as collections of reviews have them."""
SUFFIXES = (".txt", *NAMED_BY_ENDING, *table.TEXT_SUFFIXES)
_ASIDE = ("readme", "license", "licence")
_KINDS = (
    "a folder or .zip of LABEL.txt, a text a line, or of LABEL/NAME.txt, a text a file; such a LABEL.txt; or a table "
    f"({', '.join(table.TEXT_SUFFIXES)})"
)

Texts = Records[str, str]


def read(paths: Sequence[Path], settings: ClassifyData) -> Texts:
    """Reads files of texts and joins them in the order given.

    A text file holds a text a line, under the label that the file is named for: ``LABEL.txt``, or ``NAME.pos`` and
    ``NAME.neg``. Empty lines are left out. In the subfolders of a folder or an archive a file is one text, under the
    label that the subfolder is named for. Files called README or LICENSE there are passed over.

    Args:
        paths: At least one file or folder.
        settings: ``encoding``, ``text_column``, ``label_column`` and ``label_separator`` are used.

    Returns:
        The texts; without labels where a table has no label column.

    Raises:
        MissingDataError: A path does not exist.
        DataError: A file is of no known kind, is damaged or is not in the encoding, or lacks a text or a label.
        RecipeError: There is no such encoding.
    """
    if not paths:
        raise DataError("No files were given to read; expected at least one file or folder.")
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise MissingDataError(
            f"There is no file or folder {', '.join(missing)}. Check the path; it was taken from {Path.cwd()}."
        )
    return Records.join([part for path in paths for part in _parts(path, settings)])


def _parts(path: Path, settings: ClassifyData) -> list[Texts]:
    """The texts of a path, file by file."""
    files = [file for file in listed(path) if file.suffix in SUFFIXES]
    if path.is_dir() or len(files) > 1:
        files = [file for file in files if file.stem.lower() not in _ASIDE]
    depths = {len(file.place.parts): file.place for file in files}
    if not files or max(depths) > 2:
        found = f"holds {depths[max(depths)]}" if files else "holds no texts"
        raise DataError(f"{path} {found}; expected {_KINDS}.")
    if len(depths) > 1:
        raise DataError(
            f"{path} holds texts both directly ({depths[1]}) and in subfolders ({depths[2]}); "
            "expected LABEL.txt, a text a line, or LABEL/NAME.txt, a text a file."
        )
    return [_lines(file, settings) if 1 in depths else _whole(file, settings) for file in files]


def _whole(file: Listed, settings: ClassifyData) -> Texts:
    """A file in a subfolder: one text."""
    if file.suffix != ".txt":
        raise DataError(f"{file.path} lies in a subfolder; expected LABEL/NAME.txt there, a text a file.")
    text = _decoded(file, settings).strip()
    if not text:
        raise DataError(f"{file.path} is empty; expected a text.")
    return _texts([text], [file.place.parts[0]], [str(file.path)], settings)


def _lines(file: Listed, settings: ClassifyData) -> Texts:
    """A text file with a text a line, or a table with a text a row."""
    if file.suffix in table.TEXT_SUFFIXES:
        return _rows(file, settings)
    label = file.suffix[1:] if file.suffix in NAMED_BY_ENDING else file.stem
    numbered = [(line.strip(), index) for index, line in enumerate(io.StringIO(_decoded(file, settings)))]
    kept = [(line, f"{file.path}[{index}]") for line, index in numbered if line]
    if not kept:
        raise DataError(f"{file.path} is empty; expected a text a line.")
    return _texts([line for line, _ in kept], [label] * len(kept), [origin for _, origin in kept], settings)


def _rows(file: Listed, settings: ClassifyData) -> Texts:
    """A table: a text a row."""
    rows = table.load(file.path, settings, content=file.content(), texts=True)
    texts = tables.texts(rows, settings.text_column)
    origins = [f"{file.path}[{row}]" for row in range(len(texts))]
    return _texts(texts, tables.labels(rows, settings), origins, settings)


def _texts(texts: list[str], labels: list[str] | None, origins: list[str], settings: ClassifyData) -> Texts:
    # Combinations of labels are too many to keep the proportions of.
    return Records(texts, labels, origins, stratified=not settings.label_separator)


def _decoded(file: Listed, settings: ClassifyData) -> str:
    return decode(file.path, file.content(), settings.encoding)
