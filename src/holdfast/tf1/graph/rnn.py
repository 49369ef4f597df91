"""Loops over time: ``dynamic_rnn`` and its like. A cell of the engines runs there; a program's own, step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from holdfast.engines import ENGINES, EngineChoice, Explanation
from holdfast.tf1 import rnn as eager
from holdfast.tf1.graph import indexing
from holdfast.tf1.graph.arrays import concat, shape, stack, unstack
from holdfast.tf1.graph.cells import EngineCell, RNNCell, is_joined, split_state, told
from holdfast.tf1.graph.convert import convert_to_tensor
from holdfast.tf1.graph.dtypes import int32
from holdfast.tf1.graph.graph import get_default_graph, nodes
from holdfast.tf1.graph.maths import cast
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.nested import flatten, is_structure, map_structure, pack_sequence_as
from holdfast.tf1.graph.plan import needed
from holdfast.tf1.graph.scopes import variable_scope
from holdfast.tf1.graph.shapes import Sizes, merged
from holdfast.tf1.graph.subgraph import Subgraph
from holdfast.tf1.graph.tensors import Operation, Tensor


@public("nn.dynamic_rnn")
def dynamic_rnn(
    cell: RNNCell, inputs: Any, sequence_length: Any = None, initial_state: Any = None, dtype: Any = None,
    parallel_iterations: int | None = None, swap_memory: bool = False, time_major: bool = False, scope: Any = None,
) -> tuple[Tensor, Any]:  # fmt: skip
    """A cell over a batch of sequences.

    Args:
        cell: The cell.
        inputs: [B, T, I], or [T, B, I] with ``time_major``.
        sequence_length: Steps in each row [B]; past them, the output is zero and the state stays.
        initial_state: The state before the first step; None for zeros. One tensor [B, S] of all its parts is taken
            as before TensorFlow 0.11; then the final state is one, too.
        dtype: The dtype of these zeros.
        parallel_iterations, swap_memory: Accepted.
        time_major: Whether time comes before the batch.
        scope: The scope of the cell's variables; ``rnn`` by default.

    Returns:
        The outputs, shaped as the inputs, and the state after each row's last step.

    Raises:
        ValueError: There is neither an initial state nor a dtype, or the depth of the inputs is not known.
    """
    x = convert_to_tensor(inputs)
    with variable_scope(scope or "rnn"):
        return run_cell(cell, x, sequence_length, initial_state, dtype, time_major)


def run_cell(
    cell: RNNCell, x: Tensor, sequence_length: Any, initial_state: Any, dtype: Any, time_major: bool = False,
    reverse: bool = False,
) -> tuple[Tensor, Any]:  # fmt: skip
    """:func:`dynamic_rnn` in the open scope; with ``reverse``, from each row's last step to its first."""
    if initial_state is None and dtype is None:
        raise ValueError("There is no initial_state and no dtype; expected one of them: give dtype=tf.float32.")
    if x.sizes is not None and len(x.sizes) < (3 if isinstance(cell, EngineCell) else 2):
        raise ValueError(f"The inputs {x.name} have shape {x.shape}; expected [batch, time, depth].")
    time, batch = (x.sizes or (None, None))[:2] if time_major else (x.sizes or (None, None))[1::-1]
    outer = (time, batch) if time_major else (batch, time)
    joined = is_joined(cell, initial_state)
    if joined:
        initial_state = split_state(cell, initial_state)
    state = None if initial_state is None else map_structure(convert_to_tensor, initial_state)
    lengths = None if sequence_length is None else _whole(convert_to_tensor(sequence_length))
    run = _engine(cell, x, state, time_major, reverse) if isinstance(cell, EngineCell) else _by_steps(
        cell, x, initial_state, dtype, time_major, reverse
    )  # fmt: skip
    compute, prepare, inputs, state, output_size, explains = run
    tensors = [*inputs, *([] if lengths is None else [lengths])]
    outputs = nodes(
        "DynamicRNN", compute, tensors,
        [(x.dtype, (*outer, *output_size)), *[(part.dtype, part.sizes) for part in flatten(state)]],
        "dynamic_rnn", prepare=prepare, explains=explains,
    )  # fmt: skip
    return outputs[0], concat(outputs[1:], 1) if joined else pack_sequence_as(state, outputs[1:])


