"""The loop over time in Python: any cell, lengths, both directions, and what is kept for the backward pass."""

from __future__ import annotations

import math
import warnings
from contextlib import nullcontext
from functools import partial
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from holdfast.cells import calling
from holdfast.cells.nested_state import State, map_state
from holdfast.engines.lengths import shortest_and_longest, without_padding
from holdfast.engines.memory import Memory, Run, check_memory, host_copies, run_again_in_backward
from holdfast.errors import ShapeError


class SequenceCell(Protocol):
    """What :func:`scan` runs: a cell that is ready for one batch of sequences."""

    def prepare(self, inputs: Tensor) -> Tensor:
        """Whatever can be computed for many steps [T, B, ...] at once: [T, ...]."""

    def step(self, t: int, prepared: Tensor, state: State) -> tuple[Tensor, State]:
        """Step ``t``: its part of the result of :meth:`prepare`, and the state -> output [B, ...] and new state."""


class _LoopOptions(NamedTuple):
    """``lengths``, ``reverse`` and ``return_states`` as in :func:`scan`; before step ``shortest``, all rows run."""

    lengths: Tensor | None
    shortest: int
    reverse: bool
    return_states: bool


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
    """The loop of :func:`holdfast.unroll`: time first, and lengths already checked.

    Args:
        cell: The cell, ready for this batch.
        inputs: [T, B, ...].
        state: The state before the first step.
        lengths: int64 [B] on the device of ``inputs``, or None.
        reverse: As in :func:`holdfast.unroll`, and so are the rest.
        return_states: Whether the third result holds the per-step states; it is None otherwise.
        memory: The memory policy.
        segment: Steps per segment for ``"recompute"``.

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
    shortest, longest = shortest_and_longest(lengths, steps)
    if lengths is not None:
        inputs = without_padding(inputs, lengths)
    last = max(longest, 1)  # later steps would change nothing; one step at least is run, for the shape of an output
    length = (segment or math.isqrt(last - 1) + 1) if memory == "recompute" else last
    segments = list(zip(range(0, last, length), torch.split(inputs[:last], length), strict=True))
    options = _LoopOptions(lengths, shortest, reverse, return_states)
    initial, outputs, states = state, [], []
    for start, chunk in reversed(segments) if reverse else segments:
        output, state, chunk_states = _run_segment(partial(_run_steps, start, options), cell, chunk, state, memory)
        outputs.append(output)
        states.append(chunk_states)
    if reverse:
        outputs.reverse()
        states.reverse()
    if rest := steps - last:
        outputs.append(outputs[0].new_zeros(rest, *outputs[0].shape[1:]))
        if return_states:
            # In reverse, the rows start later and have their initial state here; otherwise their final state.
            constant = initial if reverse else state
            states.append(map_state(lambda part: part.expand(rest, *part.shape), constant))
    return _joined(*outputs), state, map_state(_joined, *states) if return_states else None


def _run_segment(
    run: Run, cell: SequenceCell, chunk: Tensor, state: State, memory: Memory
) -> tuple[Tensor, State, State]:
    """Runs one segment and keeps for the backward pass what ``memory`` says."""
    if memory == "recompute" and torch.is_grad_enabled():
        return run_again_in_backward(run, cell, chunk, state)
    to_host = memory == "offload" and chunk.device.type != "cpu"
    with host_copies() if to_host else nullcontext():
        return run(cell, chunk, state)


def _run_steps(
    start: int, options: _LoopOptions, cell: SequenceCell, chunk: Tensor, state: State
) -> tuple[Tensor, State, State]:
    """Runs the steps ``start``, ``start + 1``, ... of the sequence, or in reverse the last of them first.

    ``chunk`` holds their inputs, [steps, B, ...]. Returns what :func:`scan` returns.
    """
    lengths, shortest, reverse, return_states = options
    # Split all at once: indexing each step would make a gradient of the size of all steps for each.
    prepared = cell.prepare(chunk).unbind()
    outputs, states = [], []
    for k in range(len(chunk) - 1, -1, -1) if reverse else range(len(chunk)):
        t = start + k
        if lengths is not None and t >= shortest:
            output, state = _step_of_active_rows(cell, t, prepared[k], state, t < lengths)
        else:
            output, state = cell.step(t, prepared[k], state)
        outputs.append(output)
        if return_states:
            states.append(state)
    if reverse:
        outputs.reverse()
        states.reverse()
    stacked = map_state(_stacked, *states) if return_states else None
    return torch.stack(outputs), state, stacked


def _step_of_active_rows(
    cell: SequenceCell, t: int, prepared: Tensor, state: State, active: Tensor
) -> tuple[Tensor, State]:
    """One step in the rows that are ``active`` [B]; the others keep their state and have an output of zeros."""
    # Inactive rows step from a state of zeros and the result is dropped: an infinite state must not reach a product.
    running = map_state(lambda part: _where(active, part, torch.zeros_like(part)), state)
    output, new_state = cell.step(t, prepared, running)
    output = _where(active, output, torch.zeros_like(output))
    return output, map_state(lambda new, old: _where(active, new, old), new_state, state)


def _stacked(*parts: Tensor) -> Tensor:
    return torch.stack(parts)


def _joined(*parts: Tensor) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _where(active: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """``new`` in the rows that are active [B], ``old`` in the others."""
    return torch.where(active.reshape(active.shape + (1,) * (new.ndim - 1)), new, old)
