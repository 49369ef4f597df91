"""First and second derivatives of every cell with every option, against finite differences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from holdfast.cells import ACTIVATIONS, Kind
from holdfast.engines import Request
from holdfast.engines.function import differentiable
from holdfast.engines.reference import ReferenceEngine
from variants import PARAMETRISED, VARIANTS
from verification import make_request, named_results


def assert_derivatives(request: Request) -> None:
    """Of all results by all tensors, first and second order."""
    names = list(differentiable(request))

    def run(*tensors: Tensor) -> tuple[Tensor, ...]:
        by_name = dict(zip(names, tensors, strict=True))
        inputs = by_name.pop("inputs")
        state = tuple(by_name.pop(f"state.{k}") for k in range(len(request.state)))
        perturbed = replace(request, inputs=inputs, state=state, parameters=by_name)
        return tuple(named_results(request.spec, ReferenceEngine().run(perturbed)).values())

    leaves = tuple(tensor.clone().requires_grad_() for tensor in differentiable(request).values())
    # Gradients that are not there concern a Function of our own; the other operations are torch's.
    own_function = request.memory == "recompute"
    assert gradcheck(run, leaves, check_undefined_grad=own_function)
    assert gradgradcheck(run, leaves, check_undefined_grad=own_function)


TINY: dict[str, Any] = {"batch": 2, "steps": 2, "input_size": 2}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_option_in_training(variant: str) -> None:
    kind, options = VARIANTS[variant]
    assert_derivatives(make_request(kind, training=True, hidden_size=3, return_states=True, **TINY, **options))


@pytest.mark.parametrize("variant", [name for name in VARIANTS if "zoneout" in name or "everything" in name])
def test_zoneout_in_evaluation(variant: str) -> None:
    kind, options = VARIANTS[variant]
    assert_derivatives(make_request(kind, hidden_size=3, **TINY, **options))


@pytest.mark.parametrize("name", [*ACTIVATIONS, *PARAMETRISED])
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_every_activation(kind: Kind, name: str) -> None:
    gates = {} if kind == "rnn" else {"recurrent_activation": name}
    sizes = {**TINY, "steps": 1} if name == "exponential" else TINY  # a second step would be past all bounds
    assert_derivatives(make_request(kind, activation=name, hidden_size=2, **sizes, **gates))


@pytest.mark.parametrize("memory", ["keep", "recompute"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "reverse"])
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_over_time_with_lengths(kind: Kind, reverse: bool, memory: Any) -> None:
    request = make_request(
        kind, batch=3, steps=4, hidden_size=2, lengths=[3, 0, 4], reverse=reverse, return_states=True, input_size=1
    )
    assert_derivatives(replace(request, memory=memory, segment=3 if memory == "recompute" else None))
