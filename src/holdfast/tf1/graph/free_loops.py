"""``tf.nn.raw_rnn``: a loop over a cell whose inputs a function of the program makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from holdfast.tf1.graph.arithmetic import logical_not, logical_or
from holdfast.tf1.graph.arrays import shape
from holdfast.tf1.graph.cells import RNNCell
from holdfast.tf1.graph.convert import constant, convert_to_tensor
from holdfast.tf1.graph.dtypes import int32
from holdfast.tf1.graph.filling import zeros
from holdfast.tf1.graph.loops import while_loop
from holdfast.tf1.graph.maths import where
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.nested import flatten, map_structure, pack_sequence_as
from holdfast.tf1.graph.reductions import reduce_all
from holdfast.tf1.graph.scopes import variable_scope
from holdfast.tf1.graph.tensor_arrays import TensorArray
from holdfast.tf1.graph.tensors import Tensor


@public("nn.raw_rnn")
def raw_rnn(
    cell: RNNCell, loop_fn: Callable[..., Any], parallel_iterations: int | None = None, swap_memory: bool = False,
    scope: Any = None,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """A loop over a cell.

    Args:
        cell: The cell.
        loop_fn: A function of the time, the cell's output, its state and the loop's own state. It returns which rows
            are finished [B], the next input, the next state, what to emit, and the loop's next own state. Before the
            first step all but the time are None, and what to emit says the form of an emission (None: the output's).
        parallel_iterations: Accepted.
        swap_memory: Accepted.
        scope: The scope of the variables; ``rnn`` by default.

    Returns:
        A ``TensorArray`` of what was emitted (zeros for finished rows), the final state, the final state of the loop.
    """
    with variable_scope(scope or "rnn"):
        time = constant(0, int32)
        finished, first_input, first_state, form, own = loop_fn(time, None, None, None)
        first_input = map_structure(convert_to_tensor, first_input)
        first_state = map_structure(convert_to_tensor, first_state)
        leaf = flatten(first_input)[0]
        rows: Any = (leaf.sizes or (None,))[0]
        rows = shape(leaf)[0] if rows is None else rows
        kinds = _forms(form, cell, flatten(first_state)[0])
        blanks = [zeros([rows, *sizes], dtype) for dtype, sizes in kinds]
        emitted = [TensorArray(dtype, 0, dynamic_size=True) for dtype, _ in kinds]
        emission = form if form is not None else cell.output_size
        has_own = own is not None

        def step(t: Any, done: Any, inputs: Any, arrays: Any, state: Any, loop_state: Any) -> Any:
            output, new = cell(inputs, state)
            after, following, new, emit, loop_new = loop_fn(t + 1, output, new, loop_state if has_own else None)
            new = _kept(done, state, new)
            parts = [where(done, blank, part) for blank, part in zip(blanks, flatten(emit), strict=True)]
            arrays = [array.write(t, part) for array, part in zip(arrays, parts, strict=True)]
            following = map_structure(lambda made, old: _shaped(convert_to_tensor(made), old), following, inputs)
            return [t + 1, logical_or(done, after), following, arrays, new, loop_new if has_own else loop_state]

        _, _, _, arrays, state, last = while_loop(
            lambda t, done, *rest: logical_not(reduce_all(done)), step,
            [time, convert_to_tensor(finished), first_input, emitted, first_state, own if has_own else constant(0)],
        )  # fmt: skip
        return pack_sequence_as(emission, arrays), state, last if has_own else None


def _forms(form: Any, cell: RNNCell, state: Tensor) -> list[tuple[Any, list[Any]]]:
    """The dtype and the sizes of a row of each part of an emission."""
    if form is None:
        return [(state.dtype, [int(size)]) for size in flatten(cell.output_size)]
    tensors = [convert_to_tensor(each) for each in flatten(form)]
    return [(each.dtype, list(each.sizes or ())) for each in tensors]


def _kept(done: Any, old: Any, new: Any) -> Any:
    """The new state, and the old one of the rows that are finished."""
    return map_structure(lambda a, b: _shaped(where(done, a, b), a), old, new)


def _shaped(tensor: Tensor, like: Tensor) -> Tensor:
    tensor.set_shape(like.sizes)
    return tensor
