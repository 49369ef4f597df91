"""Weights that a program writes itself into a replaced module are the ones it computes with."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.interop.pytorch.subclasses import (
    F64,
    Shifted,
    X,
    assert_gradients_are_the_same,
    assert_same,
    replaced,
    run,
    tensors,
)
from torch import nn

import holdfast


def _set(module: Any) -> None:
    module.weight_ih_l0 = nn.Parameter(module.weight_ih_l0.detach() * 3)


def _in_the_list(module: Any) -> None:
    module._flat_weights[1] = module._flat_weights[1] * 2


def _the_whole_list(module: Any) -> None:
    module._flat_weights = [weight * 0.5 for weight in module._flat_weights]


def _in_parameters(module: Any) -> None:
    module._parameters["weight_hh_l0"] = nn.Parameter(module.weight_hh_l0.detach() * 3)


def _dropped(module: Any) -> None:
    raw = module.weight_hh_l0
    del module._parameters["weight_hh_l0"]
    module.register_parameter("weight_hh_l0_raw", nn.Parameter(raw.data))
    module.weight_hh_l0 = module.weight_hh_l0_raw * 0.7
    module.flatten_parameters = lambda: None


def _by_name(module: Any) -> None:
    names = module._flat_weights_names
    module.weight_ih_l0.data = module.weight_ih_l0.data * 2
    module._flat_weights = [getattr(module, name) if hasattr(module, name) else None for name in names]


def _loaded(module: Any) -> None:
    state = {name: value * 2 for name, value in module.state_dict().items()}
    module.load_state_dict(state, assign=True)


def _moved(module: Any) -> None:
    module.to(torch.float32).double()


def _emptied(module: Any) -> None:
    state = module.state_dict()
    module.to("meta").to_empty(device="cpu").load_state_dict(state)


def _shared(module: Any) -> None:
    module.share_memory()


@pytest.mark.parametrize(
    "change",
    [_set, _in_the_list, _the_whole_list, _in_parameters, _dropped, _by_name, _loaded, _moved, _emptied, _shared],
)
@pytest.mark.parametrize("kind", ["plain", "subclass"])
def test_weights_that_a_program_writes_are_those_that_count(change: Callable[[Any], None], kind: str) -> None:
    theirs = nn.GRU(3, 5, dtype=F64) if kind == "plain" else Shifted(3, 5, dtype=F64)
    ours = replaced(copy.deepcopy(theirs))
    for module in (ours, theirs):
        run(module)
        change(module)
    for _ in range(2):
        assert_same(run(ours), run(theirs))
        assert list(ours.state_dict()) == list(theirs.state_dict())
    if all(weight.grad_fn is None for weight in ours._flat_weights):
        assert_gradients_are_the_same(ours, theirs)


def test_functional_call_uses_the_weights_it_was_given_and_leaves_no_trace() -> None:
    theirs = nn.LSTM(3, 5, 2, dtype=F64)
    ours = replaced(copy.deepcopy(theirs))
    other = {name: value.detach() * 2 for name, value in theirs.named_parameters()}
    got = [tensors(torch.func.functional_call(module, other, (X,))) for module in (ours, theirs)]
    assert_same(*got)
    assert_same(run(ours), run(theirs))
    holdfast.Stream(ours)  # after the call, the weights in use are the module's again
    assert ours.named_weights()["weight_ih_l0"] is ours.weight_ih_l0
