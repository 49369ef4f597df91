"""The base of TensorFlow 1's cells: sizes, variables by name, one step, and a whole sequence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from holdfast.cells.nested_state import State, describe, map_state
from holdfast.engines import ENGINES, EngineChoice
from holdfast.engines.check import check_like, check_state_parts
from holdfast.engines.memory import Memory
from holdfast.engines.time_loop import SequenceCell
from holdfast.engines.unrolling import unroll
from holdfast.errors import OptionError, ShapeError
from holdfast.tf1.variables import (
    Initializer,
    Reuse,
    VariableScope,
    get_variable,
    get_variable_scope,
    variable_scope,
)


class LSTMStateTuple(NamedTuple):
    """The state of an LSTM, in TensorFlow 1's order; torch and Holdfast's layers have (h, c)."""

    c: Any
    h: Any


@dataclass(frozen=True)
class RunOptions:
    """The options of a run over a batch of sequences.

    Attributes:
        lengths: int64 [B], or None when all rows have all steps.
        reverse: Run each row from its own last step to its first.
        memory: What to keep for the backward pass, as in :func:`holdfast.unroll`.
        segment: Steps in a segment of ``memory="recompute"``.
    """

    lengths: Tensor | None = None
    reverse: bool = False
    memory: Memory = "keep"
    segment: int | None = None


class RNNCell(nn.Module):
    """The base of all cells, TensorFlow 1's and a user's.

    A user's cell defines ``state_size``, ``output_size`` and ``call(inputs, state) -> (output, new state)``. It makes
    its variables in ``build(inputs_shape)`` by :meth:`add_variable` or in ``call`` by
    :func:`~holdfast.tf1.variables.get_variable`, or has parameters like any torch module.

    Args:
        reuse: Whether it shares the variables of the same names, as in :func:`variable_scope`.
        name: The name of its scope; None for the default of its class, such as ``basic_lstm_cell``.
        dtype: The dtype of its variables; None for the dtype of its first input.

    Example:
        >>> class Average(RNNCell):
        ...     state_size = output_size = 3
        ...
        ...     def call(self, inputs, state):
        ...         output = (inputs + state) / 2
        ...         return output, output
        >>> output, state = Average()(torch.ones(2, 3), torch.zeros(2, 3))
        >>> output[0].tolist()
        [0.5, 0.5, 0.5]
    """

    default_name = "rnn_cell"

    def __init__(self, reuse: Reuse = None, name: str | None = None, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.name = name or self.default_name
        self.dtype = dtype
        self._reuse = reuse
        self._scope: VariableScope | None = None
        self._dtype_and_device: tuple[torch.dtype, Any] = (dtype or torch.float32, None)
        self.built = False
        self._called = False
        self._variable_names: list[str] = []

    @property
    def state_size(self) -> Any:
        """The size of the state: a number, or a tuple of sizes."""
        raise NotImplementedError(f"{type(self).__name__} has no state_size; a subclass of RNNCell defines it.")

    @property
    def output_size(self) -> int:
        """Values in a step of output."""
        raise NotImplementedError(f"{type(self).__name__} has no output_size; a subclass of RNNCell defines it.")

    def build(self, inputs_shape: Sequence[int | None]) -> None:
        """Makes the variables for inputs of this shape.

        Args:
            inputs_shape: (None, I).
        """

    def call(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """One step: the output [B, O] and the new state.

        Args:
            inputs: [B, I].
            state: The state before the step, in the form of ``state_size``.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no call(inputs, state); a subclass of RNNCell defines it."
        )

    def add_variable(self, name: str, shape: Sequence[int], initializer: Initializer | None = None) -> nn.Parameter:
        """Makes a variable in the cell's scope. It is a parameter of the cell too, with ``_`` for ``/`` in the name.

        Args:
            name: Its name in the scope.
            shape: Its shape.
            initializer: Fills it in place; None as in :func:`get_variable`.

        Raises:
            OptionError: It cannot be made or shared, see :func:`get_variable`.
        """
        dtype, device = self._dtype_and_device
        variable = get_variable(name, shape, dtype, initializer, device=device)
        self.register_parameter(name.replace("/", "_"), variable)
        self._variable_names.append(name)
        return variable

    def by_name(self) -> dict[str, Tensor]:
        """The variables of :meth:`add_variable` by their names in the cell's scope."""
        return {name: self.get_parameter(name.replace("/", "_")) for name in self._variable_names}

    @property
    def trainable_variables(self) -> list[nn.Parameter]:
        """The cell's parameters with gradients; empty before its first call or :func:`holdfast.tf1.build`."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def zero_state(self, batch_size: int, dtype: torch.dtype, device: Any = None) -> State:
        """A state of zeros, each part [batch_size, size].

        Args:
            batch_size: B.
            dtype: The dtype of the zeros.
            device: Their device.

        Raises:
            OptionError: ``state_size`` is not made of whole numbers.
        """

        def zeros(size: Any) -> Tensor:
            if not isinstance(size, int):
                raise OptionError(f"A cell's state_size holds {size!r}; expected whole numbers, or tuples of them.")
            return torch.zeros(batch_size, size, dtype=dtype, device=device)

        return map_state(zeros, self.state_size, is_leaf=lambda size: not isinstance(size, tuple | list))

    def initial_state(self, batch: int, dtype: torch.dtype | None = None, device: Any = None) -> State:
        """As :meth:`zero_state`, for :func:`holdfast.unroll`."""
        return self.zero_state(batch, dtype or self._dtype_and_device[0], device)

    def forward(self, inputs: Tensor, state: State, scope: str | VariableScope | None = None) -> tuple[Tensor, State]:
        """One step.

        Args:
            inputs: [B, I].
            state: The state, each part [B, size], as :meth:`zero_state` makes it.
            scope: The scope of the cell's variables at its first call; None for its name in the open scope.

        Returns:
            The output [B, O] and the new state.

        Raises:
            ShapeError: ``inputs`` or ``state`` does not fit the cell.
            OptionError: The variables cannot be made or shared, see :func:`get_variable`.
        """
        self.make_variables(inputs.shape[-1], inputs.dtype, inputs.device, scope)
        steps = self.begin_sequence(inputs[None], state)
        return steps.step(0, steps.prepare(inputs[None])[0], state)

    def make_variables(
        self, depth: int, dtype: torch.dtype, device: Any, scope: str | VariableScope | None = None
    ) -> None:
        """Makes the cell's variables for inputs of ``depth`` values, unless they exist.

        Raises:
            OptionError: They cannot be made or shared, see :func:`get_variable`.
        """
        if self.built:
            return
        self._dtype_and_device = (self.dtype or dtype, device)
        with self._opened(scope):
            self.build((None, depth))
        self.built = True

    def _opened(self, scope: str | VariableScope | None = None) -> Any:
        """Opens the cell's scope; its name is chosen when it is first opened."""
        if self._scope is None:
            name = scope or (self.name if self._reuse else None)
            with variable_scope(name, default_name=self.name, reuse=self._reuse) as opened:
                self._scope = opened
        return variable_scope(self._scope)

    def begin_sequence(self, inputs: Tensor, state: State) -> SequenceCell:
        """The cell for one batch of sequences [T, B, I]; draws its masks."""
        return _Calls(self)

    def run(self, inputs: Tensor, state: State, options: RunOptions) -> tuple[Tensor, State]:
        """Runs a batch of sequences [B, T, I]: the outputs [B, T, O] and the final state.

        The variables exist already. This method runs step by step; cells that Holdfast's layers describe override it
        and use the engines.
        """
        outputs, final = unroll(
            self,
            inputs,
            state,
            options.lengths,
            reverse=options.reverse,
            memory=options.memory,
            segment=options.segment,
        )
        return outputs, final

    def why_by_steps(self) -> str:
        """One sentence that says why :meth:`run` runs step by step."""
        return f"{type(self).__name__} is not a cell that Holdfast's layers describe, so it runs step by step."

    def choices(self, inputs: Tensor, state: State, options: RunOptions, part: str) -> Iterator[EngineChoice]:
        """The engine that :meth:`run` would use for each part of the cell, and why no other."""
        yield EngineChoice(part, "unroll", dict.fromkeys(ENGINES, self.why_by_steps()))

    def _check_inputs(self, inputs: Tensor, depth: int, weight: Tensor) -> None:
        if inputs.shape[-1] != depth:
            raise ShapeError(
                f"{self.name} inputs has a depth of {inputs.shape[-1]}; expected {depth}, the depth that its "
                "variables were made for. Make another cell for other inputs."
            )
        check_like(f"{self.name} inputs", inputs, weight)


