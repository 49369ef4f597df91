"""Cells around cells: with dropout, with residual connections."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from holdfast.engines import EngineChoice
from holdfast.engines.unrolling import SequenceCell, State
from holdfast.errors import OptionError, ShapeError
from holdfast.tf1.masks import Dropper, check_keep_prob
from holdfast.tf1.rnn_cell import How, LSTMStateTuple, RNNCell
from holdfast.tf1.stacking import without_memory
from holdfast.tf1.variables import VariableScope


class _Wrapper(RNNCell):
    """A cell around another, whose variables are the inner cell's, in the inner cell's scope."""

    def __init__(self, cell: RNNCell) -> None:
        super().__init__()
        if not isinstance(cell, RNNCell):
            raise OptionError(f"{type(self).__name__} got a {type(cell).__name__}; expected a cell of holdfast.tf1.")
        self.cell = cell

    @property
    def state_size(self) -> Any:
        """Of the inner cell."""
        return self.cell.state_size

    @property
    def output_size(self) -> int:
        """Of the inner cell."""
        return self.cell.output_size

    def make_variables(
        self, depth: int, dtype: torch.dtype, device: Any, scope: str | VariableScope | None = None
    ) -> None:
        """Makes the inner cell's variables."""
        self.cell.make_variables(depth, dtype, device, scope)
        self.built = True


def _h_alone(state: Any) -> Any:
    """The default of ``dropout_state_filter_visitor``: the c of an LSTM is never dropped."""
    return LSTMStateTuple(False, True) if isinstance(state, LSTMStateTuple) else True


class DropoutWrapper(_Wrapper):
    """Dropout of a cell's inputs, outputs and state (``tf.nn.rnn_cell.DropoutWrapper``).

    Dropout acts in training mode; ``eval()`` turns it off. What is dropped from the output is still in the state, as
    there. A cell with dropout of its state is run step by step; otherwise the inner cell runs as it would alone.

    Args:
        cell: The cell.
        input_keep_prob: The probability to keep a value of the input.
        output_keep_prob: The same of the output.
        state_keep_prob: The same of the new state.
        variational_recurrent: Whether a sequence has one mask for all its steps (Gal & Ghahramani 2016), not a new one
            at every step.
        input_size: Not needed, as the inputs say it.
        dtype: Not needed, either.
        seed: Where the random numbers begin; None for torch's own random state.
        dropout_state_filter_visitor: What of the state is dropped: a function of a state or a part of it to True,
            False, or a tuple of these. None: all but the c of an :class:`LSTMStateTuple`.

    Raises:
        OptionError: A probability is out of range.
    """

    default_name = "dropout_wrapper"

    def __init__(
        self,
        cell: RNNCell,
        input_keep_prob: float = 1.0,
        output_keep_prob: float = 1.0,
        state_keep_prob: float = 1.0,
        variational_recurrent: bool = False,
        input_size: Any = None,
        dtype: torch.dtype | None = None,
        seed: int | None = None,
        dropout_state_filter_visitor: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__(cell)
        name = type(self).__name__
        self.input_keep_prob = check_keep_prob(name, "input_keep_prob", input_keep_prob)
        self.output_keep_prob = check_keep_prob(name, "output_keep_prob", output_keep_prob)
        self.state_keep_prob = check_keep_prob(name, "state_keep_prob", state_keep_prob)
        self.variational_recurrent = variational_recurrent
        self._drops = dropout_state_filter_visitor or _h_alone
        self._dropper = Dropper(seed)

    @property
    def _drops_state(self) -> bool:
        return self.training and self.state_keep_prob < 1

    def begin_sequence(self, inputs: Tensor, state: State) -> SequenceCell:
        """The cell with the masks of one batch of sequences [T, B, ...]."""
        outputs = without_memory(inputs, self.cell.output_size)
        of_state = None
        if self._drops_state:
            of_state = self._state_masks(state, True, len(inputs))
        cell = self.cell.begin_sequence(inputs, state)
        return _DropoutSteps(cell, self._mask("input", inputs, 0), self._mask("output", outputs, 0), of_state)

    def _mask(self, what: str, values: Tensor, time: int) -> Tensor | None:
        """The mask of inputs or outputs, whose steps are along ``time``; one step where all steps have one mask."""
        keep_prob: float = getattr(self, f"{what}_keep_prob")
        if not self.training or keep_prob == 1:
            return None
        shape = list(values.shape)
        if self.variational_recurrent:
            shape[time] = 1
        return self._dropper.mask(keep_prob, shape, values)

    def _state_masks(self, state: State, drops: Any, steps: int) -> Any:
        """A mask [T or 1, B, size] for each part of the state; None for one that is kept."""
        if drops is True:
            drops = self._drops(state)
        if isinstance(state, Tensor):
            count = 1 if self.variational_recurrent else steps
            return self._dropper.mask(self.state_keep_prob, (count, *state.shape), state) if drops else None
        each = drops if isinstance(drops, tuple | list) else [drops] * len(state)
        return [self._state_masks(part, drop, steps) for part, drop in zip(state, each, strict=True)]

    def run(self, inputs: Tensor, state: State, how: How) -> tuple[Tensor, State]:
        """A whole batch of sequences, [B, T, ...]."""
        if self._drops_state:
            return super().run(inputs, state, how)
        of_input = self._mask("input", inputs, 1)
        outputs, final = self.cell.run(inputs if of_input is None else inputs * of_input, state, how)
        of_output = self._mask("output", outputs, 1)
        return outputs if of_output is None else outputs * of_output, final

    def choices(self, inputs: Tensor, state: State, how: How, part: str) -> Iterator[EngineChoice]:
        """What :meth:`run` uses."""
        if self._drops_state:
            return super().choices(inputs, state, how, part)
        return self.cell.choices(inputs, state, how, part)

    def why_by_steps(self) -> str:
        """Why it goes step by step."""
        return "DropoutWrapper drops parts of the state between two steps (state_keep_prob): it is run step by step."


@dataclass(frozen=True)
class _DropoutSteps:
    cell: SequenceCell
    of_input: Tensor | None
    of_output: Tensor | None
    of_state: Any

    def prepare(self, inputs: Tensor) -> Tensor:
        return inputs

    def step(self, t: int, prepared: Tensor, state: State) -> tuple[Tensor, State]:
        x = _dropped(prepared, self.of_input, t)
        output, new = self.cell.step(t, self.cell.prepare(x[None])[0], state)
        return _dropped(output, self.of_output, t), _state_dropped(new, self.of_state, t)


def _dropped(x: Tensor, mask: Tensor | None, t: int) -> Tensor:
    return x if mask is None else x * mask[min(t, len(mask) - 1)]


def _state_dropped(state: State, masks: Any, t: int) -> State:
    if masks is None or isinstance(state, Tensor):
        return _dropped(state, masks, t) if isinstance(state, Tensor) else state
    parts = [_state_dropped(part, mask, t) for part, mask in zip(state, masks, strict=True)]
    return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)


