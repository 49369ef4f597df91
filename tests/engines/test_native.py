"""The native engine against the reference: every option, odd sizes, every instruction set that this machine has."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.engines.native_runs import NAMES, fitting
from torch import Tensor

import holdfast
from holdfast.cells import Kind
from holdfast.engines import ENGINES
from holdfast.engines.memory import Memory
from holdfast.engines.native import NativeEngine
from variants import VARIANTS
from verification import (
    converted,
    differentiable,
    filled_with_nan,
    make_request,
    results_and_gradients,
    tolerance,
    verify,
    verify_each,
)

pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")

# rows, steps, inputs, units, lengths: a vector and less, a little more than one, several; one of everything
SIZES: list[tuple[int, int, int, int, list[int] | None]] = [
    (1, 1, 1, 1, None),
    (3, 5, 2, 3, [4, 0, 5]),
    (13, 3, 5, 63, None),
    (2, 3, 33, 100, [3, 1]),
]
LAYOUTS: list[Callable[[Tensor], Tensor]] = [
    Tensor.contiguous,
    lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),  # time first
    lambda x: x.permute(2, 1, 0).contiguous().permute(2, 1, 0),  # values with a stride
    lambda x: x.repeat_interleave(2, 0)[::2],  # every other row
]


@pytest.mark.usefixtures("nan_filled")
@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_on_every_instruction_set(each_isa: dict[str, NativeEngine], name: str) -> None:
    kind, options = VARIANTS[name]
    modes = itertools.product((False, True), (False, True), (torch.float64, torch.float32))
    for (batch, steps, inputs, units, lengths), (training, reverse, dtype) in itertools.product(SIZES, modes):
        request = make_request(
            kind,
            batch=batch,
            steps=steps,
            input_size=inputs,
            hidden_size=units,
            lengths=lengths,
            training=training,
            reverse=reverse,
            return_states=training,
            dtype=dtype,
            **fitting(options, units),
        )
        verify_each(each_isa, request)


@pytest.mark.usefixtures("nan_filled")
@pytest.mark.parametrize("gate_clip", [None, 0.6])
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("name", NAMES)
def test_every_activation(each_isa: dict[str, NativeEngine], name: str, kind: Kind, gate_clip: float | None) -> None:
    """In every place at once, over few steps: what grows without bound would soon be infinite."""
    places, steps = {"rnn": 1, "gru": 2, "lstm": 3}[kind], 1 if name == "exponential" else 2
    options = dict.fromkeys(("activation", "recurrent_activation", "output_activation")[:places], name)
    for dtype, units in itertools.product((torch.float64, torch.float32), (3, 20)):
        request = make_request(
            kind, batch=5, steps=steps, hidden_size=units, gate_clip=gate_clip, dtype=dtype, **options
        )
        verify_each(each_isa, request)


@given(
    kind=st.sampled_from(["rnn", "lstm", "gru"]),
    sizes=st.tuples(st.integers(1, 9), st.integers(1, 6), st.integers(1, 40), st.integers(1, 70)),
    data=st.data(),
)
def test_random_combinations(kind: Kind, sizes: tuple[int, int, int, int], data: st.DataObject) -> None:
    batch, steps, inputs, units = sizes
    options: dict[str, Any] = {
        "activation": data.draw(st.sampled_from(sorted({*NAMES} - {"exponential"}))),  # it grows without bound
        "gate_clip": data.draw(st.sampled_from([None, 0.5])),
        "bias": data.draw(st.booleans()),
        "recurrent_dropout": data.draw(st.sampled_from([0.0, 0.3])),
        "zoneout_h": data.draw(st.sampled_from([0.0, 0.2])),
        "layer_norm": data.draw(st.booleans()),
    }
    if kind != "rnn":
        options["recurrent_activation"] = data.draw(
            st.sampled_from(["sigmoid", "hard_sigmoid(0.3, 0.4)", "hard_sigmoid_02", "tanh", "scaled_tanh(0.8, 0.6)"])
        )
        options["recurrent_dropout_mode"] = data.draw(st.sampled_from(["state", "gates", "candidate"]))
    if kind == "lstm":
        options |= {name: data.draw(st.booleans()) for name in ("peepholes", "coupled_gates")}
        options |= {
            "zoneout_c": data.draw(st.sampled_from([0.0, 0.4])),
            "cell_clip": data.draw(st.sampled_from([None, 0.5])),
            "output_activation": data.draw(st.sampled_from([None, "tanh", "relu", "elu(0.3)"])),
        }
        if data.draw(st.booleans()) and units > 1:
            options["proj_size"] = data.draw(st.integers(1, units - 1))
            options["proj_clip"] = data.draw(st.sampled_from([None, 0.3]))
    if kind == "gru":
        options["reset_after"] = data.draw(st.booleans())
    lengths = data.draw(st.none() | st.lists(st.integers(0, steps), min_size=batch, max_size=batch))
    flags = {name: data.draw(st.booleans()) for name in ("training", "reverse", "return_states")}
    request = make_request(
        kind, batch=batch, steps=steps, input_size=inputs, hidden_size=units, lengths=lengths, **flags, **options
    )
    memory: Memory = data.draw(st.sampled_from(["keep", "recompute"]))
    inputs_as = data.draw(st.sampled_from(LAYOUTS))
    request = replace(request, memory=memory, segment=data.draw(st.none() | st.integers(1, 7)))
    with filled_with_nan():
        verify("native", replace(request, inputs=inputs_as(request.inputs)))


@pytest.mark.usefixtures("nan_filled")
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize(
    ("batch", "steps", "inputs", "units"),
    [(1, 3, 1, 20), (2, 1, 1, 100), (1, 2, 3, 1000), (2, 2, 1000, 1), (40, 2, 1, 2)],
)
def test_odd_sizes(kind: Kind, batch: int, steps: int, inputs: int, units: int) -> None:
    request = make_request(kind, batch=batch, steps=steps, input_size=inputs, hidden_size=units, dtype=torch.float32)
    verify("native", request)


@pytest.mark.usefixtures("nan_filled")
@pytest.mark.parametrize("batch", [2, 5, 20])
@pytest.mark.parametrize(
    ("name", "inputs", "units"),
    [("rnn", 900, 1000), ("lstm", 400, 500), ("lstm dropout of the gates", 400, 500), ("gru", 500, 600)],
)
def test_weights_that_leave_the_cache(isa: str, name: str, batch: int, inputs: int, units: int) -> None:
    """These products have tiles of other sizes and request the next weights in advance."""
    kind, options = VARIANTS[name]
    request = make_request(
        kind,
        batch=batch,
        steps=2,
        input_size=inputs,
        hidden_size=units,
        training=True,
        dtype=torch.float32,
        **options,
    )
    verify("native", request)


def test_twenty_thousand_steps() -> None:
    request = make_request("gru", batch=2, steps=20_000, lengths=[20_000, 12_345], input_size=1, hidden_size=3)
    cotangents = {"outputs": torch.randn(2, 20_000, 3, dtype=torch.float64)}
    expected = results_and_gradients(ENGINES["reference"], request, cotangents)
    for memory in ("keep", "recompute"):
        got = results_and_gradients(ENGINES["native"], replace(request, memory=memory), cotangents)
        for name, value in expected.items():
            assert value is not None
            assert got[name] is not None
            difference = float((got[name] - value).abs().max() / value.abs().max().clamp(min=1))
            assert difference <= tolerance(request, name), name


@pytest.mark.parametrize("name", ["gru", "gru reset before, layer norm", "lstm everything"])
def test_what_stands_in_the_padding_changes_no_bit(isa: str, name: str) -> None:
    kind, options = VARIANTS[name]
    request = converted(make_request(kind, batch=3, steps=4, lengths=[2, 0, 4], **options), torch.float32)
    spoilt = request.inputs.clone()
    spoilt[0, 2:], spoilt[1] = math.nan, math.inf
    for other in (request, replace(request, inputs=spoilt)):
        assert torch.equal(NativeEngine(isa).run(other).outputs, NativeEngine(isa).run(request).outputs)
    gradients = []
    for inputs in (request.inputs, spoilt):
        leaf = converted(replace(request, inputs=inputs), torch.float32, requires_grad=True)
        NativeEngine(isa).run(leaf).outputs.sum().backward()
        gradients.append([tensor.grad for tensor in differentiable(leaf).values()])
    for a, b in zip(*gradients, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("lstm", {"peepholes": True}),
        ("lstm", {"layer_norm": True, "proj_size": 2}),
        ("gru", {"layer_norm": True, "reset_after": False}),
    ],
)
def test_going_back_twice_gives_the_same_gradients(isa: str, kind: Kind, options: dict[str, Any]) -> None:
    request = converted(make_request(kind, lengths=[2, 5, 0], **options), torch.float64, requires_grad=True)
    outputs = NativeEngine(isa).run(request).outputs
    tensors = list(differentiable(request).values())
    first = torch.autograd.grad(outputs.sin().sum(), tensors, retain_graph=True)
    second = torch.autograd.grad(outputs.sin().sum(), tensors, retain_graph=True)
    third = torch.autograd.grad(outputs.sin().sum(), tensors)
    for a, b, c in zip(first, second, third, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(b, c)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_a_second_derivative_is_that_of_the_reference(kind: str) -> None:
    layer = getattr(holdfast, kind)(3, 4, engine="native").double()
    x = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)
    found = []
    for engine in ("native", "reference"):
        layer.engine = engine
        (gradient,) = torch.autograd.grad(layer(x)[0].square().sum(), x, create_graph=True)
        found.append([gradient, *torch.autograd.grad(gradient.square().sum(), [x, *layer.parameters()])])
    for actual, expected in zip(*found, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("hidden", [5, 20, 33, 700])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_a_row_has_the_same_bits_alone_and_in_any_batch(isa: str, kind: str, hidden: int) -> None:
    """Tiles of one row and of several, units of one row and of two side by side, with and without gradients.

    With 700 units, the weights of an LSTM and a GRU leave the cache.
    """
    layer = getattr(holdfast, kind)(3, hidden, engine="native", batch_first=True)
    x = torch.randn(13, 4, 3)
    whole = layer(x)[0]
    with torch.no_grad():
        assert torch.equal(layer(x)[0], whole)
        for rows in (1, 2, 3, 7):
            assert torch.equal(layer(x[:rows])[0], whole[:rows])
