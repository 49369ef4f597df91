"""Results lie in memory as torch.nn's do: programs view them, and dropout draws in the order of memory."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import holdfast

KINDS = ("LSTM", "GRU", "RNN")
T, B, I, H = 7, 4, 5, 6  # noqa: E741 (the letters of the equations)


def pair(kind: str, **options: Any) -> tuple[nn.Module, nn.Module]:
    """A layer of torch.nn and one of Holdfast with its parameters."""
    theirs = getattr(nn, kind)(I, H, **options)
    ours = getattr(holdfast, kind)(I, H, **options)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def flat(result: Any) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    if isinstance(result, PackedSequence):
        return [result.data]
    return [tensor for part in result for tensor in flat(part)]


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_layout_has_the_strides_of_torch_nn(kind: str, grad: bool, engine: str) -> None:
    for layers, both, batch_first in itertools.product((1, 2), (False, True), (False, True)):
        theirs, ours = pair(kind, num_layers=layers, bidirectional=both, batch_first=batch_first)
        ours.engine = engine
        x = torch.randn((B, T, I) if batch_first else (T, B, I))
        inputs = [x, x[:1], x[:, :1], x[0], pack_padded_sequence(x.transpose(0, 1) if batch_first else x, [7, 5, 5, 1])]
        if engine == "reference":
            inputs = inputs[:1]
        for given in inputs:
            with torch.set_grad_enabled(grad):
                expected, actual = flat(theirs(given)), flat(ours(given))
            for one, other in zip(expected, actual, strict=True):
                assert one.shape == other.shape
                assert one.stride() == other.stride(), (layers, both, batch_first, tuple(one.shape))
                torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"memory": "recompute"},
        {"memory": "recompute", "reverse": True},
        {"merge": "sum", "bidirectional": True},
        {"merge": "product", "bidirectional": True},
        {"residual": True, "num_layers": 3},
        {"layer_norm": True},
        {"recurrent_dropout": 0.3},
        {"dropout": 0.3, "num_layers": 2, "locked_dropout": True},
        {"activation": "gelu"},
    ],
    ids=lambda options: " ".join(options),
)
@pytest.mark.parametrize("lengths", [None, [7, 5, 0, 1]])
@pytest.mark.parametrize("kind", KINDS)
def test_time_first_is_contiguous_whatever_the_options(
    kind: str, lengths: list[int] | None, options: dict[str, Any]
) -> None:
    layer = getattr(holdfast, kind)(I, H, **options)
    output, *_, states = layer(torch.randn(T, B, I, requires_grad=True), lengths=lengths, return_states=True)
    assert output.view(T * B, layer.output_size).shape == (T * B, layer.output_size)
    for every in flat(states):
        assert all(of_layer.is_contiguous() for of_layer in every)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.randn(T, B, I), lengths=lengths)[0].is_contiguous()


@pytest.mark.parametrize("lengths", [None, [7, 5, 2, 2], [2, 7, 1, 5]])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_dropout_drops_what_it_drops_with_torch_nn(kind: str, batch_first: bool, lengths: list[int] | None) -> None:
    """After the layer, and between layers; of packed sequences too."""
    for options in ({"bidirectional": True}, {"num_layers": 3, "dropout": 0.4}):
        theirs, ours = pair(kind, batch_first=batch_first, **options)
        x = torch.randn((B, T, I) if batch_first else (T, B, I))
        given = x if lengths is None else pack_padded_sequence(x, torch.tensor(lengths), batch_first, False)
        results = []
        for layer in (theirs, ours):
            torch.manual_seed(3)
            output = F.dropout(flat(layer(given)[0])[0], 0.5)
            gradients = torch.autograd.grad(output.square().sum(), list(layer.parameters()))
            results.append([output, *gradients])
        for expected, actual in zip(*results, strict=True):
            torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-4)


def test_what_is_decoded_a_step_at_a_time() -> None:
    """``decoder(output.view(T * B, H))``, the commonest line after a recurrent layer."""
    _, ours = pair("LSTM", num_layers=2)
    output, state = ours(torch.randn(T, B, I))
    assert nn.Linear(H, 3)(output.view(T * B, H)).view(T, B, 3).shape == (T, B, 3)
    assert [part.view(2 * B, H).shape for part in state] == [(2 * B, H), (2 * B, H)]
