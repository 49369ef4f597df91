"""The tensors in PyTorch's files: state dicts of ``torch.save`` in both its forms, and safetensors."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from holdfast.errors import ModelFileError
from holdfast.interop.pytorch.pickles import MAX_BYTES, look_through
from holdfast.interop.selection import READ_LAYERS

MAX_HEADER_BYTES = 2**23
"""The largest header of a safetensors file that is read: enough for 50,000 tensors, and half a second of parsing."""
_ZIP = b"PK\x03\x04"
_LEGACY = pickle.dumps(0x1950A86A20F9469CFC6C, 2)  # what every file of torch.save began with before torch 1.6
_DEPTH = 8  # of dicts in one another in which tensors are looked for
_WIDEST = 16  # bytes of an element: complex128

# What torch raises where a file is not what it says; nothing of it is a fault of this program.
_DAMAGE = (
    *(RuntimeError, ValueError, TypeError, LookupError, AttributeError, OverflowError, AssertionError),
    *(EOFError, OSError, pickle.UnpicklingError, SafetensorError),
)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, in its order; opening it never runs code.

    Args:
        path: What ``torch.save(model.state_dict(), ...)`` wrote, today (a zip) or before torch 1.6, or a safetensors
            file. A checkpoint that has one dict of tensors beside other things will do.

    Returns:
        Tensors on the CPU, their names without a ``module.`` or ``_orig_mod.`` that all of them begin with; they may be
        views of the file, so copy what is to outlive it.

    Raises:
        ModelFileError: The file is not there, damaged, or holds something else; what to do is in the message.
    """
    return _plain(_opened(path), path)


def _opened(path: Path) -> Any:
    """What ``torch.load`` gives of a file that may be opened, or the tensors of a safetensors file."""
    start, size = _beginning(path)
    try:
        if start.startswith(_ZIP):
            _check_zip(path, size)
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        if start.startswith(_LEGACY):
            _check_legacy(path, size)
            return torch.load(path, map_location="cpu", weights_only=True)
        if start[8:9] == b"{":
            return _safetensors(path, start, size)
    except ModelFileError:
        raise
    except _DAMAGE as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise ModelFileError(f"{path} is truncated or damaged ({reason[:200]}). Take another copy of it.") from error
    raise ModelFileError(
        f"{path} is neither of torch.save nor of safetensors; expected a file that begins as one of them does."
    )


