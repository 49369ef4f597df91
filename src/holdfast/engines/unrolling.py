"""Any cell over time: lengths, direction, initial state, per-step states and what is kept for the backward pass."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from holdfast.cells import calling
from holdfast.cells.nested_state import State, describe, map_state
from holdfast.engines.memory import Memory, check_memory, host_copies, run_again_in_backward
from holdfast.errors import OptionError, ShapeError

Lengths = Tensor | Sequence[int]


class SequenceCell(Protocol):
    """What :func:`scan` runs: a cell that is ready for one batch of sequences."""

    def prepare(self, inputs: Tensor) -> Tensor:
        """Whatever can be computed for many steps [T, B, ...] at once: [T, ...]."""

    def step(self, t: int, prepared: Tensor, state: State) -> tuple[Tensor, State]:
        """Step ``t``: its part of what :meth:`prepare` gave, and the state -> output [B, ...] and new state."""


@runtime_checkable
class BeginsSequence(Protocol):
    """A cell that does something once a sequence, such as drawing the masks of recurrent dropout."""

    def initial_state(self, batch: int, dtype: torch.dtype | None = None, device: Any = None) -> State:
        """The state before the first step."""

    def begin_sequence(self, inputs: Tensor, state: State) -> SequenceCell:
        """The cell for one batch of sequences, [T, B, ...], that starts from ``state``."""


def check_lengths(lengths: Lengths | None, batch: int, steps: int, device: torch.device) -> Tensor | None:
    """The lengths as an int64 tensor [B] on ``device``, or None when every row has all its steps.

    A copy: whoever gave them may fill the same tensor or array anew before the backward pass, which asks for them too.

    Raises:
        ShapeError: Not B whole numbers from 0 to ``steps``.
    """
    if lengths is None:
        return None
    try:
        given = lengths if isinstance(lengths, Tensor) else torch.as_tensor(lengths)
        if not isinstance(lengths, Tensor) and not given.numel():  # torch takes an empty list for one of float32
            given = given.long()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ShapeError(f"lengths is {lengths!r}; expected whole numbers, one a row of the input.") from error
    if given.shape != (batch,) or given.is_floating_point() or given.dtype == torch.bool:
        raise ShapeError(
            f"lengths has shape {tuple(given.shape)} and dtype {given.dtype}; expected whole numbers of shape "
            f"(batch,) = ({batch},), one a row of the input."
        )
    if batch and calling.can_read(given):
        low, high = int(given.min()), int(given.max())
        if low < 0 or high > steps:
            raise ShapeError(
                f"lengths go from {low} to {high}; expected 0 to {steps}, the number of steps in the input."
            )
        if low == steps:
            return None
    return given.to(device=device, dtype=torch.int64, copy=True)


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
            the state is kept. What stands in the padding, NaN included, changes nothing.
        time_major: Whether time comes before the batch, in ``inputs``, outputs and per-step states.
        reverse: Run each row from its own last step to its first; outputs stand where their inputs do.
        return_states: Also return the state after every step.
        memory: What is kept for the backward pass. ``"keep"``: everything. ``"recompute"``: the state at the start of
            every segment, the steps between are computed again (Chen et al. 2016), so that what is kept grows with the
            square root of T (beside the outputs; for a module of one's own, the graph of all steps is kept without its
            tensors). ``"offload"``: everything, in host memory (on a CPU it is there already).
        segment: Steps in a segment for ``"recompute"``; None for the square root of T.

    Returns:
        ``(outputs, state)``, or ``(outputs, state, states)`` with ``return_states``: outputs [B, T, ...] (time first
        with ``time_major``), the state after each row's last step, and the per-step states, shaped as a state with T
        inserted behind the batch (before it with ``time_major``).

    Raises:
        ShapeError: ``inputs``, ``lengths`` or the cell's results have the wrong shape.
        OptionError: ``memory`` or ``segment`` is not one that exists.
    """
    if inputs.ndim < 2:
        order = "(time, batch, ...)" if time_major else "(batch, time, ...)"
        raise ShapeError(f"inputs has shape {tuple(inputs.shape)}; expected at least two dimensions, {order}.")
    if not hasattr(cell, "initial_state"):
        raise OptionError(
            f"{type(cell).__name__} has no initial_state(batch, ...): unroll takes Holdfast's cells, or a module with "
            "initial_state and forward(x, state) -> (output, state)."
        )
    steps_first = inputs if time_major else inputs.transpose(0, 1)
    steps, batch = steps_first.shape[:2]
    if initial_state is None:
        dtype = inputs.dtype if inputs.is_floating_point() else None  # inputs that are numbers of words say nothing
        initial_state = cell.initial_state(batch, dtype=dtype, device=inputs.device)
    outputs, state, states = scan(
        cell.begin_sequence(steps_first, initial_state) if isinstance(cell, BeginsSequence) else _ModuleCell(cell),
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


def scan(
    cell: SequenceCell,
    inputs: Tensor,
    state: State,
    lengths: Tensor | None,
    *,
    reverse: bool = False,
    return_states: bool = False,
    memory: Memory = "keep",
    segment: int | None = None,
) -> tuple[Tensor, State, State]:
    """The loop under :func:`unroll`: time first, and lengths already checked.

    Args:
        cell: The cell, ready for this batch.
        inputs: [T, B, ...].
        state: The state before the first step.
        lengths: int64 [B] on the device of ``inputs``, or None.
        reverse: As in :func:`unroll`, and so are the rest.
        return_states: Whether the third result holds the per-step states; it is None otherwise.
        memory: The memory policy.
        segment: Steps in a segment for ``"recompute"``.

    Returns:
        Outputs [T, B, ...], final state, per-step states (time first) or None.
    """
    check_memory(memory, segment)
    steps = inputs.shape[0]
    if not steps:
        raise ShapeError(f"inputs has shape {tuple(inputs.shape)} (time first); expected at least one step.")
    if calling.is_traced():
        warnings.warn(
            f"A trace holds the {int(steps)} steps of its example one by one, and fails on any other number of steps.",
            UserWarning,
            stacklevel=2,
        )
    shortest = longest = steps
    if lengths is not None:
        shortest = 0  # where lengths cannot be read, every step asks which rows it belongs to
        if not lengths.shape[0]:  # by len(), an exporter would take the number of rows for a constant
            longest = 0
        elif calling.can_read(lengths):
            shortest, longest = int(lengths.min()), int(lengths.max())
        padding = torch.arange(steps, device=inputs.device)[:, None] >= lengths
        # A NaN in the padding must not reach a product: 0 * NaN would come back in the gradient of the weights.
        inputs = inputs.masked_fill(padding.reshape(padding.shape + (1,) * (inputs.ndim - 2)), 0)

    def run(start: int, cell: SequenceCell, chunk: Tensor, state: State) -> tuple[Tensor, State, State]:
        """Steps ``start``, ``start + 1``, ... of the sequence, in the order of time or against it."""
        # Cut up at once: each step's own index would bring a gradient as large as all the steps.
        prepared = cell.prepare(chunk).unbind()
        outputs, states = [], []
        order = range(len(chunk) - 1, -1, -1) if reverse else range(len(chunk))
        for k in order:
            t = start + k
            if lengths is not None and t >= shortest:
                # A row that has ended takes the step from a state of zeros, and its result is not used: an infinite
                # state must not reach a product either.
                active = t < lengths
                running = map_state(lambda o, active=active: _where(active, o, torch.zeros_like(o)), state)
                output, new = cell.step(t, prepared[k], running)
                output = _where(active, output, torch.zeros_like(output))
                new = map_state(lambda n, o, active=active: _where(active, n, o), new, state)
            else:
                output, new = cell.step(t, prepared[k], state)
            state = new
            outputs.append(output)
            if return_states:
                states.append(state)
        if reverse:
            outputs.reverse()
            states.reverse()
        stacked = map_state(lambda *parts: torch.stack(parts), *states) if return_states else None
        return torch.stack(outputs), state, stacked

    initial = state
    # Past the longest row every step would change nothing; one step at least is run, for the shape of an output.
    last = max(longest, 1)
    length = (segment or math.isqrt(last - 1) + 1) if memory == "recompute" else last
    chunks = list(zip(range(0, last, length), torch.split(inputs[:last], length), strict=True))
    outputs: list[Tensor] = []
    states: list[State] = []
    for start, chunk in reversed(chunks) if reverse else chunks:
        if memory == "recompute" and torch.is_grad_enabled():
            part = run_again_in_backward(partial(run, start), cell, chunk, state)
        else:
            to_host = memory == "offload" and inputs.device.type != "cpu"
            with host_copies() if to_host else nullcontext():
                part = run(start, cell, chunk, state)
        output, state, every = part
        outputs.append(output)
        states.append(every)
    if reverse:
        outputs.reverse()
        states.reverse()
    if rest := steps - last:
        outputs.append(outputs[0].new_zeros(rest, *outputs[0].shape[1:]))
        if return_states:
            # Against time, the rows have not begun here and hold their initial state; along it, their final one.
            held = initial if reverse else state
            states.append(map_state(lambda h: h.expand(rest, *h.shape), held))
    return _joined(*outputs), state, map_state(_joined, *states) if return_states else None


def _joined(*parts: Tensor) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _where(active: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """``new`` in the rows that are active [B], ``old`` in the others."""
    return torch.where(active.reshape(active.shape + (1,) * (new.ndim - 1)), new, old)
