"""What computes the tensors of Open Inference Protocol v2; here for streams, without torch."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from holdfast.runtime.network import StreamNetwork
from holdfast.runtime.steps import MISSING
from holdfast.runtime.stream import Stream
from holdfast.serve.limits import Limits
from holdfast.serve.refusals import Refusal
from holdfast.serve.tensors import DATATYPES, Array, TensorInfo

_MOST_KEPT, _MOST_KEPT_ROWS = 4, 64


class Runner(Protocol):
    """Computes output tensors from input tensors. Several threads may use one at the same time."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]

    def run(self, inputs: Mapping[str, Array], limits: Limits) -> dict[str, Array]:
        """The outputs.

        Args:
            inputs: By name, of the datatypes and shapes of :attr:`inputs`.
            limits: What a request may take.

        Raises:
            Refusal: 413 where the computation would take more than a limit.
            HoldfastError: The values do not fit the model.
        """


class StreamRunner:
    """A network that streams: ``input`` [B, T, I] to ``output`` [B, T, O], each row from a state of zeros.

    Args:
        network: The network.
    """

    def __init__(self, network: StreamNetwork) -> None:
        self._network, self._lock = network, threading.Lock()
        self._idle: list[Stream] = []  # the weights of a stream are packed when it is made, so a few are kept
        self._state_size = sum(sum(spec.state_sizes.values()) for spec in network.specs)
        datatype = next(name for name, dtype in DATATYPES.items() if dtype == network.dtype)
        self.inputs: tuple[TensorInfo, ...] = (TensorInfo("input", datatype, (-1, -1, network.input_size)),)
        self.outputs: tuple[TensorInfo, ...] = (
            TensorInfo("output", datatype, (-1, -1, network.output_size), labels=tuple(network.labels)),
        )

    def run(self, inputs: Mapping[str, Array], limits: Limits) -> dict[str, Array]:
        """As :meth:`Runner.run`."""
        x = inputs["input"]
        values = len(x) * max(self._state_size, x.shape[1] * self._network.output_size)
        if values > limits.tensor_values:
            raise Refusal(
                413,
                f"The output or the state would have {values:,} values; at most {limits.tensor_values:,} are computed "
                "(tensor_values). Send fewer rows or steps at once.",
            )
        if not x.size:
            return {"output": np.zeros((*x.shape[:2], self._network.output_size), x.dtype)}
        with self._lock:
            place = next((k for k, stream in enumerate(self._idle) if stream.batch == len(x)), None)
            stream = None if place is None else self._idle.pop(place)
        stream = stream or make_stream(self._network, len(x))
        output = stream.run(x)
        stream.reset()
        if len(x) <= _MOST_KEPT_ROWS:
            with self._lock:
                self._idle = [*self._idle[1 - _MOST_KEPT :], stream]
        return {"output": output}


def make_stream(network: StreamNetwork, batch: int) -> Stream:
    """A stream; without torch where the kernels can compute it.

    Raises:
        OptionError: ``batch`` is not a number of sequences.
    """
    if not (MISSING or network.why_not_native()):
        return Stream(network, batch)
    from holdfast.layers.stream import Stream as ReferenceStream

    return ReferenceStream(network, batch)
