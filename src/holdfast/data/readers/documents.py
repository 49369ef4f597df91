"""Plain text in UTF-8, gzipped or not: whole files, or line by line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from holdfast.data.disk import documents as stored
from holdfast.data.disk.files import Entry, FileSource
from holdfast.data.pieces.text_lines import line_pieces, not_utf8
from holdfast.data.readers.compressed import opened
from holdfast.data.readers.paths import check_paths
from holdfast.data.records import Records
from holdfast.errors import DataError
from holdfast.files.inside import files_inside

SUFFIXES = (".txt", ".txt.gz")
"""The endings of text files in a folder."""


def whole(paths: Sequence[Path]) -> Records[str, str]:
    """One record per file; the text is its own target, for a language model.

    Args:
        paths: Files of any name, and folders. Of a folder and its subfolders the ``.txt`` and ``.txt.gz`` files are
            read, in order of their names.

    Raises:
        MissingDataError: A path does not exist.
        DataError: A file is not UTF-8 text, or a folder has no text file.
    """
    files = files_of(paths)
    texts = [decoded(file) for file in files]
    return Records(texts, texts, [str(file) for file in files])


def lines_in_pieces(paths: Sequence[Path]) -> FileSource:
    """The source of the lines of :func:`lines`, without targets, which reads files in pieces."""
    files = files_of(paths)
    return FileSource("lines", files, {}, lambda: [Entry(file, partial(_pieces, file)) for file in files])


def _pieces(path: Path, position: Any) -> Iterator[tuple[Records[str, str], Any]]:
    for piece in line_pieces(path, position=position, plain=True):
        numbered = enumerate(piece.lines, piece.before)
        rows = [(line.strip(), f"{path}[{index}]") for index, line in numbered if line.strip()]
        if rows:
            yield Records([line for line, _ in rows], None, [origin for _, origin in rows]), piece.after


def lines(paths: Sequence[Path]) -> Records[str, str]:
    """As :func:`whole`, with a record for each line that is not blank, stripped of blanks."""
    files = whole(paths)
    rows = [
        (line.strip(), f"{origin}[{index}]")
        for text, origin in zip(files.inputs, files.origins, strict=True)
        for index, line in enumerate(text.split("\n"))
        if line.strip()
    ]
    texts = [text for text, _ in rows]
    return Records(texts, texts, [origin for _, origin in rows])


def cut(texts: Records[str, str], position: int) -> tuple[Records[str, str], Records[str, str]]:
    """Cuts texts, as if they were one text, into two parts; the text at the cut is in both parts.

    Args:
        texts: The result of :func:`whole`.
        position: Number of characters before the cut.
    """
    if isinstance(texts.inputs, stored.Documents):
        before, after = texts.inputs.cut(position)
        return stored.named(before), stored.named(after)
    parts: tuple[list[tuple[str, str]], list[tuple[str, str]]] = ([], [])
    for text, origin in zip(texts.inputs, texts.origins, strict=True):
        for part, piece in zip(parts, (text[: max(position, 0)], text[max(position, 0) :]), strict=True):
            if piece:
                part.append((piece, origin))
        position -= len(text)
    front, back = ([text for text, _ in part] for part in parts)
    return Records(front, front, [origin for _, origin in parts[0]]), Records(
        back, back, [origin for _, origin in parts[1]]
    )


def decoded(path: Path) -> str:
    """The text of a file; each line break is one line feed.

    Raises:
        DataError: It is not UTF-8, or cannot be read.
    """
    with opened(path) as file:
        content = file.read()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise not_utf8(path, 1, error) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The text files that paths name; of a folder, those in it and in its subfolders, in order of their names.

    Raises:
        MissingDataError: A path does not exist.
        DataError: A folder has no text file.
    """
    return [file for path in paths for file in _files(path)]


def _files(path: Path) -> list[Path]:
    check_paths([path])
    if not path.is_dir():
        return [path]
    files = [file for file in files_inside(path) if file.name.lower().endswith(SUFFIXES) and file.name[0] != "."]
    if not files:
        raise DataError(f"The folder {path} has no text file; expected files that end in {' or '.join(SUFFIXES)}.")
    return files
