"""CoNLL-U, the files of Universal Dependencies: https://universaldependencies.org/format.html.

Each line is a word, with ten columns separated by tabs. A blank line ends a sentence. Lines that start with ``#`` are
comments. The lines of multiword tokens (id ``1-2``, whose words follow) and of empty nodes (id ``1.1``) are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from holdfast.data.pieces.numbered_lines import numbered
from holdfast.data.records import Records
from holdfast.errors import DataError

Column = Literal["upos", "xpos"]

COLUMNS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
_NOTHING = "_"
_SKIPPED_ID = re.compile(r"[0-9]+[-.][0-9]+")


def read(path: Path, column: Column) -> Records[list[str], list[str]]:
    """Reads the words of each sentence and their tags.

    Args:
        path: A file in UTF-8, plain or gzipped.
        column: Which column holds the tags.

    Returns:
        The words and the tags of each sentence; no targets if the column has ``_`` everywhere.

    Raises:
        MissingDataError: The file does not exist.
        DataError: It breaks the format, or only some words have tags.
    """
    return parse(path, numbered(path), column)


def parse(path: Path, rows: Iterable[tuple[int, str]], column: Column) -> Records[list[str], list[str]]:
    """The sentences in some lines of a file, each line with its number; as :func:`read`."""
    place = COLUMNS.index(column)
    sentences: list[list[str]] = []
    tags: list[list[str]] = []
    origins: list[str] = []
    untagged = ""
    in_sentence = False
    for number, line in rows:
        if not line.strip():
            in_sentence = False
            continue
        if line.startswith("#"):
            continue
        where = f"{path}, line {number}"
        values = line.split("\t")
        if len(values) != len(COLUMNS):
            raise DataError(
                f"{where} has {len(values)} columns; expected the 10 columns of CoNLL-U, separated by tabs."
            )
        if _SKIPPED_ID.fullmatch(values[0]):
            continue
        if not in_sentence:
            sentences.append([])
            tags.append([])
            origins.append(where)
            in_sentence = True
        if values[0] != str(len(sentences[-1]) + 1):
            raise DataError(
                f"{where} has the id {values[0]!r}; expected {len(sentences[-1]) + 1}, the next word of the sentence. "
                "A blank line ends a sentence."
            )
        if not values[1] or not values[place]:
            raise DataError(f"{where} has an empty {'form' if not values[1] else column}; expected text, or _.")
        if values[place] == _NOTHING:
            untagged = untagged or where
        sentences[-1].append(values[1])
        tags[-1].append(values[place])
    if not sentences:
        raise DataError(f"{path} holds no sentences; expected CoNLL-U, one line of ten columns per word.")
    if not untagged:
        return Records(sentences, tags, origins)
    if any(tag != _NOTHING for sentence in tags for tag in sentence):
        raise DataError(
            f"{untagged} has no {column}, but other words of the file have one; expected all or none of them to be "
            "tagged."
        )
    return Records(sentences, None, origins)
