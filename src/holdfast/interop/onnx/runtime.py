"""onnxruntime, which what is read and written is held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from holdfast.errors import ConversionError, MissingLibraryError
from holdfast.interop.network import Network

_SIZES = (2, 5, 3, 4)
"""For the dimensions that a model leaves open, in the order in which it names them."""


class Runtime:
    """An ONNX model as onnxruntime computes it, on the CPU and in one thread.

    Attributes:
        inputs: The inputs as onnxruntime describes them: ``name``, ``type`` and ``shape``.

    Raises:
        ConversionError: onnxruntime cannot run the model.
        MissingLibraryError: It is not installed.
    """

    def __init__(self, model: bytes | Path) -> None:
        try:
            import onnxruntime
            from onnxruntime.capi import onnxruntime_pybind11_state as known
        except ImportError as error:
            raise MissingLibraryError(
                "Comparing with what ONNX says needs the library onnxruntime, which cannot be loaded: pip install "
                "'holdfast[onnx]'."
            ) from error
        self._failures = (
            known.Fail,
            known.InvalidArgument,
            known.InvalidGraph,
            known.NotImplemented,
            known.RuntimeException,
        )
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is raised as well
        options.intra_op_num_threads = 1
        try:
            self._session: Any = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except self._failures as error:
            raise self._refused(error) from error
        self.inputs: list[Any] = self._session.get_inputs()

    def run(self, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        """The outputs, in their order.

        Raises:
            ConversionError: onnxruntime cannot run the model on these inputs.
        """
        try:
            found = self._session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
        except self._failures as error:
            raise self._refused(error) from error
        return [torch.from_numpy(array) for array in found]

    def _refused(self, error: Exception) -> ConversionError:
        return ConversionError(f"onnxruntime cannot run the model: {str(error).splitlines()[0].rstrip('.')}.")


def apart(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    """The largest difference between some tensors, in parts of the largest value of each (of 1 at least)."""
    return max((_apart(one, other) for one, other in zip(ours, theirs, strict=True)), default=0.0)


def _apart(ours: Tensor, theirs: Tensor) -> float:
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        return float("inf")
    if not ours.numel():
        return 0.0
    ours, theirs = ours.double(), theirs.double()
    distances = torch.where(ours == theirs, 0, (ours - theirs).abs())  # minus infinity is a score, too
    scale = torch.where(ours.isfinite(), ours.abs(), 0).max().clamp(min=1)
    return float(distances.max() / scale)


def difference(path: Path, network: Network) -> float:
    """The largest difference between a network and what onnxruntime makes of the file it was read from.

    Args:
        path: The ONNX file.
        network: What was read from it.

    Returns:
        The difference on one random input, in parts of the largest value (of 1 at least).

    Raises:
        ConversionError: onnxruntime cannot run the file, or the file does not say what its inputs are.
        MissingLibraryError: onnxruntime is not installed.
    """
    runtime = Runtime(path)
    generator = torch.Generator().manual_seed(0)
    sizes: dict[str, int] = {}
    given: dict[str, Tensor] = {}
    for one in runtime.inputs:
        if one.name not in network.inputs:
            continue  # the file has a value for it
        shape = [_size(axis, sizes) for axis in one.shape]
        if one.type == "tensor(float)":
            given[one.name] = torch.randn(shape, generator=generator)
        elif one.type in ("tensor(int64)", "tensor(int32)"):  # ids or lengths: one is both
            given[one.name] = torch.ones(shape, dtype=torch.int64 if "64" in one.type else torch.int32)
        else:
            raise ConversionError(f"The input {one.name!r} is a {one.type}; expected floats or whole numbers to try.")
    theirs = runtime.run(given)
    with torch.inference_mode():
        ours = network(*(given[name] for name in network.inputs))
    return apart(ours if isinstance(ours, tuple) else (ours,), theirs)


def _size(axis: Any, sizes: dict[str, int]) -> int:
    if isinstance(axis, int):
        return axis
    return sizes.setdefault(str(axis), _SIZES[len(sizes) % len(_SIZES)])
