"""What computes the tensors of Open Inference Protocol v2; here for streams, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from holdfast.runtime.network import StreamNetwork
from holdfast.runtime.steps import MISSING
from holdfast.runtime.stream import Stream
from holdfast.serve.tensors import DATATYPES, Array, TensorInfo


class Runner(Protocol):
    """Computes output tensors from input tensors. Several threads may use one at the same time."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs.

        Args:
            inputs: By name, of the datatypes and shapes of :attr:`inputs`.

        Raises:
            HoldfastError: The values do not fit the model.
        """


class StreamRunner:
    """A network that streams: ``input`` [B, T, I] to ``output`` [B, T, O], each row from a state of zeros.

    Args:
        network: The network.
    """

    def __init__(self, network: StreamNetwork) -> None:
        self._network = network
        datatype = next(name for name, dtype in DATATYPES.items() if dtype == network.dtype)
        self.inputs: tuple[TensorInfo, ...] = (TensorInfo("input", datatype, (-1, -1, network.input_size)),)
        self.outputs: tuple[TensorInfo, ...] = (
            TensorInfo("output", datatype, (-1, -1, network.output_size), labels=tuple(network.labels)),
        )

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """As :meth:`Runner.run`."""
        x = inputs["input"]
        if not x.size:
            return {"output": np.zeros((*x.shape[:2], self._network.output_size), x.dtype)}
        return {"output": make_stream(self._network, len(x)).run(x)}


def make_stream(network: StreamNetwork, batch: int) -> Stream:
    """A stream; without torch where the kernels can compute it.

    Raises:
        OptionError: ``batch`` is not a number of sequences.
    """
    if not (MISSING or network.why_not_native()):
        return Stream(network, batch)
    from holdfast.layers.stream import Stream as ReferenceStream

    return ReferenceStream(network, batch)
