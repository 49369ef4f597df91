"""From the bytes of a text file to its characters."""

from __future__ import annotations

import codecs
from pathlib import Path

from holdfast.errors import DataError, RecipeError

# UTF-32 in front: its mark in little-endian order starts with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8-sig",
}


def decode(path: Path, content: bytes, encoding: str = "utf-8") -> str:
    """The text of a file; every line ends in a line feed alone.

    Args:
        path: Where it is from, for the message.
        content: Its bytes, uncompressed.
        encoding: What it is written in, by Python's name; a byte order mark at its start is stronger.

    Raises:
        DataError: It is not in this encoding, or holds NUL characters, as files that are not text do.
        RecipeError: Python does not know the encoding.
    """
    told = next((name for mark, name in _MARKS.items() if content.startswith(mark)), encoding)
    try:
        text = content.decode(told)
    except LookupError as error:
        raise RecipeError(
            f"data.encoding is {encoding!r}, which Python does not know; expected utf-8, latin-1, cp1252, ..."
        ) from error
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path}, line {line}, is not {told}: byte {content[error.start]:#04x}. "
            "Convert the file, or set data.encoding to what it is in, such as latin-1."
        ) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise DataError(
            f"{path}, line {line}, holds a NUL character; expected text. If the file is in UTF-16, set data.encoding "
            "to utf-16-le or utf-16-be."
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")
