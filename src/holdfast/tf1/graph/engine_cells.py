"""The cells of ``tf.nn.rnn_cell`` and ``tf.contrib.rnn``, with their arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from holdfast import tf1
from holdfast.tf1.graph.arithmetic import add
from holdfast.tf1.graph.arrays import concat, split
from holdfast.tf1.graph.cells import EngineCell, RNNCell, Setting, torch_function
from holdfast.tf1.graph.graph import get_default_graph
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.networks import dropout
from holdfast.tf1.graph.recorded_names import method
from holdfast.tf1.graph.scopes import variable_scope
from holdfast.tf1.graph.tensors import Tensor


def _single(cls: Any, *names: str) -> Any:
    """Registers a cell that has no parts, under its names and with the arguments of its class."""

    class Cell(EngineCell):
        __doc__ = cls.__doc__

        def __init__(self, *args: Any, **options: Any) -> None:
            given = {key: value for key, value in options.items() if key not in _IGNORED}
            arguments = inspect.signature(cls).bind(*args, **given).arguments
            if "activation" in arguments:
                arguments["activation"] = torch_function(arguments["activation"])
            self._remade = lambda: type(self)(*args, **options)
            super().__init__(cls(**arguments))

    Cell.__name__ = Cell.__qualname__ = cls.__name__
    return public(*names)(Cell)


_IGNORED = ("input_size", "use_compatible_names", "trainable", "_reuse", "kernel_initializer_seed")

BasicRNNCell = _single(tf1.BasicRNNCell, "contrib.rnn.BasicRNNCell")
GRUCell = _single(tf1.GRUCell, "contrib.rnn.GRUCell")
BasicLSTMCell = _single(tf1.BasicLSTMCell, "contrib.rnn.BasicLSTMCell")
LSTMCell = _single(tf1.LSTMCell, "contrib.rnn.LSTMCell")
LSTMBlockCell = _single(tf1.LSTMBlockCell, "contrib.rnn.LSTMBlockCell")
GRUBlockCellV2 = _single(tf1.GRUBlockCellV2, "contrib.rnn.GRUBlockCellV2", "contrib.rnn.GRUBlockCell")
LayerNormBasicLSTMCell = _single(tf1.LayerNormBasicLSTMCell, "contrib.rnn.LayerNormBasicLSTMCell")
CudnnCompatibleLSTMCell = _single(tf1.CudnnCompatibleLSTMCell, "contrib.cudnn_rnn.CudnnCompatibleLSTMCell")
CudnnCompatibleGRUCell = _single(tf1.CudnnCompatibleGRUCell, "contrib.cudnn_rnn.CudnnCompatibleGRUCell")
SRUCell = _single(tf1.SRUCell, "contrib.rnn.SRUCell")


class _OwnStack(RNNCell):
    """Stacked cells of which a program wrote at least one."""

    def __init__(self, cells: list[RNNCell], state_is_tuple: bool) -> None:
        super().__init__()
        self._cells, self._state_is_tuple = cells, state_is_tuple

    @property
    def state_size(self) -> Any:
        """A size for each cell, or their sum."""
        sizes = tuple(cell.state_size for cell in self._cells)
        return sizes if self._state_is_tuple else sum(sizes)

    @property
    def output_size(self) -> Any:
        """Of the last cell."""
        return self._cells[-1].output_size

    @method
    def __call__(self, inputs: Any, state: Any, scope: Any = None, **options: Any) -> Any:
        """One step."""
        parts = state
        if not self._state_is_tuple:
            parts = split(state, [int(cell.state_size) for cell in self._cells], 1)
        new = []
        with variable_scope(scope or "multi_rnn_cell"):
            for number, (cell, part) in enumerate(zip(self._cells, parts, strict=True)):
                with variable_scope(f"cell_{number}"):
                    inputs, state = cell(inputs, part)
                new.append(state)
        return inputs, tuple(new) if self._state_is_tuple else concat(new, 1)


@public("contrib.rnn.MultiRNNCell")
def MultiRNNCell(cells: Any, state_is_tuple: bool = True) -> RNNCell:
    """Stacked cells. A cell that stands in the list several times has weights of its own in each place.

    Raises:
        ValueError: There are no cells.
    """
    stacked: list[RNNCell] = []
    for cell in cells or ():
        seen = any(cell is other for other in stacked)
        stacked.append(cell.again() if seen and isinstance(cell, EngineCell) else cell)
    if not stacked or any(cell.eager is None for cell in stacked):
        if not stacked:
            raise ValueError("MultiRNNCell got no cells; expected a list of one cell or more.")
        return _OwnStack(stacked, state_is_tuple)
    made = EngineCell(tf1.MultiRNNCell([cell.eager for cell in stacked if cell.eager], state_is_tuple), stacked)
    made._remade = lambda: MultiRNNCell([_another(cell) for cell in stacked], state_is_tuple)  # type: ignore[assignment,return-value]
    return made


def _another(cell: RNNCell) -> RNNCell:
    return cell.again() if isinstance(cell, EngineCell) else cell


class _Dropout(EngineCell):
    """A cell of the engines with dropout, whose probabilities may be tensors."""

    eager: tf1.DropoutWrapper

    def __init__(self, cell: RNNCell, probabilities: dict[str, Any], options: dict[str, Any]) -> None:
        assert cell.eager is not None
        numbers: dict[str, Any] = {
            key: 1.0 if isinstance(value, Tensor) else value for key, value in probabilities.items()
        }
        super().__init__(tf1.DropoutWrapper(cell.eager, **numbers, **options), [cell])
        self._tensors = {key: value for key, value in probabilities.items() if isinstance(value, Tensor)}
        self._remade = lambda: _Dropout(_another(cell), probabilities, options)

    def settings(self) -> list[Setting]:
        """The probabilities that are tensors."""
        own = [(tensor, self._teller(key)) for key, tensor in self._tensors.items()]
        return [*own, *super().settings()]

    def _teller(self, key: str) -> Callable[[float], None]:
        return lambda value: self.eager.set_keep_prob(key, value)


class OwnWrapper(RNNCell):
    """A cell around another, with its sizes."""

    def __init__(self, cell: RNNCell) -> None:
        super().__init__()
        self._cell = cell

    @property
    def state_size(self) -> Any:
        """Of the inner cell."""
        return self._cell.state_size

    @property
    def output_size(self) -> Any:
        """Of the inner cell."""
        return self._cell.output_size

    @method
    def zero_state(self, batch_size: Any, dtype: Any = "float32") -> Any:
        """Of the inner cell."""
        return self._cell.zero_state(batch_size, dtype)


class _OwnDropout(OwnWrapper):
    """A program's own cell with dropout."""

    def __init__(self, cell: RNNCell, before: Any, after: Any, seed: int | None) -> None:
        super().__init__(cell)
        self._before, self._after, self._seed = before, after, seed

    @method
    def __call__(self, inputs: Any, state: Any, scope: Any = None, **options: Any) -> Any:
        """One step."""
        output, new = self._cell(self._dropped(inputs, self._before), state, scope)
        return self._dropped(output, self._after), new

    def _dropped(self, values: Any, keep_prob: Any) -> Any:
        if isinstance(keep_prob, int | float) and keep_prob == 1:
            return values
        return dropout(values, keep_prob, seed=self._seed)


