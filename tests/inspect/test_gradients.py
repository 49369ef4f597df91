"""Gradients through time against autograd on a loop by hand and against analytic gradients."""

from __future__ import annotations

import math

import pytest
import torch
from tests.inspect.test_recording import Forgetful, Reader
from torch import Tensor, nn

import holdfast
from holdfast.errors import OptionError, ShapeError
from holdfast.inspect import connectivity, gradient_through_time, memory_length
from holdfast.layers.own_layer import OwnLayer
from holdfast.layers.recurrent_layer import RecurrentLayer


def states_by_hand(layer: RecurrentLayer, x: Tensor) -> list[Tensor]:
    """h after each step of a layer of one step at a time, kept in the graph: [B, H] each."""
    state, hidden = None, []
    for t in range(x.shape[1]):
        _, state = layer(x[:, t : t + 1], state)
        h = state[0] if isinstance(state, tuple) else state
        h.retain_grad()
        hidden.append(h)
    return hidden


@pytest.mark.parametrize("kind", [holdfast.RNN, holdfast.GRU, holdfast.LSTM])
def test_the_norms_are_those_of_a_loop_over_steps(kind: type[RecurrentLayer]) -> None:
    layer, x = kind(3, 4, batch_first=True), torch.randn(2, 7, 3)
    hidden = states_by_hand(layer, x)
    hidden[-1].sum().backward()
    expected = [float(h.grad[0].norm(dim=1).mean()) for h in reversed(hidden) if h.grad is not None]
    norms = gradient_through_time(layer, x)
    torch.testing.assert_close(norms["l0"]["hidden"], torch.tensor(expected), rtol=1e-4, atol=1e-6)
    assert norms.loss == pytest.approx(float(hidden[-1].detach().sum()), rel=1e-5)
    assert set(norms["l0"]) == ({"hidden", "cell"} if kind is holdfast.LSTM else {"hidden"})


def scalar_lstm(forget: float) -> holdfast.LSTM:
    """An LSTM of one unit whose gates do not depend on the input: c' = f c + i g."""
    layer = holdfast.LSTM(1, 1, batch_first=True)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.bias_ih_l0[1] = math.log(forget / (1 - forget))
    return layer


@pytest.mark.parametrize("forget", [0.5, 0.9, 0.99])
def test_the_gradient_of_a_cell_falls_by_its_forget_gate(forget: float) -> None:
    norms = gradient_through_time(scalar_lstm(forget), torch.zeros(1, 40, 1))["l0"]["cell"]
    expected = 0.5 * forget ** torch.arange(40.0)  # h = o tanh(c) with o = 1/2 and c = 0
    torch.testing.assert_close(norms, expected, rtol=1e-5, atol=1e-12)
    total, part, lag = sum(forget**k for k in range(40)), 0.0, -1
    while part < 0.9 * total:
        lag += 1
        part += forget**lag
    assert memory_length(norms) == lag


def test_rows_of_unequal_lengths_count_from_their_own_ends() -> None:
    layer = holdfast.GRU(3, 4, 2, batch_first=True, bidirectional=True)
    x, lengths = torch.randn(3, 6, 3), [6, 2, 4]
    together = gradient_through_time(layer, x, lengths)
    rows = [gradient_through_time(layer, x[k : k + 1, :length]) for k, length in enumerate(lengths)]
    for name, states in together.layers.items():
        for lag in range(6):
            alone = [float(row[name]["hidden"][lag]) for row in rows if lag < len(row[name]["hidden"])]
            assert float(states["hidden"][lag]) == pytest.approx(sum(alone) / len(alone), rel=1e-4, abs=1e-7)


def test_lags_of_a_reversed_direction_start_at_the_first_position() -> None:
    x = torch.randn(1, 5, 2)
    layer = holdfast.RNN(2, 3, batch_first=True, reverse=True)
    first = gradient_through_time(layer, x, loss=lambda output: output[0][:, 0].sum())["l0"]["hidden"]
    assert bool((first[:3] > 0).all())
    last = gradient_through_time(layer, x)["l0"]["hidden"]  # the last output is the first one that it computes
    assert last[:4].count_nonzero() == 0
    assert last[4] == pytest.approx(math.sqrt(3))


