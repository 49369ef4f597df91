"""Decodes the bytes of a text file."""

from __future__ import annotations

import codecs
from pathlib import Path

from holdfast.errors import DataError, RecipeError

# UTF-32 first: its little-endian byte order mark begins with UTF-16's.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8-sig",
}


def decode(path: Path, content: bytes, encoding: str = "utf-8", *, lines_before: int = 0) -> str:
    """The text of a file; each line ends with a line feed.

    Args:
        path: The file, for the message.
        content: Its bytes, uncompressed.
        encoding: The encoding, by Python's name; a byte order mark at the start overrides it.
        lines_before: The lines of the file before these bytes.

    Raises:
        DataError: The file is not in this encoding, or holds NUL characters, so that it is not text.
        RecipeError: Python does not know the encoding.
    """
    actual = actual_encoding(content, encoding)
    try:
        text = content.decode(actual)
    except UnicodeDecodeError as error:
        raise undecodable(path, lines_before + 1, actual, error) from error
    except (LookupError, ValueError) as error:
        raise unknown_encoding(encoding) from error
    if "\0" in text:
        raise no_text(path, lines_before + text[: text.index("\0")].count("\n") + 1)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def check(path: Path, start: bytes, encoding: str = "utf-8") -> None:
    """Checks that a file starts like text.

    Args:
        path: The file, for the message.
        start: Its first bytes, uncompressed.
        encoding: As in :func:`decode`.

    Raises:
        DataError: The bytes hold NUL characters, and the encoding does not use them.
    """
    name = actual_encoding(start, encoding).lower().replace("_", "-").removeprefix("utf-")
    if b"\0" in start and not name.startswith(("16", "32")):
        raise no_text(path, start[: start.index(b"\0")].count(b"\n") + 1)


def actual_encoding(content: bytes, encoding: str) -> str:
    """The encoding of the byte order mark, or else ``encoding``."""
    return next((name for mark, name in _MARKS.items() if content.startswith(mark)), encoding)


def undecodable(path: Path, line: int, encoding: str, error: UnicodeDecodeError) -> DataError:
    """The error for bytes that are not text in an encoding; they start with the line of this number."""
    line += error.object[: error.start].count(b"\n")
    return DataError(
        f"{path}, line {line}, is not {encoding}: byte {error.object[error.start]:#04x}. "
        "Convert the file, or set data.encoding to its encoding, such as latin-1."
    )


def unknown_encoding(encoding: str) -> RecipeError:
    """The error for the name of an encoding that Python does not know."""
    return RecipeError(
        f"data.encoding is {encoding!r}, which Python does not know; expected utf-8, latin-1, cp1252, ..."
    )


def no_text(path: Path, line: int) -> DataError:
    """The error for a NUL character."""
    return DataError(
        f"{path}, line {line}, holds a NUL character; expected text. If the file is in UTF-16, set data.encoding to "
        "utf-16-le or utf-16-be."
    )
