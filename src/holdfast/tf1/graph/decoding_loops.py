"""``tf.contrib.seq2seq.dynamic_decode``: a decoder, step by step, until all rows are finished."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from holdfast.tf1.graph.cells import RNNCell
from holdfast.tf1.graph.conditions import as_tensor
from holdfast.tf1.graph.convert import convert_to_tensor
from holdfast.tf1.graph.decoding_helpers import Helper, TrainingHelper
from holdfast.tf1.graph.dtypes import int32
from holdfast.tf1.graph.graph import node, nodes
from holdfast.tf1.graph.maths import cast
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.nested import flatten, map_structure, pack_sequence_as
from holdfast.tf1.graph.program_lines import results_that_the_program_takes
from holdfast.tf1.graph.recorded_names import extended, method
from holdfast.tf1.graph.reductions import argmax
from holdfast.tf1.graph.rnn import run_cell
from holdfast.tf1.graph.scopes import variable_scope
from holdfast.tf1.graph.subgraph import Subgraph
from holdfast.tf1.graph.tensors import Tensor


@public("contrib.seq2seq.BasicDecoderOutput")
class BasicDecoderOutput(NamedTuple):
    """What a decoder makes: outputs [B, T, K], and symbols [B, T]."""

    rnn_output: Any
    sample_id: Any


@public("contrib.seq2seq.Decoder")
@extended
class Decoder:
    """The base of all decoders. A program's own has ``initialize`` and ``step``."""

    def initialize(self, name: str | None = None) -> tuple[Any, Any, Any]:
        """Which rows are finished [B], the first inputs and the first state."""
        raise NotImplementedError(f"{type(self).__name__} has no initialize(); a subclass of Decoder defines it.")

    def step(self, time: Any, inputs: Any, state: Any, name: str | None = None) -> tuple[Any, Any, Any, Any]:
        """The outputs, the next state, the next inputs, and which rows are finished [B]."""
        raise NotImplementedError(f"{type(self).__name__} has no step(); a subclass of Decoder defines it.")


@public("contrib.seq2seq.BasicDecoder")
class BasicDecoder(Decoder):
    """A cell, a helper that says where its inputs come from, and a layer of its outputs.

    Args:
        cell: The cell.
        helper: A helper.
        initial_state: The first state.
        output_layer: A layer such as ``tf.layers.Dense``; None for the cell's outputs.
    """

    def __init__(self, cell: RNNCell, helper: Helper, initial_state: Any, output_layer: Any = None) -> None:
        if not isinstance(helper, Helper):
            raise TypeError(f"BasicDecoder got {helper!r}; expected a helper such as contrib.seq2seq.TrainingHelper.")
        self.cell, self.helper, self.output_layer = cell, helper, output_layer
        self.initial_state = map_structure(convert_to_tensor, initial_state)

    @method
    def initialize(self, name: str | None = None) -> tuple[Any, Any, Any]:
        """The helper's first inputs, and the first state."""
        finished, inputs = self.helper.initialize()
        return finished, inputs, self.initial_state

    @method
    def step(self, time: Any, inputs: Any, state: Any, name: str | None = None) -> tuple[Any, Any, Any, Any]:
        """One step of the cell."""
        outputs, new = self.cell(inputs, state)
        if self.output_layer is not None:
            outputs = self.output_layer(outputs)
        symbols = self.helper.sample(time=time, outputs=outputs, state=new)
        finished, following, new = self.helper.next_inputs(time=time, outputs=outputs, state=new, sample_ids=symbols)
        return BasicDecoderOutput(outputs, symbols), new, following, finished


@public("contrib.seq2seq.dynamic_decode")
def dynamic_decode(
    decoder: Decoder, output_time_major: bool = False, impute_finished: bool = False, maximum_iterations: Any = None,
    parallel_iterations: int = 32, swap_memory: bool = False, scope: Any = None,
) -> tuple[Any, ...]:  # fmt: skip
    """Runs a decoder until all rows are finished.

    Args:
        decoder: The decoder.
        output_time_major: Whether time comes before the batch in the results.
        impute_finished: Whether the outputs of finished rows are zero, and their states stay.
        maximum_iterations: The number of steps after which it ends in any case.
        parallel_iterations: Accepted.
        swap_memory: Accepted.
        scope: The scope of the variables; ``decoder`` by default.

    Returns:
        The outputs of all steps, as :class:`BasicDecoderOutput`; the final state; and the steps of each row [B]. A line
        that takes two results, ``outputs, state = dynamic_decode(...)``, gets the first two, as from TensorFlow 1.0
        and 1.1.
    """
    if not isinstance(decoder, Decoder):
        raise TypeError(f"dynamic_decode got {decoder!r}; expected a decoder such as tf.contrib.seq2seq.BasicDecoder.")
    with variable_scope(scope or "decoder"):
        if type(decoder) is BasicDecoder and type(decoder.helper) is TrainingHelper and maximum_iterations is None:
            outputs, state, lengths = _trained(decoder, decoder.helper, impute_finished)
        else:
            outputs, state, lengths = _by_steps(decoder, impute_finished, maximum_iterations)
    if output_time_major:
        outputs = map_structure(_turned, outputs)
    if results_that_the_program_takes() == 2:
        return outputs, state
    return outputs, state, lengths


