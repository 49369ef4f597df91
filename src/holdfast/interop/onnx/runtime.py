"""Runs models with onnxruntime, with which files that are read or written are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from holdfast.errors import ConversionError, MissingLibraryError
from holdfast.interop.network import Network

_SIZES = (2, 5, 3, 4)
"""The sizes for the open dimensions of a model, in the order in which the model names them."""


class Runtime:
    """An ONNX model in onnxruntime, on the CPU and in one thread.

    Attributes:
        inputs: The inputs as onnxruntime describes them: ``name``, ``type`` and ``shape``.

    Raises:
        ConversionError: onnxruntime cannot run the model.
        MissingLibraryError: It is not installed.
    """

    def __init__(self, model: bytes | Path) -> None:
        try:
            import onnxruntime
            from onnxruntime.capi import onnxruntime_pybind11_state as binding
        except ImportError as error:
            raise MissingLibraryError(
                "Comparing with what ONNX says needs the library onnxruntime, which cannot be loaded: pip install "
                "'holdfast[onnx]'."
            ) from error
        failures = ("Fail", "InvalidArgument", "InvalidGraph", "NotImplemented", "RuntimeException")
        self._failures = tuple(getattr(binding, name) for name in failures)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # errors are raised anyway
        options.intra_op_num_threads = 1
        try:
            self._session: Any = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except self._failures as error:
            raise self._refused(error) from error
        self.inputs: list[Any] = self._session.get_inputs()

    def run(self, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        """Runs the model and returns its outputs in order.

        Raises:
            ConversionError: onnxruntime cannot run the model on these inputs.
        """
        try:
            outputs = self._session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
        except self._failures as error:
            raise self._refused(error) from error
        return [torch.from_numpy(array) for array in outputs]

    def _refused(self, error: Exception) -> ConversionError:
        return ConversionError(f"onnxruntime cannot run the model: {str(error).splitlines()[0].rstrip('.')}.")


def relative_difference(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    """The largest difference between tensors, each divided by its largest value, or by 1 if that is larger."""
    return max((_relative_difference(*pair) for pair in zip(ours, theirs, strict=True)), default=0.0)


def _relative_difference(ours: Tensor, theirs: Tensor) -> float:
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        return float("inf")
    if not ours.numel():
        return 0.0
    ours, theirs = ours.double(), theirs.double()
    distances = torch.where(ours == theirs, 0, (ours - theirs).abs())  # minus infinity is a valid score
    scale = torch.where(ours.isfinite(), ours.abs(), 0).max().clamp(min=1)
    return float(distances.max() / scale)


def difference(path: Path, network: Network) -> float:
    """Compares a network with the ONNX file from which it was read, run by onnxruntime.

    Returns:
        The largest difference on one random input, divided by the largest value, or by 1 if that is larger.

    Raises:
        ConversionError: onnxruntime cannot run the file, or the file does not say what its inputs are.
        MissingLibraryError: onnxruntime is not installed.
    """
    runtime = Runtime(path)
    generator = torch.Generator().manual_seed(0)
    sizes: dict[str, int] = {}
    inputs: dict[str, Tensor] = {}
    for value in runtime.inputs:
        if value.name not in network.inputs:
            continue  # the file has a value for it
        shape = [_size(axis, sizes) for axis in value.shape]
        if value.type == "tensor(float)":
            inputs[value.name] = torch.randn(shape, generator=generator)
        elif value.type in ("tensor(int64)", "tensor(int32)"):  # ids or lengths: 1 is valid as both
            inputs[value.name] = torch.ones(shape, dtype=torch.int64 if "64" in value.type else torch.int32)
        else:
            raise ConversionError(
                f"The input {value.name!r} is a {value.type}; expected floats or whole numbers to try."
            )
    theirs = runtime.run(inputs)
    with torch.inference_mode():
        ours = network(*(inputs[name] for name in network.inputs))
    return relative_difference(ours if isinstance(ours, tuple) else (ours,), theirs)


def _size(axis: Any, sizes: dict[str, int]) -> int:
    if isinstance(axis, int):
        return axis
    return sizes.setdefault(str(axis), _SIZES[len(sizes) % len(_SIZES)])
