"""Sentences, with a tag for each word or without: CoNLL-U, other columns with the tag last, or plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from holdfast.data.disk.files import Entry, FileSource
from holdfast.data.pieces.numbered_lines import numbered, numbered_pieces
from holdfast.data.readers import conllu
from holdfast.data.readers.paths import check_paths
from holdfast.data.records import Records
from holdfast.data.settings import TaggedSettings
from holdfast.data.spans import looks_like_spans
from holdfast.errors import DataError
from holdfast.settings import DataSettings

Sentences = Records[list[str], list[str]]
_Lines = Sequence[tuple[int, str]]

_DOCUMENT = "-DOCSTART-"
"""The word of a line that begins a document in CoNLL-2003; it is not a sentence."""
_SYMBOL = re.compile(r"[A-Z][A-Z0-9$|_-]*|[^\w\s]+|-[LR][A-Z]B-")
"""Tags such as NNP and PRP$, and punctuation as its own tag."""
_WORD_NAMES = ("word", "words", "token", "tokens", "form")
_TAG_NAMES = ("tag", "tags", "ner", "ner_tag", "ner_tags", "label", "labels", "pos", "pos_tag", "chunk", "chunk_tag")
_ENOUGH = 10
"""Smallest number of words to recognise a file of columns by tags that do not mark spans."""


def read(paths: Sequence[Path], settings: TaggedSettings) -> Sentences:
    """Reads files and joins them in the order given.

    A file whose name ends in ``.conllu`` or ``.conllu.gz`` is CoNLL-U. Other files have columns, with one word per
    line, its tag last, and a blank line after each sentence; or they are plain text, with one sentence per line, words
    separated by blanks, and no tags. ``settings.columns`` is the separator of columns. If it is empty, columns are
    separated by tabs if the first line that is not blank has one. They are separated by blanks (as in CoNLL-2000 and
    CoNLL-2003) if all lines have the same number of columns and the last ones mark spans or look like the tags of a
    treebank, or if a line is ``-DOCSTART-``. Such lines are skipped, and so is a first line with column names.

    Args:
        paths: At least one file in UTF-8, plain or gzipped.
        settings: ``column`` (the column of the tags in CoNLL-U) and ``columns`` are used.

    Raises:
        MissingDataError: A file does not exist.
        DataError: A file breaks its format, or only some files have tags.
    """
    if not paths:
        raise DataError("No files were given to read; expected at least one.")
    return Records.join([_read_file(path, settings) for path in paths])


def in_pieces(paths: Sequence[Path], settings: TaggedSettings) -> FileSource:
    """The source of sentences, which reads files in pieces; as :func:`read`.

    The columns of a file are those of its first piece.

    Raises:
        MissingDataError: A file does not exist.
        DataError: There are no files.
    """
    check_paths(paths, "at least one", "file")
    about = settings.model_dump(mode="json", include=set(TaggedSettings.model_fields) - set(DataSettings.model_fields))
    return FileSource(
        "sentences", paths, about, lambda: [Entry(path, partial(_pieces, path, settings)) for path in paths]
    )


def _pieces(path: Path, settings: TaggedSettings, position: Any) -> Iterator[tuple[Sentences, Any]]:
    separator: str | None = position["separator"] if position else None
    for rows, after in numbered_pieces(path, position, at_blank=True):
        kept = [row for row in rows if row[1].strip()]
        if not kept and (separator is not None or after is not None):
            continue
        if _is_conllu(path):
            yield conllu.parse(path, rows, settings.column), after and {**after, "separator": ""}
            continue
        first = separator is None
        if separator is None:
            separator = _columns_in(path, rows, kept, settings)
        yield _parsed(path, rows, kept, separator, names=first), after and {**after, "separator": separator}


def plain(texts: Sequence[str], origins: Sequence[str]) -> Sentences:
    """Sentences without tags from texts, with the words of each separated by spaces."""
    return Records([text.split() for text in texts], None, list(origins))


def is_plain(path: Path, settings: TaggedSettings) -> bool:
    """Whether a file is seen to be plain text, one sentence per line, by the rules of :func:`read`.

    Reads the file once, in bounded memory. False also where that needs all lines at once.

    Raises:
        DataError: The file cannot be read.
    """
    if _is_conllu(path) or settings.columns:
        return False
    widths: set[int] = set()
    for _, line in numbered(path):
        if not line.strip():
            continue
        if not widths and "\t" in line:
            return False
        values = _values(line, "blanks")
        if values[0] == _DOCUMENT:
            return False
        widths.add(len(values))
    return len(widths) > 1 or widths == {1}


def _is_conllu(path: Path) -> bool:
    return ".conllu" in [suffix.lower() for suffix in path.suffixes[-2:]]


def _read_file(path: Path, settings: TaggedSettings) -> Sentences:
    if _is_conllu(path):
        return conllu.read(path, settings.column)
    rows = list(numbered(path))
    kept = [(number, line) for number, line in rows if line.strip()]
    return _parsed(path, rows, kept, _columns_in(path, rows, kept, settings))


def _columns_in(path: Path, rows: _Lines, kept: _Lines, settings: TaggedSettings) -> str:
    """The separator of the columns of a file; empty for plain text."""
    if not kept:
        raise DataError(f"{path} holds no sentences; expected one sentence per line, or one word and its tag per line.")
    return settings.columns or _separator(rows, kept)


def _parsed(path: Path, rows: _Lines, kept: _Lines, separator: str, *, names: bool = True) -> Sentences:
    """The sentences in some lines; ``kept`` are those that are not blank."""
    if separator:
        return _columns(path, rows, separator, names=names)
    return plain([line for _, line in kept], [f"{path}, line {number}" for number, _ in kept])


def _separator(rows: _Lines, kept: _Lines) -> Literal["", "tabs", "blanks"]:
    """The separator of columns; empty for plain text."""
    if "\t" in kept[0][1]:
        return "tabs"
    values = [_values(line, "blanks") for _, line in kept]
    if any(row[0] == _DOCUMENT for row in values):
        return "blanks"
    if len({len(row) for row in values}) > 1 or len(values[0]) < 2:
        return ""
    tags = [row[-1] for row in values[1:]]  # the first may name the columns
    words = {tag for tag in tags if tag[0].isalpha()}
    symbols = len(kept) >= _ENOUGH and len(kept) < len(rows) and len(words) > 1
    return "blanks" if looks_like_spans(tags) or (symbols and all(map(_SYMBOL.fullmatch, tags))) else ""


def _columns(path: Path, rows: _Lines, separator: str, *, names: bool = True) -> Sentences:
    """A file with one word per line, its tag last."""
    sentences: list[list[str]] = []
    tags: list[list[str]] = []
    origins: list[str] = []
    in_sentence, width = False, 0
    for number, line in _without_names(rows, separator) if names else rows:
        values = _values(line, separator)
        if not line.strip() or values[0] == _DOCUMENT:
            in_sentence = False
            continue
        where = f"{path}, line {number}"
        width = width or len(values)
        if len(values) != width or width < 2 or not values[0] or not values[-1]:
            expected = f"{width} columns as above, " if width > 2 else ""
            between = "tabs" if separator == "tabs" else "blanks"
            raise DataError(
                f"{where} is {line[:40]!r}; expected {expected}a word first and its tag last, with {between} between."
            )
        if width == len(conllu.COLUMNS) and values[0] == "1":
            raise DataError(f"{where} looks like CoNLL-U; expected a name that ends in .conllu. Rename the file.")
        if not in_sentence:
            sentences.append([])
            tags.append([])
            origins.append(where)
            in_sentence = True
        sentences[-1].append(values[0])
        tags[-1].append(values[-1])
    if not sentences:
        raise DataError(f"{path} holds no sentences; expected one word and its tag per line.")
    return Records(sentences, tags, origins)


def _values(line: str, separator: str) -> list[str]:
    if separator == "tabs":
        return [value.strip() for value in line.split("\t")]
    return re.split(r"[ \t]+", line.strip(" \t"))  # a word may hold a no-break space


def _without_names(rows: _Lines, separator: str) -> _Lines:
    """The lines, without a first line of column names."""
    first = next(place for place, (_, line) in enumerate(rows) if line.strip())
    values = [value.lower() for value in _values(rows[first][1], separator)]
    return rows[first + 1 :] if values[0] in _WORD_NAMES and values[-1] in _TAG_NAMES else rows
