"""Folders of files of one kind: one subfolder per label, or all files directly in the folder, without labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from holdfast.errors import DataError


def listing(root: Path, suffixes: Sequence[str], noun: str) -> tuple[list[Path], list[str] | None]:
    """The files of a kind and, if they are in subfolders, their labels.

    Args:
        root: A folder ``ROOT/label/file`` or ``ROOT/file``.
        suffixes: The endings of the kind.
        noun: The word for a file of this kind, for the message.

    Returns:
        The files by label and name, in alphabetical order, and their labels; None instead of labels if there are none.

    Raises:
        DataError: There is no such file, or some files are in subfolders and others are not.
    """
    bare = files_in(root, suffixes)
    labelled = [(file, folder.name) for folder in _subfolders(root) for file in files_in(folder, suffixes)]
    if bare and labelled:
        raise DataError(
            f"{root} holds {noun}s both directly ({bare[0].name}) and in subfolders "
            f"({labelled[0][0].relative_to(root)}); expected ROOT/label/{noun} with labels, or ROOT/{noun} without."
        )
    if not bare and not labelled:
        raise DataError(
            f"{root} holds no {noun}s ({', '.join(suffixes)}); expected ROOT/label/{noun}, such as "
            f"{root.name}/7/12{suffixes[0]}. Give files of other kinds one by one, not by their folder."
        )
    if bare:
        return bare, None
    return [file for file, _ in labelled], [label for _, label in labelled]


def holds(root: Path, suffixes: Sequence[str]) -> bool:
    """Whether the folder or a subfolder has a file of a kind."""
    return any(files_in(folder, suffixes) for folder in (root, *_subfolders(root)))


def files_in(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """The files of a kind directly in a folder, by name."""
    return sorted(
        entry for entry in folder.iterdir() if entry.suffix.lower() in suffixes and not entry.name.startswith(".")
    )


def _subfolders(root: Path) -> list[Path]:
    return sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
