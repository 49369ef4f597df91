"""Checks of the paths that a reader gets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from holdfast.errors import DataError, MissingDataError


def check_paths(
    paths: Sequence[Path], expected: str = "at least one file or folder", kind: str = "file or folder"
) -> None:
    """Checks that there are paths, and that a file or folder is at each.

    Args:
        paths: The paths.
        expected: What is needed at least, for the message.
        kind: What must be at a path, for the message.

    Raises:
        DataError: There are no paths.
        MissingDataError: There is nothing at a path.
    """
    if not paths:
        raise DataError(f"No files were given to read; expected {expected}.")
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise MissingDataError(
            f"There is no {kind} {', '.join(missing)}. Check the path; relative paths start at {Path.cwd()}."
        )
