"""The interface of an engine with gradients of its own, and the check that such engines are held against."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

import holdfast
from holdfast.engines import ENGINES, Request, Result
from holdfast.engines.composition import run_with_gradients
from holdfast.engines.function import Gradient, differentiable
from holdfast.engines.memory import Memory
from holdfast.engines.reference import ReferenceEngine
from variants import VARIANTS
from verification import converted, make_request, verify


class ByHand:
    """The reference behind the interface of an engine with gradients of its own."""

    name = "by hand"
    spoil_result: Callable[[Request, Result], Result] | None = None
    spoil_gradients: Callable[[dict[str, Tensor]], None] | None = None

    def __init__(self) -> None:
        self.asked: list[Gradient] = []

    def why_not(self, request: Request) -> str | None:
        return None

    def run(self, request: Request) -> Result:
        return run_with_gradients(self, request)

    def compute(self, request: Request) -> Result:
        return ReferenceEngine().run(request)

    def rounding(self) -> ByHand:
        return self

    def forward(self, request: Request) -> tuple[Result, tuple[Tensor, ...]]:
        assert not torch.is_grad_enabled()
        result = ReferenceEngine().run(request)
        if self.spoil_result is not None:
            result = self.spoil_result(request, result)
        return result, (result.outputs,)

    def backward(self, request: Request, kept: tuple[Tensor, ...], gradient: Gradient) -> Mapping[str, Tensor]:
        self.asked.append(gradient)
        (outputs,) = kept
        with torch.enable_grad():
            again = converted(request, request.inputs.dtype, requires_grad=True)
            result = ReferenceEngine().run(again)
            if self.spoil_result is None:
                torch.testing.assert_close(outputs, result.outputs)
            results = (result.outputs, *result.state, *(result.states or ()))
            given = (gradient.outputs, *gradient.state, *gradient.states)
            pairs = [(r, g) for r, g in zip(results, given, strict=True) if g is not None]
            tensors = differentiable(again)
            found = torch.autograd.grad(
                [r for r, _ in pairs],
                list(tensors.values()),
                [g for _, g in pairs],
                allow_unused=True,
                materialize_grads=True,
            )
        gradients = dict(zip(tensors, found, strict=True))
        if self.spoil_gradients is not None:
            self.spoil_gradients(gradients)
        return gradients


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> ByHand:
    made = ByHand()
    monkeypatch.setitem(ENGINES, made.name, made)
    return made


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "reverse"])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.usefixtures("engine")
def test_an_engine_with_gradients_of_its_own_equals_the_reference(variant: str, reverse: bool) -> None:
    kind, options = VARIANTS[variant]
    request = make_request(
        kind, training=True, lengths=[5, 0, 3], return_states=True, reverse=reverse, **{"hidden_size": 4, **options}
    )
    differences = verify("by hand", request)
    assert {"outputs", "final h", "every h", "gradient of inputs", "gradient of weight_hh"} <= differences.keys()
    assert max(differences.values()) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("batch", "steps", "hidden"), [(1, 1, 1), (1, 7, 63), (3, 1, 100), (4, 40, 16)])
@pytest.mark.usefixtures("engine")
def test_the_tolerance_fits_lower_precision(dtype: torch.dtype, batch: int, steps: int, hidden: int) -> None:
    request = make_request(batch=batch, steps=steps, hidden_size=hidden, dtype=dtype, return_states=True)
    differences = verify("by hand", request)
    assert max(differences.values()) > 0  # it was compared with float64, not with itself


def _spoil_outputs(request: Request, result: Result) -> Result:
    return result._replace(outputs=result.outputs + 1e-9)


def _spoil_padding(request: Request, result: Result) -> Result:
    outputs = result.outputs.clone()
    outputs[1, 4] = 1e-6
    return result._replace(outputs=outputs)


def _spoil_with_nan(request: Request, result: Result) -> Result:
    outputs = result.outputs.clone()
    outputs[0, 0, 0] = torch.nan
    return result._replace(outputs=outputs)


def _spoil_state(request: Request, result: Result) -> Result:
    return result._replace(state=(result.state[0], result.state[1] * 1.0001))


def _spoil_states(request: Request, result: Result) -> Result:
    assert result.states is not None
    return result._replace(states=tuple(part.roll(1, 1) for part in result.states))


def _spoil_dtype(request: Request, result: Result) -> Result:
    return result._replace(outputs=result.outputs.float())


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (_spoil_outputs, "outputs: differs by 1e-09"),
        (_spoil_padding, "outputs: differs by"),
        (_spoil_with_nan, "outputs: differs by nan"),
        (_spoil_state, "final c: differs"),
        (_spoil_states, "every c: differs"),
        (_spoil_dtype, "outputs: torch.float32"),
    ],
)
def test_a_wrong_result_is_caught(engine: ByHand, spoil: Callable[[Request, Result], Result], named: str) -> None:
    engine.spoil_result = spoil
    with pytest.raises(AssertionError, match=named):
        verify("by hand", make_request(lengths=[5, 2, 4], return_states=True))


@pytest.mark.parametrize(
    "name", ["inputs", "state.0", "state.1", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_peephole"]
)
def test_a_wrong_gradient_is_caught_by_its_name(engine: ByHand, name: str) -> None:
    def spoil(gradients: dict[str, Tensor]) -> None:
        gradients[name] = gradients[name] + 1e-9

    engine.spoil_gradients = spoil
    with pytest.raises(AssertionError, match=f"gradient of {name}: differs by 1e-09|gradient of {name}: differs"):
        verify("by hand", make_request(peepholes=True))


def test_swapped_bias_gradients_of_the_gru_are_caught(engine: ByHand) -> None:
    def spoil(gradients: dict[str, Tensor]) -> None:
        gradients["bias_hh"] = gradients["bias_ih"]

    engine.spoil_gradients = spoil
    with pytest.raises(AssertionError, match="gradient of bias_hh: differs"):
        verify("by hand", make_request("gru"))


def test_an_engine_that_cannot_run_the_request_is_not_verified(engine: ByHand) -> None:
    engine.why_not = lambda request: "it has no vowels."  # type: ignore[method-assign]
    with pytest.raises(AssertionError, match="by hand cannot run this: it has no vowels"):
        verify("by hand", make_request())


def test_gradients_of_unused_results_are_none(engine: ByHand) -> None:
    request = converted(make_request(return_states=True), torch.float64, requires_grad=True)
    engine.run(request).outputs.sum().backward()
    assert engine.asked[0].outputs is not None
    assert engine.asked[0].state == (None, None)
    assert engine.asked[0].states == (None, None)


def test_gradients_are_given_only_where_they_are_wanted(engine: ByHand) -> None:
    request = make_request()
    request.parameters["weight_hh"].requires_grad_()
    engine.run(request).outputs.sum().backward()
    assert request.parameters["weight_hh"].grad is not None
    assert request.parameters["weight_ih"].grad is None


@pytest.mark.parametrize("memory", ["keep", "recompute"])
@pytest.mark.parametrize("power", [1, 2])  # of the outputs: with 1, no derivative comes in from them
@pytest.mark.parametrize("name", ["inputs", "state.1", "weight_hh"])
def test_a_second_derivative_is_that_of_the_reference(engine: ByHand, name: str, power: int, memory: Memory) -> None:
    found = []
    made = make_request(training=True, zoneout_h=0.3, lengths=[5, 2, 0], return_states=True)
    for one in (engine, ENGINES["reference"]):
        request = replace(converted(made, torch.float64, requires_grad=True), memory=memory)
        result = one.run(request)
        assert result.states is not None
        total = result.outputs.pow(power).sum() + result.states[1].sin().sum()
        (gradient,) = torch.autograd.grad(total, differentiable(request)[name], create_graph=True)
        (gradient.square().sum() + request.inputs.sum()).backward()
        found.append({key: tensor.grad for key, tensor in differentiable(request).items()})
    torch.testing.assert_close(*found, rtol=0, atol=1e-12)


def test_a_graph_of_the_first_derivative_may_be_asked_for(engine: ByHand) -> None:
    request = converted(make_request(), torch.float64, requires_grad=True)
    outputs = engine.run(request).outputs.sum()
    (kept,) = torch.autograd.grad(outputs, request.inputs, create_graph=True)
    (plain,) = torch.autograd.grad(outputs, request.inputs)
    assert torch.equal(kept, plain)


def test_a_parameter_changed_between_forward_and_backward_is_noticed(engine: ByHand) -> None:
    request = converted(make_request(), torch.float64, requires_grad=True)
    total = engine.run(request).outputs.sum()
    with torch.no_grad():
        request.parameters["weight_hh"].add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


def test_what_an_engine_keeps_goes_with_its_result(engine: ByHand) -> None:
    kept: list[weakref.ref[Tensor]] = []
    forward = engine.forward

    def watched(request: Request) -> tuple[Result, tuple[Tensor, ...]]:
        result, tensors = forward(request)
        extra = torch.zeros(3)
        kept.append(weakref.ref(extra))
        return result, (*tensors, extra)

    engine.forward = watched  # type: ignore[method-assign]
    engine.backward = lambda request, kept, gradient: {}  # type: ignore[method-assign]
    gc.disable()
    try:
        result = engine.run(converted(make_request(), torch.float64, requires_grad=True))
        assert kept[0]() is not None
        del result
        assert kept[0]() is None
    finally:
        gc.enable()


def test_a_layer_trains_through_such_an_engine(engine: ByHand) -> None:
    arguments = {"batch_first": True, "bidirectional": True, "num_layers": 2, "dtype": torch.float64}
    plain, other = holdfast.LSTM(3, 4, **arguments), holdfast.LSTM(3, 4, **arguments, engine="by hand")
    other.load_state_dict(plain.state_dict())
    x = torch.randn(2, 6, 3, dtype=torch.float64)
    for layer in (plain, other):
        layer(x, lengths=[6, 2])[0].square().sum().backward()
    assert len(engine.asked) == 4
    for (name, expected), (_, got) in zip(plain.named_parameters(), other.named_parameters(), strict=True):
        torch.testing.assert_close(got.grad, expected.grad, rtol=0, atol=1e-12, msg=name)
