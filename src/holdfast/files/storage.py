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
        path: The file; one that is there is replaced.
        tensors: By name; any device, any strides; tensors that share memory are written one by one.
        document: What JSON can hold, without NaN and infinities.
        kind: What the file is, such as ``"model"``; ``read`` asks for the same word.

    Raises:
        ModelFileError: The file cannot be written, or the document is too large.
    """
    container.write(path, save, _apart(tensors), document, kind)


def read(path: Path, kind: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Opens a file that ``write`` made.

    Args:
        path: The file.
        kind: What it must be, such as ``"model"``.

    Returns:
        The tensors by name, on the CPU, as private views of the file (copy what is to outlive it), and the document.

    Raises:
        ModelFileError: The file is not there, truncated, not of this format, of another kind or a newer version.
    """
    return container.read(path, kind, "pt")


def fit_tensors(module: nn.Module, tensors: Mapping[str, torch.Tensor], path: Path, *, assign: bool = False) -> None:
    """Copies tensors into a module's parameters and buffers; nothing is changed when one of them does not fit.

    Args:
        module: The module, with every tensor of its ``state_dict`` in ``tensors``.
        tensors: By name, with the shapes and dtypes of the module's.
        path: Where they come from, for the message.
        assign: Make them the module's own instead of copying, so that it needs no memory before (the ``meta`` device);
            floating-point ones may then be of any precision.

    Raises:
        ModelFileError: A tensor is missing, is not the module's, or has another shape or dtype.
    """
    check_fit(module, tensors, path, any_precision=assign)
    module.load_state_dict(tensors, assign=assign)


def check_fit(
    module: nn.Module, tensors: Mapping[str, torch.Tensor], path: Path, *, any_precision: bool = False
) -> None:
    """Compares tensors with a module's parameters and buffers, which may be on the ``meta`` device.

    Args:
        module: The module.
        tensors: By name.
        path: Where they come from, for the message.
        any_precision: Floating-point ones may be of any precision.

    Raises:
        ModelFileError: A tensor is missing, is not the module's, or has another shape or dtype.
    """
    own = module.state_dict()
    faults = []
    for name, tensor in own.items():
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
        if name not in own:
            faults.append(f"has a tensor {name!r} of shape {tuple(tensors[name].shape)}; the model has none")
    if faults:
        more = f" (the first of {len(faults)} faults)" if len(faults) > 1 else ""
        raise ModelFileError(f"{path} {faults[0]}{more}. It was saved from another model: build that one.")


def _apart(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors on the CPU, each contiguous and in memory of its own, as the format wants them."""
    result: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        own = tensor.detach().to("cpu").contiguous()
        if own.untyped_storage().data_ptr() in seen:
            own = own.clone()
        seen.add(own.untyped_storage().data_ptr())
        result[name] = own
    return result
