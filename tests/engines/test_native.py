"""The native engine against the reference: every option, odd sizes, every instruction set that this machine has."""

from __future__ import annotations

import gc
import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import holdfast
from holdfast.cells import ACTIVATIONS, Kind, activation
from holdfast.engines import ENGINES
from holdfast.engines.native import NativeEngine
from holdfast.errors import EngineError
from holdfast.kernels import ACTIVATION_NUMBERS
from holdfast.memory import MEMORY_POLICIES
from verification import VARIANTS, converted, differentiable, make_request, verify

_native = pytest.importorskip("holdfast._native", reason="Holdfast was installed without its native kernels")

ISAS = _native.instruction_sets()
# rows, steps, inputs, units, lengths: a vector and less, a little more than one, several; one of everything
SIZES: list[tuple[int, int, int, int, list[int] | None]] = [
    (1, 1, 1, 1, None),
    (3, 5, 2, 3, [4, 0, 5]),
    (13, 3, 5, 63, None),
    (2, 3, 33, 100, [3, 1]),
]
SUPPORTED = {
    name: spec for name, spec in VARIANTS.items() if ENGINES["native"].why_not(make_request(spec[0], **spec[1])) is None
}


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each instruction set in turn, as the engine ``"native"``."""
    monkeypatch.setitem(ENGINES, "native", NativeEngine(request.param))
    return str(request.param)


@pytest.fixture
def filled_with_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is allocated for a kernel to write holds NaN, so that a value it forgets is seen."""
    for owner, name in ((torch, "empty"), (torch, "empty_like"), (Tensor, "new_empty")):
        make = getattr(owner, name)

        def filled(*args: Any, make: Any = make, **options: Any) -> Tensor:
            made: Tensor = make(*args, **options)
            return made.fill_(math.nan) if made.is_floating_point() else made

        monkeypatch.setattr(owner, name, filled)


def test_all_but_three_options_are_supported() -> None:
    refused = {
        name: ENGINES["native"].why_not(make_request(kind, **options)) for name, (kind, options) in VARIANTS.items()
    }
    assert {reason for reason in refused.values() if reason} == {
        "the kernels have no layer_norm.",
        "the kernels have no proj_size.",
        "the kernels have the GRU with reset_after=True alone.",
    }
    assert len(SUPPORTED) == 24


@pytest.mark.usefixtures("filled_with_nan")
@pytest.mark.parametrize("name", SUPPORTED)
def test_every_variant_on_every_instruction_set(isa: str, name: str) -> None:
    kind, options = SUPPORTED[name]
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
            **options,
        )
        verify("native", request)


@given(
    kind=st.sampled_from(["rnn", "lstm", "gru"]),
    sizes=st.tuples(st.integers(1, 9), st.integers(1, 6), st.integers(1, 40), st.integers(1, 70)),
    data=st.data(),
)
def test_random_combinations(kind: Kind, sizes: tuple[int, int, int, int], data: st.DataObject) -> None:
    batch, steps, inputs, units = sizes
    options: dict[str, Any] = {
        "activation": data.draw(st.sampled_from(sorted(ACTIVATIONS))),
        "bias": data.draw(st.booleans()),
        "recurrent_dropout": data.draw(st.sampled_from([0.0, 0.3])),
        "zoneout_h": data.draw(st.sampled_from([0.0, 0.2])),
    }
    if kind != "rnn":
        options["recurrent_activation"] = data.draw(
            st.sampled_from(["sigmoid", "hard_sigmoid", "hard_sigmoid_02", "tanh"])
        )
        options["recurrent_dropout_mode"] = data.draw(st.sampled_from(["state", "candidate"]))
    if kind == "lstm":
        options |= {name: data.draw(st.booleans()) for name in ("peepholes", "coupled_gates")}
        options |= {
            "zoneout_c": data.draw(st.sampled_from([0.0, 0.4])),
            "cell_clip": data.draw(st.sampled_from([None, 0.5])),
        }
    lengths = data.draw(st.none() | st.lists(st.integers(0, steps), min_size=batch, max_size=batch))
    flags = {name: data.draw(st.booleans()) for name in ("training", "reverse", "return_states")}
    request = make_request(
        kind, batch=batch, steps=steps, input_size=inputs, hidden_size=units, lengths=lengths, **flags, **options
    )
    verify("native", request)


