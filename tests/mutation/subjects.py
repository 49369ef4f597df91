"""What is read: for each reader valid files, which of them are changed, and how it is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.changes import Layer, outside


@dataclass(frozen=True)
class Subject:
    """A kind of file and its reader.

    Attributes:
        name: Its name in the figures.
        make: Writes valid files into a folder.
        target: The path, within the folder, that is read.
        read: Reads it.
        changed: The files that are changed, in turn.
        layers: In what of a file: as it lies there, in what is packed in it, ...
        slow: How many times fewer files are tried, where each takes a process of its own.
    """

    name: str
    make: Callable[[Path], object]
    target: str
    read: Callable[[Path], object]
    changed: tuple[str, ...] = ()
    layers: tuple[Layer, ...] = (outside,)
    slow: int = 1


def subjects(group: str) -> dict[str, Subject]:
    """The subjects of a group by name; its libraries are loaded now."""
    if group in ("images", "sound", "tables", "texts"):
        from tests.mutation import data_subjects as module
    else:
        from tests.mutation import model_subjects as module  # type: ignore[no-redef]
    return {subject.name: subject for subject in module.GROUPS[group]()}


GROUPS = ("images", "sound", "tables", "texts", "own", "pytorch", "onnx", "keras", "tf1")
