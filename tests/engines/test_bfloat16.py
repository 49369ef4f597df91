"""bfloat16 in the native engine: against the maths in float64 with the operands of every product rounded."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tests.engines.autocast import AUTOCAST
from torch import Tensor
from torch.nn import functional as F

import holdfast
from holdfast.cells import lstm, products
from holdfast.engines import ENGINES, Request
from holdfast.engines.function import differentiable
from holdfast.engines.native import NativeEngine
from holdfast.engines.reference import ReferenceEngine
from variants import VARIANTS
from verification import converted, make_request, named_results, results_and_gradients

_native = pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")

ISAS = _native.instruction_sets()
# A result is rounded to bfloat16, by 2^-8 of itself at most. An operand so close to the middle of two bfloat16 that
# float32 and float64 round it to different sides moves by a spacing, 2^-7 of itself at most, and is one term of a sum.
# That is rare: gradients, which are not rounded themselves, are much closer on average. With layer norm one such
# operand moves all gates of its row; the maths in float32 is then as far from float64 as the kernels are (5e-4 on
# average).
LARGEST, AVERAGE, AVERAGE_GRADIENT = 2.0**-7, 2.0**-9, 2.0**-11
# The last one has several pieces of rows in the gradients of the weights, and an odd number of rows in the last piece.
SIZES: list[tuple[int, int, int, int, list[int] | None]] = [
    (1, 1, 1, 1, None),
    (3, 5, 2, 3, [4, 0, 5]),
    (37, 3, 5, 63, None),
    (2, 3, 33, 100, [3, 1]),
    (7, 40, 6, 17, [40, 40, 39, 40, 31, 7, 0]),
]


def rounded(x: Tensor) -> Tensor:
    return x.bfloat16().to(x.dtype)


class RoundedProduct(torch.autograd.Function):
    """``F.linear`` with its operands rounded to bfloat16, and in backward the gradient that comes in as well."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        ctx.save_for_backward(rounded(x), rounded(weight))
        return F.linear(rounded(x), rounded(weight), bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        g = rounded(gradients[0])
        rows = g.flatten(0, -2)
        return g @ weight, rows.T @ x.flatten(0, -2), rows.sum(0) if any(ctx.needs_input_grad[2:]) else None


def model(request: Request, cotangents: dict[str, Tensor], patch: pytest.MonkeyPatch) -> dict[str, Tensor | None]:
    """What :func:`results_and_gradients` gives, in float64 with rounded operands."""
    with patch.context() as inner:
        for module in (products, lstm):
            inner.setattr(module, "F", SimpleNamespace(linear=RoundedProduct.apply, layer_norm=F.layer_norm))
        return results_and_gradients(ReferenceEngine(), converted(request, torch.float64), cotangents)


def in_autocast(isa: str, request: Request, cotangents: dict[str, Tensor]) -> dict[str, Tensor | None]:
    """What :func:`results_and_gradients` gives, by the native engine in autocast; backward runs outside it."""
    request = converted(request, torch.float32, requires_grad=True)
    with torch.autocast(**AUTOCAST):
        assert NativeEngine(isa).why_not(request) is None
        results = named_results(request.spec, NativeEngine(isa).run(request))
    tensors = differentiable(request)
    outputs, directions = list(results.values()), [cotangents[name].bfloat16() for name in results]
    gradients = torch.autograd.grad(outputs, list(tensors.values()), directions, allow_unused=True)
    found: dict[str, Tensor | None] = {name: result.detach() for name, result in results.items()}
    assert all(result.dtype == torch.bfloat16 for result in outputs)
    assert all(gradient is None or gradient.dtype == torch.float32 for gradient in gradients)
    return found | {f"gradient of {name}": gradient for name, gradient in zip(tensors, gradients, strict=True)}


def random_cotangents(request: Request) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    results = named_results(request.spec, ReferenceEngine().run(request))
    return {name: rounded(torch.randn(value.shape, generator=generator)) for name, value in results.items()}


def differences(
    request: Request, actual: dict[str, Tensor | None], expected: dict[str, Tensor | None]
) -> Iterator[str]:
    """What differs by more than the rounding of results and operands."""
    for what, value in expected.items():
        got = actual[what]
        if value is None or got is None:
            assert value is None or not value.any(), what
            continue
        difference = (got.double() - value).abs() / max(1.0, float(value.abs().max()))
        average = AVERAGE_GRADIENT if what.startswith("gradient") else AVERAGE
        average *= 1 + request.spec.layer_norm
        if not difference.max() <= LARGEST or not difference.mean() <= average:
            yield f"{what}: {difference.max():.3g}, on average {difference.mean():.3g}"


SUPPORTED = {
    name: variant
    for name, variant in VARIANTS.items()
    if NativeEngine().why_not(converted(make_request(variant[0], **variant[1]), torch.bfloat16)) is None
}


@pytest.mark.parametrize("name", SUPPORTED)
def test_every_variant_on_every_instruction_set(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, options = SUPPORTED[name]
    problems = []
    for (batch, steps, inputs, units, lengths), reverse in itertools.product(SIZES, (False, True)):
        units = max(units, options.get("proj_size", 0) + 1)
        sizes: dict[str, Any] = {"batch": batch, "steps": steps, "input_size": inputs, "hidden_size": units}
        request = make_request(
            kind, **sizes, lengths=lengths, training=reverse, reverse=reverse, return_states=True, **options
        )
        request = converted(request, torch.float32)
        cotangents = random_cotangents(request)
        expected = model(request, cotangents, monkeypatch)
        for isa in ISAS:
            actual = in_autocast(isa, request, cotangents)
            problems += [f"{isa} {problem} {sizes}" for problem in differences(request, actual, expected)]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("size", [1, 6, 33])
def test_operands_are_rounded_to_the_nearest_and_ties_to_even(isa: str, size: int) -> None:
    """With one-hot gradients, the weights' are rows of the rounded input, and the input's of the rounded weights."""
    layer = holdfast.RNN(size, 5, nonlinearity="linear", bias=False, batch_first=True)
    ties = 1 + torch.arange(5 * size).reshape(5, 1, size) * 2.0**-8  # each second one is halfway between two bfloat16
    x = torch.where(torch.rand(5, 1, size) < 0.5, ties, torch.randn(5, 1, size)).requires_grad_()
    with torch.autocast(**AUTOCAST):
        request = Request(
            layer.specs[0], x, (torch.zeros(5, 5),), {"weight_ih": layer.weight_ih_l0, "weight_hh": layer.weight_hh_l0}
        )
        outputs = NativeEngine(isa).run(request).outputs
    outputs.backward(torch.eye(5, dtype=torch.bfloat16)[:, None])
    assert torch.equal(layer.weight_ih_l0.grad, rounded(x.detach()[:, 0]))
    assert torch.equal(x.grad[:, 0], rounded(layer.weight_ih_l0.detach()))


@pytest.mark.parametrize("isa", ISAS)
def test_nan_and_infinity_stay_what_they_are(isa: str) -> None:
    request = make_request(
        "rnn", activation="linear", batch=3, steps=1, input_size=1, hidden_size=2, dtype=torch.float32
    )
    request.inputs[:, 0, 0] = torch.tensor([torch.nan, torch.inf, 1])
    request.inputs.view(torch.int32)[0] = 0x7FFFFFFF  # the NaN of which all bits are set
    with torch.autocast(**AUTOCAST):
        outputs = NativeEngine(isa).run(request).outputs
    assert outputs[0].isnan().all()
    assert outputs[1].isinf().all()
    assert outputs[2].isfinite().all()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
def test_saturated_units_have_no_gradient_and_infinite_ones_no_neighbours(
    isa: str, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for units, value in itertools.product((1, 3, 20), (1e4, 1e9, 1e30, torch.inf, torch.nan)):
        request = make_request(kind, batch=3, steps=2, input_size=1, hidden_size=units, dtype=torch.float32)
        request.parameters["weight_ih"].sign_()
        request.inputs[:2] = torch.tensor([value, -value])[:, None, None]  # not the third row
        if abs(value) < torch.inf:
            request.parameters["weight_hh"][0, 0] = value
        cotangents = random_cotangents(request)
        expected, got = model(request, cotangents, monkeypatch), in_autocast(isa, request, cotangents)
        for what, exact in expected.items():
            given = got[what]
            assert exact is not None
            assert given is not None
            assert torch.equal(given.isnan(), exact.isnan()), what
            assert torch.equal(given.isinf(), exact.to(given.dtype).isinf()), what
            assert not given[exact == 0].any(), what


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
def test_segments_hand_the_state_on_unrounded(kind: Any, reverse: bool) -> None:
    request = make_request(
        kind, steps=9, lengths=[9, 0, 5], reverse=reverse, return_states=True, training=True, recurrent_dropout=0.3
    )
    request = converted(request, torch.float32)
    cotangents = random_cotangents(request)
    kept = in_autocast("", request, cotangents)
    again = in_autocast("", replace(request, memory="recompute", segment=2), cotangents)
    for name, value in kept.items():
        if value is not None:  # sums over all steps are made segment by segment
            close = 64 * torch.finfo(torch.float32).eps if name.startswith("gradient") else 0.0
            torch.testing.assert_close(
                again[name], value, rtol=0, atol=close * max(1.0, float(value.abs().max())), msg=name
            )


def test_the_same_threads_the_same_bits() -> None:
    layer = holdfast.GRU(7, 33, batch_first=True, engine="native")
    x, lengths = torch.randn(9, 6, 7), [6, 1, 4, 0, 3, 6, 2, 5, 5]
    found = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 2, 5):
            torch.set_num_threads(threads)
            layer.zero_grad()
            with torch.autocast(**AUTOCAST):
                outputs = layer(x, lengths=lengths)[0]
            outputs.float().square().mean().backward()
            found.append([outputs.detach(), *(p.grad.clone() for p in layer.parameters())])
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=LARGEST)
    assert all(torch.equal(a, b) for a, b in zip(found[1], found[2], strict=True))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_a_row_has_the_same_bits_alone_and_in_any_batch(isa: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Full tiles and parts of them, in rows and in steps."""
    monkeypatch.setitem(ENGINES, "native", NativeEngine(isa))
    layer = getattr(holdfast, kind)(37, 70, engine="native", batch_first=True)
    x = torch.randn(50, 4, 37)
    with torch.no_grad(), torch.autocast(**AUTOCAST):
        whole = layer(x)[0]
        for rows in (1, 2, 16, 17, 33):
            assert torch.equal(layer(x[:rows])[0], whole[:rows])


def test_what_stands_in_the_padding_changes_no_bit() -> None:
    request = converted(make_request("lstm", batch=3, steps=4, input_size=3, lengths=[2, 0, 3]), torch.float32)
    spoilt = request.inputs.clone()
    spoilt[0, 2:], spoilt[1], spoilt[2, 3] = torch.nan, torch.inf, torch.nan
    found = []
    for inputs in (request.inputs, spoilt):
        leaf = converted(replace(request, inputs=inputs), torch.float32, requires_grad=True)
        with torch.autocast(**AUTOCAST):
            outputs = NativeEngine().run(leaf).outputs
        outputs.sum().backward()
        found.append([outputs, *(tensor.grad for tensor in differentiable(leaf).values())])
    for a, b in zip(*found, strict=True):
        assert torch.equal(a, b)


def test_why_not() -> None:
    def reason(request: Request) -> str | None:
        return ENGINES["native"].why_not(request)

    with torch.autocast(**AUTOCAST):
        request = converted(make_request(), torch.float32)
        assert reason(request) is None
        assert reason(replace(request, inputs=request.inputs.bfloat16())) is None
        wide = replace(request, parameters={name: value.double() for name, value in request.parameters.items()})
        assert reason(wide) == "bfloat16 is computed from float32 and bfloat16, and weight_ih is torch.float64."
        assert holdfast.explain(holdfast.LSTM(3, 4), torch.zeros(5, 2, 3)).engine == "native"
    with torch.autocast("cpu", torch.float16):
        assert reason(request) == (
            "the kernels compute in float32, float64 and bfloat16, and autocast is to torch.float16."
        )
