"""The contents of Keras's HDF5 files as plain data: groups, texts and arrays of numbers.

A separate process opens the file; :mod:`holdfast.interop.keras.hdf5_process` says why. This module receives its data.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from holdfast.errors import MissingLibraryError, ModelFileError
from holdfast.interop.keras.hdf5_process import MAX_TEXT_BYTES

_KINDS = {"<f2": torch.float16, "<f4": torch.float32, "<f8": torch.float64, "bfloat16": torch.bfloat16}
_SECONDS, _SECONDS_PER_BYTE = 20.0, 1e-7  # wall-clock limit, in case the process does not end itself

__all__ = ["MAX_TEXT_BYTES", "Group", "read_hdf5"]


@dataclass
class Group:
    """A group of an HDF5 file.

    Attributes:
        label: The file and the group's place in it, for messages.
        attributes: Texts, and lists of texts.
        groups: Its groups.
        arrays: Its arrays of numbers; half precision is converted to float32.
        refused: Why other members were not read, by name.
    """

    label: str
    attributes: Mapping[str, Any]
    groups: dict[str, Group] = field(default_factory=dict)
    arrays: dict[str, Tensor] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    def group(self, path: str) -> Group | None:
        """A group below this one; None if there is none.

        Raises:
            ModelFileError: The place has a member that was not read.
        """
        group = self
        for part in path.split("/"):
            if part not in group.groups:
                group._check(part)
                return None
            group = group.groups[part]
        return group

    def array(self, path: str) -> Tensor | None:
        """An array below this group; None if there is none.

        Raises:
            ModelFileError: It was not read, since its numbers are not all in this file as plain numbers.
        """
        place, _, name = path.rpartition("/")
        owner = self.group(place) if place else self
        if owner is None:
            return None
        owner._check(name)
        return owner.arrays.get(name)

    def text(self, name: str) -> str | None:
        """An attribute that is one text; None if there is none.

        Raises:
            ModelFileError: It is a list.
        """
        value = self.attributes.get(name)
        if isinstance(value, list):
            raise ModelFileError(f"{self.label} has an attribute {name!r} that is not a text. Take another copy of it.")
        return value

    def texts(self, name: str) -> list[str] | None:
        """An attribute that is a list of texts, or is split into lists ``name0``, ``name1`` and so on; None if missing.

        Raises:
            ModelFileError: It is not a list.
        """
        parts = [self.attributes[name]] if name in self.attributes else []
        while not parts or name not in self.attributes:
            part = self.attributes.get(f"{name}{len(parts)}")
            if part is None:
                break
            parts.append(part)
        if any(not isinstance(part, list) for part in parts):
            raise ModelFileError(f"{self.label} has an attribute {name!r} that is not a list. Take another copy of it.")
        return [text for part in parts for text in part] if parts else None

    def _check(self, name: str) -> None:
        if name in self.refused:
            raise ModelFileError(f"{self.label}, {name}, {self.refused[name]}.")


def read_hdf5(path: Path, content: bytes | None = None) -> Group:
    """The root of an HDF5 file.

    Args:
        path: The file, or the origin of ``content``, for the messages.
        content: The bytes of the file, if it is inside another file.

    Raises:
        ModelFileError: The file does not exist, is not an HDF5 file, or is damaged.
        MissingLibraryError: h5py is not installed.
    """
    if importlib.util.find_spec("h5py") is None:
        raise MissingLibraryError(
            f"{path} is an HDF5 file, and the library h5py is not installed: pip install 'holdfast[h5]'."
        )
    if content is None and not path.is_file():
        raise ModelFileError(f"{path} is not there. Check the path.")
    size = path.stat().st_size if content is None else len(content)
    # -P: import nothing from the working directory, as a module may lie there beside the file.
    command = [
        sys.executable,
        "-P",
        "-m",
        "holdfast.interop.keras.hdf5_process",
        "-" if content is not None else str(path),
    ]
    places = os.pathsep.join(place for place in sys.path if place)
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": places, "OPENBLAS_NUM_THREADS": "1"},
    ) as process:
        timer = threading.Timer(_SECONDS + _SECONDS_PER_BYTE * size, process.kill)
        timer.start()
        try:
            root, reason = _receive(process, path, content)
        finally:
            timer.cancel()
            process.kill()
    if root is None:
        raise ModelFileError(f"{path} is truncated or damaged, or not an HDF5 file{reason}. Take another copy of it.")
    return root


def _receive(process: subprocess.Popen[bytes], path: Path, content: bytes | None) -> tuple[Group | None, str]:
    """The data that the process sends; or, if it ended early, the reason if it gave one."""
    assert process.stdin is not None
    assert isinstance(process.stdout, io.BufferedReader)
    assert process.stderr is not None
    with contextlib.suppress(BrokenPipeError):  # it ended before it read everything
        process.stdin.write(content or b"")
        process.stdin.close()
    length = int.from_bytes(process.stdout.read(8), "little")
    document = process.stdout.read(length)
    if length and len(document) == length:
        places: list[tuple[Group, str, Any]] = []
        root = _build_group(json.loads(document), str(path), places)
        places.sort(key=lambda place: place[2]["number"])
        if all(_fill(group, name, header, process.stdout) for group, name, header in places):
            return root, ""
    errors = process.stderr.read().decode("utf-8", "replace").strip().splitlines()
    return None, f" ({errors[-1][:200]})" if errors else ""


def _build_group(document: Mapping[str, Any], label: str, places: list[tuple[Group, str, Any]]) -> Group:
    """A group of the document; adds the arrays to fill to ``places``."""
    group = Group(label, document["attributes"], refused=document["refused"])
    for name, inner in document["groups"].items():
        group.groups[name] = _build_group(inner, f"{label}{'/' if ', ' in label else ', '}{name}", places)
    places += [(group, name, header) for name, header in document["arrays"].items()]
    return group


def _fill(group: Group, name: str, header: Mapping[str, Any], numbers: io.BufferedReader) -> bool:
    """Receives the numbers of an array; returns whether all arrived."""
    dtype, shape = _KINDS[header["kind"]], header["shape"]
    data = bytearray(prod(shape) * dtype.itemsize)
    if numbers.readinto(data) < len(data):
        return False
    array = torch.frombuffer(data, dtype=dtype).reshape(shape) if data else torch.empty(shape, dtype=dtype)
    group.arrays[name] = array.float() if dtype in (torch.float16, torch.bfloat16) else array
    return True
