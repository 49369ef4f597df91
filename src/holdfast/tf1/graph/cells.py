"""Cells in a graph: those of :mod:`holdfast.tf1`, and those that a program writes itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import torch

from holdfast.cells.nested_state import map_state
from holdfast.tf1 import rnn_cell as eager_cell
from holdfast.tf1.graph.arrays import concat, split
from holdfast.tf1.graph.convert import convert_to_tensor
from holdfast.tf1.graph.filling import zeros
from holdfast.tf1.graph.graph import nodes
from holdfast.tf1.graph.names import public, publish
from holdfast.tf1.graph.nested import flatten, is_structure, pack_sequence_as
from holdfast.tf1.graph.plan import Plan
from holdfast.tf1.graph.recorded_names import extended, method
from holdfast.tf1.graph.scopes import (
    VariableScope,
    cells_make_variables_here,
    get_variable,
    variable_scope,
    variables_of,
)
from holdfast.tf1.graph.subgraph import Subgraph
from holdfast.tf1.graph.tensors import Tensor
from holdfast.tf1.rnn_cell import LSTMStateTuple

publish(LSTMStateTuple, "contrib.rnn.LSTMStateTuple")

Setting = tuple[Tensor, Callable[[float], None]]
"""A tensor whose value a cell of :mod:`holdfast.tf1` needs before a run, and how it is told."""


@public("contrib.rnn.RNNCell", "nn.rnn_cell_impl.RNNCell", "contrib.rnn.LayerRNNCell")
@extended
class RNNCell:
    """The base of all cells. A program's own cell has ``state_size``, ``output_size`` and ``call`` or ``__call__``.

    Attributes:
        eager: The cell of :mod:`holdfast.tf1` that computes it on the engines; None for a program's own.
    """

    eager: eager_cell.RNNCell | None = None

    def __init__(self, trainable: bool = True, name: str | None = None, dtype: Any = None, **options: Any) -> None:
        self._name = name
        self._scope: VariableScope | None = None

    @property
    def state_size(self) -> Any:
        """The size of the state, or a structure of sizes."""
        raise NotImplementedError(f"{type(self).__name__} has no state_size; a subclass of RNNCell defines it.")

    @property
    def output_size(self) -> Any:
        """The size of an output."""
        raise NotImplementedError(f"{type(self).__name__} has no output_size; a subclass of RNNCell defines it.")

    @method
    def zero_state(self, batch_size: Any, dtype: Any = "float32") -> Any:
        """A state of zeros for ``batch_size`` rows, a number or a tensor."""
        batch = batch_size if isinstance(batch_size, Tensor) else int(batch_size)
        return map_state(
            lambda size: zeros([batch, int(size)], dtype), self.state_size,
            is_leaf=lambda size: not isinstance(size, tuple | list),
        )  # fmt: skip

    def call(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One step: the output and the new state."""
        raise NotImplementedError(
            f"{type(self).__name__} has no call(inputs, state); a subclass of RNNCell defines it."
        )

    def build(self, inputs_shape: Any) -> None:
        """Makes the variables, for a program's cell that makes them before its first step."""

    @method
    def add_variable(self, name: str, shape: Any, dtype: Any = None, initializer: Any = None, **options: Any) -> Tensor:
        """A variable in the cell's scope."""
        return get_variable(name, shape, dtype, initializer)

    add_weight = add_variable

    @method
    def __call__(self, inputs: Any, state: Any, scope: Any = None, **options: Any) -> Any:
        """One step: the output and the new state."""
        x = convert_to_tensor(inputs)
        again = self._scope is not None
        default = self._name or _snake(type(self).__name__)
        with variable_scope(self._scope if again else scope, default, reuse=True if again else None) as opened:
            if not again:
                self.build(x.shape)
                self._scope = opened
            return self.call(x, state)


def _snake(name: str) -> str:
    """The name of a cell's scope: ``MyLSTMCell`` is ``my_lstm_cell``."""
    parted = re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z0-9]+)", r"\1_\2", name))
    return parted.lower()


