"""Models and checkpoints as files of :mod:`holdfast.files.container`, with torch's tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from holdfast.errors import ModelFileError
from holdfast.files import container


def write(path: Path, tensors: Mapping[str, torch.Tensor], document: Mapping[str, Any], kind: str) -> None:
    """Writes tensors and a document to one file, as :func:`holdfast.files.container.write`.

    Args:
        path: The file; an existing one is replaced.
        tensors: By name; any device, any strides; tensors that share memory are written one by one.
        document: A document that JSON can hold, without NaN and infinities.
        kind: The kind of file, such as ``"model"``; ``read`` takes the same word.

    Raises:
        ModelFileError: The file cannot be written, or the document is too large.
    """
    container.write(path, save, _apart(tensors), document, kind)


def read(path: Path, kind: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Opens a file that ``write`` wrote.

    Args:
        path: The file.
        kind: The kind that it must have, such as ``"model"``.

    Returns:
        The tensors by name, on the CPU, as private views of the file (copy those that must outlive it), and the
        document.

    Raises:
        ModelFileError: The file does not exist, is truncated, of another format or kind, or of a newer version.
    """
    return container.read(path, kind, "pt")


def fit_tensors(module: nn.Module, tensors: Mapping[str, torch.Tensor], path: Path, *, assign: bool = False) -> None:
    """Copies tensors into the parameters and buffers of a module; changes nothing if one of them does not fit.

    Args:
        module: The module, with every tensor of its ``state_dict`` in ``tensors``.
        tensors: By name, with the shapes and dtypes of the module.
        path: The file of the tensors, for the message.
        assign: Assign the tensors to the module instead of copying them, so that it needs no memory before (the
            ``meta`` device); floating-point tensors may then have any precision.

    Raises:
        ModelFileError: A tensor is missing, is unknown to the module, or has another shape or dtype.
    """
    check_fit(module, tensors, path, any_precision=assign)
    module.load_state_dict(tensors, assign=assign)


def check_fit(
    module: nn.Module, tensors: Mapping[str, torch.Tensor], path: Path, *, any_precision: bool = False
) -> None:
    """Compares tensors with the parameters and buffers of a module, which may be on the ``meta`` device.

    Args:
        module: The module.
        tensors: By name.
        path: The file of the tensors, for the message.
        any_precision: Floating-point tensors may have any precision.

    Raises:
        ModelFileError: A tensor is missing, is unknown to the module, or has another shape or dtype.
    """
    expected = module.state_dict()
    faults = []
    for name, tensor in expected.items():
        if name not in tensors:
            faults.append(f"has no tensor {name!r}; the model has one of shape {tuple(tensor.shape)}")
        elif tensors[name].shape != tensor.shape:
            faults.append(
                f"has tensor {name!r} of shape {tuple(tensors[name].shape)}; the model's is {tuple(tensor.shape)}"
            )
        elif tensors[name].dtype != tensor.dtype and not (
            any_precision and tensor.is_floating_point() and tensors[name].is_floating_point()
        ):
            faults.append(f"has tensor {name!r} of {tensors[name].dtype}; the model's is {tensor.dtype}")
    for name in tensors:
        if name not in expected:
            faults.append(f"has a tensor {name!r} of shape {tuple(tensors[name].shape)}; the model has none")
    if faults:
        more = f" (the first of {len(faults)} faults)" if len(faults) > 1 else ""
        raise ModelFileError(f"{path} {faults[0]}{more}. It was saved from another model: build that one.")


def _apart(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors on the CPU, each contiguous and in its own memory, as the format requires."""
    result: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        copied = tensor.detach().to("cpu").contiguous()
        if copied.untyped_storage().data_ptr() in seen:
            copied = copied.clone()
        seen.add(copied.untyped_storage().data_ptr())
        result[name] = copied
    return result
