"""What every cell of TensorFlow 1's vocabulary has: sizes, variables by name, one step, and a whole sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from holdfast.engines import ENGINES, EngineChoice
from holdfast.engines.check import check_like
from holdfast.engines.memory import Memory
from holdfast.engines.unrolling import SequenceCell, State, unroll
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
    """The state of an LSTM, in TensorFlow 1's order; that of torch and of Holdfast's layers is (h, c)."""

    c: Any
    h: Any


@dataclass(frozen=True)
class How:
    """How a sequence is run.

    Attributes:
        lengths: int64 [B], or None when all rows have all steps.
        reverse: Run each row from its own last step to its first.
        memory: What is kept for the backward pass, as in :func:`holdfast.unroll`.
        segment: Steps in a segment of ``memory="recompute"``.
    """

    lengths: Tensor | None = None
    reverse: bool = False
    memory: Memory = "keep"
    segment: int | None = None


class RNNCell(nn.Module):
    """A cell; the base of TensorFlow 1's, and of one's own.

    A cell of one's own has ``state_size``, ``output_size`` and a ``call(inputs, state) -> (output, new state)``, and
    makes its variables in ``build(inputs_shape)`` by :meth:`add_variable` or in ``call`` by
    :func:`~holdfast.tf1.variables.get_variable`, or has parameters as any torch module.

    Args:
        reuse: Whether its variables are shared with those of the same name, as in :func:`variable_scope`.
        name: The name of its scope; None for that of its class, as ``basic_lstm_cell``.
        dtype: That of its variables; None for that of its first input.
    """

    default_name = "rnn_cell"

    def __init__(self, reuse: Reuse = None, name: str | None = None, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.name = name or self.default_name
        self.dtype = dtype
        self._reuse = reuse
        self._scope: VariableScope | None = None
        self._place: tuple[torch.dtype, Any] = (dtype or torch.float32, None)
        self.built = False
        self._called = False
        self._named: list[str] = []

    @property
    def state_size(self) -> Any:
        """The size of the state: a number, or a tuple of sizes."""
        raise NotImplementedError(f"{type(self).__name__} has no state_size: a cell of one's own says it.")

    @property
    def output_size(self) -> int:
        """Values in a step of output."""
        raise NotImplementedError(f"{type(self).__name__} has no output_size: a cell of one's own says it.")

    def build(self, inputs_shape: Sequence[int | None]) -> None:
        """Makes the variables, for inputs of a shape whose last number is the depth."""

    def call(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """One step: the output and the new state."""
        raise NotImplementedError(f"{type(self).__name__} has no call(inputs, state): a cell of one's own has one.")

    def add_variable(self, name: str, shape: Sequence[int], initializer: Initializer | None = None) -> nn.Parameter:
        """A variable in the cell's scope, which is a parameter of the cell too, with ``_`` for ``/`` in its name."""
        dtype, device = self._place
        variable = get_variable(name, shape, dtype, initializer, device=device)
        self.register_parameter(name.replace("/", "_"), variable)
        self._named.append(name)
        return variable

    def by_name(self) -> dict[str, Tensor]:
        """The variables of :meth:`add_variable` by the names that they have in the cell's scope."""
        return {name: self.get_parameter(name.replace("/", "_")) for name in self._named}

    @property
    def trainable_variables(self) -> list[nn.Parameter]:
        """The cell's parameters that have gradients; none before its first call or :func:`holdfast.tf1.build`."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def zero_state(self, batch_size: int, dtype: torch.dtype, device: Any = None) -> State:
        """A state of zeros, each part [batch_size, size]."""
        return of_size(self.state_size, lambda size: torch.zeros(batch_size, size, dtype=dtype, device=device))

    def initial_state(self, batch: int, dtype: torch.dtype | None = None, device: Any = None) -> State:
        """As :meth:`zero_state`, for :func:`holdfast.unroll`."""
        return self.zero_state(batch, dtype or self._place[0], device)

    def forward(self, inputs: Tensor, state: State, scope: str | VariableScope | None = None) -> tuple[Tensor, State]:
        """One step.

        Args:
            inputs: [B, I].
            state: The state, each part [B, size], as :meth:`zero_state` makes it.
            scope: The scope of the cell's variables at its first call; None for its name in the scope that is open.

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
        """Makes the cell's variables for inputs of ``depth`` values, unless they are there.

        Raises:
            OptionError: They cannot be made or shared, see :func:`get_variable`.
        """
        if self.built:
            return
        self._place = (self.dtype or dtype, device)
        with self._opened(scope):
            self.build((None, depth))
        self.built = True

    def _opened(self, scope: str | VariableScope | None = None) -> Any:
        """The cell's own scope, which is given its name when it is first opened."""
        if self._scope is None:
            named = scope or (self.name if self._reuse else None)
            with variable_scope(named, default_name=self.name, reuse=self._reuse) as own:
                self._scope = own
        return variable_scope(self._scope)

    def begin_sequence(self, inputs: Tensor, state: State) -> SequenceCell:
        """The cell for one batch of sequences [T, B, I]: masks are drawn here."""
        return _Calls(self)

    def run(self, inputs: Tensor, state: State, how: How) -> tuple[Tensor, State]:
        """A whole batch of sequences, [B, T, I]: the outputs [B, T, O] and the final state.

        The variables are there already. Cells that Holdfast's layers describe go through the engines here; this one
        goes step by step.
        """
        outputs, final = unroll(
            self,
            inputs,
            state,
            how.lengths,
            reverse=how.reverse,
            memory=how.memory,
            segment=how.segment,
        )
        return outputs, final

    def why_by_steps(self) -> str:
        """Why :meth:`run` goes step by step, in one sentence."""
        return f"{type(self).__name__} is not a cell that Holdfast's layers describe: it is run step by step."

    def choices(self, inputs: Tensor, state: State, how: How, part: str) -> Iterator[EngineChoice]:
        """What :meth:`run` would use for each part of the cell, and why nothing else."""
        yield EngineChoice(part, "unroll", dict.fromkeys(ENGINES, self.why_by_steps()))

    def _check_inputs(self, inputs: Tensor, depth: int, weight: Tensor) -> None:
        if inputs.shape[-1] != depth:
            raise ShapeError(
                f"{self.name} inputs has a depth of {inputs.shape[-1]}; expected {depth}, as its variables were made "
                "for. Make another cell for other inputs."
            )
        check_like(f"{self.name} inputs", inputs, weight)


