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
from holdfast.interop.pytorch.pickles import MAX_BYTES, check_pickle
from holdfast.interop.selection import READ_LAYERS

MAX_HEADER_BYTES = 2**23
"""The largest header of a safetensors file: enough for 50,000 tensors, half a second of parsing."""
_ZIP = b"PK\x03\x04"
_LEGACY = pickle.dumps(0x1950A86A20F9469CFC6C, 2)  # the start of every file of torch.save before torch 1.6
_MAX_DEPTH = 8  # of nested dicts in which tensors are looked for

# What torch raises for damaged files.
_DAMAGE = (
    *(RuntimeError, ValueError, TypeError, LookupError, AttributeError, OverflowError, AssertionError),
    *(EOFError, OSError, pickle.UnpicklingError, SafetensorError),
)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, in its order. Opening the file never runs code.

    Args:
        path: A file of ``torch.save(model.state_dict(), ...)``, a zip or in the form before torch 1.6; or a safetensors
            file. A checkpoint with one dict of tensors besides other things is accepted.

    Returns:
        Tensors on the CPU. A prefix ``module.`` or ``_orig_mod.`` that all names have is removed. They may be views of
        the file: copy them to keep them longer.

    Raises:
        ModelFileError: The file does not exist, is damaged, or holds something else; the message says what to do.
    """
    return _state_dict(_load(path), path)


def _load(path: Path) -> Any:
    """The object of ``torch.load``, after the file is checked, or the tensors of a safetensors file."""
    start, size = _start_and_size(path)
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
        f"{path} is neither a file of torch.save nor of safetensors; expected one that begins as they do."
    )


def read_all_tensors(path: Path) -> dict[str, Tensor]:
    """Every named tensor in a file, at any place in a checkpoint. Opening the file never runs code.

    Args:
        path: As in :func:`read_tensors`. If several dicts hold tensors, the names begin with the dict's name, as in
            ``encoder.weight_ih_l0``.

    Raises:
        ModelFileError: As in :func:`read_tensors`.
    """
    groups: dict[tuple[str, ...], dict[str, Tensor]] = {}
    _gather(_load(path), (), groups)
    single = len(groups) == 1
    tensors = {
        ".".join([*([] if single else place), name]): tensor
        for place, group in groups.items()
        for name, tensor in group.items()
    }
    return _checked(tensors, path)


def _gather(value: Any, place: tuple[str, ...], groups: dict[tuple[str, ...], dict[str, Tensor]]) -> None:
    """Adds the tensors of a dict and of dicts in it, by place; skips optimiser states, whose keys are numbers."""
    if not isinstance(value, dict) or len(place) > _MAX_DEPTH:
        return
    for name, entry in dict.items(value):
        if isinstance(name, str) and isinstance(entry, Tensor):
            groups.setdefault(place, {})[name] = entry.detach()
        elif isinstance(name, str):
            _gather(entry, (*place, name), groups)


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as a safetensors file."""
    return _start_and_size(path)[0][8:9] == b"{"


def _start_and_size(path: Path) -> tuple[bytes, int]:
    try:
        with path.open("rb") as handle:
            return handle.read(32), handle.seek(0, os.SEEK_END)
    except FileNotFoundError as error:
        raise ModelFileError(f"{path} is not there. Check the path.") from error
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}.") from error


