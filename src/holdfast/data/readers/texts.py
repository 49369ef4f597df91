"""Texts with labels: text files, folders and archives of them, and tables with a column of texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from holdfast.data.readers import table, tables
from holdfast.data.readers.encoding import decode
from holdfast.data.readers.listing import Listed, listed
from holdfast.data.readers.paths import check_paths
from holdfast.data.records import Records
from holdfast.data.settings import ReadingSettings
from holdfast.data.targets import Targets, from_labels
from holdfast.errors import DataError

NAMED_BY_ENDING = (".pos", ".neg")
"""Text files whose ending is the label, as collections of reviews have them."""
LABEL_FIRST = ".label"
"""The ending of files whose lines have their labels first, such as TREC's questions."""
_PREFIX = "__label__"
"""What a label starts with in fastText's files."""
SUFFIXES = (".txt", LABEL_FIRST, *NAMED_BY_ENDING, *table.TEXT_SUFFIXES)
_ASIDE = ("readme", "license", "licence")
_KINDS = (
    "a folder or .zip of LABEL.txt, one text per line, or of LABEL/NAME.txt, one text per file; such a LABEL.txt; a "
    "file with its label first in each line (.label, or of any ending with __label__LABEL); or a table "
    f"({', '.join(table.TEXT_SUFFIXES)})"
)

Texts = Records[str, Any]
"""Texts, each with its label or its number."""


def read(paths: Sequence[Path], settings: ReadingSettings, targets: Targets = "labels") -> Texts:
    """Reads files of texts and joins them in the order given.

    A text file holds one text per line; the name of the file is their label: ``LABEL.txt``, or ``NAME.pos`` and
    ``NAME.neg``. Empty lines are left out. In a subfolder of a folder or an archive each file is one text; the name of
    the subfolder is its label. Files called README or LICENSE are skipped there. Each line has its own label, or
    several, with ``settings.label_first``, in files that end in ``.label`` (such as TREC's questions), and where the
    first line starts with ``__label__`` (as in fastText's files).

    Args:
        paths: At least one file or folder.
        settings: ``encoding``, ``label_first``, ``text_column``, ``label_column``, ``label_separator`` and the fields
            of ``TableSettings`` are used.
        targets: What the task learns.

    Returns:
        The texts; without targets where a table has no label column.

    Raises:
        MissingDataError: A path does not exist.
        DataError: A file is of an unknown kind, is damaged or is not in the encoding, or lacks a text or a label.
        RecipeError: There is no such encoding.
    """
    check_paths(paths)
    return Records.join([read_file(file, settings, targets) for path in paths for file in files_of(path, settings)])


def read_file(file: Listed, settings: ReadingSettings, targets: Targets) -> Texts:
    """The texts of a file; as :func:`read`."""
    return _text(file, settings, targets) if nested(file) else _file_of_texts(file, settings, targets)


def nested(file: Listed) -> bool:
    """Whether a file is in a subfolder, and so is one text."""
    return len(file.place.parts) > 1


def files_of(path: Path, settings: ReadingSettings) -> list[Listed]:
    """The files of texts that a path names: itself, or those in the folder or archive.

    Raises:
        DataError: There are none, or they are both directly in a folder and in subfolders.
    """
    everything = listed(path)
    files = [file for file in everything if file.suffix in SUFFIXES]
    if not files and path.is_file() and len(everything) == 1:
        files = everything if _label_first(_decoded(everything[0], settings), settings) else []
    if path.is_dir() or len(files) > 1:
        files = [file for file in files if file.stem.lower() not in _ASIDE]
    depths = {len(file.place.parts): file.place for file in files}
    if not files or max(depths) > 2:
        got = f"holds {depths[max(depths)]}" if files else "holds no texts"
        raise DataError(f"{path} {got}; expected {_KINDS}.")
    if len(depths) > 1:
        raise DataError(
            f"{path} holds texts both directly ({depths[1]}) and in subfolders ({depths[2]}); "
            "expected LABEL.txt, one text per line, or LABEL/NAME.txt, one text per file."
        )
    return files


def _text(file: Listed, settings: ReadingSettings, targets: Targets) -> Texts:
    """A file in a subfolder: one text."""
    if file.suffix != ".txt":
        raise DataError(f"{file.path} lies in a subfolder; expected LABEL/NAME.txt there, one text per file.")
    text = _decoded(file, settings).strip()
    if not text:
        raise DataError(f"{file.path} is empty; expected a text.")
    origins = [str(file.path)]
    return _records([text], from_labels([file.place.parts[0]], origins, targets), origins, settings)


