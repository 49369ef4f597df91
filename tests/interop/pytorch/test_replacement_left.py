"""Modules that replace_recurrent leaves as they are, and the reason that it gives."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import holdfast


class Unchecked(nn.LSTM):
    def check_forward_args(self, *_: Any) -> None:
        pass


class WithMemory(nn.GRU):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.memory = torch.zeros(3)


class WithMethod(nn.GRUCell):
    def begin_sequence(self) -> None:
        pass


class Own(nn.RNNBase):
    def __init__(self) -> None:
        super().__init__("LSTM", 3, 5)


def _patched() -> nn.Module:
    layer = nn.GRU(3, 5)
    layer.forward = lambda *_: "mine"  # type: ignore[method-assign]
    return layer


def _torn() -> nn.Module:
    layer = nn.GRU(3, 5)
    layer.weight_hh_l0 = nn.Parameter(torch.zeros(15, 4))
    return layer


def _without() -> nn.Module:
    cell = nn.GRUCell(3, 5)
    del cell.bias_hh
    return cell


def _scripted() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that scripting is deprecated
        return torch.jit.script(nn.GRU(3, 5))


def _quantised() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that torch.ao.quantization is deprecated
        return torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.LSTM(3, 5)), {nn.LSTM}, torch.qint8)[0]


LEFT: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "a check overridden": (
        lambda: Unchecked(3, 5),
        "it overrides check_forward_args, which the forward of torch.nn.LSTM calls and Holdfast's does not.",
    ),
    "an attribute that Holdfast's class has": (
        lambda: WithMemory(3, 5),
        "it has 'memory', a name that holdfast.GRU uses for something else; rename it.",
    ),
    "a method that Holdfast's class has": (
        lambda: WithMethod(3, 5),
        "it has 'begin_sequence', a name that holdfast.GRUCell uses for something else; rename it.",
    ),
    "of RNNBase alone": (
        Own,
        "it derives from none of torch.nn's LSTM, GRU and RNN and their cells: its forward is its own.",
    ),
    "forward replaced": (_patched, "its forward was replaced; replace the module before that."),
    "another shape": (_torn, "its weight_hh_l0 has shape (15, 4); expected (15, 5)."),
    "a parameter missing": (_without, "its bias_hh is not there; expected (15,)."),
    "no units": (lambda: nn.RNNCell(3, 0), "RNN hidden_size is 0; expected a whole number from 1 on."),
    "scripted": (_scripted, "it is scripted; replace before torch.jit.script."),
    "quantised": (_quantised, "it is quantised."),
}


@pytest.mark.parametrize("case", LEFT)
def test_what_is_left_and_why(case: str) -> None:
    make, reason = LEFT[case]
    module = make()
    model = nn.Module()
    model.add_module("inner", module)
    report = holdfast.replace_recurrent(model)
    assert [(row.name, row.why_not) for row in report.left] == [("inner", reason)]
    assert not report.replaced
    assert report.left[0].before == report.left[0].after
    assert model.inner is module
    assert str(report).endswith(f"0 of 1 recurrent modules replaced\ninner stays as it is: {reason}")
