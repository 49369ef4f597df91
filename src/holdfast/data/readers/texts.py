"""Texts with labels: text files, folders and archives of them, and tables with a column of texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from holdfast.data.readers import table, tables
from holdfast.data.readers.encoding import decode
from holdfast.data.readers.listing import Listed, listed
from holdfast.data.records import Records
from holdfast.data.settings import ReadingSettings
from holdfast.errors import DataError, MissingDataError

NAMED_BY_ENDING = (".pos", ".neg")
"""Text files whose ending is the label, as collections of reviews have them."""
_LABEL_FIRST = ".label"
"""The ending of files whose lines have their labels first, such as TREC's questions."""
_PREFIX = "__label__"
"""What a label starts with in fastText's files."""
SUFFIXES = (".txt", _LABEL_FIRST, *NAMED_BY_ENDING, *table.TEXT_SUFFIXES)
_ASIDE = ("readme", "license", "licence")
_KINDS = (
    "a folder or .zip of LABEL.txt, a text a line, or of LABEL/NAME.txt, a text a file; such a LABEL.txt; a file with "
    "its label first in each line (.label, or of any ending with __label__LABEL); or a table "
    f"({', '.join(table.TEXT_SUFFIXES)})"
)

Texts = Records[str, str]


def read(paths: Sequence[Path], settings: ReadingSettings) -> Texts:
    """Reads files of texts and joins them in the order given.

    A text file holds a text a line, under the label that the file is named for: ``LABEL.txt``, or ``NAME.pos`` and
    ``NAME.neg``. Empty lines are left out. In the subfolders of a folder or an archive a file is one text, under the
    label that the subfolder is named for. Files called README or LICENSE there are passed over. With
    ``settings.label_first``, in files that end in ``.label`` (as TREC's questions do) and where the first line starts
    with ``__label__`` (as fastText has it), each line has its own label, or several.

    Args:
        paths: At least one file or folder.
        settings: ``encoding``, ``label_first``, ``text_column``, ``label_column``, ``label_separator`` and what is said
            of tables are used.

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


def _parts(path: Path, settings: ReadingSettings) -> list[Texts]:
    """The texts of a path, file by file."""
    found = listed(path)
    files = [file for file in found if file.suffix in SUFFIXES]
    if not files and path.is_file() and len(found) == 1 and _label_first(_decoded(found[0], settings), settings):
        files = found
    if path.is_dir() or len(files) > 1:
        files = [file for file in files if file.stem.lower() not in _ASIDE]
    depths = {len(file.place.parts): file.place for file in files}
    if not files or max(depths) > 2:
        got = f"holds {depths[max(depths)]}" if files else "holds no texts"
        raise DataError(f"{path} {got}; expected {_KINDS}.")
    if len(depths) > 1:
        raise DataError(
            f"{path} holds texts both directly ({depths[1]}) and in subfolders ({depths[2]}); "
            "expected LABEL.txt, a text a line, or LABEL/NAME.txt, a text a file."
        )
    return [_lines(file, settings) if 1 in depths else _whole(file, settings) for file in files]


def _whole(file: Listed, settings: ReadingSettings) -> Texts:
    """A file in a subfolder: one text."""
    if file.suffix != ".txt":
        raise DataError(f"{file.path} lies in a subfolder; expected LABEL/NAME.txt there, a text a file.")
    text = _decoded(file, settings).strip()
    if not text:
        raise DataError(f"{file.path} is empty; expected a text.")
    return _texts([text], [file.place.parts[0]], [str(file.path)], settings)


def _lines(file: Listed, settings: ReadingSettings) -> Texts:
    """A text file with a text a line, or a table with a text a row."""
    if file.suffix in table.TEXT_SUFFIXES:
        return _rows(file, settings)
    content = _decoded(file, settings)
    kept = [(line.strip(), f"{file.path}[{index}]") for index, line in enumerate(content.split("\n")) if line.strip()]
    if not kept:
        raise DataError(f"{file.path} is empty; expected a text a line.")
    if file.suffix == _LABEL_FIRST or _label_first(content, settings):
        return _with_labels(kept, settings)
    label = file.suffix[1:] if file.suffix in NAMED_BY_ENDING else file.stem
    return _texts([line for line, _ in kept], [label] * len(kept), [origin for _, origin in kept], settings)


def _label_first(content: str, settings: ReadingSettings) -> bool:
    return settings.label_first or content.lstrip().startswith(_PREFIX)


def _with_labels(lines: Sequence[tuple[str, str]], settings: ReadingSettings) -> Texts:
    """Texts from lines with their labels and where each is from: ``LABEL text``, or ``__label__LABEL text``."""
    labels, texts = [], []
    marked = lines[0][0].startswith(_PREFIX)
    for line, origin in lines:
        words = line.split()
        own = [word.removeprefix(_PREFIX) for word in words if word.startswith(_PREFIX)] if marked else words[:1]
        text = " ".join(word for word in words if not (marked and word.startswith(_PREFIX)))
        text = text if marked else line.removeprefix(words[0]).strip()
        if not text or (len(own) != 1 and not settings.label_separator):
            got = "no text" if not text else f"{len(own)} labels"
            advice = ' Set data.label_separator, such as "|", to learn several labels a text.' if len(own) > 1 else ""
            raise DataError(f"{origin} has {got}; expected a label and a text in each line.{advice}")
        labels.append(settings.label_separator.join(own))
        texts.append(text)
    return _texts(texts, labels, [origin for _, origin in lines], settings)


def _rows(file: Listed, settings: ReadingSettings) -> Texts:
    """A table: a text a row."""
    rows = table.load(file.path, settings, content=file.content(), texts=True)
    texts = tables.texts(rows, settings.text_column)
    origins = [f"{file.path}[{row}]" for row in range(len(texts))]
    return _texts(texts, tables.labels(rows, settings), origins, settings)


def _texts(texts: list[str], labels: list[str] | None, origins: list[str], settings: ReadingSettings) -> Texts:
    # Combinations of labels are too many to keep the proportions of.
    return Records(texts, labels, origins, stratified=not settings.label_separator)


def _decoded(file: Listed, settings: ReadingSettings) -> str:
    return decode(file.path, file.content(), settings.encoding)
