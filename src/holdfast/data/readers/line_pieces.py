"""The lines of a text file in pieces of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from holdfast.data.readers.compressed import opened
from holdfast.data.readers.encoding import decode
from holdfast.data.readers.table_pieces import skip
from holdfast.errors import DataError

PIECE_BYTES = 2**22
"""Bytes of lines per piece."""
_LINE_FEED = b"\n"


def line_pieces(path: Path, encoding: str, position: Any, *, plain: bool = False) -> Iterator[tuple[str, int, Any]]:
    """The lines of a file, piece by piece.

    Args:
        path: The file, in an encoding whose line feeds are single bytes.
        encoding: As in :class:`holdfast.data.settings.TableSettings`.
        position: Where to begin: a position that was given before; None for the beginning.
        plain: Whether NUL characters are letters like others, in UTF-8.

    Yields:
        Whole lines, the number of lines before them, and the position after them; None after the last ones.
    """
    at = position or {"byte": 0, "line": 0}
    with opened(path) as file:
        skip(file, at["byte"])
        for content, ended in _blocks(file):
            if plain:
                text = decoded(path, content, at["byte"])
            else:
                text = decode(path, content, encoding, lines_before=at["line"])
            before = at["line"]
            at = {"byte": at["byte"] + len(content), "line": before + content.count(_LINE_FEED)}
            yield text, before, None if ended else at


def _blocks(file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """The bytes of whole lines, and whether they are the last ones."""
    content, ended, wanted = b"", False, PIECE_BYTES
    while not ended:  # as many bytes from the start of the piece, wherever the reading began
        block = file.read(wanted - len(content))
        ended = len(block) < wanted - len(content)
        content, wanted = content + block, wanted + PIECE_BYTES
        cut = len(content) if ended else content.rfind(_LINE_FEED) + 1
        if cut:
            yield content[:cut], ended
            content, wanted = content[cut:], PIECE_BYTES


def decoded(path: Path, content: bytes, before: int = 0) -> str:
    """Text in UTF-8; each line break is one line feed.

    Args:
        path: The file, for the message.
        content: Its bytes.
        before: The bytes of the file before these.

    Raises:
        DataError: It is not UTF-8.
    """
    try:
        text = content.decode("utf-8" if before else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not text in UTF-8 (byte {before + error.start}). Save it in UTF-8.") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")
