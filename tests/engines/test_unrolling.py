"""Any cell over time: the properties that every cell, length, direction and memory policy must have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.engines.unrolled import INF, NAN, H, I, assert_close, tensors
from torch import Tensor, nn

import holdfast
from holdfast.cells.nested_state import map_state
from variants import VARIANTS

CELLS = {"lstm": holdfast.LSTMCell, "gru": holdfast.GRUCell, "rnn": holdfast.RNNCell}


@dataclass
class Case:
    """A cell with a batch of sequences, in float64."""

    cell: nn.Module
    inputs: Tensor
    state: Any
    lengths: list[int]
    reverse: bool

    def run(self, inputs: Tensor | None = None, state: Any = None, **changes: Any) -> tuple[Any, ...]:
        arguments = {"lengths": self.lengths, "reverse": self.reverse, "return_states": True, **changes}
        x = self.inputs if inputs is None else inputs
        return holdfast.unroll(self.cell, x, self.state if state is None else state, **arguments)


@st.composite
def cases(draw: st.DrawFn, max_batch: int = 4, max_steps: int = 9, zero: bool = True) -> Case:
    kind, options = VARIANTS[draw(st.sampled_from(sorted(VARIANTS)))]
    batch, steps = draw(st.integers(1, max_batch)), draw(st.integers(1, max_steps))
    lengths = draw(st.lists(st.integers(0 if zero else 1, steps), min_size=batch, max_size=batch))
    torch.manual_seed(draw(st.integers(0, 2**20)))
    cell = CELLS[kind](I, H, dtype=torch.float64, **options).eval()
    for parameter in cell.parameters():  # also those that start at 0 or 1
        nn.init.normal_(parameter, std=0.5)
    state = map_state(lambda part: torch.randn_like(part), cell.initial_state(batch))
    inputs = torch.randn(batch, steps, I, dtype=torch.float64)
    return Case(cell, inputs, state, lengths, draw(st.booleans()))


def assert_identical(got: Any, expected: Any) -> None:
    for a, b in zip(tensors(got), tensors(expected), strict=True):
        assert torch.equal(a, b)


def gradients(case: Case, inputs: Tensor | None = None, **changes: Any) -> list[Tensor]:
    """Of a random function of all results, by the input, the initial state and every parameter."""
    x = (case.inputs if inputs is None else inputs).detach().clone().requires_grad_()
    state = map_state(lambda part: part.detach().clone().requires_grad_(), case.state)
    results = tensors(case.run(x, state, **changes))
    generator = torch.Generator().manual_seed(1)
    total = sum((r * torch.randn(r.shape, generator=generator, dtype=r.dtype)).sum() for r in results)
    wanted = [x, *tensors(state), *case.cell.parameters()]
    assert isinstance(total, Tensor)
    return list(torch.autograd.grad(total, wanted, allow_unused=True, materialize_grads=True))


@given(cases())
def test_a_padded_batch_equals_each_sequence_alone(case: Case) -> None:
    outputs, final, states = case.run()
    for row, length in enumerate(case.lengths):
        alone = map_state(lambda part, row=row: part[row : row + 1], case.state)
        assert not outputs[row, length:].any()
        if not length:
            assert_identical(map_state(lambda part, row=row: part[row : row + 1], final), alone)
            continue
        short = holdfast.unroll(
            case.cell, case.inputs[row : row + 1, :length], alone, reverse=case.reverse, return_states=True
        )
        assert_close(outputs[row : row + 1, :length], short[0])
        assert_close(map_state(lambda part, row=row: part[row : row + 1], final), short[1])
        cut = map_state(lambda part, row=row, length=length: part[row : row + 1, :length], states)
        assert_close(cut, short[2])


@given(cases())
def test_past_the_length_the_states_stand_still(case: Case) -> None:
    _, final, states = case.run()
    held = case.state if case.reverse else final
    for row, length in enumerate(case.lengths):
        for every, part in zip(tensors(states), tensors(held), strict=True):
            for t in range(length, every.shape[1]):
                assert torch.equal(every[row, t], part[row])


@given(cases(), st.data())
def test_chunks_with_the_state_carried_equal_the_whole(case: Case, data: st.DataObject) -> None:
    steps = case.inputs.shape[1]
    cut = data.draw(st.integers(1, steps))
    whole, final, _ = case.run()
    spans = [(0, cut), (cut, steps)] if cut < steps else [(0, steps)]
    pieces, state = [], case.state
    for start, stop in reversed(spans) if case.reverse else spans:
        lengths = [min(max(length - start, 0), stop - start) for length in case.lengths]
        output, state, _ = case.run(case.inputs[:, start:stop], state, lengths=lengths)
        pieces.append(output)
    assert_close(torch.cat(pieces[::-1] if case.reverse else pieces, 1), whole)
    assert_close(state, final)


@given(cases())
def test_reversing_input_and_direction_changes_nothing(case: Case) -> None:
    def turned(x: Tensor) -> Tensor:
        rows = [torch.cat([row[:length].flip(0), row[length:]]) for row, length in zip(x, case.lengths, strict=True)]
        return torch.stack(rows)

    outputs, final, _ = case.run()
    again, end, _ = case.run(turned(case.inputs), reverse=not case.reverse)
    assert_close(turned(again), outputs)
    assert_close(end, final)


@given(cases(), st.randoms(use_true_random=False))
def test_permuting_the_batch_permutes_the_results(case: Case, random: Any) -> None:
    order = list(range(len(case.lengths)))
    random.shuffle(order)
    expected = map_state(lambda part: part[order], case.run())
    state = map_state(lambda part: part[order], case.state)
    got = case.run(case.inputs[order], state, lengths=[case.lengths[k] for k in order])
    assert_close(got, expected)


@given(cases(), st.sampled_from([NAN, INF, -INF, 1e300]), st.sampled_from(["keep", "recompute"]))
def test_junk_in_the_padding_changes_no_bit_of_results_and_gradients(case: Case, junk: float, memory: str) -> None:
    dirty = case.inputs.clone()
    for row, length in enumerate(case.lengths):
        dirty[row, length:] = junk
    assert_identical(case.run(dirty, memory=memory), case.run(memory=memory))
    of_dirty = gradients(case, dirty, memory=memory)
    assert_identical(of_dirty, gradients(case, memory=memory))
    for row, length in enumerate(case.lengths):
        assert not of_dirty[0][row, length:].any()


@given(cases(), st.none() | st.integers(1, 12))
def test_recompute_and_offload_equal_keep(case: Case, segment: int | None) -> None:
    expected, slopes = case.run(), gradients(case)
    for policy in ({"memory": "recompute", "segment": segment}, {"memory": "offload"}):
        assert_close(case.run(**policy), expected)
        assert_close(gradients(case, **policy), slopes)


@given(cases())
def test_time_first_is_batch_first_transposed(case: Case) -> None:
    outputs, final, states = case.run()
    got, end, every = case.run(case.inputs.transpose(0, 1).contiguous(), time_major=True)
    assert_close(got.transpose(0, 1), outputs)
    assert_close(end, final)
    assert_close(map_state(lambda part: part.transpose(0, 1), every), states)


@given(cases())
def test_inputs_that_are_not_contiguous(case: Case) -> None:
    batch, steps, size = case.inputs.shape
    wide = torch.full((size, 2 * steps, batch + 1), NAN, dtype=torch.float64)
    view = wide.permute(2, 1, 0)[1:, ::2]
    view.copy_(case.inputs)
    assert not view.is_contiguous() or view.numel() <= 1 or steps == batch == 1
    assert_close(case.run(view), case.run())
    expanded = case.inputs[:1, :1].expand(batch, steps, size)
    assert_close(gradients(case, expanded), gradients(case, expanded.contiguous()))


@given(cases())
def test_per_step_states_agree_with_every_prefix(case: Case) -> None:
    _, _, states = case.run()
    steps = case.inputs.shape[1]
    for t in range(steps):
        if case.reverse:
            lengths = [max(length - t, 0) for length in case.lengths]
            _, prefix, _ = case.run(case.inputs[:, t:], lengths=lengths)
        else:
            _, prefix, _ = case.run(case.inputs[:, : t + 1], lengths=[min(n, t + 1) for n in case.lengths])
        assert_close(map_state(lambda part, t=t: part[:, t], states), prefix)


@pytest.mark.parametrize(("batch", "steps", "size"), [(1, 1, 1), (1, 3, 63), (2, 1, 100), (3, 4, 63)])
@pytest.mark.parametrize("kind", CELLS)
def test_odd_sizes(kind: str, batch: int, steps: int, size: int) -> None:
    cell = CELLS[kind](I, size, dtype=torch.float64)
    x = torch.randn(batch, steps, I, dtype=torch.float64)
    outputs, final = holdfast.unroll(cell, x)
    state, expected = None, []
    for t in range(steps):
        state = cell(x[:, t], state)
        expected.append(tensors(state)[0])
    assert_close(outputs, torch.stack(expected, 1))
    assert_close(final, state)


def test_all_lengths_zero() -> None:
    cell = holdfast.LSTMCell(I, H, dtype=torch.float64)
    state = (torch.randn(2, H, dtype=torch.float64), torch.randn(2, H, dtype=torch.float64))
    for reverse in (False, True):
        x = torch.full((2, 4, I), NAN, dtype=torch.float64, requires_grad=True)
        outputs, final, states = holdfast.unroll(cell, x, state, [0, 0], reverse=reverse, return_states=True)
        assert outputs.shape == (2, 4, H)
        assert not outputs.any()
        assert_identical(final, state)
        assert_identical(states, map_state(lambda part: part[:, None].expand(2, 4, H), state))
        outputs.sum().backward()
        assert x.grad is not None
        assert not x.grad.any()
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in cell.parameters())


def test_an_empty_batch() -> None:
    outputs, h = holdfast.unroll(holdfast.GRUCell(I, H), torch.zeros(0, 4, I), lengths=torch.zeros(0, dtype=torch.long))
    assert (outputs.shape, h.shape) == ((0, 4, H), (0, H))


def test_masks_are_the_same_when_steps_are_computed_again() -> None:
    for options in ({"recurrent_dropout": 0.5}, {"zoneout_h": 0.5}, {"weight_dropout": 0.5}):
        cell = holdfast.GRUCell(I, 20, dtype=torch.float64, **options)
        x = torch.randn(2, 9, I, dtype=torch.float64)
        found = []
        for memory in ("keep", "recompute"):
            torch.manual_seed(4)
            leaf = x.clone().requires_grad_()
            outputs, _ = holdfast.unroll(cell, leaf, memory=memory)
            found.append([outputs, *torch.autograd.grad(outputs.sum(), [leaf, *cell.parameters()])])
        assert_close(*found)
