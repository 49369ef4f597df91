"""Lines of text as they arrive: complete lines are returned at once, without waiting for more."""

from __future__ import annotations

import io
import os
import select
from collections.abc import Iterator
from typing import IO

from holdfast.errors import DataError

_PIECE = 2**16


def line_groups(stream: IO[str], group_size: int = 256) -> Iterator[list[str]]:
    """The lines of a stream, in groups: all lines that are available, and at least one.

    A line is returned as soon as its end has been read, so ``tail -f log | holdfast predict RUN -`` answers each line
    when it is written. The last line needs no line break.

    Args:
        stream: A stream such as ``sys.stdin``, of a file, a pipe or a terminal. Nothing must have been read from it.
        group_size: The largest number of lines in a group.

    Returns:
        Groups of 1 to ``group_size`` lines, without their line breaks.

    Raises:
        DataError: A line is not UTF-8.
    """
    try:
        handle = stream.fileno()
    except io.UnsupportedOperation:  # text in memory is complete
        lines = [line.rstrip("\r\n") for line in stream]
        yield from (lines[start : start + group_size] for start in range(0, len(lines), group_size))
        return
    count = 0
    unfinished: list[bytes] = []  # the parts of a line that is not complete yet
    waiting: list[str] = []
    while piece := _available(handle):
        if b"\n" in piece:
            *whole, rest = b"".join([*unfinished, piece]).split(b"\n")
            unfinished = [rest]
            for count, line in enumerate(whole, count + 1):  # noqa: B020  (continues the count)
                waiting.append(_decoded(line, count))
        else:
            unfinished.append(piece)
        while len(waiting) >= group_size or (waiting and not _more(handle)):
            yield waiting[:group_size]
            waiting = waiting[group_size:]
    if any(unfinished):
        waiting.append(_decoded(b"".join(unfinished), count + 1))
    yield from (waiting[start : start + group_size] for start in range(0, len(waiting), group_size))


def _available(handle: int) -> bytes:
    """Up to 64 KiB that are available, or the next bytes that arrive; empty at the end."""
    try:
        return os.read(handle, _PIECE)
    except OSError as error:
        raise DataError(f"The lines on stdin cannot be read: {error.strerror}. Give a file or a pipe.") from error


def _more(handle: int) -> bool:
    """Whether bytes can be read without waiting."""
    return bool(select.select([handle], [], [], 0)[0])


def _decoded(line: bytes, number: int) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r")
    except UnicodeDecodeError as error:
        raise DataError(f"Line {number} of stdin is not UTF-8 text ({error.reason}). Convert it to UTF-8.") from error