def _turned(x: Tensor) -> Tensor:
    sizes = None if x.sizes is None else (x.sizes[1], x.sizes[0], *x.sizes[2:])
    return node("Transpose", lambda v: v.transpose(0, 1), [x], x.dtype, sizes)


def _trained(decoder: BasicDecoder, helper: TrainingHelper, impute: bool) -> tuple[Any, Any, Tensor]:
    """A decoder whose inputs are all given: one loop of the cell, one call of the layer."""
    lengths, x = helper.sequence_length, helper.inputs
    sizes = None if x.sizes is None else (x.sizes[0], None, *x.sizes[2:])
    steps = node("StridedSlice", lambda v, n: v[:, : int(n.max())], [x, lengths], x.dtype, sizes)
    outputs, state = run_cell(decoder.cell, steps, lengths if impute else None, decoder.initial_state, None)
    if decoder.output_layer is not None:
        outputs = decoder.output_layer(outputs)
        if impute:
            outputs = _zeroed(outputs, lengths)
    symbols = cast(argmax(outputs, -1), int32)
    return BasicDecoderOutput(outputs, _zeroed(symbols, lengths) if impute else symbols), state, cast(lengths, int32)


def _zeroed(x: Tensor, lengths: Tensor) -> Tensor:
    def compute(values: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
        inside = torch.arange(values.shape[1]) < n.unsqueeze(1)
        return torch.where(inside.reshape(*inside.shape, *[1] * (values.ndim - 2)), values, 0)

    return node("Zeroed", compute, [x, lengths], x.dtype, x.sizes)


def _by_steps(decoder: Decoder, impute: bool, maximum_iterations: Any) -> tuple[Any, Any, Tensor]:
    finished, inputs, state = decoder.initialize()
    inputs, state = map_structure(convert_to_tensor, inputs), map_structure(convert_to_tensor, state)
    first = [*flatten(inputs), *flatten(state)]
    count = len(flatten(inputs))

    def step(time: Tensor, *flat: Tensor) -> Any:
        made, new, following, done = decoder.step(
            time, pack_sequence_as(inputs, flat[:count]), pack_sequence_as(state, flat[count:])
        )
        structures.append(made)
        return [[as_tensor(leaf) for leaf in flatten(part)] for part in (made, following, new, done)]

    structures: list[Any] = []
    body = Subgraph(step, [(int32, ()), *[(each.dtype, each.sizes) for each in first]])
    made, following, _, _ = body.result
    most = None if maximum_iterations is None else convert_to_tensor(maximum_iterations)
    fixed = [convert_to_tensor(finished), *([] if most is None else [most])]
    places = (len(made), len(made) + len(following))

    def prepare(plan: Any) -> Callable[..., Any]:
        function = body.compiled(plan)

        def compute(*values: Any) -> Any:
            done, limit = values[0], None if most is None else int(values[1])
            rest = values[len(fixed) :]
            return _decoded(function, done, limit, rest[: len(first)], rest[len(first) :], (*places, count), impute)

        return compute

    batch = (fixed[0].sizes or (None,))[0]
    results = nodes(
        "Decode", None, [*fixed, *first, *body.captured],
        [
            *[(each.dtype, None if each.sizes is None else (each.sizes[0], None, *each.sizes[1:])) for each in made],
            *[(each.dtype, each.sizes) for each in flatten(state)], (int32, (batch,)),
        ],
        "decoder", prepare=prepare, effect=body.effect,
    )  # fmt: skip
    outputs = pack_sequence_as(structures[0], results[: len(made)])
    return outputs, pack_sequence_as(state, results[len(made) : -1]), results[-1]


def _decoded(
    function: Callable[..., Any], finished: torch.Tensor, limit: int | None, first: Sequence[torch.Tensor],
    captured: Sequence[torch.Tensor], places: tuple[int, int, int], impute: bool,
) -> list[torch.Tensor]:  # fmt: skip
    """All steps of a recorded one."""
    inputs, state = first[: places[2]], list(first[places[2] :])
    lengths = torch.zeros(len(finished), dtype=torch.int32)
    results: list[list[torch.Tensor]] = []
    if limit is not None and limit <= 0:
        raise ValueError(f"maximum_iterations is {limit}; expected 1 or more")
    while not bool(finished.all()) or not results:
        time = len(results)
        made = function(torch.tensor(time, dtype=torch.int32), *inputs, *state, *captured)
        outputs, inputs, new = made[: places[0]], made[places[0] : places[1]], made[places[1] : -1]
        after = finished | made[-1]
        if limit is not None and time + 1 >= limit:
            after = torch.ones_like(after)
        if impute:
            outputs = [torch.where(_like(finished, each), 0, each) for each in outputs]
            new = [torch.where(_like(finished, each), old, each) for each, old in zip(new, state, strict=True)]
        lengths = torch.where(~finished & after, time + 1, lengths).to(torch.int32)
        results.append(list(outputs))
        state, finished = list(new), after
    return [*(torch.stack(column, 1) for column in zip(*results, strict=True)), *state, lengths]


def _like(rows: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    return rows.reshape(-1, *[1] * (values.ndim - 1))
