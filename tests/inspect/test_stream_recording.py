"""The gates of a stream beside those that a recording of the whole sequence has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.layers.stream_models import made

import holdfast
from holdfast import runtime
from holdfast.inspect import record
from holdfast.inspect.stream_recording import record_steps, recorded_values
from variants import VARIANTS

STEPS, INPUTS, UNITS = 6, 3, 4
CLOSE = 1e-5
STACKS: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "three sizes": ("gru", [5, 3, 4], {}),
    "residual": ("lstm", 4, {"num_layers": 3, "residual": True}),
    "residual, projection": ("lstm", 5, {"num_layers": 2, "residual": True, "proj_size": 3}),
}
CASES = {name: (kind, UNITS, options) for name, (kind, options) in VARIANTS.items()} | STACKS


def states_of(stream: Any, x: np.ndarray) -> list[Any]:
    """The state before the first step and after each."""
    states = [runtime.Stream.state_of(stream, [0])]
    for step in x:
        stream.step(step)
        states.append(runtime.Stream.state_of(stream, [0]))
    return states


@pytest.mark.parametrize("name", CASES)
def test_every_cell_and_stack(name: str) -> None:
    kind, sizes, options = CASES[name]
    layer = made(kind, INPUTS, sizes, torch.float32, **options)
    x = np.random.default_rng(1).normal(size=(STEPS, INPUTS)).astype(np.float32)
    stream = holdfast.Stream(layer)
    found = record_steps(stream.network, x, states_of(stream, x))
    expected = record(layer, torch.from_numpy(x)[None]).layers
    assert list(found) == list(expected)
    for key, layer_found in found.items():
        for kind_of_part in ("gates", "states"):
            parts, whole = getattr(layer_found, kind_of_part), getattr(expected[key], kind_of_part)
            assert list(parts) == list(whole)
            for part, values in parts.items():
                torch.testing.assert_close(values, whole[part], rtol=CLOSE, atol=CLOSE)
        torch.testing.assert_close(layer_found.inputs, expected[key].inputs, rtol=CLOSE, atol=CLOSE)
    parts_of_a_step = sum(
        values.shape[-1] for each in found.values() for values in (*each.gates.values(), *each.states.values())
    )
    assert recorded_values(stream.network) == parts_of_a_step


def test_the_states_are_those_of_the_stream_to_the_bit() -> None:
    stream = holdfast.Stream(made("lstm", INPUTS, UNITS, torch.float32))
    x = np.random.default_rng(2).normal(size=(STEPS, INPUTS)).astype(np.float32)
    states = states_of(stream, x)
    recording = record_steps(stream.network, x, states)["l0"]
    for letter, name in enumerate(("hidden", "cell")):
        expected = np.stack([state[letter][0, 0] for state in states])
        np.testing.assert_array_equal(recording.states[name][0].numpy(), expected[1:])
        np.testing.assert_array_equal(recording.initial[name][0].numpy(), expected[0])