def _file_of_texts(file: Listed, settings: ReadingSettings, targets: Targets) -> Texts:
    """A text file with one text per line, or a table with one text per row."""
    if file.suffix in table.TEXT_SUFFIXES:
        return _table_of_texts(file, settings, targets)
    content = _decoded(file, settings)
    first = label_first(file, content, settings)
    texts = of_lines(file, enumerate(content.split("\n")), settings, targets, label_first=first)
    if not len(texts):
        raise DataError(f"{file.path} is empty; expected one text per line.")
    return texts


def label_first(file: Listed, content: str, settings: ReadingSettings) -> bool:
    """Whether the lines of a file begin with their labels, by its name, its first line or the settings."""
    return file.suffix == LABEL_FIRST or _label_first(content, settings)


def of_lines(
    file: Listed,
    lines: Iterable[tuple[int, str]],
    settings: ReadingSettings,
    targets: Targets,
    *,
    label_first: bool,
) -> Texts:
    """The texts of some lines of a file, with their labels.

    Args:
        file: The file.
        lines: The lines, each with its number from 0; blank lines are left out.
        settings: As for :func:`read`.
        targets: What the task learns.
        label_first: Whether each line begins with its labels; else the name of the file is the label.

    Raises:
        DataError: A line should have a label and has none, or the label is not a number and should be one.
    """
    kept = [(line.strip(), f"{file.path}[{number}]") for number, line in lines if line.strip()]
    if label_first and kept:
        return _with_labels(kept, settings, targets)
    label = file.suffix[1:] if file.suffix in NAMED_BY_ENDING else file.stem
    texts, origins = [line for line, _ in kept], [origin for _, origin in kept]
    return _records(texts, from_labels([label] * len(kept), origins, targets), origins, settings)


def _label_first(content: str, settings: ReadingSettings) -> bool:
    """Whether the lines of a text start with their labels; its first line shows it unless the settings say so."""
    return settings.label_first or content.lstrip().startswith(_PREFIX)


def _with_labels(lines: Sequence[tuple[str, str]], settings: ReadingSettings, targets: Targets) -> Texts:
    """Texts from lines and their origins; each line is ``LABEL text`` or ``__label__LABEL text``."""
    labels, texts = [], []
    marked = lines[0][0].startswith(_PREFIX)
    for line, origin in lines:
        words = line.split()
        line_labels = (
            [word.removeprefix(_PREFIX) for word in words if word.startswith(_PREFIX)] if marked else words[:1]
        )
        text = " ".join(word for word in words if not (marked and word.startswith(_PREFIX)))
        text = text if marked else line.removeprefix(words[0]).strip()
        if not text or (len(line_labels) != 1 and not settings.label_separator):
            got = "no text" if not text else f"{len(line_labels)} labels"
            several = ' Set data.label_separator, such as "|", to learn several labels per text.'
            advice = several if len(line_labels) > 1 else ""
            raise DataError(f"{origin} has {got}; expected a label and a text in each line.{advice}")
        labels.append(settings.label_separator.join(line_labels))
        texts.append(text)
    origins = [origin for _, origin in lines]
    return _records(texts, from_labels(labels, origins, targets), origins, settings)


def _table_of_texts(file: Listed, settings: ReadingSettings, targets: Targets) -> Texts:
    return of_table(table.load(file.path, settings, content=file.content(), texts=True), settings, targets)


def of_table(rows: table.Table, settings: ReadingSettings, targets: Targets = "labels") -> Texts:
    """The texts of a table, or of some rows of it, with their targets.

    Raises:
        DataError: There is no column of texts, or a row has no text or no label.
    """
    texts = tables.texts(rows, settings.text_column)
    origins = [rows.origin(row) for row in range(len(texts))]
    return _records(texts, tables.targets_of(rows, settings, targets), origins, settings)


def _records(texts: list[str], targets: list[Any] | None, origins: list[str], settings: ReadingSettings) -> Texts:
    # There are too many combinations of labels to keep their shares in a split.
    labelled = targets is not None and all(isinstance(target, str) for target in targets)
    return Records(texts, targets, origins, stratified=labelled and not settings.label_separator)


def _decoded(file: Listed, settings: ReadingSettings) -> str:
    return decode(file.path, file.content(), settings.encoding)
