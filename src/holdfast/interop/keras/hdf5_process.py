"""Reads an HDF5 file in a separate process, with limited time and memory, and sends Keras's data in it.

The HDF5 library trusts the file: a file with a few changed bytes may keep it busy for ever or make it take gigabytes.
So only this program opens such files: ``python -m holdfast.interop.keras.hdf5_process PATH``, or ``-`` for the standard
input. It writes the length of a JSON document (8 bytes), the document, and the numbers of all arrays in order.
:mod:`holdfast.interop.keras.hdf5` starts it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

ATTRIBUTES = ("model_config", "keras_version", "backend", "layer_names", "weight_names", "dtype")
NOT_OF_THE_MODEL = ("optimizer_weights", "optimizer", "metrics")
MAX_TEXT_BYTES = 4 * 2**20
_MAX_MEMBERS = 4096  # of a group: enough for the layers of a model
_MAX_DEPTH = 24
_MAX_DIMENSIONS = 8
_SECONDS, _SECONDS_PER_BYTE = 1.0, 2e-8
_MEMORY, _MEMORY_PER_BYTE = 128 * 2**20, 3


def main(source: str) -> None:
    """Reads the file and writes its data."""
    import h5py

    content = sys.stdin.buffer.read() if source == "-" else None
    size = Path(source).stat().st_size if content is None else len(content)
    _limit(size)
    try:
        with h5py.File(source if content is None else BytesIO(content), "r") as file:
            _send(_Reader(h5py, size), file)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError) as error:
        reason = (str(error).splitlines() or [""])[0].strip(" '\"")[:200] or type(error).__name__
        sys.exit(reason)


def _send(reader: _Reader, file: Any) -> None:
    document = json.dumps(reader.group(file, 0)).encode()
    out = sys.stdout.buffer
    out.write(len(document).to_bytes(8, "little"))
    out.write(document)
    for dataset in reader.datasets:
        out.write(memoryview(dataset[()]).cast("B") if prod(dataset.shape) else b"")
    out.flush()


def _limit(size: int) -> None:
    """Lets the operating system end this process if it takes more time or memory than a file of this size needs."""
    if sys.platform == "win32":  # there the parent process ends this one
        return
    import resource

    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, _SECONDS + _SECONDS_PER_BYTE * size)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    statistics = Path("/proc/self/statm")
    if statistics.exists():
        used = int(statistics.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        limit = used + _MEMORY + _MEMORY_PER_BYTE * size
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


class _Reader:
    """Describes the groups of a file, with a check before each step.

    Attributes:
        datasets: The datasets to send, in order.
    """

    def __init__(self, h5py: Any, size: int) -> None:
        self._h5py, self._size, self._left = h5py, size, size
        self._groups: set[Any] = set()
        self.datasets: list[Any] = []

    def group(self, group: Any, depth: int) -> dict[str, Any]:
        """A group as a document: its attributes, groups and arrays, and why its other members are not read."""
        document: dict[str, Any] = {"attributes": self._attributes(group), "groups": {}, "arrays": {}, "refused": {}}
        place = self._h5py.h5o.get_info(group.id).addr
        if len(group) > _MAX_MEMBERS or depth > _MAX_DEPTH or place in self._groups:
            raise ValueError(f"a group has {len(group):,} members, is nested too deep, or contains itself")
        self._groups.add(place)
        for name in group:
            if not isinstance(name, str):
                raise ValueError("a group has a name that is not a text")
            if not depth and name in NOT_OF_THE_MODEL:
                continue
            if group.id.links.get_info(name.encode()).type != self._h5py.h5l.TYPE_HARD:
                document["refused"][name] = "is a link to another place, and links are not followed"
                continue
            member = group[name]
            if isinstance(member, self._h5py.Group):
                document["groups"][name] = self.group(member, depth + 1)
            elif isinstance(member, self._h5py.Dataset):
                reason, kind = self._why_not(member)
                if reason:
                    document["refused"][name] = reason
                else:
                    document["arrays"][name] = {"kind": kind, "shape": member.shape, "number": len(self.datasets)}
                    self.datasets.append(member)
        return document

    def _attributes(self, node: Any) -> dict[str, Any]:
        """Texts, and lists of texts; Keras splits a long list into ``name0``, ``name1`` and so on."""
        result = {}
        for name in list(node.attrs)[:_MAX_MEMBERS]:
            if isinstance(name, str) and name.rstrip("0123456789") in ATTRIBUTES:
                value = node.attrs[name]
                value = value.tolist() if hasattr(value, "tolist") else value
                texts = [_text(item) for item in (value if isinstance(value, list) else [value])]
                if sum(MAX_TEXT_BYTES + 1 if text is None else len(text) for text in texts) > MAX_TEXT_BYTES:
                    raise ValueError(f"its attribute {name!r} is not a text of at most {MAX_TEXT_BYTES:,} bytes")
                result[name] = texts if isinstance(value, list) else texts[0]
        return result

    def _why_not(self, dataset: Any) -> tuple[str, str]:
        """Why a dataset's numbers are not all in this file as plain numbers, or "" if they are; and their type."""
        plan, kind = dataset.id.get_create_plist(), dataset.dtype.str
        if kind == "<u2" and dataset.attrs.get("dtype") == "bfloat16":
            kind = "bfloat16"
        if kind not in ("<f2", "<f4", "<f8", "bfloat16"):
            return f"holds values of type {kind}; expected floating-point numbers of 16, 32 or 64 bits", ""
        if plan.get_layout() == self._h5py.h5d.VIRTUAL or plan.get_external_count():
            return "has its numbers in other files; expected them in this one", ""
        if plan.get_nfilters():
            return "is compressed, which Keras does not do: rewrite the file with `h5repack -f NONE OLD NEW`", ""
        size, stored = prod(dataset.shape) * dataset.dtype.itemsize, dataset.id.get_storage_size()
        if len(dataset.shape) > _MAX_DIMENSIONS or size > min(stored, self._left):
            return (
                f"claims to be {'x'.join(map(str, dataset.shape))} numbers, {size:,} bytes, and the file holds "
                f"{min(stored, self._left):,} for it"
            ), ""
        if dataset.chunks and prod(dataset.chunks) * dataset.dtype.itemsize > self._size:
            return "claims to have chunks larger than the file", ""
        self._left -= size
        return "", kind


def _text(value: Any) -> str | None:
    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return value if isinstance(value, str) else None


if __name__ == "__main__":
    main(sys.argv[1])
