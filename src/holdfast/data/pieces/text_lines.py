"""The lines of a text file of any size, in lists."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from pathlib import Path

from holdfast.data.readers.compressed import opened
from holdfast.data.readers.encoding import actual_encoding, check, no_text, undecodable, unknown_encoding

_BLOCK = 2**20


def text_blocks(path: Path, encoding: str = "utf-8") -> Iterator[str]:
    """The text of a file, plain or gzipped, in blocks of about a megabyte; each line ends with a line feed.

    Args:
        path: The file.
        encoding: As for :func:`holdfast.data.readers.encoding.decode`.

    Raises:
        DataError: The file cannot be read, or is not text in this encoding.
        RecipeError: Python does not know the encoding.
    """
    with opened(path) as file:
        block = file.read(_BLOCK)
        check(path, block, encoding)
        name = actual_encoding(block, encoding)
        try:
            decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(name)(), translate=True)
        except (LookupError, ValueError) as error:
            raise unknown_encoding(encoding) from error
        line = 1
        while block:
            following = file.read(_BLOCK)
            try:
                text = decoder.decode(block, final=not following)
            except UnicodeDecodeError as error:
                raise undecodable(path, line, name, error) from error
            if "\0" in text:
                raise no_text(path, line + text[: text.index("\0")].count("\n"))
            yield text
            line += text.count("\n")
            block = following


def line_lists(path: Path, encoding: str = "utf-8") -> Iterator[list[str]]:
    """The lines of a file without their line breaks, in order: a list per block, never an empty one.

    The last line is there even if it is empty.

    Raises:
        DataError: As for :func:`text_blocks`.
        RecipeError: As for :func:`text_blocks`.
    """
    unfinished = ""
    for text in text_blocks(path, encoding):
        *lines, unfinished = (unfinished + text).split("\n")
        if lines:
            yield lines
    yield [unfinished]