def _check_zip(path: Path, size: int) -> None:
    """Checks the pickle of a zip, and the sizes that its parts claim."""
    with path.open("rb") as handle:
        handle.seek(max(0, size - 2**16 - 22))
        tail = handle.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        raise ModelFileError(f"{path} is truncated: its list of parts is missing. Take another copy of it.")
    (count,) = struct.unpack_from("<H", tail, end + 10)
    if count == 0xFFFF:  # or more: reading such a list takes long, and no state dict is so large
        raise ModelFileError(f"{path} has more than 65,534 parts: that is no state dict.")
    try:
        with zipfile.ZipFile(path) as archive:
            parts = {info.filename.partition("/")[2]: info for info in archive.infolist()}
            if "constants.pkl" in parts:
                raise ModelFileError(
                    f"{path} is a TorchScript program, which runs code; expected a state dict. If you trust it, save "
                    "torch.jit.load(...).state_dict()."
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
                claimed = check_pickle(io.BytesIO(pickled.read(MAX_BYTES)), path)
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
    """Checks the pickles of the form before torch 1.6; the numbers follow them."""
    with path.open("rb") as handle:
        beginning = io.BytesIO(handle.read(MAX_BYTES))
    beginning.seek(len(_LEGACY))
    claimed: dict[str, int] = {}
    for _ in range(4):  # the version, the machine, the object, the keys of the storages
        claimed |= check_pickle(beginning, path)
    rest = size - beginning.tell()
    if sum(claimed.values()) > rest:
        raise ModelFileError(
            f"{path} claims to hold {sum(claimed.values()):,} numbers, and has {rest:,} bytes for them. It is "
            "truncated or damaged: take another copy of it."
        )


def _safetensors(path: Path, start: bytes, size: int) -> dict[str, Tensor]:
    header = int.from_bytes(start[:8], "little")
    if header > MAX_HEADER_BYTES or 8 + header > size:
        raise ModelFileError(
            f"{path} is truncated or damaged: as a safetensors file it would have a header of {header:,} bytes, and it "
            f"has {size:,} bytes; at most {MAX_HEADER_BYTES:,} are read. Take another copy of it."
        )
    with safe_open(path, framework="pt", device="cpu") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is not a dict)


def _state_dict(loaded: Any, path: Path) -> dict[str, Tensor]:
    """The only dict of tensors in an object of ``torch.load``."""
    if isinstance(loaded, Tensor):
        raise ModelFileError(f"{path} holds a tensor alone; expected a state dict, with a name for each tensor.")
    if not isinstance(loaded, dict):
        raise ModelFileError(f"{path} holds a {type(loaded).__name__}; expected a state dict.")
    tensors = _tensors_of(loaded)
    if tensors is None:
        inner = {name: tensors for name, value in dict.items(loaded) if (tensors := _tensors_of(value)) is not None}
        if len(inner) != 1:
            names = ", ".join(repr(name)[:40] for name in [*inner][:5]) or "none"
            raise ModelFileError(
                f"{path} is a dict with {len(inner)} state dicts in it ({names}); expected one. Save the one you want "
                f"alone. {READ_LAYERS}"
            )
        (tensors,) = inner.values()
    return _checked(tensors, path)


def _checked(tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The tensors under their names in the model, after a check that each is a plain tensor with all its numbers."""
    for prefix in ("module.", "_orig_mod.", "module."):  # of DataParallel, and of torch.compile
        if tensors and all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    sizes: dict[tuple[Any, ...], int] = {}
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.device.type != "cpu":
            raise ModelFileError(
                f"{path} has the tensor {name!r} on {tensor.device}, {tensor.layout}; expected plain ones."
            )
        bytes_ = tensor.numel() * tensor.element_size()
        if bytes_ > tensor.untyped_storage().nbytes():
            raise ModelFileError(
                f"{path} has the tensor {name!r} of shape {tuple(tensor.shape)}, which repeats the "
                f"{tensor.untyped_storage().nbytes():,} bytes of its storage; expected one with all its numbers. Save "
                "tensor.contiguous()."
            )
        sizes[tensor.data_ptr(), tensor.shape, tensor.stride()] = bytes_
    if sum(sizes.values()) > 4 * path.stat().st_size:
        raise ModelFileError(f"{path} has tensors that share their memory many times over: that is no state dict.")
    return tensors


def _tensors_of(value: Any) -> dict[str, Tensor] | None:
    """A dict of only named tensors; None for anything else, and for an empty dict."""
    if not isinstance(value, dict) or not len(value):
        return None
    items = dict.items(value)  # an OrderedDict of a file may have "items" set to something else
    if not all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in items):
        return None
    return {name: tensor.detach() for name, tensor in items}
