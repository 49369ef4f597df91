"""The native engine on views: inputs with any strides, expanded gradients, and views with a negated sign."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

import holdfast
from holdfast.cells import Kind
from holdfast.engines import ENGINES
from holdfast.engines.memory import Memory
from verification import make_request, results_and_gradients, verify

pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")


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