@public("contrib.rnn.DropoutWrapper")
def DropoutWrapper(
    cell: RNNCell, input_keep_prob: Any = 1.0, output_keep_prob: Any = 1.0, state_keep_prob: Any = 1.0,
    variational_recurrent: bool = False, input_size: Any = None, dtype: Any = None, seed: int | None = None,
    dropout_state_filter_visitor: Any = None,
) -> RNNCell:  # fmt: skip
    """A cell with dropout of its inputs, outputs and state; the probabilities may be tensors.

    A new mask is drawn for each step of each run, and for each run alone with ``variational_recurrent``.

    Raises:
        NotImplementedError: The cell is a program's own, and its state is dropped, or all steps share a mask.
    """
    if cell.eager is None:
        if variational_recurrent or not isinstance(state_keep_prob, int | float) or state_keep_prob != 1:
            raise NotImplementedError(
                "DropoutWrapper of a program's own cell got state_keep_prob or variational_recurrent; expected neither."
            )
        return _OwnDropout(cell, input_keep_prob, output_keep_prob, seed)
    graph = get_default_graph()
    if seed is None and graph.seed is not None:
        seed = graph.seed * 1_000_003 + len(graph.operations)
    probabilities = {
        "input_keep_prob": input_keep_prob, "output_keep_prob": output_keep_prob, "state_keep_prob": state_keep_prob
    }  # fmt: skip
    options = {
        "variational_recurrent": variational_recurrent, "seed": seed,
        "dropout_state_filter_visitor": dropout_state_filter_visitor,
    }  # fmt: skip
    return _Dropout(cell, probabilities, options)


class _OwnResidual(OwnWrapper):
    def __init__(self, cell: RNNCell, function: Any) -> None:
        super().__init__(cell)
        self._function = function or add

    @method
    def __call__(self, inputs: Any, state: Any, scope: Any = None, **options: Any) -> Any:
        """One step."""
        output, new = self._cell(inputs, state, scope)
        return self._function(inputs, output), new


@public("contrib.rnn.ResidualWrapper")
def ResidualWrapper(cell: RNNCell, residual_fn: Any = None) -> RNNCell:
    """A cell whose inputs are added to its outputs."""
    if cell.eager is None or residual_fn is not None:
        return _OwnResidual(cell, residual_fn)
    made = EngineCell(tf1.ResidualWrapper(cell.eager), [cell])
    made._remade = lambda: ResidualWrapper(_another(cell))  # type: ignore[assignment,return-value]
    return made


@public("contrib.rnn.DeviceWrapper")
def DeviceWrapper(cell: RNNCell, device: Any) -> RNNCell:
    """The cell itself: the kernels choose the device."""
    return cell
