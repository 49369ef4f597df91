"""TensorFlow 1's ``dynamic_rnn`` and ``static_rnn``: a cell over a batch of sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from holdfast.cells.nested_state import State, describe
from holdfast.engines import Explanation
from holdfast.engines.lengths import Lengths, check_lengths
from holdfast.engines.memory import Memory
from holdfast.errors import OptionError, ShapeError
from holdfast.tf1.rnn_cell import RNNCell, RunOptions
from holdfast.tf1.variables import VariableScope, variable_scope

Scope = str | VariableScope | None


def dynamic_rnn(
    cell: RNNCell,
    inputs: Tensor,
    sequence_length: Lengths | None = None,
    initial_state: State = None,
    dtype: torch.dtype | None = None,
    parallel_iterations: int | None = None,
    swap_memory: bool = False,
    time_major: bool = False,
    scope: Scope = None,
) -> tuple[Tensor, State]:
    """Runs a cell over a batch of sequences (``tf.nn.dynamic_rnn``).

    The engines run a cell that Holdfast's layers describe; :func:`holdfast.unroll` runs any other step by step.
    :func:`explain` says which.

    Args:
        cell: A cell of :mod:`holdfast.tf1` or a user's :class:`RNNCell`.
        inputs: [B, T, ...], or [T, B, ...] with ``time_major``.
        sequence_length: Steps in each row, [B]. Past a row's length the output is zero and the state stays.
        initial_state: The state before the first step; None for zeros.
        dtype: The dtype of the zeros; required without ``initial_state``.
        parallel_iterations: Saves memory for time: with fewer iterations than steps, only the states between segments
            of that many steps are kept, and the backward pass computes the rest again. None keeps all. The results are
            the same.
        swap_memory: Keeps the values for the backward pass in host memory; no effect on a CPU.
        time_major: Whether time comes before the batch.
        scope: The scope of the cell's variables; None for ``rnn``.

    Returns:
        The outputs, shaped as the inputs with O for their last size, and the state after each row's last step.

    Raises:
        OptionError: There is neither ``initial_state`` nor ``dtype``, or an option is out of range.
        ShapeError: A tensor does not fit the cell.

    Example:
        >>> from holdfast import tf1
        >>> cell = tf1.GRUCell(4)
        >>> outputs, state = dynamic_rnn(cell, torch.zeros(2, 7, 3), dtype=torch.float32, scope="dynamic")
        >>> outputs.shape, state.shape
        (torch.Size([2, 7, 4]), torch.Size([2, 4]))
    """
    with variable_scope(scope or "rnn"):
        return run_cell(
            cell, inputs, sequence_length, initial_state, dtype, parallel_iterations, swap_memory, time_major
        )


def static_rnn(
    cell: RNNCell,
    inputs: Sequence[Tensor],
    initial_state: State = None,
    dtype: torch.dtype | None = None,
    sequence_length: Lengths | None = None,
    scope: Scope = None,
) -> tuple[list[Tensor], State]:
    """:func:`dynamic_rnn` on a list of steps (``tf.nn.static_rnn``): the same numbers by the same engines.

    Args:
        cell: The cell.
        inputs: T tensors [B, ...].
        initial_state: As in :func:`dynamic_rnn`.
        dtype: As in :func:`dynamic_rnn`.
        sequence_length: As in :func:`dynamic_rnn`.
        scope: As in :func:`dynamic_rnn`.

    Returns:
        T outputs [B, O], and the final state.

    Raises:
        OptionError: As in :func:`dynamic_rnn`.
        ShapeError: ``inputs`` is not a list of tensors of one shape, or a tensor does not fit the cell.

    Example:
        >>> from holdfast import tf1
        >>> outputs, state = static_rnn(tf1.GRUCell(4), [torch.zeros(2, 3)] * 7, dtype=torch.float32, scope="static")
        >>> len(outputs), outputs[0].shape
        (7, torch.Size([2, 4]))
    """
    check_list("static_rnn", inputs)
    with variable_scope(scope or "rnn"):
        outputs, state = run_cell(cell, stack_steps(inputs, 1), sequence_length, initial_state, dtype)
        return list(outputs.unbind(1)), state


def build(
    cell: RNNCell, depth: int, dtype: torch.dtype = torch.float32, device: Any = None, scope: Scope = None
) -> None:
    """Makes a cell's variables before its first call, for an optimiser.

    Args:
        cell: The cell.
        depth: Values in a step of its inputs.
        dtype: The dtype of the variables, unless the cell has its own.
        device: The device of the variables.
        scope: As in :func:`dynamic_rnn`.

    Example:
        >>> from holdfast import tf1
        >>> cell = tf1.GRUCell(4)
        >>> build(cell, depth=3, scope="built")
        >>> optimizer = torch.optim.SGD(cell.trainable_variables, lr=0.1)
    """
    with variable_scope(scope or "rnn"):
        cell.make_variables(depth, dtype, device)


def explain(
    cell: RNNCell,
    inputs: Tensor,
    sequence_length: Lengths | None = None,
    initial_state: State = None,
    dtype: torch.dtype | None = None,
    time_major: bool = False,
) -> Explanation:
    """The engine for each part of a call of :func:`dynamic_rnn` with these arguments, and why no other.

    ``unroll`` means the loop of :func:`holdfast.unroll`. The cell must have its variables, from a call or from
    :func:`build`. Nothing is computed.

    Args:
        cell: The cell.
        inputs: [B, T, I], or [T, B, I] with ``time_major``.
        sequence_length: Steps in each row.
        initial_state: The initial state; None for zeros.
        dtype: The dtype of the zeros.
        time_major: Whether time comes before the batch.

    Raises:
        OptionError: The cell has no variables yet.

    Example:
        >>> from holdfast import tf1
        >>> cell = tf1.GRUCell(4)
        >>> build(cell, depth=3, scope="explained")
        >>> explain(cell, torch.zeros(2, 7, 3), dtype=torch.float32).choices[0].engine
        'native'
    """
    x = inputs.transpose(0, 1) if time_major else inputs
    if not cell.built:
        raise OptionError(
            f"explain got a {type(cell).__name__} without variables; call it first, or make them with tf1.build."
        )
    state = first_state(cell, x, initial_state, dtype)
    options = RunOptions(check_lengths(sequence_length, x.shape[0], x.shape[1], x.device))
    return Explanation(tuple(cell.choices(x, state, options, cell.name)))


def stack_steps(inputs: Tensor | Sequence[Tensor], dim: int) -> Tensor:
    """Stacks a list of steps into one tensor along ``dim``; a tensor is returned unchanged.

    Raises:
        ShapeError: The steps are not tensors of one shape.
    """
    if isinstance(inputs, Tensor):
        return inputs
    shapes = {tuple(step.shape) if isinstance(step, Tensor) else type(step).__name__ for step in inputs}
    if len(shapes) != 1 or not isinstance(next(iter(inputs)), Tensor):
        raise ShapeError(f"inputs has steps of {sorted(map(str, shapes))}; expected at least one, of one shape.")
    return torch.stack(list(inputs), dim)


def first_state(cell: RNNCell, inputs: Tensor, initial_state: State, dtype: torch.dtype | None) -> State:
    """The state before the first step of inputs [B, T, ...]: ``initial_state``, or zeros without one.

    Raises:
        OptionError: There is neither a state nor a dtype.
    """
    if initial_state is not None:
        return initial_state
    if dtype is None:
        raise OptionError("There is no initial_state and no dtype; expected one of them: give dtype=torch.float32.")
    return cell.zero_state(inputs.shape[0], dtype, inputs.device)


def run_cell(
    cell: RNNCell,
    inputs: Tensor,
    sequence_length: Lengths | None,
    initial_state: State,
    dtype: torch.dtype | None,
    parallel_iterations: int | None = None,
    swap_memory: bool = False,
    time_major: bool = False,
    reverse: bool = False,
) -> tuple[Tensor, State]:
    """:func:`dynamic_rnn` in the open scope; with ``reverse``, from each row's last step to its first."""
    if not isinstance(cell, RNNCell):
        raise OptionError(
            f"The cell is a {type(cell).__name__}; expected one of holdfast.tf1 or a subclass of tf1.RNNCell."
        )
    if not isinstance(inputs, Tensor) or inputs.ndim < 3:
        order = "(time, batch, depth)" if time_major else "(batch, time, depth)"
        raise ShapeError(f"inputs is {describe(inputs)}; expected a tensor {order}.")
    if parallel_iterations is not None and parallel_iterations < 1:
        raise OptionError(f"parallel_iterations is {parallel_iterations}; expected at least 1, or None.")
    x = inputs.transpose(0, 1) if time_major else inputs
    cell.make_variables(x.shape[-1], x.dtype, x.device)
    state = first_state(cell, x, initial_state, dtype)
    memory: Memory = "keep"
    if swap_memory:
        memory = "offload"
    elif parallel_iterations is not None and parallel_iterations < x.shape[1]:
        memory = "recompute"
    segment = parallel_iterations if memory == "recompute" else None
    lengths = check_lengths(sequence_length, x.shape[0], x.shape[1], x.device)
    outputs, final = cell.run(x, state, RunOptions(lengths, reverse, memory, segment))
    return outputs.transpose(0, 1) if time_major else outputs, final


def check_list(name: str, inputs: Any) -> None:
    """Refuses ``inputs`` that are not a list of steps.

    Raises:
        ShapeError: They are not, or the list is empty.
    """
    if not isinstance(inputs, list | tuple) or not inputs:
        got = "an empty list" if isinstance(inputs, list | tuple) else f"a {type(inputs).__name__}"
        raise ShapeError(f"{name} inputs is {got}; expected a list of tensors (batch, depth), one per step.")
