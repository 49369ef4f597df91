"""Cells that are written out in operations of the graph: ``NASCell``, projections and embeddings around a cell."""

from __future__ import annotations

import math
from typing import Any

from holdfast.tf1.graph.arithmetic import sigmoid, tanh
from holdfast.tf1.graph.arrays import concat, reshape, split
from holdfast.tf1.graph.cells import RNNCell
from holdfast.tf1.graph.convert import convert_to_tensor
from holdfast.tf1.graph.engine_cells import OwnWrapper
from holdfast.tf1.graph.indexing import embedding_lookup
from holdfast.tf1.graph.initial_values import Constant, RandomUniform, Zeros
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.networks import bias_add, relu
from holdfast.tf1.graph.products import matmul
from holdfast.tf1.graph.scopes import get_variable, get_variable_scope, variable_scope
from holdfast.tf1.graph.tensors import Tensor
from holdfast.tf1.rnn_cell import LSTMStateTuple

_PARTS = 8  # products of the inputs, and of the last output, in a step of NASCell


@public("contrib.rnn.NASCell")
class NASCell(RNNCell):
    """The cell that a search over architectures found (Zoph & Le 2017).

    Args:
        num_units: The size of the cell.
        num_proj: The size of its output; ``num_units`` by default.
        use_bias: Whether there is a bias.
        reuse: Accepted.
        name: The name of its scope.
    """

    def __init__(
        self, num_units: int, num_proj: int | None = None, use_bias: bool = False, reuse: Any = None,
        name: str | None = None, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(name=name)
        self._units, self._proj, self._use_bias = int(num_units), num_proj, use_bias

    @property
    def state_size(self) -> LSTMStateTuple:
        """The sizes of c and of the output."""
        return LSTMStateTuple(self._units, self.output_size)

    @property
    def output_size(self) -> int:
        """``num_proj``, or ``num_units``."""
        return self._units if self._proj is None else int(self._proj)

    def call(self, inputs: Tensor, state: Any) -> tuple[Tensor, LSTMStateTuple]:
        """One step."""
        c, m = state
        depth = (inputs.sizes or (None,))[-1]
        recurrent = get_variable("recurrent_kernel", [self.output_size, _PARTS * self._units])
        kernel = get_variable("kernel", [depth, _PARTS * self._units])
        before = matmul(m, recurrent)
        if self._use_bias:
            before = bias_add(before, get_variable("bias", [_PARTS * self._units], initializer=Zeros()))
        b: list[Any] = split(before, _PARTS, 1)
        x: list[Any] = split(matmul(inputs, kernel), _PARTS, 1)
        first = tanh(sigmoid(x[0] + b[0]) * relu(x[1] + b[1]))
        second = tanh(sigmoid(x[2] + b[2]) + relu(x[3] * b[3]))
        third = tanh(tanh(x[4] + b[4]) * sigmoid(x[5] + b[5]))
        fourth = sigmoid(tanh(x[6] + b[6]) + sigmoid(x[7] + b[7]))
        new_c = tanh(first + c) * second
        output = tanh(new_c * tanh(third + fourth))
        if self._proj is not None:
            output = matmul(output, get_variable("projection_weights", [self._units, self._proj]))
        return output, LSTMStateTuple(new_c, output)


def _linear(inputs: Any, size: int, bias: bool = True, first: Any = 0.0, kernel: Any = None) -> Tensor:
    depth = (inputs.sizes or (None,))[-1]
    if depth is None:
        raise ValueError(f"The last size of {inputs.name} is unknown; a projection needs it. Give it by set_shape.")
    product = matmul(inputs, get_variable("kernel", [depth, size], inputs.dtype, kernel))
    if not bias:
        return product
    start = first if callable(first) else Constant(first)
    return bias_add(product, get_variable("bias", [size], inputs.dtype, start))


@public("contrib.rnn._linear", "contrib.rnn.linear", "nn.rnn_cell._linear")
def linear(
    args: Any, output_size: int, bias: bool, bias_start: Any = 0.0, scope: Any = None, bias_initializer: Any = None,
    kernel_initializer: Any = None,
) -> Tensor:  # fmt: skip
    """``[args] W + b`` for a program's own cell: of one tensor [B, I], or of several side by side.

    From TensorFlow 1.2 on, the fourth and fifth arguments are the initializers of b and W; they are taken, too.

    Args:
        args: A tensor, or a list of them.
        output_size: The size of the result.
        bias: Whether there is a b.
        bias_start: Its first value.
        scope: The scope of the variables; the open one by default.
        bias_initializer: Of b.
        kernel_initializer: Of W.
    """
    if callable(scope):
        scope, kernel_initializer = None, scope
    first = bias_initializer or (0.0 if bias_start is None else bias_start)
    parts = list(args) if isinstance(args, list | tuple) else [args]
    inputs = convert_to_tensor(parts[0]) if len(parts) == 1 else concat(parts, 1)
    with variable_scope(get_variable_scope() if scope is None else scope):
        return _linear(inputs, output_size, bias, first, kernel_initializer)


@public("contrib.rnn.OutputProjectionWrapper")
class OutputProjectionWrapper(OwnWrapper):
    """A cell with a dense layer of its outputs."""

    def __init__(self, cell: RNNCell, output_size: int, activation: Any = None, reuse: Any = None) -> None:
        super().__init__(cell)
        self._size, self._activation = int(output_size), activation

    @property
    def output_size(self) -> int:
        """Of the dense layer."""
        return self._size

    def call(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One step."""
        output, new = self._cell(inputs, state)
        projected = _linear(output, self._size)
        return projected if self._activation is None else self._activation(projected), new


@public("contrib.rnn.InputProjectionWrapper")
class InputProjectionWrapper(OwnWrapper):
    """A cell with a dense layer of its inputs."""

    def __init__(
        self, cell: RNNCell, num_proj: int, activation: Any = None, input_size: Any = None, reuse: Any = None
    ) -> None:
        super().__init__(cell)
        self._size, self._activation = int(num_proj), activation

    def call(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One step."""
        projected = _linear(inputs, self._size)
        return self._cell(projected if self._activation is None else self._activation(projected), state)  # type: ignore[no-any-return]


def embedding_table(classes: int, size: int, initializer: Any = None) -> Tensor:
    """The table [classes, size] of :class:`EmbeddingWrapper`, in the open scope."""
    first = initializer or get_variable_scope().initializer or RandomUniform(-math.sqrt(3), math.sqrt(3))
    return get_variable("embedding", [classes, size], initializer=first)


@public("contrib.rnn.EmbeddingWrapper")
class EmbeddingWrapper(OwnWrapper):
    """A cell whose inputs [B] or [B, 1] are numbers of classes, with a table of their vectors."""

    def __init__(
        self, cell: RNNCell, embedding_classes: int, embedding_size: int, initializer: Any = None, reuse: Any = None
    ) -> None:
        super().__init__(cell)
        self._classes, self._size, self._initializer = int(embedding_classes), int(embedding_size), initializer

    def call(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One step."""
        table = embedding_table(self._classes, self._size, self._initializer)
        return self._cell(embedding_lookup(table, reshape(inputs, [-1])), state)  # type: ignore[no-any-return]
