"""The gates of a stream: from the states before and after its steps, by the equations of the cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from holdfast.cells import NAMES, BoundCell
from holdfast.cells.parameter_names import layer_suffix
from holdfast.inspect.layer_recording import LayerRecording
from holdfast.inspect.observation import STATES, gate_name, layer_key
from holdfast.runtime.network import Array, StreamNetwork
from holdfast.runtime.stream_state import StreamState


def recorded_values(network: StreamNetwork) -> int:
    """The values of all gates and states of one step."""
    return sum(
        sum(spec.state_sizes.values()) + len(_gate_letters(spec.kind)) * spec.hidden_size for spec in network.specs
    )


def record_steps(network: StreamNetwork, x: Array, states: Sequence[Any]) -> dict[str, LayerRecording]:
    """What the layers of a stream computed in some steps of one row.

    The states are those of the stream, to the bit. The gates follow from the states before each step by the reference's
    equations, all steps at once.

    Args:
        network: What the stream computes.
        x: [T, I], the steps as the stream read them.
        states: The state before the first step and after each, T + 1 of them, as
            :meth:`holdfast.runtime.Stream.state_of` returns them for one row.

    Returns:
        A recording with B = 1 for each layer, by name: ``"l0"``, ``"l1"``, ...

    Example:
        >>> stream = holdfast.Stream(holdfast.LSTM(3, 4))  # doctest: +SKIP
        >>> before = runtime.Stream.state_of(stream, [0])  # doctest: +SKIP
        >>> stream.step(x)  # doctest: +SKIP
        >>> after = runtime.Stream.state_of(stream, [0])  # doctest: +SKIP
        >>> record_steps(stream.network, x, [before, after])["l0"].gates["forget"]  # doctest: +SKIP
    """
    parts = _parts(network, states)
    value = torch.from_numpy(np.array(x if network.scaling is None else network.scaling.apply(x), network.dtype))
    if network.input:
        value = F.linear(value, **_tensors(network.input))
    recordings = {}
    layers = zip(network.specs, network.parameters, network.residual, strict=True)
    for number, (spec, parameters, residual) in enumerate(layers):
        suffix = layer_suffix(number)
        of_layer = {letter: parts[letter + suffix] for letter in spec.state_sizes}  # [T + 1, size] each
        cell = BoundCell(spec, _tensors(parameters))
        before = tuple(part[:-1] for part in of_layer.values())
        with torch.no_grad():
            gates = cell.gates(cell.prepare(value), before)
        after = {STATES[letter]: part[None, 1:] for letter, part in of_layer.items()}
        recordings[layer_key("", suffix)] = LayerRecording(
            cell=NAMES[spec.kind],
            gates={gate_name(letter): gate[None] for letter, gate in gates.items()},
            states=after,
            output=after["hidden"],
            initial={STATES[letter]: part[None, 0] for letter, part in of_layer.items()},
            inputs=value[None],
        )
        value = value + after["hidden"][0] if residual else after["hidden"][0]
    return recordings


def _gate_letters(kind: str) -> str:
    """The gates and the candidate that a recording has, also with coupled gates."""
    return {"rnn": "h", "gru": "rzn", "lstm": "ifgo"}[kind]


def _parts(network: StreamNetwork, states: Sequence[Any]) -> Mapping[str, Tensor]:
    """The parts of the states by names such as ``"h_l0"``, [T + 1, size] each."""
    one, by_step = StreamState(network, 1), []
    for state in states:
        one.set(state)
        by_step.append(one.arrays())
    return {name: torch.from_numpy(np.concatenate([arrays[name] for arrays in by_step])) for name in by_step[0]}


def _tensors(arrays: Mapping[str, Array]) -> dict[str, Tensor]:
    return {name: torch.tensor(array) for name, array in arrays.items()}
