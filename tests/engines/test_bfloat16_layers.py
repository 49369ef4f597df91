"""Layers in bfloat16 autocast: the dtypes and results of torch.nn and of the reference, gradients, and training."""

from __future__ import annotations

import itertools

import pytest
import torch
from tests.engines.autocast import AUTOCAST
from torch import Tensor, nn
from torch.nn import functional as F

import holdfast

pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("engine", ["native", "reference"])
def test_dtypes_are_those_of_torch_lstm_in_autocast_whatever_the_engine(kind: str, engine: str) -> None:
    """Results are bfloat16, gradients have the dtype of their tensor. (torch.nn.GRU's results are float32 at times.)"""
    layer = getattr(holdfast, kind)(5, 7, engine=engine)
    dtypes = (torch.float32, torch.bfloat16)
    for of_input, of_state in itertools.product(dtypes, (None, *dtypes)):
        x = torch.randn(3, 2, 5, dtype=of_input, requires_grad=True)
        h = None if of_state is None else torch.randn(1, 2, 7, dtype=of_state, requires_grad=True)
        hx = None if h is None else (h, h.detach()) if kind == "LSTM" else h
        with torch.autocast(**AUTOCAST):
            outputs, state = layer(x, hx)
        parts = state if kind == "LSTM" else (state,)
        assert {outputs.dtype, *(part.dtype for part in parts)} == {torch.bfloat16}
        (outputs.sum() + parts[0].sum()).backward()
        assert x.grad.dtype == of_input
        assert h is None or h.grad.dtype == of_state
        assert {parameter.grad.dtype for parameter in layer.parameters()} == {torch.float32}


def skip_without_torch_lstm() -> None:
    """Skips where torch.nn.LSTM itself cannot run in autocast: oneDNN has it on AVX-512 alone."""
    try:
        with torch.autocast(**AUTOCAST):
            nn.LSTM(5, 7)(torch.randn(3, 2, 5))
    except RuntimeError as error:
        if "could not create a primitive" not in str(error):
            raise
        pytest.skip(f"torch.nn.LSTM does not run in bfloat16 autocast on this processor: {error}")


def test_torch_lstm_gives_bfloat16_in_autocast() -> None:
    skip_without_torch_lstm()
    with torch.autocast(**AUTOCAST):
        theirs, their_state = nn.LSTM(5, 7)(torch.randn(3, 2, 5))
    assert {theirs.dtype, *(part.dtype for part in their_state)} == {torch.bfloat16}


def outputs_and_gradients(layer: nn.Module, x: Tensor) -> list[Tensor]:
    with torch.autocast(**AUTOCAST):
        outputs = layer(x)[0]
    outputs.float().square().mean().backward()
    return [outputs.float(), *(p.grad / p.grad.norm() for p in layer.parameters())]


@pytest.mark.parametrize("peer", ["torch", "reference"])
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_close_in_autocast_to(kind: str, peer: str) -> None:
    """torch rounds every sum as well, and so does the reference in autocast: two layers of 11 steps."""
    ours = getattr(holdfast, kind)(9, 21, 2, bidirectional=True, engine="native")
    if peer == "torch":
        if kind == "LSTM":
            skip_without_torch_lstm()
        theirs = getattr(nn, kind)(9, 21, 2, bidirectional=True)
    else:
        theirs = getattr(holdfast, kind)(9, 21, 2, bidirectional=True, engine="reference")
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(11, 4, 9)
    for got, expected in zip(outputs_and_gradients(ours, x), outputs_and_gradients(theirs, x), strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=11 * 2**-8)


def test_a_layer_in_bfloat16_computes_as_in_autocast() -> None:
    layer = holdfast.LSTM(5, 7, engine="native").bfloat16()
    x = torch.randn(4, 3, 5, dtype=torch.bfloat16)
    outputs, (h, c) = layer(x)
    outputs.sum().backward()
    wide = holdfast.LSTM(5, 7, engine="native")
    wide.load_state_dict({name: value.float() for name, value in layer.state_dict().items()})
    with torch.autocast(**AUTOCAST):
        expected, (h_n, c_n) = wide(x)
    expected.sum().backward()
    for got, other in ((outputs, expected), (h, h_n), (c, c_n)):
        assert torch.equal(got, other)
    for (name, parameter), other in zip(layer.named_parameters(), wide.parameters(), strict=True):
        assert parameter.grad.dtype == torch.bfloat16, name
        assert torch.equal(parameter.grad, other.grad.bfloat16()), name


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_backward_does_not_depend_on_autocast_around_it(kind: str) -> None:
    layer = getattr(holdfast, kind)(3, 5, engine="native", recurrent_dropout=0.3)
    x = torch.randn(4, 2, 3)
    torch.manual_seed(0)
    with torch.autocast(**AUTOCAST):
        total = layer(x, lengths=[4, 2], return_states=True)[2][0].square().sum()
        inside = torch.autograd.grad(total, list(layer.parameters()), retain_graph=True)
    outside = torch.autograd.grad(total, list(layer.parameters()), retain_graph=True)
    with torch.autocast("cpu", torch.float16):
        elsewhere = torch.autograd.grad(total, list(layer.parameters()))
    for a, b, c in zip(inside, outside, elsewhere, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(b, c)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_a_small_model_learns_in_autocast(kind: str) -> None:
    """The sign of the first of 8 values, asked for at the end."""
    torch.manual_seed(0)
    layer, head = getattr(holdfast, kind)(1, 16, batch_first=True, engine="native"), nn.Linear(16, 1)
    optimiser = torch.optim.Adam([*layer.parameters(), *head.parameters()], lr=0.02)
    x = torch.randn(32, 8, 1)
    losses = []
    for _ in range(200):
        with torch.autocast(**AUTOCAST):
            told = head(layer(x)[0][:, -1])[:, 0]
        loss = F.binary_cross_entropy_with_logits(told.float(), (x[:, 0, 0] > 0).float())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[0] > 0.4  # by guessing: 0.69
    assert losses[-1] < 0.02