def read_all_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor in a file that has a name, wherever it stands in a checkpoint; opening it never runs code.

    Args:
        path: As in :func:`read_tensors`. Where tensors stand in several dicts, the names of these come first, as in
            ``encoder.weight_ih_l0``.

    Raises:
        ModelFileError: As in :func:`read_tensors`.
    """
    found = _opened(path)
    places: dict[tuple[str, ...], dict[str, Tensor]] = {}
    _gather(found, (), places)
    one = len(places) == 1
    tensors = {
        ".".join([*([] if one else place), name]): tensor
        for place, group in places.items()
        for name, tensor in group.items()
    }
    return _checked(tensors, path)


def _gather(value: Any, place: tuple[str, ...], places: dict[tuple[str, ...], dict[str, Tensor]]) -> None:
    """Adds the tensors of a dict, and of dicts in it, by their place; the state of optimisers has numbers for names."""
    if not isinstance(value, dict) or len(place) > _DEPTH:
        return
    for name, one in dict.items(value):
        if isinstance(name, str) and isinstance(one, Tensor):
            places.setdefault(place, {})[name] = one.detach()
        elif isinstance(name, str):
            _gather(one, (*place, name), places)


def is_safetensors(path: Path) -> bool:
    """Whether a file that can be read is one of safetensors, by its first bytes."""
    return _beginning(path)[0][8:9] == b"{"


def _beginning(path: Path) -> tuple[bytes, int]:
    try:
        with path.open("rb") as handle:
            return handle.read(32), handle.seek(0, os.SEEK_END)
    except FileNotFoundError as error:
        raise ModelFileError(f"{path} is not there. Check the path.") from error
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}.") from error


def _check_zip(path: Path, size: int) -> None:
    """Looks through the pickle of a zip, and at what its parts say to hold."""
    with path.open("rb") as handle:
        handle.seek(max(0, size - 2**16 - 22))
        tail = handle.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        raise ModelFileError(f"{path} is truncated: its list of parts is missing. Take another copy of it.")
    (count,) = struct.unpack_from("<H", tail, end + 10)
    if count == 0xFFFF:  # or more: a list this long takes long to read, and no state dict has it
        raise ModelFileError(f"{path} has more than 65,534 parts: that is no state dict.")
    try:
        with zipfile.ZipFile(path) as archive:
            parts = {info.filename.partition("/")[2]: info for info in archive.infolist()}
            if "constants.pkl" in parts:
                raise ModelFileError(
                    f"{path} is a TorchScript program, which runs code; expected a state dict. Where it is trusted, "
                    "save what torch.jit.load(...).state_dict() gives."
                )
            if "data.pkl" not in parts:
                raise ModelFileError(f"{path} is a zip, but not one of torch.save: it has no data.pkl.")
            for name, info in parts.items():
                if info.compress_type != zipfile.ZIP_STORED or info.file_size > size:
                    raise ModelFileError(
                        f"{path} says that {name[:80]!r} in it takes {info.file_size:,} bytes, compressed or beyond "
                        "the file's end; torch.save compresses nothing. It is damaged: take another copy of it."
                    )
            with archive.open(parts["data.pkl"]) as pickled:
                claimed = look_through(io.BytesIO(pickled.read(MAX_BYTES)), path)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise ModelFileError(f"{path} is truncated or damaged ({error}). Take another copy of it.") from error
    for key, elements in claimed.items():
        part = parts.get(f"data/{key}")
        if part is None or elements > part.file_size:
            held = "is not in it" if part is None else f"has {part.file_size:,} bytes"
            raise ModelFileError(
                f"{path} says that its tensor data {key[:40]!r} are {elements:,} numbers, and the part {held}. It is "
                "damaged: take another copy of it."
            )


def _check_legacy(path: Path, size: int) -> None:
    """Looks through the pickles of the form before torch 1.6; the numbers stand behind them."""
    with path.open("rb") as handle:
        beginning = io.BytesIO(handle.read(MAX_BYTES))
    beginning.seek(len(_LEGACY))
    claimed: dict[str, int] = {}
    for _ in range(4):  # the version, the machine, the object, the keys of the storages
        claimed |= look_through(beginning, path)
    rest = size - beginning.tell()
    if sum(claimed.values()) > rest:
        raise ModelFileError(
            f"{path} says to hold {sum(claimed.values()):,} numbers, and has {rest:,} bytes for them. It is truncated "
            "or damaged: take another copy of it."
        )


def _safetensors(path: Path, start: bytes, size: int) -> dict[str, Tensor]:
    header = int.from_bytes(start[:8], "little")
    if header > MAX_HEADER_BYTES or 8 + header > size:
        raise ModelFileError(
            f"{path} is truncated or damaged: as a safetensors file it would have a header of {header:,} bytes, and it "
            f"has {size:,} bytes; at most {MAX_HEADER_BYTES:,} are read. Take another copy of it."
        )
    with safe_open(path, framework="pt", device="cpu") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)


def _plain(found: Any, path: Path) -> dict[str, Tensor]:
    """The one dict of tensors in what ``torch.load`` gave."""
    if isinstance(found, Tensor):
        raise ModelFileError(f"{path} holds a tensor alone; expected a state dict, with a name for each tensor.")
    if not isinstance(found, dict):
        raise ModelFileError(f"{path} holds a {type(found).__name__}; expected a state dict.")
    tensors = _of_tensors(found)
    if tensors is None:
        inner = {name: tensors for name, value in dict.items(found) if (tensors := _of_tensors(value)) is not None}
        if len(inner) != 1:
            names = ", ".join(repr(name)[:40] for name in [*inner][:5]) or "none"
            raise ModelFileError(
                f"{path} is a dict with {len(inner)} state dicts in it ({names}); expected one. Save the one that is "
                f"wanted alone. {READ_LAYERS}"
            )
        (tensors,) = inner.values()
    return _checked(tensors, path)


def _checked(tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The same tensors under the names of the model, if each is a plain one with all its numbers."""
    for prefix in ("module.", "_orig_mod.", "module."):  # of DataParallel, and of torch.compile
        if tensors and all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    taken: dict[tuple[Any, ...], int] = {}
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.device.type != "cpu":
            raise ModelFileError(
                f"{path} has the tensor {name!r} on {tensor.device}, {tensor.layout}; expected plain ones."
            )
        bytes_ = tensor.numel() * tensor.element_size()
        if bytes_ > tensor.untyped_storage().nbytes():
            raise ModelFileError(
                f"{path} has the tensor {name!r} of shape {tuple(tensor.shape)}, which repeats the "
                f"{tensor.untyped_storage().nbytes():,} bytes that are there; expected one with all its numbers. Save "
                "tensor.contiguous()."
            )
        taken[tensor.data_ptr(), tensor.shape, tensor.stride()] = bytes_
    if sum(taken.values()) > 4 * path.stat().st_size:
        raise ModelFileError(f"{path} has tensors that share their memory many times over: that is no state dict.")
    return tensors


def _of_tensors(value: Any) -> dict[str, Tensor] | None:
    """A dict that has tensors alone, under names; None for anything else, and for an empty one."""
    if not isinstance(value, dict) or not len(value):
        return None
    items = dict.items(value)  # an OrderedDict of a file may have "items" set to something else
    if not all(isinstance(name, str) and isinstance(one, Tensor) for name, one in items):
        return None
    return {name: one.detach() for name, one in items}