class EngineCell(RNNCell):
    """A cell of :mod:`holdfast.tf1` in a graph."""

    eager: eager_cell.RNNCell
    _remade: Callable[[], EngineCell]

    def __init__(self, eager: eager_cell.RNNCell, parts: Sequence[RNNCell] = ()) -> None:
        self.eager, self._parts = eager, tuple(parts)

    @property
    def state_size(self) -> Any:
        """The size of the state, or a tuple of sizes."""
        return self.eager.state_size

    @property
    def output_size(self) -> Any:
        """The size of an output."""
        return self.eager.output_size

    @property
    def name(self) -> str:
        """The name of the cell's scope."""
        return self.eager.name

    @property
    def trainable_variables(self) -> list[Tensor]:
        """The cell's variables."""
        return variables_of(self.eager.trainable_variables)

    variables = weights = trainable_weights = trainable_variables

    def settings(self) -> list[Setting]:
        """The tensors whose values the cell needs before a run."""
        return [setting for part in self._parts if isinstance(part, EngineCell) for setting in part.settings()]

    def again(self) -> EngineCell:
        """Another cell with the same settings."""
        return self._remade()

    def prepare(self, inputs: Tensor, scope: Any = None) -> list[Tensor]:
        """Makes the cell's variables for these inputs, unless they exist, and returns them.

        Raises:
            ValueError: The depth of the inputs is not known.
        """
        depth = None if inputs.sizes is None else inputs.sizes[-1]
        if depth is None:
            raise ValueError(
                f"The last size of {inputs.name}, the inputs of {self.name}, is unknown; a cell needs it to make its "
                "variables. Give it in the placeholder, or by set_shape."
            )
        with cells_make_variables_here():
            self.eager.make_variables(depth, inputs.dtype.torch or torch.float32, None, _scope(scope))
        return variables_of(self.eager.parameters())

    @method
    def __call__(self, inputs: Any, state: Any, scope: Any = None, **options: Any) -> Any:
        """One step: the output and the new state."""
        x = convert_to_tensor(inputs)
        joined = is_joined(self, state)
        if joined:
            state = split_state(self, state)
        parts = [convert_to_tensor(part) for part in flatten(state)]
        variables, settings = self.prepare(x, scope), self.settings()
        cell, structure, count = self.eager, state, len(parts)

        def step(values: torch.Tensor, *rest: torch.Tensor) -> list[torch.Tensor]:
            told(settings, rest[count:])
            output, new = cell(values, pack_sequence_as(structure, rest[:count]))
            return [output, *flatten(new)]

        batch = (x.sizes or (None,))[0]
        outputs = nodes(
            type(self).__name__, step, [x, *parts, *[tensor for tensor, _ in settings], *variables],
            [(x.dtype, (batch, self.output_size)), *[(part.dtype, part.sizes) for part in parts]],
        )  # fmt: skip
        return outputs[0], concat(outputs[1:], 1) if joined else pack_sequence_as(state, outputs[1:])


def is_joined(cell: RNNCell, state: Any) -> bool:
    """Whether a state is one tensor where the cell has several parts: c and h in one, as before TensorFlow 0.11."""
    return state is not None and not is_structure(state) and is_structure(cell.state_size)


def split_state(cell: RNNCell, state: Any) -> Any:
    """The parts of one tensor [B, S]: those of the cell's state, one after the other.

    Raises:
        ValueError: The tensor has another size.
    """
    sizes = [int(size) for size in flatten(cell.state_size)]
    tensor = convert_to_tensor(state)
    size = None if tensor.sizes is None else tensor.sizes[-1] if len(tensor.sizes) == 2 else 0
    if size not in (None, sum(sizes)):
        raise ValueError(
            f"The state {tensor.name} has shape {tensor.shape}; expected {cell.state_size}, or one tensor "
            f"[batch, {sum(sizes)}] of all its parts."
        )
    return pack_sequence_as(cell.state_size, split(tensor, sizes, 1))


def told(settings: Sequence[Setting], values: Sequence[torch.Tensor]) -> None:
    """Tells cells the values of their tensors in this run."""
    for (_, tell), value in zip(settings, values, strict=False):
        tell(float(value))


def _scope(scope: Any) -> Any:
    return scope.scope if isinstance(scope, VariableScope) else scope


def torch_function(function: Any) -> Any:
    """The function of torch for an activation of a program: a function of the graph, or one that is made of them.

    Raises:
        ValueError: It needs other tensors than its argument.
    """
    if function is None or isinstance(function, str):
        return function
    if hasattr(function, "torch"):
        return function.torch
    traced = Subgraph(function, [("float32", None)])
    if traced.captured:
        raise ValueError(
            f"The activation {function!r} reads other tensors than its argument; expected one that does not."
        )
    plan = Plan(None, traced.outputs, traced.arguments)
    return lambda x: plan.function(x)[0]