def test_a_loss_of_your_own_and_modules_for_one_step() -> None:
    model = Reader()
    ids, labels = torch.randint(11, (2, 8)), torch.tensor([0, 1])
    norms = gradient_through_time(model, ids, loss=lambda scores: nn.functional.cross_entropy(scores, labels))
    assert {name: sorted(states) for name, states in norms.layers.items()} == {
        "layer.l0": ["hidden"],
        "cell": ["cell", "hidden"],
    }
    assert all(len(norm) == 8 for states in norms.layers.values() for norm in states.values())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert norms.memory_length()["cell"]["cell"] == memory_length(norms["cell"]["cell"])


def test_frozen_weights_and_a_cell_of_your_own() -> None:
    layer = OwnLayer("forgetful", Forgetful, 3, [4]).requires_grad_(False)
    with torch.no_grad():
        norms = gradient_through_time(layer, torch.randn(2, 6, 3), [6, 3])["l0"]["hidden"]
    assert norms.shape == (6,)
    assert norms[0] == pytest.approx(2.0)
    assert bool((norms[:-1] > norms[1:]).all())


def test_a_loss_that_is_none_is_refused() -> None:
    layer, x = holdfast.GRU(3, 4), torch.randn(5, 2, 3)
    with pytest.raises(OptionError, match=r"The loss is not a scalar tensor with a gradient; expected one number"):
        gradient_through_time(layer, x, loss=lambda output: output[0])
    with pytest.raises(OptionError, match="No recurrent layer of Holdfast ran in this Linear"):
        gradient_through_time(nn.Linear(3, 1), x)


def test_memory_length_of_figures() -> None:
    assert memory_length([1.0]) == 0
    assert memory_length([0.0, 0.0]) == 0
    assert memory_length(torch.ones(10), 0.5) == 4
    assert memory_length(torch.ones(10), 1.0) == 9
    with pytest.raises(OptionError, match="share is 0; expected a share above 0 and up to 1"):
        memory_length([1.0], 0)
    with pytest.raises(OptionError, match="A norm is negative or not finite"):
        memory_length([1.0, math.nan])
    with pytest.raises(ShapeError, match=r"norms has shape \(0,\); expected \(lags,\)"):
        memory_length([])


def test_connectivity_is_the_norm_of_the_jacobian() -> None:
    layer, x = holdfast.LSTM(3, 4, batch_first=True, bidirectional=True), torch.randn(1, 5, 3)
    with torch.random.fork_rng():
        jacobian = torch.autograd.functional.jacobian(lambda x: layer(x)[0], x)[0, :, :, 0]  # [T, O, T, C]
    torch.testing.assert_close(connectivity(layer, x), jacobian.square().sum((1, 3)).sqrt(), rtol=1e-4, atol=1e-6)
    one = connectivity(layer, x, output=2)
    torch.testing.assert_close(one, jacobian[:, 2].square().sum(-1).sqrt(), rtol=1e-4, atol=1e-6)


def test_connectivity_looks_back_only_and_stops_at_the_length() -> None:
    layer = holdfast.GRU(3, 4)
    found = connectivity(layer, torch.randn(6, 2, 3), [6, 4])
    assert found.shape == (6, 6)
    assert found.triu(1).count_nonzero() == 0
    assert bool((found.tril() > 0).sum() == 21)
    alone = connectivity(layer, torch.randn(6, 1, 3), [4])
    assert alone[4:].count_nonzero() == 0
    assert alone[:, 4:].count_nonzero() == 0


def test_connectivity_of_ids_goes_to_their_vectors() -> None:
    model = Reader().eval()
    ids = torch.randint(11, (1, 8))
    found = connectivity(model, ids)
    assert found.shape == (1, 8)
    assert bool((found > 0).all())
    with pytest.raises(OptionError, match="There is no output 'larges': did you mean 'largest'"):
        connectivity(model, ids, output="larges")
    with pytest.raises(OptionError, match="output is 2; expected a number from 0 to 1"):
        connectivity(model, ids, output=2)
    assert all(not module._forward_hooks for module in model.modules())