class ResidualWrapper(_Wrapper):
    """Adds a cell's inputs to its outputs (``tf.nn.rnn_cell.ResidualWrapper``).

    With a ``residual_fn`` of one's own the cell is run step by step; otherwise the inner cell runs as it would alone.

    Args:
        cell: The cell.
        residual_fn: What to give for ``(inputs, outputs)`` of a step, [B, I] and [B, O]; None for their sum.
    """

    default_name = "residual_wrapper"

    def __init__(self, cell: RNNCell, residual_fn: Callable[[Tensor, Tensor], Tensor] | None = None) -> None:
        super().__init__(cell)
        self.residual_fn = residual_fn

    def added(self, inputs: Tensor, outputs: Tensor) -> Tensor:
        """What the wrapper gives.

        Raises:
            ShapeError: Inputs and outputs are to be added and are not of one size.
        """
        if self.residual_fn is not None:
            return self.residual_fn(inputs, outputs)
        if inputs.shape != outputs.shape:
            raise ShapeError(
                f"ResidualWrapper has inputs of shape {tuple(inputs.shape)} and outputs of shape "
                f"{tuple(outputs.shape)}; expected them to be equal to be added. Give a residual_fn."
            )
        return inputs + outputs

    def begin_sequence(self, inputs: Tensor, state: State) -> SequenceCell:
        """The cell for one batch of sequences [T, B, I]."""
        return _ResidualSteps(self, self.cell.begin_sequence(inputs, state))

    def run(self, inputs: Tensor, state: State, how: How) -> tuple[Tensor, State]:
        """A whole batch of sequences, [B, T, I]."""
        if self.residual_fn is not None:
            return super().run(inputs, state, how)
        outputs, final = self.cell.run(inputs, state, how)
        if how.lengths is not None:  # past a row's length the output is zero, whatever stands in the input
            past = torch.arange(inputs.shape[1], device=inputs.device) >= how.lengths[:, None]
            inputs = inputs.masked_fill(past[..., None], 0)
        return self.added(inputs, outputs), final

    def choices(self, inputs: Tensor, state: State, how: How, part: str) -> Iterator[EngineChoice]:
        """What :meth:`run` uses."""
        if self.residual_fn is not None:
            return super().choices(inputs, state, how, part)
        return self.cell.choices(inputs, state, how, part)

    def why_by_steps(self) -> str:
        """Why it goes step by step."""
        return "ResidualWrapper has a residual_fn of its own, which takes single steps: it is run step by step."


@dataclass(frozen=True)
class _ResidualSteps:
    wrapper: ResidualWrapper
    cell: SequenceCell

    def prepare(self, inputs: Tensor) -> Tensor:
        return inputs

    def step(self, t: int, prepared: Tensor, state: State) -> tuple[Tensor, State]:
        output, new = self.cell.step(t, self.cell.prepare(prepared[None])[0], state)
        return self.wrapper.added(prepared, output), new
