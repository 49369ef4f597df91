"""A stream beside the layer or cell it was made of: the same numbers, step by step and in chunks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.layers.stream_models import LAYERS, STEPS, made
from torch import Tensor

import holdfast
from holdfast.errors import OptionError
from variants import VARIANTS

CELLS = {"lstm": holdfast.LSTMCell, "gru": holdfast.GRUCell, "rnn": holdfast.RNNCell}


def check_like_layer(layer: Any, stream: Any, batch: int) -> None:
    """Outputs and states of the stream, by single steps and by chunks of 3, beside the layer's over all steps."""
    dtype = next(layer.parameters()).dtype
    x = torch.randn(batch, STEPS, layer.input_size, dtype=dtype)
    with torch.no_grad():
        expected, state = layer(x)
    terms = STEPS * layer.num_layers * (layer.input_size + max(spec.hidden_size for spec in layer.specs))
    close = {"rtol": 0.0, "atol": 8 * torch.finfo(dtype).eps * terms}
    by_step = torch.stack([stream.step(x[:, t]) for t in range(STEPS)], 1)
    torch.testing.assert_close(by_step, expected, **close)
    torch.testing.assert_close(stream.state, state, **close)
    stream.reset()
    by_chunk = torch.cat([stream.run(part) for part in x.split(3, 1)], 1)
    torch.testing.assert_close(by_chunk, expected, **close)
    torch.testing.assert_close(stream.state, state, **close)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_the_layer_in_evaluation(name: str, dtype: torch.dtype) -> None:
    kind, options = VARIANTS[name]
    layer = made(kind, 3, 5, dtype, num_layers=2, dropout=0.5, weight_dropout=0.3, **options)
    stream = holdfast.Stream(layer.train(), batch=3)
    assert stream.engine == ("native" if stream.why_not_native() is None else "reference")
    check_like_layer(layer.eval(), stream, 3)


@pytest.mark.parametrize("engine", ["auto", "reference"])
@pytest.mark.parametrize("batch", [1, 3, 17])
@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(
    ("inputs", "units", "options"),
    [(1, 1, {}), (5, [33, 8, 20], {}), (8, 8, {"num_layers": 3, "residual": True}), (3, 63, {"bias": False})],
    ids=["one", "unequal", "residual", "63"],
)
def test_every_way_of_stacking(kind: str, batch: int, inputs: int, units: Any, options: Any, engine: str) -> None:
    layer = made(kind, inputs, units, **options)
    check_like_layer(layer, holdfast.Stream(layer, batch, engine=engine), batch)


def test_work_that_is_large_enough_for_threads() -> None:
    layer = made("lstm", 100, 200, torch.float32)
    check_like_layer(layer, holdfast.Stream(layer, 64), 64)


@pytest.mark.parametrize("kind", CELLS)
def test_a_cell(kind: str) -> None:
    cell = CELLS[kind](3, 5, dtype=torch.float64)
    stream, state = holdfast.Stream(cell, 2), None
    for x in torch.randn(STEPS, 2, 3, dtype=torch.float64):
        state = cell(x, state)
        torch.testing.assert_close(stream.step(x), (state[0] if kind == "lstm" else state).detach())


def test_a_callable_activation_is_left_to_the_reference() -> None:
    layer = made("rnn", 3, 5, activation=torch.sin)
    stream = holdfast.Stream(layer)
    assert stream.engine == "reference"
    assert stream.why_not_native() is not None
    check_like_layer(layer, stream, 1)
    with pytest.raises(OptionError, match=r"An activation is a callable, which no file can hold: use one that has a"):
        stream.export("x")


def test_what_goes_in_comes_out() -> None:
    layer = made("gru", 3, 5)
    stream, again = holdfast.Stream(layer), holdfast.Stream(layer)
    x = torch.randn(STEPS, 3, dtype=torch.float64)
    for row in x:
        whole, alone = stream.step(row[None]), again.step(row.numpy())
        assert whole.shape == (1, 5)
        assert isinstance(alone, np.ndarray)
        assert alone.shape == (5,)
        assert np.array_equal(whole[0].numpy(), alone)
    stream.reset()
    again.reset()
    run = stream.run(x)
    assert isinstance(run, Tensor)
    assert run.shape == (STEPS, 5)
    assert np.array_equal(run.numpy(), again.run(x[None].numpy())[0])
    assert stream.run(x[:0]).shape == (0, 5)
    assert torch.equal(stream.state, again.state)


def test_inputs_of_any_strides_and_with_gradients() -> None:
    stream = holdfast.Stream(made("lstm", 4, 5), 2)
    x = torch.randn(STEPS, 4, 2, dtype=torch.float64, requires_grad=True)
    turned = x.detach().permute(2, 0, 1)
    expected = stream.run(turned.contiguous())
    stream.reset()
    assert torch.equal(stream.run(x.permute(2, 0, 1)), expected)
    stream.reset()
    steps = [stream.step(turned[:, t].numpy()) for t in range(STEPS)]
    assert np.array_equal(np.stack(steps, 1), expected.numpy())
    fixed = turned[:, 0].numpy().copy()
    fixed.flags.writeable = False
    stream.reset()
    assert np.array_equal(stream.step(fixed), expected[:, 0].numpy())


def test_outputs_and_states_are_the_callers() -> None:
    stream = holdfast.Stream(made("lstm", 3, 5))
    x = torch.randn(3, dtype=torch.float64)
    first = stream.step(x)
    kept, (h, c) = first.clone(), stream.state
    stream.step(x)
    assert torch.equal(first, kept)
    h.zero_(), c.zero_()
    assert all(bool(part.any()) for part in stream.state)


def test_weights_are_copied() -> None:
    layer = made("lstm", 3, 5)
    stream, x = holdfast.Stream(layer), torch.randn(3, dtype=torch.float64)
    before, fingerprint = stream.step(x), stream.network.fingerprint
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
    stream.reset()
    assert torch.equal(stream.step(x), before)
    assert holdfast.Stream(layer).network.fingerprint != fingerprint


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc to read the memory from")
def test_memory_does_not_grow() -> None:
    stream = holdfast.Stream(holdfast.LSTM(28, 64, num_layers=2), 2)
    x, chunk = np.ones((2, 28), np.float32), np.ones((2, 5, 28), np.float32)
    tensor = torch.ones(2, 28)

    def steps(count: int) -> None:
        for k in range(count):
            stream.step(x)
            stream.step(tensor)
            if k % 10 == 0:
                stream.run(chunk)
                stream.state = stream.state
                stream.reset([1])

    steps(500)
    before = resident()
    steps(10_000)
    assert resident() - before < 2**20
