"""A user's own cells over time: the forms of their state, whole numbers as input, and both derivatives."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from tests.engines.unrolled import INF, NAN, H, I, assert_close, tensors
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck

import holdfast
from holdfast.cells.nested_state import map_state


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
