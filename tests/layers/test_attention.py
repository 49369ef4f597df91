"""Attention against NumPy by hand, and what padding must not do."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from holdfast.errors import OptionError, ShapeError
from holdfast.layers.attention import ATTENTIONS, AdditiveAttention, Attention, DotAttention, make_attention

B, T, S, SIZE = 3, 4, 5, 6
LENGTHS = torch.tensor([5, 2, 0])
NAMES = sorted(ATTENTIONS)


def make(name: str) -> Attention:
    return make_attention(name, SIZE, SIZE).double()


def drawn() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(B, T, SIZE, dtype=torch.float64), torch.randn(B, S, SIZE, dtype=torch.float64)


def score(attention: Attention, query: np.ndarray, value: np.ndarray) -> float:
    """One query and one value, as the papers write it."""
    weights = {name: tensor.numpy() for name, tensor in attention.state_dict().items()}
    if isinstance(attention, DotAttention):
        return float(query @ value)
    if isinstance(attention, AdditiveAttention):
        hidden = np.tanh(weights["query.weight"] @ query + weights["key.weight"] @ value + weights["key.bias"])
        return float(weights["score.weight"][0] @ hidden)
    return float(query @ weights["key.weight"] @ value)


@pytest.mark.parametrize("name", NAMES)
def test_by_hand(name: str) -> None:
    attention, (queries, values) = make(name), drawn()
    contexts, weights = attention(queries, attention.prepare(values, LENGTHS))
    for b, length in enumerate(LENGTHS.tolist()):
        for t in range(T):
            scores = [score(attention, queries[b, t].numpy(), values[b, s].numpy()) for s in range(length)]
            expected = np.exp(scores) / np.sum(np.exp(scores)) if length else np.zeros(0)
            context = expected @ values[b, :length].numpy() if length else np.zeros(SIZE)
            np.testing.assert_allclose(weights[b, t, :length].detach().numpy(), expected, rtol=1e-12)
            np.testing.assert_allclose(contexts[b, t].detach().numpy(), context, rtol=1e-11, atol=1e-13)
            assert (weights[b, t, length:] == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_without_lengths_all_steps_count(name: str) -> None:
    attention, (queries, values) = make(name), drawn()
    contexts, weights = attention(queries, attention.prepare(values))
    expected, same = attention(queries, attention.prepare(values, torch.full((B,), S)))
    assert torch.equal(contexts, expected)
    assert torch.equal(weights, same)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("filler", [float("nan"), float("inf"), 1e30])
def test_padding_changes_no_result_and_no_gradient(name: str, filler: float) -> None:
    attention, (queries, values) = make(name), drawn()
    padding = torch.arange(S) >= LENGTHS[:, None]
    results = []
    for padded in (values.masked_fill(padding[:, :, None], 0), values.masked_fill(padding[:, :, None], filler)):
        attention.zero_grad()
        asked, given = queries.clone().requires_grad_(), padded.requires_grad_()
        contexts, weights = attention(asked, attention.prepare(given, LENGTHS))
        (contexts.square().sum() + weights.square().sum()).backward()
        gradients = [asked.grad, given.grad, *(parameter.grad for parameter in attention.parameters())]
        results.append([contexts, weights, *gradients])
        assert (given.grad[padding] == 0).all()
    for clean, dirty in zip(*results, strict=True):
        assert torch.isfinite(clean).all()
        assert torch.equal(clean, dirty)


@pytest.mark.parametrize("name", NAMES)
def test_gradients(name: str) -> None:
    attention, (queries, values) = make(name), drawn()

    def run(queries: torch.Tensor, values: torch.Tensor, *_: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return attention(queries, attention.prepare(values, LENGTHS))

    tensors = [queries.requires_grad_(), values.requires_grad_(), *attention.parameters()]
    assert torch.autograd.gradcheck(run, tensors)


def test_rows_are_selected() -> None:
    attention, (queries, values) = make("additive"), drawn()
    memory = attention.prepare(values, LENGTHS)
    rows = torch.tensor([1, 1, 0])
    contexts, _ = attention(queries[rows], memory.select(rows))
    torch.testing.assert_close(contexts, attention(queries, memory)[0][rows], rtol=1e-14, atol=1e-15)
    assert attention.prepare(values).select(rows).padding is None


def test_unequal_sizes() -> None:
    for name in ("general", "additive"):
        attention = make_attention(name, 3, 7)
        contexts, _ = attention(torch.randn(2, 4, 3), attention.prepare(torch.randn(2, 5, 7)))
        assert contexts.shape == (2, 4, 7)
    message = (
        "DotAttention got query_size = 3 and memory_size = 7; expected them to be equal. GeneralAttention takes "
        "unequal ones."
    )
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        make_attention("dot", 3, 7)


def test_errors() -> None:
    attention = make("dot")
    message = "There is no attention 'aditive': did you mean 'additive'? Known: additive, dot, general."
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        make_attention("aditive", 3, 3)
    message = "DotAttention values have shape (3, 5); expected (batch, steps, memory_size) with memory_size = 6."
    with pytest.raises(ShapeError, match=f"^{re.escape(message)}$"):
        attention.prepare(torch.zeros(3, 5))
    message = "DotAttention queries have shape (2, 4, 6); expected (batch, steps, query_size) = (3, steps, 6)."
    with pytest.raises(ShapeError, match=f"^{re.escape(message)}$"):
        attention(torch.zeros(2, 4, 6), attention.prepare(torch.zeros(3, 5, 6)))
