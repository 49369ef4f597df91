"""Git LFS pointers: small text files that replace large files in a clone made without Git LFS."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from holdfast.errors import DataError, HoldfastError
from holdfast.files.inside import files_inside

_START = b"version https://git-lfs.github.com/spec/"
_MOST_BYTES = 1024
"""A pointer is smaller than this, as Git LFS's specification says."""


def refuse_pointers(paths: Iterable[Path], error: type[HoldfastError] = DataError) -> None:
    """Refuses Git LFS pointers, before a reader takes one for the file itself.

    Args:
        paths: Files, and folders, which are searched; paths that do not exist are skipped.
        error: The class of the error.

    Raises:
        HoldfastError: One of them is a pointer.
    """
    for path in paths:
        for file in files_inside(path) if path.is_dir() else [path]:
            if _is_pointer(file):
                raise error(
                    f"{file} is a Git LFS pointer in place of the file itself. Fetch the file by `git lfs pull` in "
                    "its repository, or download it."
                )


def _is_pointer(file: Path) -> bool:
    if not file.is_file() or file.stat().st_size >= _MOST_BYTES:
        return False
    try:
        with file.open("rb") as handle:
            return handle.read(len(_START)) == _START
    except OSError:  # its reader reports it
        return False
