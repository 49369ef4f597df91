"""The native engine against the reference: every option, odd sizes, every instruction set that this machine has."""

from __future__ import annotations

import gc
import itertools
import math
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import holdfast
from holdfast.cells import ACTIVATIONS, Kind, activation
from holdfast.engines import ENGINES, Request
from holdfast.engines.memory import MEMORY_POLICIES, Memory
from holdfast.engines.native import NativeEngine
from holdfast.runtime.kernels import function
from variants import PARAMETRISED, VARIANTS
from verification import (
    converted,
    differentiable,
    filled_with_nan,
    make_request,
    results_and_gradients,
    tolerance,
    verify,
)

_native = pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")

# Those whose kernels for float32 and float64 are not another's: test_bfloat16.py has all.
ISAS = [isa for isa in _native.instruction_sets() if isa != "avx512_bf16"]
# The activations that the kernels have.
NAMES = [name for name in (*ACTIVATIONS, *PARAMETRISED) if function(name)]
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


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each instruction set in turn, as the engine ``"native"``."""
    monkeypatch.setitem(ENGINES, "native", NativeEngine(request.param))
    return str(request.param)


@pytest.fixture
def nan_filled() -> Iterator[None]:
    """Every allocation of the test holds NaN."""
    with filled_with_nan():
        yield


@pytest.mark.usefixtures("nan_filled")
@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_on_every_instruction_set(isa: str, name: str) -> None:
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
        verify("native", request)


def fitting(options: dict[str, Any], units: int) -> dict[str, Any]:
    """The options for a layer of so many units: its projection is smaller, and more than a vector where it can be."""
    if "proj_size" not in options:
        return options
    projected = {**options, "proj_size": units * 2 // 3}
    return projected if projected["proj_size"] else {**projected, "proj_clip": None}


@pytest.mark.usefixtures("nan_filled")
@pytest.mark.parametrize("gate_clip", [None, 0.6])
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("name", NAMES)
def test_every_activation(isa: str, name: str, kind: Kind, gate_clip: float | None) -> None:
    """In every place at once, over few steps: what grows without bound would soon be infinite."""
    places, steps = {"rnn": 1, "gru": 2, "lstm": 3}[kind], 1 if name == "exponential" else 2
    options = dict.fromkeys(("activation", "recurrent_activation", "output_activation")[:places], name)
    for dtype, units in itertools.product((torch.float64, torch.float32), (3, 20)):
        request = make_request(
            kind, batch=5, steps=steps, hidden_size=units, gate_clip=gate_clip, dtype=dtype, **options
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


BOUNDS = {  # the largest absolute error and the largest relative one, as native/simd.h states them
    ("sigmoid", torch.float32): (1e-7, 3.6e-7),
    ("sigmoid", torch.float64): (2.5e-16, 5.5e-16),
    ("tanh", torch.float32): (1e-7, 1.9e-7),
    ("tanh", torch.float64): (2.5e-16, 5.2e-16),
}


def of_every_size(dtype: torch.dtype) -> Tensor:
    """Values over the whole range of a dtype, evenly among its bit patterns: denormals, infinities and NaN too."""
    bits, whole = (32, torch.int32) if dtype == torch.float32 else (64, torch.int64)
    patterns = torch.arange(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, (2**bits - 1) // 2_000_003, dtype=whole)
    limits = torch.tensor([0.0, -0.0, math.inf, -math.inf, math.nan], dtype=dtype)
    largest, tiny = torch.finfo(dtype).max, torch.finfo(dtype).smallest_normal
    ends = torch.tensor([largest, -largest, tiny, -tiny, tiny / 2, -tiny / 2], dtype=dtype)
    return torch.cat([patterns.view(dtype), torch.linspace(-20, 20, 400_001, dtype=dtype), limits, ends])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NAMES)
def test_activations_are_as_exact_as_stated(isa: str, name: str, dtype: torch.dtype) -> None:
    x = of_every_size(dtype)
    y = torch.full_like(x, -7.0)  # the value of none of them
    kernel = _native.activate_f32 if dtype == torch.float32 else _native.activate_f64
    number = function(name)
    assert number is not None
    kernel(*number, x, y, isa)
    exact = activation(name)(x.double())
    assert torch.equal(y.isnan(), exact.to(dtype).isnan())
    finite = exact.to(dtype).isfinite()
    assert torch.equal(y[~finite & ~y.isnan()], exact.to(dtype)[~finite & ~y.isnan()])  # infinities
    error, size = (y.double() - exact).abs()[finite], exact.abs()[finite]
    eps, tiny = torch.finfo(dtype).eps, torch.finfo(dtype).smallest_normal
    if (name, dtype) in BOUNDS:
        absolute, relative = BOUNDS[name, dtype]
        gone = tiny / 4 if name == "sigmoid" else 0.0  # where exp(-x) overflows, this is 0; so is torch.sigmoid
        assert float(error.max()) <= absolute
        assert float((error - relative * size).max()) <= gone + tiny * eps  # the smallest denormal
    elif name.startswith("scaled_tanh"):  # β x is rounded, and so is α tanh(β x)
        assert float((error - (BOUNDS["tanh", dtype][1] + 2 * eps) * size).max()) <= 2 * tiny * eps
    else:
        assert float((error - 2 * eps * size).max()) <= 2 * eps


def activated(name: str, x: Tensor, isa: str) -> Tensor:
    y = torch.empty_like(x)
    number = function(name)
    assert number is not None
    (_native.activate_f32 if x.dtype == torch.float32 else _native.activate_f64)(*number, x, y, isa)
    return y


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("name", "start", "end"), [("tanh", 6.0, 20.0), ("sigmoid", 13.0, 40.0)])
def test_saturation_is_exact_and_rises_to_it(isa: str, name: str, start: float, end: float, dtype: torch.dtype) -> None:
    """Where the nearest number is 1, so is the value, and before it the values rise."""
    x = torch.linspace(start, end, 1_000_001, dtype=dtype)
    if dtype == torch.float32:  # beside some values of all sizes, every one around the threshold
        threshold = torch.tensor(9.0109 if name == "tanh" else 17.3287).view(torch.int32)
        around = torch.arange(int(threshold) - 100_000, int(threshold) + 100_000, dtype=torch.int32)
        x = torch.cat([x, around.view(dtype)]).sort().values
    y = activated(name, x, isa)
    # 1 - tanh(x) and 1 - sigmoid(x), without a difference of nearly equal numbers, and not by torch's own functions,
    # whose last bit depends on the processor.
    gap = 2 / (1 + (2 * x.double()).exp()) if name == "tanh" else 1 / (1 + x.double().exp())
    assert bool((y.diff() >= 0).all())
    middle = torch.finfo(dtype).eps / 4  # below 1, from where on 1 is the nearest number
    assert bool((y[gap < middle * (1 - 2**-20)] == 1).all())
    if name == "tanh":  # sigmoid, like torch's, is 1 as soon as 1 + exp(-x) is
        assert bool((y[gap > middle * (1 + 2**-20)] < 1).all())
        assert torch.equal(activated(name, -x, isa), -y)
    far = torch.tensor([1e3, 1e9, 1e20, 3e38, math.inf], dtype=dtype)
    assert torch.equal(activated(name, far, isa), torch.ones_like(far))
    assert torch.equal(activated(name, -far, isa), -torch.ones_like(far) if name == "tanh" else torch.zeros_like(far))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_small_values_pass_through_tanh_as_they_are(isa: str, dtype: torch.dtype) -> None:
    tiny = torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps  # the smallest denormal
    x = torch.tensor([0.0, -0.0, tiny, -tiny, 3 * tiny, 1e-40, -1e-38, 1e-30, -1e-20], dtype=dtype)
    y = activated("tanh", x, isa)
    assert torch.equal(y, x)
    assert torch.equal(y.signbit(), x.signbit())


def test_any_strides_and_no_copies_of_the_input(isa: str) -> None:
    request = make_request(batch=4, steps=3, input_size=6, hidden_size=5)
    x = torch.randn(6, 3, 8, dtype=torch.float64).permute(2, 1, 0)[::2]
    verify("native", replace(request, inputs=x))
    time_major = torch.randn(3, 4, 6, dtype=torch.float64).transpose(0, 1)
    verify("native", replace(request, inputs=time_major))


SPREADS: dict[str, Callable[[Tensor], Tensor]] = {
    "of a sum": lambda g: g[:1, :1, :1].expand(4, 3, 5),
    "of a sum over units": lambda g: g[:, :, :1].expand(4, 3, 5),
    "of a sum over rows and units": lambda g: g[:1, :, :1].expand(4, 3, 5),
    "of a sum over rows": lambda g: g[:1].expand(4, 3, 5),
    "of a sum over steps": lambda g: g[:, :1].expand(4, 3, 5),
    "values with a stride": lambda g: g.permute(2, 1, 0).contiguous().permute(2, 1, 0),
}


@pytest.mark.parametrize("memory", ["keep", "recompute"])
@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_a_gradient_that_came_from_a_sum(kind: Kind, spread: str, memory: Memory) -> None:
    request = replace(make_request(kind, batch=4, steps=3, hidden_size=5, return_states=True), memory=memory)
    given = SPREADS[spread](torch.randn(4, 3, 5, dtype=torch.float64))
    found = []
    for cotangent in (given, given.contiguous()):
        cotangents = {"outputs": cotangent, **({"every c": cotangent} if kind == "lstm" else {})}
        found.append(results_and_gradients(ENGINES["native"], request, cotangents))
    for name, value in found[1].items():
        got = found[0][name]
        assert got is not None
        assert value is not None
        assert torch.equal(got, value), name


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_any_number_of_threads_for_any_batch(kind: Kind, count: int) -> None:
    """Few rows: the threads share the units; many: the rows; each within the tolerance, and twice the same bits.

    There is enough work that all of them are taken.
    """
    for batch, hidden, lengths in ((1, 450, None), (3, 260, [12, 0, 7]), (33, 80, [*range(2, 13)] * 3)):
        request = make_request(
            kind, batch=batch, steps=12, hidden_size=hidden, lengths=lengths, training=True, zoneout_h=0.2
        )
        single = converted(request, torch.float32)
        cotangents = {"outputs": torch.randn(batch, 12, hidden), "final h": torch.randn(batch, hidden)}
        expected = results_and_gradients(ENGINES["reference"], converted(single, torch.float64), cotangents)
        with threads(count):
            first, second = (results_and_gradients(NativeEngine(), single, cotangents) for _ in range(2))
        for name, value in expected.items():
            a, b = first[name], second[name]
            assert a is not None
            assert b is not None
            assert value is not None
            assert torch.equal(a, b), name
            difference = float((a - value).abs().max() / value.abs().max().clamp(min=1))
            assert difference <= tolerance(single, name), name


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


# What has threads wait for one another between the stages of a step, and the plain cells beside it.
THREADED = [name for name in VARIANTS if name in ("rnn", "gru", "lstm") or "everything" in name or "reset" in name]
THREADED += ["rnn layer norm", "gru layer norm", "lstm layer norm", "lstm projection, clipped"]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("name", THREADED)
def test_threads_share_units_in_stages(isa: str, name: str, count: int) -> None:
    """Fewer rows than keep all threads busy, and enough work that all of them are taken."""
    kind, options = VARIANTS[name]
    few, more = (300, 150) if kind == "rnn" else (150, 60)
    for batch, steps, units, lengths in ((3, 13, few, [9, 13, 0]), (26, 5, more, None)):
        request = make_request(
            kind,
            batch=batch,
            steps=steps,
            input_size=10,
            hidden_size=units,
            lengths=lengths,
            training=True,
            reverse=lengths is None,
            **fitting(options, units),
        )
        cotangents = {"outputs": torch.randn(batch, steps, request.spec.output_size, dtype=torch.float64)}
        expected = results_and_gradients(ENGINES["reference"], request, cotangents)
        with threads(count), filled_with_nan():
            first, second = (results_and_gradients(ENGINES["native"], request, cotangents) for _ in range(2))
        for part, value in expected.items():
            a, b = first[part], second[part]
            assert a is not None
            assert b is not None
            assert value is not None
            assert torch.equal(a, b), part
            difference = float((a - value).abs().max() / value.abs().max().clamp(min=1))
            assert difference <= tolerance(request, part), part


@pytest.mark.parametrize("options", [{}, {"layer_norm": True, "proj_size": 20}])
def test_the_threads_change_rounding_alone_and_the_same_threads_not_even_that(options: dict[str, Any]) -> None:
    layer = holdfast.LSTM(7, 33, batch_first=True, engine="native", **options)
    x, lengths = torch.randn(9, 6, 7), [6, 1, 4, 0, 3, 6, 2, 5, 5]
    found = []
    for count in (1, 2, 2, 5, 20):
        layer.zero_grad()
        with threads(count):
            outputs = layer(x, lengths=lengths)[0]
            outputs.square().sum().backward()
        found.append([outputs.detach(), *(p.grad.clone() for p in layer.parameters() if p.grad is not None)])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(found[1], found[2], strict=True))


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


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_views_whose_signs_are_yet_to_turn(kind: str) -> None:
    """``x.conj().imag``, as of a spectrum: torch notes the sign and leaves the memory as it is."""

    def turned(*shape: int) -> Tensor:
        view = torch.randn(*shape, dtype=torch.complex64).conj().imag
        assert view.is_neg()
        return view

    layer = getattr(holdfast, kind)(3, 4, engine="native")
    x, h, dy = turned(5, 2, 3), turned(1, 2, 4), turned(5, 2, 4)
    weights = {"weight_ih_l0": turned(*layer.weight_ih_l0.shape), "bias_hh_l0": turned(*layer.bias_hh_l0.shape)}
    found = []
    for change in (torch.Tensor.clone, lambda view: view):
        inputs = [change(view).requires_grad_() for view in (x, h)]
        state = (inputs[1], inputs[1]) if kind == "LSTM" else inputs[1]
        own = {name: change(weight) for name, weight in weights.items()}
        y = torch.func.functional_call(layer, own, (inputs[0], state))[0]
        found.append([y, *torch.autograd.grad(y, inputs, change(dy))])
    for expected, actual in zip(*found, strict=True):
        assert torch.equal(expected, actual)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_a_view_whose_sign_is_yet_to_turn_and_that_lies_in_one_piece(kind: str) -> None:
    """One value alone, or ``torch._neg_view``: it is contiguous, and its memory still has the other sign."""

    def turned(*shape: int) -> Tensor:
        view = torch.randn(*shape, dtype=torch.complex64).conj().imag
        assert view.is_contiguous()
        assert view.is_neg()
        return view

    layer = getattr(holdfast, kind)(1, 1, engine="native")
    x, h, dy, dh = (torch._neg_view(torch.randn(5, 2, 1)), *(torch._neg_view(torch.randn(1, 2, 1)) for _ in range(3)))
    weights = {} if kind != "RNN" else {"weight_ih_l0": turned(1, 1), "weight_hh_l0": turned(1, 1)}
    weights |= {"bias_ih_l0": torch._neg_view(torch.randn(layer.bias_ih_l0.shape))}
    lengths = torch._neg_view(torch.tensor([-3, -2]))
    found = []
    for change in (torch.Tensor.clone, lambda view: view):
        inputs = [change(view).requires_grad_() for view in (x, h)]
        state = (inputs[1], inputs[1]) if kind == "LSTM" else inputs[1]
        own = {name: change(weight) for name, weight in weights.items()}
        y, new = torch.func.functional_call(layer, own, (inputs[0], state), {"lengths": change(lengths)})
        last = new[0] if kind == "LSTM" else new
        found.append([y, last, *torch.autograd.grad([y, last], inputs, [change(dy).expand(y.shape), change(dh)])])
    for expected, actual in zip(*found, strict=True):
        assert torch.equal(expected, actual)


def on_meta(request: Request) -> Request:
    state = tuple(part.to("meta") for part in request.state)
    parameters = {name: value.to("meta") for name, value in request.parameters.items()}
    return replace(request, inputs=request.inputs.to("meta"), state=state, parameters=parameters)


def test_why_not() -> None:
    def reason(request: Any) -> str | None:
        return ENGINES["native"].why_not(request)

    assert reason(make_request()) is None
    assert reason(make_request(activation=torch.sin)) == "an activation is a callable, which the kernels cannot call."
    assert reason(make_request(activation="silu")) == (
        "the kernels have no silu, whose derivative does not follow from its value."
    )
    for name in ("elu(-1)", "leaky_relu(-0.1)", "thresholded_relu(-1)", "scaled_tanh(0)", "gelu", "mish"):
        assert reason(make_request("rnn", activation=name)) == (
            f"the kernels have no {name}, whose derivative does not follow from its value."
        )
        assert reason(make_request(output_activation=name)) is not None
    half = converted(make_request(), torch.float16)
    assert reason(half) == "the kernels compute in float32, float64 and bfloat16, and the input is torch.float16."
    assert all(reason(replace(make_request(), memory=memory)) is None for memory in MEMORY_POLICIES)
    assert reason(on_meta(make_request())) == "the kernels run on the CPU, and the input is on meta."
    empty = make_request(batch=0)
    assert reason(empty) == "there is nothing to compute in an input of shape (0, 5, 2)."


def test_auto_takes_the_native_engine_and_says_so() -> None:
    layer = holdfast.LSTM(3, 4, 2, batch_first=True)
    told = holdfast.explain(layer, torch.zeros(2, 5, 3))
    assert told.engine == "native"
    elsewhere = "it computes on CUDA, and the input is on cpu."
    unrecorded = "it serves traces of torch.jit and files of ONNX, and this call makes neither."
    reasons = {"recorded": unrecorded, "cudnn": elsewhere, "reference": "native comes first."}
    assert told.choices[0].reasons == reasons
    own = holdfast.explain(holdfast.LSTM(3, 4, activation=torch.sin), torch.zeros(2, 5, 3))
    reason = "an activation is a callable, which the kernels cannot call."
    assert own.choices[0].reasons == {"recorded": unrecorded, "native": reason, "cudnn": elsewhere}
    assert own.engine == "reference"


def test_an_instruction_set_that_is_not_here_is_named() -> None:
    with pytest.raises(RuntimeError, match="There are no kernels for 'sse9'; this processor can run: "):
        NativeEngine("sse9").run(make_request())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the memory that a process has now")
def test_ten_thousand_training_steps_leak_nothing() -> None:
    layers = [holdfast.LSTM(8, 16, batch_first=True, engine="native", memory=m) for m in ("keep", "recompute")]
    x = torch.randn(2, 4, 8)

    def kilobytes_after(count: int) -> int:
        for k in range(count):
            layers[k % 5 == 0](x)[0].sum().backward()
        gc.collect()
        found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
        assert found is not None
        return int(found[1])

    before = kilobytes_after(500)
    assert kilobytes_after(10_000) - before < 4096  # one leaked array of gates a call would be ten times that


OUT_OF_MEMORY = """
import re, resource, torch
from holdfast.cells import make_spec
from holdfast.engines import ENGINES, Request

torch.set_num_threads(1)
spec = make_spec("lstm", {"input_size": 8, "hidden_size": 4000})
parameters = {name: torch.zeros(shape) for name, shape in spec.parameter_shapes().items()}
request = Request(spec, torch.zeros(1, 1, 8), (torch.zeros(1, 4000), torch.zeros(1, 4000)), parameters)
_, hard = resource.getrlimit(resource.RLIMIT_AS)
now = int(re.search(r"VmSize:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (now + 2**26, hard))  # the weights, packed, take four times as much
with torch.no_grad():
    try:
        ENGINES["native"].run(request)
    except MemoryError as error:
        print("MemoryError")
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    print(float(ENGINES["native"].run(request).outputs.abs().max()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the memory that a process has now")
def test_without_memory_for_its_work_a_kernel_raises_and_can_be_called_again() -> None:
    done = subprocess.run([sys.executable, "-c", OUT_OF_MEMORY], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["MemoryError", "0.0"]