@public("explain")
def explain(fetches: Any, feed_dict: Any = None, session: Any = None) -> Explanation:
    """Which engine runs each loop over time that a run of ``fetches`` needs, and why no other.

    Args:
        fetches: A tensor or an operation, or a structure of them.
        feed_dict: The values of a run: the choice depends on sizes and dtypes.
        session: The session; None for the default one.

    Example:
        >>> from holdfast.tf1 import graph as tf
        >>> with tf.Graph().as_default(), tf.Session() as session:
        ...     outputs, _ = tf.nn.dynamic_rnn(tf.nn.rnn_cell.GRUCell(4), tf.zeros([2, 7, 3]), dtype=tf.float32)
        ...     session.run(tf.global_variables_initializer())
        ...     explain(outputs).choices[0].engine
        'native'
    """
    leaves = [fetch if isinstance(fetch, Operation) else convert_to_tensor(fetch).op for fetch in flatten(fetches)]
    run = get_default_graph().session(session).run
    choices: list[EngineChoice] = []
    for op in needed(leaves, set()):
        if "explains" in op.settings:
            choices += op.settings["explains"](
                op.name, [torch.as_tensor(value) for value in run(list(op.inputs), feed_dict)]
            )
    return Explanation(tuple(choices))


class _Part:
    """Stands for a part of a state: what is known of its shape, and its dtype."""

    def __init__(self, sizes: Sizes, dtype: Any) -> None:
        self.sizes, self.dtype = sizes, dtype


def _whole(lengths: Tensor) -> Tensor:
    """Lengths as whole numbers: a program may count steps with reduce_sum of float numbers."""
    return cast(lengths, int32) if lengths.dtype.is_floating else lengths


def _engine(cell: EngineCell, x: Tensor, state: Any, time_major: bool, reverse: bool) -> Any:
    variables, settings = cell.prepare(x), cell.settings()
    parts = [] if state is None else flatten(state)
    batch = (x.sizes or (None, None))[1 if time_major else 0]
    if state is None:
        sizes = cell.state_size
        state = pack_sequence_as(sizes, [_Part((batch, int(size)), x.dtype) for size in flatten(sizes)])
        first = None
    else:
        first = state
    count, told_count = len(parts), len(settings)
    layer, dtype = cell.eager, x.dtype.torch
    fixed = count + told_count + len(variables)

    def compute(values: torch.Tensor, *rest: torch.Tensor) -> list[torch.Tensor]:
        told(settings, rest[count : count + told_count])
        before = None if first is None else pack_sequence_as(first, rest[:count])
        lengths = rest[fixed] if len(rest) > fixed else None
        outputs, final = eager.run_cell(layer, values, lengths, before, dtype, time_major=time_major, reverse=reverse)
        return [outputs, *flatten(final)]

    def explains(name: str, values: list[torch.Tensor]) -> list[EngineChoice]:
        told(settings, values[1 + count : 1 + count + told_count])
        before = None if first is None else pack_sequence_as(first, values[1 : 1 + count])
        lengths = values[1 + fixed] if len(values) > 1 + fixed else None
        explanation = eager.explain(layer, values[0], lengths, before, dtype, time_major=time_major)
        return [replace(choice, part=f"{name}: {choice.part}") for choice in explanation.choices]

    tensors = [x, *parts, *[tensor for tensor, _ in settings], *variables]
    return compute, None, tensors, state, (cell.output_size,), explains


