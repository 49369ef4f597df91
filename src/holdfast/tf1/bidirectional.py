"""TensorFlow 1's bidirectional functions, for one layer or a stack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from holdfast.cells.nested_state import State
from holdfast.engines.lengths import Lengths
from holdfast.errors import OptionError
from holdfast.tf1.rnn import Scope, check_list, run_cell, stack_steps
from holdfast.tf1.rnn_cell import RNNCell
from holdfast.tf1.variables import variable_scope


def bidirectional_dynamic_rnn(
    cell_fw: RNNCell,
    cell_bw: RNNCell,
    inputs: Tensor,
    sequence_length: Lengths | None = None,
    initial_state_fw: State = None,
    initial_state_bw: State = None,
    dtype: torch.dtype | None = None,
    parallel_iterations: int | None = None,
    swap_memory: bool = False,
    time_major: bool = False,
    scope: Scope = None,
) -> tuple[tuple[Tensor, Tensor], tuple[State, State]]:
    """Runs one cell along time and another against it (``tf.nn.bidirectional_dynamic_rnn``).

    Args:
        cell_fw: Runs from the first step to the last.
        cell_bw: Runs from each row's last step to the first; each output is at the step of its input.
        inputs: As in :func:`dynamic_rnn`, like the arguments without a cell below.
        sequence_length: Steps in each row.
        initial_state_fw: The initial state of ``cell_fw``.
        initial_state_bw: The initial state of ``cell_bw``.
        dtype: The dtype of the zeros.
        parallel_iterations: Saves memory for time.
        swap_memory: Keeps values for the backward pass in host memory.
        time_major: Whether time comes before the batch.
        scope: None for ``bidirectional_rnn``; it contains the cells' variables under ``fw`` and ``bw``.

    Returns:
        The outputs of both, and the final states of both.

    Example:
        >>> from holdfast import tf1
        >>> cells = tf1.GRUCell(4), tf1.GRUCell(5)
        >>> (out_fw, out_bw), states = bidirectional_dynamic_rnn(*cells, torch.zeros(2, 7, 3), dtype=torch.float32)
        >>> out_fw.shape, out_bw.shape
        (torch.Size([2, 7, 4]), torch.Size([2, 7, 5]))
    """
    options = (dtype, parallel_iterations, swap_memory, time_major)
    with variable_scope(scope or "bidirectional_rnn"):
        with variable_scope("fw"):
            out_fw, state_fw = run_cell(cell_fw, inputs, sequence_length, initial_state_fw, *options)
        with variable_scope("bw"):
            out_bw, state_bw = run_cell(cell_bw, inputs, sequence_length, initial_state_bw, *options, reverse=True)
    return (out_fw, out_bw), (state_fw, state_bw)


def static_bidirectional_rnn(
    cell_fw: RNNCell,
    cell_bw: RNNCell,
    inputs: Sequence[Tensor],
    initial_state_fw: State = None,
    initial_state_bw: State = None,
    dtype: torch.dtype | None = None,
    sequence_length: Lengths | None = None,
    scope: Scope = None,
) -> tuple[list[Tensor], State, State]:
    """:func:`bidirectional_dynamic_rnn` on a list of steps (``tf.nn.static_bidirectional_rnn``).

    Args:
        cell_fw: Runs from the first step to the last.
        cell_bw: Runs from each row's last step to the first.
        inputs: A list of T tensors [B, I].
        initial_state_fw: The initial state of ``cell_fw``.
        initial_state_bw: The initial state of ``cell_bw``.
        dtype: The dtype of the zeros.
        sequence_length: Steps in each row.
        scope: None for ``bidirectional_rnn``.

    Returns:
        T outputs [B, O of both], and the final states of both.
    """
    check_list("static_bidirectional_rnn", inputs)
    outputs, (state_fw, state_bw) = bidirectional_dynamic_rnn(
        cell_fw,
        cell_bw,
        stack_steps(inputs, 1),
        sequence_length,
        initial_state_fw,
        initial_state_bw,
        dtype,
        scope=scope,
    )
    return list(torch.cat(outputs, -1).unbind(1)), state_fw, state_bw


def stack_bidirectional_dynamic_rnn(
    cells_fw: Sequence[RNNCell],
    cells_bw: Sequence[RNNCell],
    inputs: Tensor,
    initial_states_fw: Sequence[State] | None = None,
    initial_states_bw: Sequence[State] | None = None,
    dtype: torch.dtype | None = None,
    sequence_length: Lengths | None = None,
    parallel_iterations: int | None = None,
    time_major: bool = False,
    scope: Scope = None,
    swap_memory: bool = False,
) -> tuple[Tensor, tuple[State, ...], tuple[State, ...]]:
    """Stacked bidirectional layers (``tf.contrib.rnn.stack_bidirectional_dynamic_rnn``).

    Each layer takes the outputs of both directions of the one below.

    Args:
        cells_fw: The cells along time, the lowest first.
        cells_bw: The cells against time, the same number.
        inputs: As in :func:`dynamic_rnn`, like the arguments without cells below.
        initial_states_fw: A state for each of ``cells_fw``.
        initial_states_bw: A state for each of ``cells_bw``.
        dtype: The dtype of the zeros.
        sequence_length: Steps in each row.
        parallel_iterations: Saves memory for time.
        time_major: Whether time comes before the batch.
        scope: None for ``stack_bidirectional_rnn``; the variables are under ``cell_0/bidirectional_rnn/fw``, ....
        swap_memory: Keeps values for the backward pass in host memory.

    Returns:
        The outputs of the last layer, both directions side by side, [B, T, O of both], and the final states of each
        direction.
    """
    layers = _layers(cells_fw, cells_bw, initial_states_fw, initial_states_bw)
    x, states = inputs, []
    with variable_scope(scope or "stack_bidirectional_rnn"):
        for number, (forwards, backwards, first_fw, first_bw) in enumerate(layers):
            with variable_scope(f"cell_{number}"):
                outputs, final = bidirectional_dynamic_rnn(
                    forwards,
                    backwards,
                    x,
                    sequence_length,
                    first_fw,
                    first_bw,
                    dtype,
                    parallel_iterations,
                    swap_memory,
                    time_major,
                )
            x = torch.cat(outputs, -1)
            states.append(final)
    return x, *zip(*states, strict=True)  # type: ignore[return-value]


def stack_bidirectional_rnn(
    cells_fw: Sequence[RNNCell],
    cells_bw: Sequence[RNNCell],
    inputs: Sequence[Tensor],
    initial_states_fw: Sequence[State] | None = None,
    initial_states_bw: Sequence[State] | None = None,
    dtype: torch.dtype | None = None,
    sequence_length: Lengths | None = None,
    scope: Scope = None,
) -> tuple[list[Tensor], tuple[State, ...], tuple[State, ...]]:
    """:func:`stack_bidirectional_dynamic_rnn` on a list of steps (``tf.contrib.rnn.stack_bidirectional_rnn``).

    Its variables are under ``cell_0/fw``, as in TensorFlow, and not under ``cell_0/bidirectional_rnn/fw``.

    Args:
        cells_fw: The cells along time, the lowest first.
        cells_bw: The cells against time, the same number.
        inputs: A list of T tensors [B, I].
        initial_states_fw: A state for each of ``cells_fw``.
        initial_states_bw: A state for each of ``cells_bw``.
        dtype: The dtype of the zeros.
        sequence_length: Steps in each row.
        scope: None for ``stack_bidirectional_rnn``.

    Returns:
        T outputs [B, O of both directions], and the final states of each direction.
    """
    layers = _layers(cells_fw, cells_bw, initial_states_fw, initial_states_bw)
    x, states = list(inputs), []
    with variable_scope(scope or "stack_bidirectional_rnn"):
        for number, (forwards, backwards, first_fw, first_bw) in enumerate(layers):
            with variable_scope(f"cell_{number}") as layer_scope:
                x, *final = static_bidirectional_rnn(
                    forwards, backwards, x, first_fw, first_bw, dtype, sequence_length, layer_scope
                )
            states.append(final)
    return x, *zip(*states, strict=True)  # type: ignore[return-value]


def _layers(
    forwards: Sequence[RNNCell], backwards: Sequence[RNNCell], first_fw: Any, first_bw: Any
) -> list[tuple[RNNCell, RNNCell, State, State]]:
    """The layers of a stack: the two cells and initial states of each."""
    count = len(forwards)
    if not count or len(backwards) != count:
        raise OptionError(
            f"The stack has {count} cells forwards and {len(backwards)} backwards; expected equally many, at least 1."
        )
    states = [[None] * count if first is None else list(first) for first in (first_fw, first_bw)]
    if any(len(first) != count for first in states):
        raise OptionError(f"The stack has {count} layers; expected {count} initial states for each direction.")
    return list(zip(forwards, backwards, *states, strict=True))