@dataclass(frozen=True)
class _Calls:
    """A cell of one's own, called at every step within its scope."""

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


def of_size(size: Any, make: Callable[[int], Any]) -> Any:
    """What ``make`` gives for each number of a size, in the same tuples."""
    if isinstance(size, int):
        return make(size)
    if isinstance(size, tuple | list):
        parts = [of_size(part, make) for part in size]
        return type(size)(*parts) if hasattr(size, "_fields") else type(size)(parts)
    raise OptionError(f"A cell's state_size holds {size!r}; expected whole numbers, or tuples of them.")


def check_state(name: str, size: Any, state: State, batch: int, weight: Tensor) -> None:
    """Refuses a state that is not of the size that a cell says.

    Raises:
        ShapeError: It has other parts, shapes, or another dtype or device.
    """
    if isinstance(size, int):
        if not isinstance(state, Tensor) or state.shape != (batch, size):
            got = (
                f"has shape {tuple(state.shape)}" if isinstance(state, Tensor) else f"is of type {type(state).__name__}"
            )
            raise ShapeError(f"{name} state {got}; expected a tensor (batch, size) = {(batch, size)}.")
        check_like(f"{name} state", state, weight)
        return
    if not isinstance(state, tuple | list) or len(state) != len(size):
        got = f"has {len(state)} parts" if isinstance(state, tuple | list) else f"is of type {type(state).__name__}"
        raise ShapeError(f"{name} state {got}; expected {len(size)} parts of sizes {tuple(size)}.")
    for part, part_size in zip(state, size, strict=True):
        check_state(name, part_size, part, batch, weight)
