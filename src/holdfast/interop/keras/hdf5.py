"""What Keras keeps in HDF5 files: groups, texts and arrays of numbers, as plain data.

A process of its own opens the file (:mod:`holdfast.interop.keras.hdf5_process` says why). Here is what it sends.
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
_SECONDS, _SECONDS_A_BYTE = 20.0, 1e-7  # on the clock, where the process does not end itself

__all__ = ["MAX_TEXT_BYTES", "Group", "read"]


@dataclass
class Group:
    """A group of an HDF5 file.

    Attributes:
        label: The file and the place in it, for messages.
        attributes: Texts, and lists of texts.
        groups: Its groups.
        arrays: Its arrays of numbers; half precision became float32.
        refused: Why other members were not read.
    """

    label: str
    attributes: Mapping[str, Any]
    groups: dict[str, Group] = field(default_factory=dict)
    arrays: dict[str, Tensor] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    def group(self, path: str) -> Group | None:
        """A group below this one; None where there is none.

        Raises:
            ModelFileError: There is something that was not read.
        """
        found = self
        for part in path.split("/"):
            if part not in found.groups:
                found._check(part)
                return None
            found = found.groups[part]
        return found

    def array(self, path: str) -> Tensor | None:
        """An array below this group; None where there is none.

        Raises:
            ModelFileError: It was not read, since it is not plain numbers in this file, all of them there.
        """
        place, _, name = path.rpartition("/")
        owner = self.group(place) if place else self
        if owner is None:
            return None
        owner._check(name)
        return owner.arrays.get(name)

    def text(self, name: str) -> str | None:
        """An attribute that is one text; None where there is none.

        Raises:
            ModelFileError: It is a list.
        """
        value = self.attributes.get(name)
        if isinstance(value, list):
            raise ModelFileError(f"{self.label} has an attribute {name!r} that is no text. Take another copy of it.")
        return value

    def texts(self, name: str) -> list[str] | None:
        """An attribute that is a list of texts, or split into ``name0``, ``name1`` and so on; None where there is none.

        Raises:
            ModelFileError: It is something else.
        """
        parts = [self.attributes[name]] if name in self.attributes else []
        while not parts or name not in self.attributes:
            part = self.attributes.get(f"{name}{len(parts)}")
            if part is None:
                break
            parts.append(part)
        if any(not isinstance(part, list) for part in parts):
            raise ModelFileError(f"{self.label} has an attribute {name!r} that is no list. Take another copy of it.")
        return [text for part in parts for text in part] if parts else None

    def _check(self, name: str) -> None:
        if name in self.refused:
            raise ModelFileError(f"{self.label}, {name}, {self.refused[name]}.")


def read(path: Path, content: bytes | None = None) -> Group:
    """The root of an HDF5 file.

    Args:
        path: The file, or where ``content`` comes from, for the messages.
        content: The bytes of the file, where it lies inside another one.

    Raises:
        ModelFileError: The file is not there, or is no HDF5 file, or is damaged.
        MissingLibraryError: h5py is not installed.
    """
    if importlib.util.find_spec("h5py") is None:
        raise MissingLibraryError(
            f"{path} is an HDF5 file, and the library h5py is not installed: pip install 'holdfast[h5]'."
        )
    if content is None and not path.is_file():
        raise ModelFileError(f"{path} is not there. Check the path.")
    size = path.stat().st_size if content is None else len(content)
    # -P: nothing is imported from the working directory, where the file may come with a module of its own.
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
        timer = threading.Timer(_SECONDS + _SECONDS_A_BYTE * size, process.kill)
        timer.start()
        try:
            root, reason = _received(process, path, content)
        finally:
            timer.cancel()
            process.kill()
    if root is None:
        raise ModelFileError(f"{path} is truncated or damaged, or no HDF5 file{reason}. Take another copy of it.")
    return root


def _received(process: subprocess.Popen[bytes], path: Path, content: bytes | None) -> tuple[Group | None, str]:
    """What the process sends; or why it ended before all was there, if it could say so."""
    assert process.stdin is not None
    assert isinstance(process.stdout, io.BufferedReader)
    assert process.stderr is not None
    with contextlib.suppress(BrokenPipeError):  # it ended before it had read all of it
        process.stdin.write(content or b"")
        process.stdin.close()
    length = int.from_bytes(process.stdout.read(8), "little")
    document = process.stdout.read(length)
    if length and len(document) == length:
        places: list[tuple[Group, str, Any]] = []
        root = _grown(json.loads(document), str(path), places)
        if all(_filled(group, name, sent, process.stdout) for group, name, sent in sorted(places, key=_number)):
            return root, ""
    words = process.stderr.read().decode("utf-8", "replace").strip().splitlines()
    return None, f" ({words[-1][:200]})" if words else ""


def _grown(document: Mapping[str, Any], label: str, places: list[tuple[Group, str, Any]]) -> Group:
    """A group of the document, and in ``places`` the arrays that are to be filled."""
    group = Group(label, document["attributes"], refused=document["refused"])
    for name, inner in document["groups"].items():
        group.groups[name] = _grown(inner, f"{label}{'/' if ', ' in label else ', '}{name}", places)
    places += [(group, name, sent) for name, sent in document["arrays"].items()]
    return group


def _number(place: tuple[Group, str, Any]) -> int:
    number: int = place[2]["number"]
    return number


def _filled(group: Group, name: str, sent: Mapping[str, Any], numbers: io.BufferedReader) -> bool:
    """Whether all numbers of an array came."""
    dtype, shape = _KINDS[sent["kind"]], sent["shape"]
    data = bytearray(prod(shape) * dtype.itemsize)
    if numbers.readinto(data) < len(data):
        return False
    array = torch.frombuffer(data, dtype=dtype).reshape(shape) if data else torch.empty(shape, dtype=dtype)
    group.arrays[name] = array.float() if dtype in (torch.float16, torch.bfloat16) else array
    return True
