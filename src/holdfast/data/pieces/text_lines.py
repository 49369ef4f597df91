"""The lines of a text file of any size, in lists."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.data.readers.compressed import opened
from holdfast.data.readers.encoding import actual_encoding, check, no_text, undecodable, unknown_encoding
from holdfast.errors import DataError

_BLOCK = 2**20


class Lines(NamedTuple):
    """Some lines that follow one another.

    Attributes:
        lines: The lines without their line breaks.
        before: The lines of the file before these.
        size: The bytes of the file that were read, uncompressed.
        last: Whether the file ends with them; its last line is there even if it is empty.
    """

    lines: list[str]
    before: int
    size: int
    last: bool

    @property
    def after(self) -> Any:
        """Where the next lines begin, as a JSON value for :func:`line_pieces`; None after the last ones."""
        return None if self.last else {"line": self.before + len(self.lines), "byte": self.size}


def line_pieces(path: Path, encoding: str = "utf-8", position: Any = None, *, plain: bool = False) -> Iterator[Lines]:
    """The lines of a file, plain or gzipped, in order: those of a block of about a megabyte at a time.

    Args:
        path: The file.
        encoding: As for :func:`holdfast.data.readers.encoding.decode`.
        position: Where to begin: the ``after`` of earlier lines; None for the beginning.
        plain: Whether NUL characters are letters like others; then the text is in UTF-8.

    Raises:
        DataError: The file cannot be read, or is not text in this encoding.
        RecipeError: Python does not know the encoding.
    """
    first = 0 if position is None else int(position["line"])
    unfinished, before, size = "", 0, 0
    for text, size in _text_blocks(path, encoding, plain):
        *lines, unfinished = (unfinished + text).split("\n")
        if lines and before >= first:
            yield Lines(lines, before, size, last=False)
        before += len(lines)
    yield Lines([unfinished], before, size, last=True)


def line_lists(path: Path, encoding: str = "utf-8", *, plain: bool = False) -> Iterator[list[str]]:
    """The lists of :func:`line_pieces`, never an empty one."""
    return (piece.lines for piece in line_pieces(path, encoding, plain=plain))


def _text_blocks(path: Path, encoding: str, plain: bool) -> Iterator[tuple[str, int]]:
    """The text of a file in blocks, each line break a line feed, and the bytes up to there."""
    with opened(path) as file:
        block = file.read(_BLOCK)
        if not plain:
            check(path, block, encoding)
        name = "utf-8-sig" if plain else actual_encoding(block, encoding)
        try:
            decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(name)(), translate=True)
        except (LookupError, ValueError) as error:
            raise unknown_encoding(encoding) from error
        line, size = 1, 0
        while block:
            size += len(block)
            following = file.read(_BLOCK)
            try:
                text = decoder.decode(block, final=not following)
            except UnicodeDecodeError as error:
                if plain:
                    raise not_utf8(path, line, error) from error
                raise undecodable(path, line, name, error) from error
            if not plain and "\0" in text:
                raise no_text(path, line + text[: text.index("\0")].count("\n"))
            yield text, size
            line += text.count("\n")
            block = following


def not_utf8(path: Path, line: int, error: UnicodeDecodeError) -> DataError:
    """The error for bytes that are not UTF-8, where nothing else is read; they start with the line of this number."""
    line += error.object[: error.start].count(b"\n")
    return DataError(f"{path}, line {line}, is not UTF-8 text ({error.reason}). Save the file in UTF-8.")
