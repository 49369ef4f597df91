"""Lines of text as they arrive: what has been written is handed on, and nobody waits for more."""

from __future__ import annotations

import io
import os
import select
from collections.abc import Iterator
from typing import IO

from holdfast.errors import DataError

_PIECE = 2**16


def arriving(stream: IO[str], at_once: int = 256) -> Iterator[list[str]]:
    """The lines of a stream, in groups: as many as are there already, and at least one.

    A line is handed on when its end has come, so ``tail -f log | holdfast predict RUN -`` answers each line as it is
    written. The last line needs no end.

    Args:
        stream: Such as ``sys.stdin``; of a file, a pipe or a terminal. Nothing must have been read from it.
        at_once: The most lines in a group.

    Returns:
        Groups of 1 to ``at_once`` lines, without their line breaks.

    Raises:
        DataError: A line is not UTF-8.
    """
    try:
        handle = stream.fileno()
    except io.UnsupportedOperation:  # text in memory: all of it is there
        lines = [line.rstrip("\r\n") for line in stream]
        yield from (lines[start : start + at_once] for start in range(0, len(lines), at_once))
        return
    count = 0
    begun: list[bytes] = []  # the parts of a line that is not complete yet
    waiting: list[str] = []
    while piece := _read(handle):
        if b"\n" in piece:
            *whole, rest = b"".join([*begun, piece]).split(b"\n")
            begun = [rest]
            for count, line in enumerate(whole, count + 1):  # noqa: B020  (goes on counting)
                waiting.append(_decoded(line, count))
        else:
            begun.append(piece)
        while len(waiting) >= at_once or (waiting and not _more(handle)):
            yield waiting[:at_once]
            waiting = waiting[at_once:]
    if any(begun):
        waiting.append(_decoded(b"".join(begun), count + 1))
    yield from (waiting[start : start + at_once] for start in range(0, len(waiting), at_once))


def _read(handle: int) -> bytes:
    """What is there, up to 64 KiB, or the next thing that comes; empty at the end."""
    try:
        return os.read(handle, _PIECE)
    except OSError as error:
        raise DataError(f"The lines on stdin cannot be read: {error.strerror}. Give a file or a pipe.") from error


def _more(handle: int) -> bool:
    """Whether reading would not wait."""
    return bool(select.select([handle], [], [], 0)[0])


def _decoded(line: bytes, number: int) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r")
    except UnicodeDecodeError as error:
        raise DataError(f"Line {number} of stdin is not UTF-8 text ({error.reason}). Convert it to UTF-8.") from error
