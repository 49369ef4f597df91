"""The tensors of a network of other software, or of a converted model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from holdfast.errors import ShapeError
from holdfast.interop import formats
from holdfast.interop.examples import example_inputs
from holdfast.interop.network import Network
from holdfast.serve.guard import is_about_memory
from holdfast.serve.limits import Limits
from holdfast.serve.refusals import Refusal
from holdfast.serve.tensors import Array, TensorInfo, datatype_of

_SHAPES = (RuntimeError, IndexError, ValueError)
"""What torch raises for sizes that do not fit."""


class NetworkRunner:
    """A network as tensors, with the names that its file gives them.

    The datatypes and the sizes are those of random inputs that fit the network. Sizes that may differ are -1.

    Args:
        network: The network, in evaluation mode.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        first = example_inputs(network)
        second = [None if x is None else x[:2] for x in first]
        self.inputs = tuple(
            TensorInfo(name, datatype_of(x.numpy()), self._sizes(name, x)) if x is not None else self._state(name)
            for name, x in zip(network.inputs, first, strict=True)
        )
        results = [self._outputs(list(inputs)) for inputs in (first, second)]
        self.outputs = tuple(
            TensorInfo(name, datatype_of(x), _open(x.shape, y.shape))
            for name, x, y in zip(network.outputs, *results, strict=True)
        )

    @classmethod
    def of(cls, path: Path) -> NetworkRunner:
        """The runner of a file of any format that Holdfast reads.

        Raises:
            HoldfastError: It cannot be read, or does not determine its inputs.
        """
        return cls(formats.read(path))

    def run(self, inputs: Mapping[str, Array], limits: Limits) -> dict[str, Array]:
        """As :meth:`holdfast.serve.runners.Runner.run`."""
        for name, array in inputs.items():
            steps = math.prod(array.shape[: array.ndim - (array.dtype.kind == "f")])
            if steps > limits.batch_steps:
                message = f"The input {name!r} has {steps:,} steps in all; at most {limits.batch_steps:,} are computed"
                raise Refusal(413, f"{message} (batch_steps). Send fewer rows or steps at once.")
        tensors = [torch.from_numpy(inputs[name].copy()) if name in inputs else None for name in self._network.inputs]
        try:
            results = self._outputs(tensors)
        except _SHAPES as error:
            if is_about_memory(error):
                raise
            reason = str(error).partition("\n")[0]
            raise ShapeError(f"The inputs do not fit the network: {reason}") from error
        return dict(zip(self._network.outputs, results, strict=True))

    def _outputs(self, inputs: Sequence[Tensor | None]) -> list[Array]:
        with torch.inference_mode():
            given: Any = self._network(*inputs)
        return [tensor.numpy() for tensor in (given if isinstance(given, tuple) else (given,))]

    def _sizes(self, name: str, example: Tensor) -> tuple[int, ...]:
        stated = self._network.shapes.get(name)
        if stated is not None:
            return tuple(-1 if size is None else size for size in stated)
        fixed = example.ndim - 1 if example.is_floating_point() else example.ndim
        return tuple(-1 if axis < fixed else size for axis, size in enumerate(example.shape))

    def _state(self, name: str) -> TensorInfo:
        sizes = self._network.shapes.get(name, (None, None, None))
        return TensorInfo(name, "FP32", tuple(-1 if size is None else size for size in sizes), optional=True)


def _open(first: Sequence[int], second: Sequence[int]) -> tuple[int, ...]:
    """The sizes that two outputs have in common; -1 for the others, and for those of the batch and the steps."""
    return tuple(
        size if axis and axis == len(first) - 1 and size == other else -1
        for axis, (size, other) in enumerate(zip(first, second, strict=True))
    )
