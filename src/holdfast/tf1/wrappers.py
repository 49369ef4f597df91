"""Cells that add dropout or residual connections to another cell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from holdfast.cells.nested_state import State, is_single, map_state
from holdfast.engines import EngineChoice
from holdfast.engines.time_loop import SequenceCell
from holdfast.errors import OptionError, ShapeError
from holdfast.tf1.masks import Dropper, check_keep_prob
from holdfast.tf1.rnn_cell import LSTMStateTuple, RNNCell, RunOptions
from holdfast.tf1.stacking import without_memory
from holdfast.tf1.variables import VariableScope


class _Wrapper(RNNCell):
    """A cell around an inner cell. Its variables are the inner cell's, in the inner cell's scope."""

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

    Dropout acts in training mode; ``eval()`` turns it off. Dropout of the output does not change the state, as in
    TensorFlow. A cell with dropout of its state runs step by step; otherwise the inner cell runs as it would alone.

    Args:
        cell: The cell.
        input_keep_prob: The probability to keep a value of the input.
        output_keep_prob: The same for the output.
        state_keep_prob: The same for the new state.
        variational_recurrent: Whether a sequence has one mask for all its steps (Gal & Ghahramani 2016), not a new one
            at every step.
        input_size: Ignored; the inputs have it.
        dtype: Ignored; the inputs have it.
        seed: The seed of the masks; None for torch's own random state.
        dropout_state_filter_visitor: Selects the parts of the state that are dropped: a function of a state or a part
            of it that returns True, False, or a tuple of these. None: all but the c of an :class:`LSTMStateTuple`.

    Raises:
        OptionError: A probability is out of range.

    Example:
        >>> from holdfast import tf1
        >>> cell = DropoutWrapper(tf1.BasicLSTMCell(4), output_keep_prob=0.5, seed=1)
        >>> outputs, state = tf1.dynamic_rnn(cell, torch.zeros(2, 7, 3), dtype=torch.float32, scope="dropout")
        >>> outputs.shape
        torch.Size([2, 7, 4])
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
        self._state_filter = dropout_state_filter_visitor or _h_alone
        self._dropper = Dropper(seed)

    def set_keep_prob(self, option: str, keep_prob: float) -> None:
        """Sets one of the three probabilities, by the name of its argument.

        Args:
            option: The name of the argument, such as ``"input_keep_prob"``.
            keep_prob: The probability to keep a value, from 0 to 1.

        Raises:
            OptionError: The probability is out of range.
        """
        setattr(self, option, check_keep_prob(type(self).__name__, option, keep_prob))

    @property
    def _drops_state(self) -> bool:
        return self.training and self.state_keep_prob < 1

    def begin_sequence(self, inputs: Tensor, state: State) -> SequenceCell:
        """The cell with the masks of one batch of sequences [T, B, ...]."""
        outputs = without_memory(inputs, self.cell.output_size)
        state_masks = None
        if self._drops_state:
            state_masks = self._state_masks(state, True, len(inputs))
        cell = self.cell.begin_sequence(inputs, state)
        return _DropoutSteps(
            cell,
            self._mask(self.input_keep_prob, inputs, 0),
            self._mask(self.output_keep_prob, outputs, 0),
            state_masks,
        )

    def _mask(self, keep_prob: float, values: Tensor, time: int) -> Tensor | None:
        """The mask of inputs or outputs with steps along the dimension ``time``; one step if all steps share it."""
        if not self.training or keep_prob == 1:
            return None
        shape = list(values.shape)
        if self.variational_recurrent:
            shape[time] = 1
        return self._dropper.mask(keep_prob, shape, values)

    def _state_masks(self, state: State, drops: Any, steps: int) -> Any:
        """A mask [T or 1, B, size] for each part of the state; None for a part that is kept."""
        if drops is True:
            drops = self._state_filter(state)
        if isinstance(state, Tensor):
            count = 1 if self.variational_recurrent else steps
            return self._dropper.mask(self.state_keep_prob, (count, *state.shape), state) if drops else None
        drops = drops if isinstance(drops, tuple | list) else [drops] * len(state)
        return [self._state_masks(part, drop, steps) for part, drop in zip(state, drops, strict=True)]

    def run(self, inputs: Tensor, state: State, options: RunOptions) -> tuple[Tensor, State]:
        """Runs a batch of sequences, [B, T, ...]."""
        if self._drops_state:
            return super().run(inputs, state, options)
        input_mask = self._mask(self.input_keep_prob, inputs, 1)
        outputs, final = self.cell.run(inputs if input_mask is None else inputs * input_mask, state, options)
        output_mask = self._mask(self.output_keep_prob, outputs, 1)
        return outputs if output_mask is None else outputs * output_mask, final

    def choices(self, inputs: Tensor, state: State, options: RunOptions, part: str) -> Iterator[EngineChoice]:
        """The engine that :meth:`run` uses."""
        if self._drops_state:
            return super().choices(inputs, state, options, part)
        return self.cell.choices(inputs, state, options, part)

    def why_by_steps(self) -> str:
        """One sentence that says why it runs step by step."""
        return "DropoutWrapper drops parts of the state between two steps (state_keep_prob), so it runs step by step."


@dataclass(frozen=True)
class _DropoutSteps:
    cell: SequenceCell
    input_mask: Tensor | None
    output_mask: Tensor | None
    state_masks: Any

    def prepare(self, inputs: Tensor) -> Tensor:
        return inputs

    def step(self, t: int, prepared: Tensor, state: State) -> tuple[Tensor, State]:
        x = _dropped(prepared, self.input_mask, t)
        output, new = self.cell.step(t, self.cell.prepare(x[None])[0], state)
        if self.state_masks is not None:
            new = map_state(lambda part, mask: _dropped(part, mask, t), new, self.state_masks, is_leaf=is_single)
        return _dropped(output, self.output_mask, t), new


def _dropped(x: Tensor, mask: Tensor | None, t: int) -> Tensor:
    return x if mask is None else x * mask[min(t, len(mask) - 1)]


class ResidualWrapper(_Wrapper):
    """Adds a cell's inputs to its outputs (``tf.nn.rnn_cell.ResidualWrapper``).

    With a ``residual_fn`` the cell runs step by step; otherwise the inner cell runs as it would alone.

    Args:
        cell: The cell.
        residual_fn: A function of ``(inputs, outputs)`` of a step, [B, I] and [B, O]; None for their sum.

    Example:
        >>> from holdfast import tf1
        >>> cell = ResidualWrapper(tf1.GRUCell(3))
        >>> outputs, state = tf1.dynamic_rnn(cell, torch.ones(2, 7, 3), dtype=torch.float32, scope="residual")
        >>> torch.equal(outputs[:, -1], state + 1)
        True
    """

    default_name = "residual_wrapper"

    def __init__(self, cell: RNNCell, residual_fn: Callable[[Tensor, Tensor], Tensor] | None = None) -> None:
        super().__init__(cell)
        self.residual_fn = residual_fn

    def added(self, inputs: Tensor, outputs: Tensor) -> Tensor:
        """The sum of inputs and outputs, or what ``residual_fn`` returns for them.

        Raises:
            ShapeError: Inputs and outputs are to be added but have different shapes.
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

    def run(self, inputs: Tensor, state: State, options: RunOptions) -> tuple[Tensor, State]:
        """Runs a batch of sequences, [B, T, I]."""
        if self.residual_fn is not None:
            return super().run(inputs, state, options)
        outputs, final = self.cell.run(inputs, state, options)
        if options.lengths is not None:  # past a row's length the output is zero, whatever the input is
            past = torch.arange(inputs.shape[1], device=inputs.device) >= options.lengths[:, None]
            inputs = inputs.masked_fill(past[..., None], 0)
        return self.added(inputs, outputs), final

    def choices(self, inputs: Tensor, state: State, options: RunOptions, part: str) -> Iterator[EngineChoice]:
        """The engine that :meth:`run` uses."""
        if self.residual_fn is not None:
            return super().choices(inputs, state, options, part)
        return self.cell.choices(inputs, state, options, part)

    def why_by_steps(self) -> str:
        """One sentence that says why it runs step by step."""
        return "ResidualWrapper has its own residual_fn, which takes single steps, so it runs step by step."


@dataclass(frozen=True)
class _ResidualSteps:
    wrapper: ResidualWrapper
    cell: SequenceCell

    def prepare(self, inputs: Tensor) -> Tensor:
        return inputs

    def step(self, t: int, prepared: Tensor, state: State) -> tuple[Tensor, State]:
        output, new = self.cell.step(t, self.cell.prepare(prepared[None])[0], state)
        return self.wrapper.added(prepared, output), new
