"""The files inside a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def files_inside(folder: Path) -> list[Path]:
    """The files in a folder and its subfolders, in the order of their paths.

    Links to files and folders are followed, except back to a folder that the link is in. A subfolder that this process
    may not read is left out.
    """
    return sorted(_files(folder, frozenset()))


def _files(folder: Path, around: frozenset[tuple[int, int]]) -> Iterator[Path]:
    about = folder.stat()
    here = (about.st_dev, about.st_ino)
    if here in around:
        return
    try:
        entries = list(os.scandir(folder))
    except PermissionError:
        return
    for entry in entries:
        if entry.is_dir():
            yield from _files(Path(entry.path), around | {here})
        elif entry.is_file():
            yield Path(entry.path)
