"""Any cell over time: the properties that every cell, length, direction and memory policy must have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck

import holdfast
from holdfast.cells.nested_state import map_state
from holdfast.errors import OptionError, ShapeError
from variants import VARIANTS

CELLS = {"lstm": holdfast.LSTMCell, "gru": holdfast.GRUCell, "rnn": holdfast.RNNCell}
I, H = 2, 3  # noqa: E741 (the letters of the equations)
NAN, INF = float("nan"), float("inf")


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


def tensors(value: Any) -> list[Tensor]:
    """The tensors in results or states, in order."""
    if isinstance(value, Tensor):
        return [value]
    values = value.values() if isinstance(value, dict) else value
    return [tensor for part in values for tensor in tensors(part)]


def assert_close(got: Any, expected: Any, atol: float = 1e-12) -> None:
    for a, b in zip(tensors(got), tensors(expected), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=atol)


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


class Moments(NamedTuple):
    """A state with names."""

    mean: Tensor
    count: Tensor


class OwnCell(nn.Module):
    """A user's own cell: a decaying mean, with its state in any of the forms that are allowed."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form = form
        self.mix = nn.Linear(I, H, dtype=torch.float64)

    def pack(self, mean: Tensor, count: Tensor) -> Any:
        return {
            "tensor": lambda: mean,
            "tuple": lambda: (mean, count),
            "list": lambda: [mean, count],
            "dict": lambda: {"mean": mean, "count": count},
            "nested": lambda: {"both": (mean, [count])},
            "named tuple": lambda: Moments(mean, count),
        }[self.form]()

    def initial_state(self, batch: int, dtype: Any = None, device: Any = None) -> Any:
        return self.pack(
            torch.zeros(batch, H, dtype=dtype, device=device), torch.zeros(batch, dtype=torch.long, device=device)
        )

    def forward(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        mean = tensors(state)[0]
        count = tensors(state)[1] if len(tensors(state)) > 1 else torch.zeros(len(x), dtype=torch.long)
        mean = torch.tanh(self.mix(x) + 0.5 * mean)
        return mean.unsqueeze(1), self.pack(mean, count + 1)


@pytest.mark.parametrize("memory", ["keep", "recompute", "offload"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "reverse"])
@pytest.mark.parametrize("form", ["tensor", "tuple", "list", "dict", "nested", "named tuple"])
def test_a_cell_of_ones_own(form: str, reverse: bool, memory: Any) -> None:
    cell = OwnCell(form)
    x = torch.randn(3, 5, I, dtype=torch.float64)
    lengths = [3, 0, 5]
    dirty = x.clone()
    dirty[0, 3:], dirty[1] = NAN, INF
    outputs, final, states = holdfast.unroll(
        cell, dirty, lengths=lengths, reverse=reverse, return_states=True, memory=memory
    )
    assert outputs.shape == (3, 5, 1, H)
    assert type(final) is type(states) is type(cell.initial_state(1))
    for row, length in enumerate(lengths):
        state = cell.initial_state(1, dtype=torch.float64)
        for t in reversed(range(length)) if reverse else range(length):
            output, state = cell(x[row : row + 1, t], state)
            assert_close(outputs[row : row + 1, t], output)
            assert_close(map_state(lambda part, row=row, t=t: part[row : row + 1, t], states), state)
        assert_close(map_state(lambda part, row=row: part[row : row + 1], final), state)
        assert not outputs[row, length:].any()
    if form != "tensor":
        assert tensors(final)[1].tolist() == lengths
    outputs.square().sum().backward()
    assert cell.mix.weight.grad is not None
    assert cell.mix.weight.grad.isfinite().all()


def test_a_cell_that_reads_numbers_of_words() -> None:
    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(10, H)

        def initial_state(self, batch: int, dtype: Any = None, device: Any = None) -> Tensor:
            assert dtype is None  # whole numbers say nothing about the state
            return torch.zeros(batch, H, dtype=dtype, device=device)

        def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
            state = torch.tanh(self.embedding(x) + state)
            return state, state

    outputs, state = holdfast.unroll(Words(), torch.randint(10, (2, 5)), lengths=[5, 2])
    assert torch.equal(outputs[1, 1], state[1])


@pytest.mark.parametrize("memory", ["keep", "recompute"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "reverse"])
def test_derivatives_of_both_orders(reverse: bool, memory: Any) -> None:
    cell = OwnCell("tuple")

    def run(x: Tensor, mean: Tensor, *parameters: Tensor) -> Tensor:
        names = [name for name, _ in cell.named_parameters()]

        class Swapped(OwnCell):
            def forward(self, x: Tensor, state: Any) -> Any:
                return torch.func.functional_call(cell, dict(zip(names, parameters, strict=True)), (x, state))

        start = (mean, torch.zeros(3, dtype=torch.long))
        return holdfast.unroll(Swapped("tuple"), x, start, [2, 0, 4], reverse=reverse, memory=memory)[0]

    leaves = [torch.randn(3, 4, I), torch.randn(3, H), *(p.detach().clone() for p in cell.parameters())]
    leaves = [leaf.double().requires_grad_() for leaf in leaves]
    assert gradcheck(run, leaves)
    assert gradgradcheck(run, leaves)


def said(call: Any, error: type[Exception]) -> str:
    with pytest.raises(error) as raised:
        call()
    return str(raised.value)


def test_errors() -> None:
    cell, x = holdfast.GRUCell(I, H), torch.zeros(2, 5, I)
    assert said(lambda: holdfast.unroll(cell, x[0, 0]), ShapeError) == (
        "inputs has shape (2,); expected at least two dimensions, (batch, time, ...)."
    )
    assert said(lambda: holdfast.unroll(cell, x[:, :0]), ShapeError) == (
        "inputs has shape (0, 2, 2) (time first); expected at least one step."
    )
    assert said(lambda: holdfast.unroll(cell, x, lengths=[6, 1]), ShapeError) == (
        "lengths go from 1 to 6; expected 0 to 5, the number of steps in the input."
    )
    assert said(lambda: holdfast.unroll(cell, x, memory="offlod"), OptionError) == (  # type: ignore[arg-type]
        "There is no memory policy 'offlod': did you mean 'offload'? Known: keep, offload, recompute."
    )
    assert said(lambda: holdfast.unroll(cell, x, memory="recompute", segment=0), OptionError) == (
        "segment is 0; expected at least 1 step, or None for the square root of all steps."
    )
    assert said(lambda: holdfast.unroll(nn.Linear(2, 2), x), OptionError) == (
        "Linear has no initial_state(batch, ...): unroll takes Holdfast's cells, or a module with initial_state and "
        "forward(x, state) -> (output, state)."
    )


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (lambda x, s: x, "a tensor of shape (2, 2)"),
        (lambda x, s: (x, s, s), "a tuple of 3"),
        (lambda x, s: [x, s], "a list of 2"),
        (lambda x, s: ({"h": x}, s), "a tuple of 2"),
        (lambda x, s: {"output": x, "state": s}, "a dict of 'output', 'state'"),
        (lambda x, s: None, "a NoneType"),
    ],
)
def test_a_cell_that_returns_no_pair(returned: Any, words: str) -> None:
    class Wrong(nn.Module):
        def initial_state(self, batch: int, **_: Any) -> Tensor:
            return torch.zeros(batch, H)

        def forward(self, x: Tensor, state: Tensor) -> Any:
            return returned(x, state)

    assert said(lambda: holdfast.unroll(Wrong(), torch.zeros(2, 5, I)), ShapeError) == (
        f"Wrong.forward(x, state) returned {words}; expected the pair (output, new state)."
    )


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (lambda h: h, lambda h: (h, h), "The state was a tensor of shape (2, 3) and became a tuple of 2"),
        (lambda h: (h, h), lambda h: (h,), "The state was a tuple of 2 and became a tuple of 1"),
        (lambda h: {"h": h}, lambda h: {"g": h}, "The state was a dict of 'h' and became a dict of 'g'"),
    ],
)
def test_a_cell_that_changes_the_form_of_its_state(before: Any, after: Any, words: str) -> None:
    class Wrong(nn.Module):
        def initial_state(self, batch: int, **_: Any) -> Any:
            return before(torch.zeros(batch, H))

        def forward(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
            return x, after(torch.zeros(len(x), H))

    message = said(lambda: holdfast.unroll(Wrong(), torch.zeros(2, 5, I), lengths=[0, 5]), ShapeError)
    assert message == f"{words}; expected the same form at every step."


@pytest.mark.parametrize(
    "lengths", [[], (), np.array([]), torch.zeros(0, dtype=torch.int64)], ids=lambda x: type(x).__name__
)
def test_an_empty_batch_has_no_lengths(lengths: Any) -> None:
    outputs, state = holdfast.unroll(holdfast.GRUCell(3, 4), torch.zeros(0, 5, 3), lengths=lengths)
    assert (outputs.shape, state.shape) == ((0, 5, 4), (0, 4))
    outputs, state = holdfast.GRU(3, 4, bidirectional=True)(torch.zeros(5, 0, 3), lengths=lengths)
    assert (outputs.shape, state.shape) == ((5, 0, 8), (2, 0, 4))
    with pytest.raises(
        ShapeError, match=r"lengths has shape \(0,\) and dtype torch.int64; expected whole numbers of shape"
    ):
        holdfast.GRU(3, 4)(torch.zeros(5, 2, 3), lengths=lengths)
