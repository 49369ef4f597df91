"""What unroll refuses: inputs, lengths, policies, and cells that return something else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.engines.unrolled import H, I
from torch import Tensor, nn

import holdfast
from holdfast.errors import OptionError, ShapeError


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
