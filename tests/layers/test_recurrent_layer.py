"""What the layers have beyond torch.nn's: merging, locked dropout, residuals, sizes, per-step states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import holdfast

F64: dict[str, Any] = {"dtype": torch.float64, "batch_first": True}


def x(batch: int = 3, steps: int = 5, size: int = 4) -> Tensor:
    return torch.randn(batch, steps, size, dtype=torch.float64)


@pytest.mark.parametrize(
    ("merge", "expected"),
    [
        ("sum", lambda a, b: a + b),
        ("mean", lambda a, b: (a + b) / 2),
        ("product", lambda a, b: a * b),
        ("concat", lambda a, b: torch.cat([a, b], 2)),
    ],
)
def test_merge(merge: Any, expected: Any) -> None:
    layer = holdfast.GRU(4, 6, bidirectional=True, merge=merge, **F64)
    concat = holdfast.GRU(4, 6, bidirectional=True, **F64)
    concat.load_state_dict(layer.state_dict())
    inputs, lengths = x(), [5, 2, 0]
    forwards, backwards = concat(inputs, lengths=lengths)[0].chunk(2, -1)
    output, h = layer(inputs, lengths=lengths)
    assert torch.equal(output, expected(forwards, backwards))
    assert output.shape[-1] == layer.output_size
    assert h.shape == (2, 3, 6)
    assert torch.equal(h[0, 1], forwards[1, 1])  # after the last of two steps
    assert torch.equal(h[1, 1], backwards[1, 0])


def test_a_merged_layer_feeds_the_next_one() -> None:
    layer = holdfast.LSTM(4, 6, 2, bidirectional=True, merge="sum", **F64)
    assert layer.weight_ih_l1.shape == (24, 6)
    assert layer(x())[0].shape == (3, 5, 6)


def between_layers(**options: Any) -> Tensor:
    """What arrives at the second of two layers, from a first one whose outputs are all 1; [B, T, H]."""
    layer = holdfast.RNN(1, 40, 2, nonlinearity="linear", dropout=0.3, batch_first=True, **options)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.bias_ih_l0.fill_(1)
        layer.weight_ih_l1.copy_(torch.eye(40))
    return layer(torch.zeros(50, 6, 1))[0].detach()


def test_dropout_between_layers() -> None:
    arrived = between_layers()
    assert arrived.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert float((arrived > 0).float().mean()) == pytest.approx(0.7, abs=0.02)
    assert not torch.equal(arrived[:, 0], arrived[:, 1])
    torch.manual_seed(1)
    once = between_layers()
    torch.manual_seed(1)
    assert torch.equal(between_layers(), once)


def test_locked_dropout_drops_the_same_units_at_every_step() -> None:
    arrived = between_layers(locked_dropout=True)
    assert arrived.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert float((arrived[:, 0] > 0).float().mean()) == pytest.approx(0.7, abs=0.03)
    for t in range(1, 6):
        assert torch.equal(arrived[:, t], arrived[:, 0])
    assert not torch.equal(arrived[0], arrived[1])


@pytest.mark.parametrize("locked", [False, True])
def test_nothing_is_dropped_in_evaluation_nor_after_the_last_layer(locked: bool) -> None:
    layer = holdfast.LSTM(4, 6, 2, dropout=0.5, locked_dropout=locked, **F64)
    plain = holdfast.LSTM(4, 6, 2, **F64)
    plain.load_state_dict(layer.state_dict())
    inputs = x()
    assert torch.equal(layer.eval()(inputs)[0], plain(inputs)[0])
    output, _ = layer.train()(inputs)
    assert (output != 0).all()


def test_dropout_with_one_layer_warns_as_torch_does() -> None:
    with pytest.warns(
        UserWarning, match=r"^LSTM dropout = 0\.5 acts between layers, and there is only one layer\.$"
    ) as w:
        holdfast.LSTM(4, 6, dropout=0.5)
    assert w[0].filename == __file__


def test_residual_adds_the_input_from_the_second_layer_on() -> None:
    layer = holdfast.LSTM(4, 6, 3, residual=True, **F64)
    first, second, third = (holdfast.LSTM(size, 6, **F64) for size in (4, 6, 6))
    for number, alone in enumerate((first, second, third)):
        names = {f"{name}_l0": f"{name}_l{number}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
        alone.load_state_dict({own: layer.state_dict()[name] for own, name in names.items()})
    inputs = x()
    a = first(inputs, lengths=[5, 2, 0])[0]
    b = a + second(a, lengths=[5, 2, 0])[0]
    c = b + third(b, lengths=[5, 2, 0])[0]
    output = layer(inputs, lengths=[5, 2, 0])[0]
    torch.testing.assert_close(output, c, rtol=0, atol=1e-14)
    assert not output[1, 2:].any()


def test_reverse_runs_each_row_from_its_own_last_step() -> None:
    """As the second direction of a layer with two, and so with each layer on the one below."""
    layer = holdfast.LSTM(4, [6, 3], reverse=True, **F64)
    both = holdfast.LSTM(4, 6, bidirectional=True, **F64)
    state = both.state_dict()
    below = {name: value for name, value in layer.state_dict().items() if name.endswith("_l0")}
    state.update({f"{name}_reverse": value for name, value in below.items()})
    both.load_state_dict(state)
    inputs, lengths = x(), [5, 2, 0]
    first = both(inputs, lengths=lengths)[0][:, :, 6:]
    above = holdfast.LSTM(6, 3, reverse=True, **F64)
    above.load_state_dict({name.replace("l1", "l0"): v for name, v in layer.state_dict().items() if "l1" in name})
    torch.testing.assert_close(layer(inputs, lengths=lengths)[0], above(first, lengths=lengths)[0], rtol=0, atol=1e-14)
    assert holdfast.explain(layer, inputs).choices[0].part == "layer 0, reverse"
    assert repr(layer) == "LSTM(4, [6, 3], num_layers=2, batch_first=True, reverse=True)"


def test_layers_of_different_sizes() -> None:
    layer = holdfast.LSTM(4, [6, 3, 5], bidirectional=True, **F64)
    assert layer.num_layers == 3
    assert [layer.get_parameter(f"weight_ih_l{k}").shape for k in range(3)] == [(24, 4), (12, 12), (20, 6)]
    output, (h, c) = layer(x())
    assert output.shape == (3, 5, 10)
    assert [part.shape for part in h] == [part.shape for part in c] == [(2, 3, 6), (2, 3, 3), (2, 3, 5)]
    whole, _ = layer(inputs := x(steps=6))
    one_way = holdfast.GRU(4, [6, 3], **F64)
    whole, last = one_way(inputs)
    head, state = one_way(inputs[:, :2])
    tail, end = one_way(inputs[:, 2:], state)
    torch.testing.assert_close(torch.cat([head, tail], 1), whole, rtol=0, atol=1e-14)
    torch.testing.assert_close(end, last, rtol=0, atol=1e-14)
    _, _, states = one_way(inputs, return_states=True)
    assert [part.shape for part in states] == [(1, 3, 6, 6), (1, 3, 6, 3)]
    unbatched, alone = one_way(inputs[0])
    assert [part.shape for part in alone] == [(1, 6), (1, 3)]
    torch.testing.assert_close(unbatched, whole[0], rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", [holdfast.LSTM, holdfast.GRU, holdfast.RNN])
def test_per_step_states_are_the_final_states_of_every_prefix(kind: Any) -> None:
    layer = kind(4, 6, 2, **F64)
    inputs = x()
    _, final, states = layer(inputs, return_states=True)
    for t in range(5):
        _, prefix = layer(inputs[:, : t + 1])
        for every, part in zip(parts(states), parts(prefix), strict=True):
            torch.testing.assert_close(every[:, :, t], part, rtol=0, atol=1e-14)
    for every, part in zip(parts(states), parts(final), strict=True):
        assert torch.equal(every[:, :, -1], part)


def parts(state: Any) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


def test_per_step_states_with_lengths_and_both_directions() -> None:
    layer = holdfast.LSTM(4, 6, bidirectional=True, **F64)
    hx = (x(2, 3, 6), x(2, 3, 6))
    inputs = x()
    output, (h, c), (every_h, every_c) = layer(inputs, hx, lengths=[5, 2, 0], return_states=True)
    assert every_h.shape == every_c.shape == (2, 3, 5, 6)
    assert torch.equal(every_h[0, 1, :2], output[1, :2, :6])
    assert torch.equal(every_h[1, 1, :2], output[1, :2, 6:])
    for every, final, first in ((every_h, h, hx[0]), (every_c, c, hx[1])):
        for t in (2, 3, 4):
            assert torch.equal(every[0, 1, t], final[0, 1])  # forwards: the final state is kept
            assert torch.equal(every[1, 1, t], first[1, 1])  # in reverse: the row has not begun
        assert torch.equal(every[1, 1, 0], final[1, 1])
        for t in range(5):
            assert torch.equal(every[:, 2, t], first[:, 2])


def test_per_step_states_are_laid_out_as_the_input() -> None:
    layer = holdfast.LSTM(4, 6, 2, dtype=torch.float64)
    inputs = x(5, 3)
    _, _, (h, c) = layer(inputs, return_states=True)
    assert h.shape == c.shape == (2, 5, 3, 6)
    _, _, (alone, _) = layer(inputs[:, 1], return_states=True)
    assert alone.shape == (2, 5, 6)
    torch.testing.assert_close(alone, h[:, :, 1], rtol=0, atol=1e-14)
    packed = pack_padded_sequence(inputs, torch.tensor([2, 5, 4]), enforce_sorted=False)
    output, _, (of_packed, _) = layer(packed, return_states=True)
    assert of_packed.shape == (2, 5, 3, 6)
    torch.testing.assert_close(of_packed[1, :2, 0], pad_packed_sequence(output)[0][:2, 0], rtol=0, atol=0)


def test_options_reach_every_layer_and_direction() -> None:
    layer = holdfast.LSTM(4, 6, 2, bidirectional=True, peepholes=True, layer_norm=True, zoneout_c=0.1, **F64)
    assert all(spec.peepholes and spec.layer_norm and spec.zoneout_c == 0.1 for spec in layer.specs)
    for suffix in ("_l0", "_l0_reverse", "_l1", "_l1_reverse"):
        assert layer.get_parameter(f"weight_peephole{suffix}").shape == (3, 6)
        assert layer.get_parameter(f"norm_c{suffix}").shape == (6,)
    output, _ = layer(x())
    output.sum().backward()
    assert all(parameter.grad is not None for parameter in layer.parameters())


@pytest.mark.parametrize(
    "options",
    [
        {"recurrent_dropout": 0.5},
        {"recurrent_dropout": 0.5, "recurrent_dropout_mode": "gates"},
        {"recurrent_dropout": 0.5, "recurrent_dropout_mode": "candidate"},
        {"zoneout_h": 0.5},
        {"zoneout_c": 0.5},
        {"weight_dropout": 0.5},
    ],
)
def test_random_options_act_in_training_alone_and_by_the_seed(options: Any) -> None:
    layer = holdfast.LSTM(4, 30, 2, bidirectional=True, **options, **F64)
    inputs = x()
    torch.manual_seed(1)
    first, second = layer(inputs)[0], layer(inputs)[0]
    assert not torch.equal(first, second)
    torch.manual_seed(1)
    assert torch.equal(layer(inputs)[0], first)
    layer.eval()
    before = torch.get_rng_state()
    assert torch.equal(layer(inputs)[0], layer(inputs)[0])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("memory", ["keep", "recompute", "offload"])
@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_lengths_may_be_filled_anew_before_the_backward_pass(engine: str, memory: str) -> None:
    """A program may keep one tensor or array for the lengths of every batch."""
    layer = holdfast.LSTM(4, 6, bidirectional=True, engine=engine, memory=memory)
    cell = holdfast.GRUCell(4, 6)
    x = torch.randn(5, 2, 4)
    for kept in (torch.tensor([3, 2]), np.array([3, 2])):
        found = []
        for later in ([3, 2], [5, 5], [0, 0]):
            kept[:] = torch.tensor([3, 2]) if isinstance(kept, torch.Tensor) else [3, 2]
            y, _ = layer(x, lengths=kept)
            z, _ = holdfast.unroll(cell, x, lengths=kept, time_major=True, memory=memory)
            kept[:] = torch.tensor(later) if isinstance(kept, torch.Tensor) else later
            found.append(torch.autograd.grad(y.sum() + z.sum(), [*layer.parameters(), *cell.parameters()]))
        for gradients in found[1:]:
            torch.testing.assert_close(gradients, found[0], rtol=0, atol=0)
