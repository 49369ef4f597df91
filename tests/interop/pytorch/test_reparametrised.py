"""Replaced modules whose weights are computed from other parameters: parametrisations and weight drop."""

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
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

import holdfast

PARAMETRISED: dict[str, tuple[Callable[..., Any], Callable[[], Any], str]] = {
    "weight norm": (parametrizations.weight_norm, lambda: nn.LSTM(3, 5, dtype=F64), "weight_hh_l0"),
    "spectral norm": (parametrizations.spectral_norm, lambda: nn.GRU(3, 5, 2, dtype=F64), "weight_hh_l1"),
    "orthogonal": (parametrizations.orthogonal, lambda: nn.RNN(3, 5, dtype=F64), "weight_hh_l0"),
    "of a subclass": (parametrizations.weight_norm, lambda: Shifted(3, 5, dtype=F64), "weight_ih_l0"),
    "of a cell": (parametrizations.spectral_norm, lambda: nn.LSTMCell(3, 5, dtype=F64), "weight_hh"),
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", PARAMETRISED)
def test_parametrised_weights(kind: str, when: str) -> None:
    register, make, name = PARAMETRISED[kind]
    ours, theirs = make(), make()
    ours.load_state_dict(theirs.state_dict())
    if when == "after":
        replaced(ours)
    for module in (ours, theirs):
        torch.manual_seed(6)
        register(module, name)
    if when == "before":
        report = holdfast.replace_recurrent(ours)
        assert not report.left
        assert "Parametrized" not in str(report)
    copies = [copy.deepcopy(module).eval() for module in (ours, theirs)]
    assert_same(*map(run, copies))
    for _ in range(3):  # while training, the spectral norm is another after each call
        assert_same(run(ours), run(theirs))
    assert_gradients_are_the_same(ours, theirs)
    for module in (ours, theirs):
        parametrize.remove_parametrizations(module, name)
    assert_same(run(ours), run(theirs))
    assert isinstance(ours, holdfast.LSTM | holdfast.GRU | holdfast.RNN | holdfast.LSTMCell)
    assert_same(run(copy.deepcopy(ours)), run(theirs))


class WeightDrop(nn.Module):
    """As programs for AWD-LSTM write it: the weight of the module is deleted, and set before each call."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module
        raw = module.weight_hh_l0
        del module._parameters["weight_hh_l0"]
        module.register_parameter("weight_hh_l0_raw", nn.Parameter(raw.data))
        module.flatten_parameters = lambda *_: None

    def forward(self, x: Tensor) -> Any:
        raw = self.module.weight_hh_l0_raw
        self.module.weight_hh_l0 = nn.functional.dropout(raw, 0.5, self.training) * 1
        return self.module.forward(x)


@pytest.mark.parametrize("when", ["before", "after", "after a call"])
def test_weight_drop(when: str) -> None:
    theirs = nn.LSTM(3, 5, dtype=F64)
    ours = copy.deepcopy(theirs)
    if when == "before":
        replaced(ours)
    wrapped = [WeightDrop(module) for module in (ours, theirs)]
    if when == "after a call":
        wrapped[0](X)
    replaced(wrapped[0])
    outputs = []
    for module in wrapped:
        torch.manual_seed(7)
        outputs.append(tensors(module(X)))
        outputs[-1][0].sum().backward()
    assert_same(*outputs)
    for (name, a), (other, b) in zip(*(module.named_parameters() for module in wrapped), strict=True):
        assert name == other
        torch.testing.assert_close(a.grad, b.grad, rtol=0, atol=1e-12)