@dataclass(frozen=True)
class _Calls:
    """A user's cell, called at every step within its scope."""

    cell: RNNCell

    def prepare(self, inputs: Tensor) -> Tensor:
        return inputs

    def step(self, t: int, prepared: Tensor, state: State) -> tuple[Tensor, State]:
        cell = self.cell
        with cell._opened(), variable_scope(get_variable_scope(), reuse=cell._called):
            result = cell.call(prepared, state)
        cell._called = True
        if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[0], Tensor):
            raise ShapeError(
                f"{type(cell).__name__}.call(inputs, state) returned a {type(result).__name__}; expected the pair "
                "(output, new state)."
            )
        return result


def check_state(name: str, size: Any, state: State, batch: int, weight: Tensor) -> None:
    """Refuses a state that does not have the size that a cell states.

    Raises:
        ShapeError: It has other parts, shapes, or another dtype or device.
    """
    if isinstance(size, int):
        if not isinstance(state, Tensor) or state.shape != (batch, size):
            raise ShapeError(f"{name} state is {describe(state)}; expected a tensor (batch, size) = {(batch, size)}.")
        check_like(f"{name} state", state, weight)
        return
    check_state_parts(name, state, len(size), f"{len(size)} parts of sizes {tuple(size)}")
    for part, part_size in zip(state, size, strict=True):
        check_state(name, part_size, part, batch, weight)
