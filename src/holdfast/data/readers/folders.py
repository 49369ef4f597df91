"""Folders of files of one kind: a subfolder a label, or all directly in the folder and without labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from holdfast.errors import DataError


def listing(root: Path, suffixes: Sequence[str], one: str) -> tuple[list[Path], list[str] | None]:
    """The files of a kind and, where they lie in subfolders, their labels.

    Args:
        root: A folder ``ROOT/label/file`` or ``ROOT/file``.
        suffixes: The endings of the kind.
        one: What a file is, for the message.

    Returns:
        The files by label and name, in alphabetical order; None for the labels where there are none.

    Raises:
        DataError: There is no such file, or some lie in subfolders and some do not.
    """
    bare = files_in(root, suffixes)
    labelled = [(file, folder.name) for folder in _subfolders(root) for file in files_in(folder, suffixes)]
    if bare and labelled:
        raise DataError(
            f"{root} holds {one}s both directly ({bare[0].name}) and in subfolders "
            f"({labelled[0][0].relative_to(root)}); expected ROOT/label/{one} with labels, or ROOT/{one} without."
        )
    if not bare and not labelled:
        raise DataError(
            f"{root} holds no {one}s ({', '.join(suffixes)}); expected ROOT/label/{one}, such as "
            f"{root.name}/7/12{suffixes[0]}. Files of other kinds are named one by one, not by their folder."
        )
    if bare:
        return bare, None
    return [file for file, _ in labelled], [label for _, label in labelled]


def holds(root: Path, suffixes: Sequence[str]) -> bool:
    """Whether a file of a kind lies in the folder or in a subfolder."""
    return any(files_in(folder, suffixes) for folder in (root, *_subfolders(root)))


def files_in(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """The files of a kind that lie directly in a folder, by name."""
    return sorted(
        entry for entry in folder.iterdir() if entry.suffix.lower() in suffixes and not entry.name.startswith(".")
    )


def _subfolders(root: Path) -> list[Path]:
    return sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
