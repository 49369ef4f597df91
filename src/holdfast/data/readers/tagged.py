"""Sentences, with a tag for each word or without: CoNLL-U, other columns with the tag last, or plain text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from holdfast.data.readers import conllu
from holdfast.data.readers.compressed import lines
from holdfast.data.records import Records
from holdfast.data.settings import TaggedSettings
from holdfast.data.spans import looks_like_spans
from holdfast.errors import DataError

Sentences = Records[list[str], list[str]]
_Lines = Sequence[tuple[int, str]]

_DOCUMENT = "-DOCSTART-"
"""The word of a line that begins a document in CoNLL-2003, and is no sentence."""
_SYMBOL = re.compile(r"[A-Z][A-Z0-9$|_-]*|[^\w\s]+|-[LR][A-Z]B-")
"""Tags such as NNP, PRP$ and the signs that stand for themselves."""
_WORD_NAMES = ("word", "words", "token", "tokens", "form")
_TAG_NAMES = ("tag", "tags", "ner", "ner_tag", "ner_tags", "label", "labels", "pos", "pos_tag", "chunk", "chunk_tag")
_ENOUGH = 10
"""Words that tell a file of columns whose tags do not mark spans."""


def read(paths: Sequence[Path], settings: TaggedSettings) -> Sentences:
    """Reads files and joins them in the order given.

    A file whose name ends in ``.conllu`` or ``.conllu.gz`` is CoNLL-U. Others are columns, with a word a line, its tag
    last, and a blank line after each sentence, or plain text: a sentence a line without tags, its words apart by
    blanks. ``settings.columns`` says what columns are apart by. If it does not, they are apart by tabs where the first
    line that is not blank has one; and by blanks (as in CoNLL-2000 and CoNLL-2003) where every line has as many of them
    and the last mark spans or look like the tags of a treebank, or where a line is ``-DOCSTART-``. Such lines are
    passed over, and so is a first line that names the columns.

    Args:
        paths: At least one file in UTF-8, plain or gzipped.
        settings: ``column`` (which of CoNLL-U holds the tags) and ``columns`` are used.

    Raises:
        MissingDataError: A file is not there.
        DataError: A file breaks its format, or only some files have tags.
    """
    if not paths:
        raise DataError("No files were given to read; expected at least one.")
    return Records.join([_read(path, settings) for path in paths])


def plain(texts: Sequence[str], origins: Sequence[str]) -> Sentences:
    """Sentences without tags from a text each, their words apart by spaces."""
    return Records([text.split() for text in texts], None, list(origins))


def _read(path: Path, settings: TaggedSettings) -> Sentences:
    if ".conllu" in [suffix.lower() for suffix in path.suffixes[-2:]]:
        return conllu.read(path, settings.column)
    rows = list(lines(path))
    kept = [(number, line) for number, line in rows if line.strip()]
    if not kept:
        raise DataError(f"{path} holds no sentences; expected a sentence a line, or a word and its tag a line.")
    apart = settings.columns or _told(rows, kept)
    if apart:
        return _columns(path, rows, apart)
    return plain([line for _, line in kept], [f"{path}, line {number}" for number, _ in kept])


def _told(rows: _Lines, kept: _Lines) -> Literal["", "tabs", "blanks"]:
    """What columns are apart by; empty for plain text."""
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


def _columns(path: Path, rows: _Lines, apart: str) -> Sentences:
    """A word a line, its tag last."""
    sentences: list[list[str]] = []
    tags: list[list[str]] = []
    origins: list[str] = []
    begun, width = False, 0
    for number, line in _without_names(rows, apart):
        values = _values(line, apart)
        if not line.strip() or values[0] == _DOCUMENT:
            begun = False
            continue
        where = f"{path}, line {number}"
        width = width or len(values)
        if len(values) != width or width < 2 or not values[0] or not values[-1]:
            expected = f"{width} columns as above, " if width > 2 else ""
            between = "tabs" if apart == "tabs" else "blanks"
            raise DataError(
                f"{where} is {line[:40]!r}; expected {expected}a word first and its tag last, with {between} between."
            )
        if width == len(conllu.COLUMNS) and values[0] == "1":
            raise DataError(f"{where} looks like CoNLL-U; expected a name that ends in .conllu. Rename the file.")
        if not begun:
            sentences.append([])
            tags.append([])
            origins.append(where)
            begun = True
        sentences[-1].append(values[0])
        tags[-1].append(values[-1])
    if not sentences:
        raise DataError(f"{path} holds no sentences; expected a word and its tag a line.")
    return Records(sentences, tags, origins)


def _values(line: str, apart: str) -> list[str]:
    if apart == "tabs":
        return [value.strip() for value in line.split("\t")]
    return re.split(r"[ \t]+", line.strip(" \t"))  # a word may hold a no-break space


def _without_names(rows: _Lines, apart: str) -> _Lines:
    """The lines without a first one that names the columns."""
    first = next(place for place, (_, line) in enumerate(rows) if line.strip())
    values = [value.lower() for value in _values(rows[first][1], apart)]
    return rows[first + 1 :] if values[0] in _WORD_NAMES and values[-1] in _TAG_NAMES else rows