BOUNDS = {  # the largest absolute error, as native/simd.h states it
    ("sigmoid", torch.float32): 2.0e-7,
    ("tanh", torch.float32): 2.5e-7,
    ("sigmoid", torch.float64): 4e-16,
    ("tanh", torch.float64): 5e-16,
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_as_exact_as_stated(isa: str, name: str, dtype: torch.dtype) -> None:
    near, far = (
        torch.linspace(-20, 20, 400_001, dtype=torch.float64),
        torch.logspace(-30, 4, 20_001, dtype=torch.float64),
    )
    x = torch.cat([near, far, -far, torch.zeros(1, dtype=torch.float64)]).to(dtype)
    y = torch.full_like(x, math.nan)
    kernel = _native.activate_f32 if dtype == torch.float32 else _native.activate_f64
    kernel(ACTIVATION_NUMBERS[name], x, y, isa)
    exact = activation(name)(x.double())
    error = (y.double() - exact).abs()
    relative = torch.finfo(dtype).eps * exact.abs() * 2
    assert float((error - relative).max()) <= BOUNDS.get((name, dtype), torch.finfo(dtype).eps * 2)
    limits = torch.tensor([math.inf, -math.inf, math.nan], dtype=dtype)
    found = torch.empty(3, dtype=dtype)
    kernel(ACTIVATION_NUMBERS[name], limits, found, isa)
    if name in ("sigmoid", "tanh"):
        assert found[:2].tolist() == pytest.approx(activation(name)(limits[:2]).tolist(), abs=BOUNDS[name, dtype])
    assert found[2].isnan()


def test_any_strides_and_no_copies_of_the_input(isa: str) -> None:
    request = make_request(batch=4, steps=3, input_size=6, hidden_size=5)
    x = torch.randn(6, 3, 8, dtype=torch.float64).permute(2, 1, 0)[::2]
    verify("native", replace(request, inputs=x))
    time_major = torch.randn(3, 4, 6, dtype=torch.float64).transpose(0, 1)
    verify("native", replace(request, inputs=time_major))


def test_what_stands_in_the_padding_changes_no_bit(isa: str) -> None:
    request = converted(make_request("gru", batch=3, steps=4, lengths=[2, 0, 4]), torch.float32)
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


def test_the_threads_change_rounding_alone_and_the_same_threads_not_even_that() -> None:
    layer = holdfast.LSTM(7, 33, batch_first=True, engine="native")
    x, lengths = torch.randn(9, 6, 7), [6, 1, 4, 0, 3, 6, 2, 5, 5]
    found = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 2, 5, 20):
            torch.set_num_threads(threads)
            layer.zero_grad()
            outputs = layer(x, lengths=lengths)[0]
            outputs.square().sum().backward()
            found.append([outputs.detach(), *(p.grad.clone() for p in layer.parameters() if p.grad is not None)])
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(found[1], found[2], strict=True))


def test_going_back_twice_gives_the_same_gradients(isa: str) -> None:
    request = converted(make_request(peepholes=True, lengths=[2, 5, 0]), torch.float64, requires_grad=True)
    outputs = NativeEngine(isa).run(request).outputs
    tensors = list(differentiable(request).values())
    first = torch.autograd.grad(outputs.sin().sum(), tensors, retain_graph=True)
    second = torch.autograd.grad(outputs.sin().sum(), tensors, retain_graph=True)
    third = torch.autograd.grad(outputs.sin().sum(), tensors)
    for a, b, c in zip(first, second, third, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(b, c)


def test_a_second_derivative_is_refused_with_the_way_out() -> None:
    layer = holdfast.GRU(3, 4, engine="native")
    x = torch.randn(5, 2, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(x)[0].sum(), x, create_graph=True)
    with pytest.raises(EngineError, match="The engine 'native' has no second derivative"):
        gradient.sum().backward()


def test_why_not() -> None:
    def reason(request: Any) -> str | None:
        return ENGINES["native"].why_not(request)

    assert reason(make_request()) is None
    assert reason(make_request(activation=torch.sin)) == "an activation is a callable, which the kernels cannot call."
    half = converted(make_request(), torch.bfloat16)
    assert reason(half) == "the kernels compute in float32 and float64, and the input is torch.bfloat16."
    assert all(reason(replace(make_request(), memory=memory)) is None for memory in MEMORY_POLICIES)
    with torch.autocast("cpu"):
        assert reason(make_request()) == "the kernels do not take part in autocast."
    elsewhere = replace(make_request(), inputs=torch.empty(3, 5, 2, device="meta"))
    assert reason(elsewhere) == "the kernels run on the CPU, and the input is on meta."
    empty = make_request(batch=0)
    assert reason(empty) == "there is nothing to compute in an input of shape (0, 5, 2)."


def test_auto_takes_the_native_engine_and_says_so() -> None:
    layer = holdfast.LSTM(3, 4, 2, batch_first=True)
    told = holdfast.explain(layer, torch.zeros(2, 5, 3))
    assert told.engine == "native"
    assert told.choices[0].reasons == {"reference": "native comes first."}
    normed = holdfast.explain(holdfast.LSTM(3, 4, layer_norm=True), torch.zeros(2, 5, 3))
    assert normed.choices[0].reasons == {"native": "the kernels have no layer_norm."}
    assert normed.engine == "reference"


def test_an_instruction_set_that_is_not_here_is_named() -> None:
    with pytest.raises(RuntimeError, match="There are no kernels for 'sse9'; this processor can run: "):
        NativeEngine("sse9").run(make_request())


def test_ten_thousand_calls_leak_nothing() -> None:
    resource = pytest.importorskip("resource", reason="only POSIX tells a process's memory")
    layer = holdfast.LSTM(8, 16, batch_first=True, engine="native")
    x = torch.randn(2, 4, 8)

    def calls(count: int) -> int:
        for _ in range(count):
            layer(x)[0].sum().backward()
        gc.collect()
        return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    before = calls(500)
    assert calls(10_000) - before < 4096  # kilobytes: one leaked array of gates a call would be ten times that