def _by_steps(cell: RNNCell, x: Tensor, initial_state: Any, dtype: Any, time_major: bool, reverse: bool) -> Any:
    """A program's own cell: recorded once, run for each step."""
    batch = (x.sizes or (None, None))[1 if time_major else 0]
    if initial_state is None:
        rows: Any = batch if batch is not None else indexing.part(shape(x), 1 if time_major else 0)
        state = cell.zero_state(rows, dtype)
    else:
        state = map_structure(convert_to_tensor, initial_state)
    parts = flatten(state)
    step_sizes = None if x.sizes is None else (batch, *x.sizes[2:])

    def step(inputs: Tensor, *flat: Tensor) -> Any:
        return cell(inputs, pack_sequence_as(state, flat))

    body = Subgraph(step, [(x.dtype, step_sizes), *[(part.dtype, part.sizes) for part in parts]])
    output = body.outputs[0] if not is_structure(body.result[0]) else None
    if output is None:
        raise NotImplementedError(
            "A cell whose output is a structure runs only by calls of the cell, not by dynamic_rnn."
        )
    count, fixed = len(parts), len(parts) + len(body.captured)

    def prepare(plan: Any) -> Callable[..., Any]:
        function = body.compiled(plan)

        def compute(values: torch.Tensor, *rest: torch.Tensor) -> list[torch.Tensor]:
            lengths = rest[fixed] if len(rest) > fixed else None
            steps = values if time_major else values.transpose(0, 1)
            outputs, final = _loop(function, steps, rest[:count], rest[count:fixed], lengths, reverse)
            return [outputs if time_major else outputs.transpose(0, 1), *final]

        return compute

    output_size = (None,) if output.sizes is None else output.sizes[1:]

    def explains(name: str, values: list[torch.Tensor]) -> list[EngineChoice]:
        why = f"{type(cell).__name__} is a program's own cell, so it runs step by step."
        return [EngineChoice(name, "unroll", dict.fromkeys(ENGINES, why))]

    after = [
        _Part(merged(part.sizes, new.sizes), part.dtype) for part, new in zip(parts, body.outputs[1:], strict=True)
    ]
    return None, prepare, [x, *parts, *body.captured], pack_sequence_as(state, after), output_size, explains


def _loop(
    function: Callable[..., Any], steps: torch.Tensor, state: Sequence[torch.Tensor],
    captured: Sequence[torch.Tensor], lengths: torch.Tensor | None, reverse: bool,
) -> tuple[torch.Tensor, Sequence[torch.Tensor]]:  # fmt: skip
    """The outputs [T, B, ...] and the final state of a recorded step."""
    outputs: list[Any] = [None] * len(steps)
    order = range(len(steps))
    for t in reversed(order) if reverse else order:
        output, *new = function(steps[t], *state, *captured)
        if lengths is not None:
            alive = t < lengths
            output = torch.where(_rows(alive, output), output, 0)
            new = [torch.where(_rows(alive, part), part, old) for part, old in zip(new, state, strict=True)]
        outputs[t], state = output, new
    return torch.stack(outputs), state


def _rows(alive: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    return alive.reshape(-1, *[1] * (values.ndim - 1))


@public("nn.static_rnn", "contrib.rnn.static_rnn", "nn.rnn")
def static_rnn(
    cell: RNNCell, inputs: Any, initial_state: Any = None, dtype: Any = None, sequence_length: Any = None,
    scope: Any = None,
) -> tuple[list[Tensor], Any]:  # fmt: skip
    """:func:`dynamic_rnn` on a list of steps [B, I]: a list of outputs, and the final state.

    Raises:
        TypeError: ``inputs`` is not a list.
        ValueError: The list is empty; or as :func:`dynamic_rnn`.
    """
    if not isinstance(inputs, list | tuple):
        raise TypeError(f"static_rnn got inputs {inputs!r}; expected a list of tensors: tf.unstack(x, steps, 1).")
    if not inputs:
        raise ValueError("static_rnn got no inputs; expected at least one step.")
    with variable_scope(scope or "rnn"):
        outputs, state = run_cell(cell, stack(list(inputs), 1), sequence_length, initial_state, dtype)
    return unstack(outputs, len(inputs), 1), state
