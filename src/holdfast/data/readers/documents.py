"""Plain text in UTF-8, gzipped or not: a file as a whole, or line by line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from holdfast.data.readers.compressed import opened
from holdfast.data.records import Records
from holdfast.errors import DataError, MissingDataError

SUFFIXES = (".txt", ".txt.gz")
"""What a text file in a folder is called."""


def whole(paths: Sequence[Path]) -> Records[str, str]:
    """A record a file, which is its own target: a language model learns to say it.

    Args:
        paths: Files of any name, and folders, whose ``.txt`` and ``.txt.gz`` files are taken, subfolders included, by
            name.

    Raises:
        MissingDataError: A path does not exist.
        DataError: A file is not UTF-8 text, or a folder has no text file.
    """
    files = [file for path in paths for file in _files(path)]
    texts = [decoded(file) for file in files]
    return Records(texts, texts, [str(file) for file in files])


def lines(paths: Sequence[Path]) -> Records[str, str]:
    """As :func:`whole`, with a record for each line that is not blank, without blanks around it."""
    files = whole(paths)
    found = [
        (line.strip(), f"{origin}[{index}]")
        for text, origin in zip(files.inputs, files.origins, strict=True)
        for index, line in enumerate(text.split("\n"))
        if line.strip()
    ]
    texts = [text for text, _ in found]
    return Records(texts, texts, [origin for _, origin in found])


def cut(texts: Records[str, str], position: int) -> tuple[Records[str, str], Records[str, str]]:
    """Cuts texts, taken as one, in two; the one that the cut goes through is in both parts.

    Args:
        texts: As :func:`whole` gives them.
        position: Characters before the cut.
    """
    parts: tuple[list[tuple[str, str]], list[tuple[str, str]]] = ([], [])
    for text, origin in zip(texts.inputs, texts.origins, strict=True):
        for part, piece in zip(parts, (text[: max(position, 0)], text[max(position, 0) :]), strict=True):
            if piece:
                part.append((piece, origin))
        position -= len(text)
    front, back = ([text for text, _ in part] for part in parts)
    return Records(front, front, [o for _, o in parts[0]]), Records(back, back, [o for _, o in parts[1]])


def decoded(path: Path) -> str:
    """The text of a file, every line break as one line feed.

    Raises:
        DataError: It is not UTF-8, or cannot be read.
    """
    with opened(path) as file:
        content = file.read()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not text in UTF-8 (byte {error.start}). Save it in UTF-8.") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise MissingDataError(f"There is no file or folder {path}. Check the path; it was taken from {Path.cwd()}.")
    if not path.is_dir():
        return [path]
    found = sorted(
        file
        for file in path.rglob("*")
        if file.name.lower().endswith(SUFFIXES) and not file.name.startswith(".") and file.is_file()
    )
    if not found:
        raise DataError(f"The folder {path} has no text file; expected some that end in {' or '.join(SUFFIXES)}.")
    return found
