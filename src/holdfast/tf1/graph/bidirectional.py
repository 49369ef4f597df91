"""Two cells over the same sequences, one of them backwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holdfast.tf1.graph.arrays import concat, stack, unstack
from holdfast.tf1.graph.cells import RNNCell
from holdfast.tf1.graph.convert import convert_to_tensor
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.rnn import run_cell
from holdfast.tf1.graph.scopes import variable_scope
from holdfast.tf1.graph.tensors import Tensor

Pair = tuple[Any, Any]


@public("nn.bidirectional_dynamic_rnn")
def bidirectional_dynamic_rnn(
    cell_fw: RNNCell, cell_bw: RNNCell, inputs: Any, sequence_length: Any = None, initial_state_fw: Any = None,
    initial_state_bw: Any = None, dtype: Any = None, parallel_iterations: int | None = None, swap_memory: bool = False,
    time_major: bool = False, scope: Any = None,
) -> tuple[Pair, Pair]:  # fmt: skip
    """A cell from the first step to the last, and another from each row's last step to its first.

    Args:
        cell_fw: The forward cell.
        cell_bw: The backward cell.
        inputs: [B, T, I], or [T, B, I] with ``time_major``.
        sequence_length: Steps in each row [B].
        initial_state_fw: The forward cell's first state; None for zeros.
        initial_state_bw: The backward cell's first state; None for zeros.
        dtype: The dtype of these zeros.
        parallel_iterations: Accepted.
        swap_memory: Accepted.
        time_major: Whether time comes before the batch.
        scope: The scope of the variables; ``bidirectional_rnn`` by default.

    Returns:
        The outputs of both cells, each [B, T, H] and in the order of the inputs, and the final states of both.
    """
    x = convert_to_tensor(inputs)
    with variable_scope(scope or "bidirectional_rnn"):
        with variable_scope("fw"):
            forward, state_fw = run_cell(cell_fw, x, sequence_length, initial_state_fw, dtype, time_major)
        with variable_scope("bw"):
            backward, state_bw = run_cell(
                cell_bw, x, sequence_length, initial_state_bw, dtype, time_major, reverse=True
            )
    return (forward, backward), (state_fw, state_bw)


@public("nn.static_bidirectional_rnn", "contrib.rnn.static_bidirectional_rnn", "nn.bidirectional_rnn")
def static_bidirectional_rnn(
    cell_fw: RNNCell, cell_bw: RNNCell, inputs: Any, initial_state_fw: Any = None, initial_state_bw: Any = None,
    dtype: Any = None, sequence_length: Any = None, scope: Any = None,
) -> tuple[list[Tensor], Any, Any]:  # fmt: skip
    """:func:`bidirectional_dynamic_rnn` on a list of steps [B, I].

    Returns:
        The outputs of both cells side by side, a list of [B, 2 H], and the final state of each.

    Raises:
        TypeError: ``inputs`` is not a list.
    """
    if not isinstance(inputs, list | tuple):
        raise TypeError(f"static_bidirectional_rnn got inputs {inputs!r}; expected a list: tf.unstack(x, steps, 1).")
    (forward, backward), (state_fw, state_bw) = bidirectional_dynamic_rnn(
        cell_fw, cell_bw, stack(list(inputs), 1), sequence_length, initial_state_fw, initial_state_bw, dtype,
        scope=scope,
    )  # fmt: skip
    return unstack(concat([forward, backward], 2), len(inputs), 1), state_fw, state_bw


@public("contrib.rnn.stack_bidirectional_dynamic_rnn")
def stack_bidirectional_dynamic_rnn(
    cells_fw: Sequence[RNNCell], cells_bw: Sequence[RNNCell], inputs: Any, initial_states_fw: Any = None,
    initial_states_bw: Any = None, dtype: Any = None, sequence_length: Any = None,
    parallel_iterations: int | None = None, time_major: bool = False, scope: Any = None, swap_memory: bool = False,
) -> tuple[Tensor, tuple[Any, ...], tuple[Any, ...]]:  # fmt: skip
    """Layers of two directions, each of which reads both outputs of the layer below.

    Returns:
        The outputs of the last layer [B, T, 2 H], and the final states of the forward and of the backward cells.

    Raises:
        ValueError: There are no cells, or not as many of each direction.
    """
    if not cells_fw or len(cells_fw) != len(cells_bw):
        raise ValueError(
            f"stack_bidirectional_dynamic_rnn got {len(cells_fw)} forward and {len(cells_bw)} backward cells; expected "
            "as many of both, at least one."
        )
    count = len(cells_fw)
    firsts_fw = initial_states_fw or [None] * count
    firsts_bw = initial_states_bw or [None] * count
    states: tuple[list[Any], list[Any]] = ([], [])
    x = convert_to_tensor(inputs)
    with variable_scope(scope or "stack_bidirectional_rnn"):
        for number, (fw, bw) in enumerate(zip(cells_fw, cells_bw, strict=True)):
            with variable_scope(f"cell_{number}"):
                outputs, (state_fw, state_bw) = bidirectional_dynamic_rnn(
                    fw, bw, x, sequence_length, firsts_fw[number], firsts_bw[number], dtype, time_major=time_major
                )
            x = concat(list(outputs), 2)
            states[0].append(state_fw)
            states[1].append(state_bw)
    return x, tuple(states[0]), tuple(states[1])


@public("contrib.rnn.stack_bidirectional_rnn")
def stack_bidirectional_rnn(
    cells_fw: Sequence[RNNCell], cells_bw: Sequence[RNNCell], inputs: Any, initial_states_fw: Any = None,
    initial_states_bw: Any = None, dtype: Any = None, sequence_length: Any = None, scope: Any = None,
) -> tuple[list[Tensor], tuple[Any, ...], tuple[Any, ...]]:  # fmt: skip
    """:func:`stack_bidirectional_dynamic_rnn` on a list of steps."""
    outputs, fw, bw = stack_bidirectional_dynamic_rnn(
        cells_fw, cells_bw, stack(list(inputs), 1), initial_states_fw, initial_states_bw, dtype, sequence_length,
        scope=scope,
    )  # fmt: skip
    return unstack(outputs, len(inputs), 1), fw, bw
