"""Sentences, with a tag for each word or without: CoNLL-U, two columns, or plain text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from holdfast.data.readers import conllu
from holdfast.data.readers.compressed import lines
from holdfast.data.records import Records
from holdfast.errors import DataError

Sentences = Records[list[str], list[str]]


def read(paths: Sequence[Path], column: conllu.Column) -> Sentences:
    """Reads files and joins them in the order given.

    A file whose name ends in ``.conllu`` or ``.conllu.gz`` is CoNLL-U. Any other is told by its first line that is not
    blank: with a tab in it, each line is a word and its tag, and a blank line ends a sentence; without one, each line
    is a sentence without tags, its words apart by spaces.

    Args:
        paths: At least one file in UTF-8, plain or gzipped.
        column: Which column of CoNLL-U holds the tags.

    Raises:
        MissingDataError: A file is not there.
        DataError: A file breaks its format, or only some files have tags.
    """
    if not paths:
        raise DataError("No files were given to read; expected at least one.")
    return Records.join([_read(path, column) for path in paths])


def plain(texts: Sequence[str], origins: Sequence[str]) -> Sentences:
    """Sentences without tags from a text each, their words apart by spaces."""
    return Records([text.split() for text in texts], None, list(origins))


def _read(path: Path, column: conllu.Column) -> Sentences:
    if ".conllu" in [suffix.lower() for suffix in path.suffixes[-2:]]:
        return conllu.read(path, column)
    rows = [(number, line) for number, line in lines(path)]
    first = next((line for _, line in rows if line.strip()), None)
    if first is None:
        raise DataError(f"{path} holds no sentences; expected a sentence a line, or a word, a tab and its tag a line.")
    if "\t" in first:
        return _two_columns(path, rows)
    kept = [(f"{path}, line {number}", line) for number, line in rows if line.strip()]
    return plain([line for _, line in kept], [where for where, _ in kept])


def _two_columns(path: Path, rows: Sequence[tuple[int, str]]) -> Sentences:
    sentences: list[list[str]] = []
    tags: list[list[str]] = []
    origins: list[str] = []
    begun = False
    for number, line in rows:
        if not line.strip():
            begun = False
            continue
        where = f"{path}, line {number}"
        word, tab, tag = line.partition("\t")
        if not tab or not word.strip() or not tag.strip() or "\t" in tag:
            raise DataError(f"{where} is {line[:40]!r}; expected a word, a tab and its tag.")
        if not begun:
            sentences.append([])
            tags.append([])
            origins.append(where)
            begun = True
        sentences[-1].append(word.strip())
        tags[-1].append(tag.strip())
    return Records(sentences, tags, origins)
