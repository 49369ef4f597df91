"""``holdfast.unroll``: any cell over all steps of a batch of sequences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from holdfast.cells.nested_state import State, describe, map_state
from holdfast.engines.lengths import Lengths, check_lengths
from holdfast.engines.memory import Memory
from holdfast.engines.time_loop import SequenceCell, scan
from holdfast.errors import OptionError, ShapeError


@runtime_checkable
class BeginsSequence(Protocol):
    """A cell that does something once per sequence, such as drawing the masks of recurrent dropout."""

    def initial_state(self, batch: int, dtype: torch.dtype | None = None, device: Any = None) -> State:
        """The state before the first step."""

    def begin_sequence(self, inputs: Tensor, state: State) -> SequenceCell:
        """The cell for one batch of sequences, [T, B, ...], that starts from ``state``."""


@dataclass(frozen=True)
class _ModuleCell:
    """A user's cell, any module with ``forward(x, state) -> (output, state)``, as a :class:`SequenceCell`."""

    module: Callable[[Tensor, State], tuple[Tensor, State]]

    def prepare(self, inputs: Tensor) -> Tensor:
        return inputs

    def step(self, t: int, prepared: Tensor, state: State) -> tuple[Tensor, State]:
        result = self.module(prepared, state)
        if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[0], Tensor):
            raise ShapeError(
                f"{type(self.module).__name__}.forward(x, state) returned {describe(result)}; expected the pair "
                "(output, new state)."
            )
        return result


def unroll(
    cell: Any,
    inputs: Tensor,
    initial_state: State = None,
    lengths: Lengths | None = None,
    *,
    time_major: bool = False,
    reverse: bool = False,
    return_states: bool = False,
    memory: Memory = "keep",
    segment: int | None = None,
) -> tuple[Any, ...]:
    """Runs a cell over every step of a batch of sequences.

    Args:
        cell: A cell of Holdfast (:class:`~holdfast.LSTMCell`, ...), or any module with
            ``initial_state(batch, dtype=..., device=...)`` and ``forward(x, state) -> (output, state)``. A state is a
            tensor with the batch first, or a tuple, list or dict of such.
        inputs: [B, T, ...], or [T, B, ...] with ``time_major``.
        initial_state: The state before the first step; None for the cell's own.
        lengths: Steps in each row, [B], 0 to T; None when all rows have T. Past a row's length the output is zero and
            the state is kept. Values in the padding, NaN included, change nothing.
        time_major: Whether time comes before the batch, in ``inputs``, outputs and per-step states.
        reverse: Run each row from its own last step to its first; an output keeps the position of its input.
        return_states: Also return the state after every step.
        memory: What is kept for the backward pass. ``"keep"``: everything. ``"recompute"``: the state at the start of
            every segment; the steps between are computed again (Chen et al. 2016), so memory grows with the square
            root of T (except for the outputs; for your own module, the graph of all steps is kept without its
            tensors). ``"offload"``: everything, in host memory (on a CPU it is there already).
        segment: Steps per segment for ``"recompute"``; None for the square root of T.

    Returns:
        ``(outputs, state)``, or ``(outputs, state, states)`` with ``return_states``: outputs [B, T, ...] (time first
        with ``time_major``), the state after each row's last step, and the per-step states, shaped as a state with T
        inserted after the batch (before it with ``time_major``).

    Raises:
        ShapeError: ``inputs``, ``lengths`` or the cell's results have the wrong shape.
        OptionError: There is no such ``memory`` or ``segment``, or ``cell`` is not a cell.

    Example:
        >>> import torch
        >>> import holdfast
        >>> cell = holdfast.GRUCell(3, 4)
        >>> outputs, state = holdfast.unroll(cell, torch.zeros(2, 7, 3), lengths=[7, 5])
        >>> outputs.shape, state.shape
        (torch.Size([2, 7, 4]), torch.Size([2, 4]))
    """
    _check_arguments(cell, inputs, time_major)
    steps_first = inputs if time_major else inputs.transpose(0, 1)
    steps, batch = steps_first.shape[:2]
    if initial_state is None:
        dtype = inputs.dtype if inputs.is_floating_point() else None  # tokens do not say the dtype of a state
        initial_state = cell.initial_state(batch, dtype=dtype, device=inputs.device)
    outputs, state, states = scan(
        sequence_cell(cell, steps_first, initial_state),
        steps_first,
        initial_state,
        check_lengths(lengths, batch, steps, inputs.device),
        reverse=reverse,
        return_states=return_states,
        memory=memory,
        segment=segment,
    )
    if not time_major:
        outputs = outputs.transpose(0, 1)
        states = map_state(lambda part: part.transpose(0, 1), states) if return_states else None
    return (outputs, state, states) if return_states else (outputs, state)


def sequence_cell(cell: Any, inputs: Tensor, state: State) -> SequenceCell:
    """The cell for one batch of sequences, [T, B, ...], that starts from ``state``."""
    return cell.begin_sequence(inputs, state) if isinstance(cell, BeginsSequence) else _ModuleCell(cell)


def _check_arguments(cell: Any, inputs: Tensor, time_major: bool) -> None:
    if inputs.ndim < 2:
        order = "(time, batch, ...)" if time_major else "(batch, time, ...)"
        raise ShapeError(f"inputs has shape {tuple(inputs.shape)}; expected at least two dimensions, {order}.")
    if not hasattr(cell, "initial_state"):
        raise OptionError(
            f"{type(cell).__name__} has no initial_state(batch, ...): unroll takes Holdfast's cells, or a module with "
            "initial_state and forward(x, state) -> (output, state)."
        )
