"""The fused cells of ``tf.contrib.rnn``, which take whole sequences, time first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.cells.nested_state import State
from holdfast.engines.lengths import Lengths, check_lengths
from holdfast.errors import OptionError
from holdfast.tf1.lstm_cells import LSTMBlockCell
from holdfast.tf1.rnn import dynamic_rnn, first_state, stack_steps, static_rnn
from holdfast.tf1.rnn_cell import RNNCell, RunOptions
from holdfast.tf1.variables import Reuse, VariableScope

Inputs = Tensor | Sequence[Tensor]


class FusedRNNCell(nn.Module):
    """The base of the fused cells: a call takes all steps, as a tensor [T, B, I] or a list of T tensors [B, I].

    The call is ``(inputs, initial_state=None, dtype=None, sequence_length=None, scope=None)``. It returns the outputs,
    as a tensor or a list like the inputs, and the final state.
    """

    @property
    def trainable_variables(self) -> list[nn.Parameter]:
        """The parameters with gradients."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]


class LSTMBlockFusedCell(FusedRNNCell):
    """:class:`LSTMBlockCell` over whole sequences, through the engines (``tf.contrib.rnn.LSTMBlockFusedCell``).

    Args:
        num_units: H.
        forget_bias: Added to the forget gate at every step.
        cell_clip: Clamps the cell state into plus or minus this; 0 and negative numbers do not clip.
        use_peephole: Whether the gates see the cell state.
        reuse: As in :class:`RNNCell`.
        dtype: As in :class:`RNNCell`.
        name: As in :class:`RNNCell`.

    Example:
        >>> cell = LSTMBlockFusedCell(4)
        >>> outputs, state = cell(torch.zeros(7, 2, 3), dtype=torch.float32)
        >>> outputs.shape, state.c.shape
        (torch.Size([7, 2, 4]), torch.Size([2, 4]))
    """

    def __init__(
        self,
        num_units: int,
        forget_bias: float = 1.0,
        cell_clip: float | None = None,
        use_peephole: bool = False,
        reuse: Reuse = None,
        dtype: torch.dtype | None = None,
        name: str = "lstm_fused_cell",
    ) -> None:
        super().__init__()
        self.cell = LSTMBlockCell(num_units, forget_bias, cell_clip, use_peephole, dtype, reuse, name)

    def forward(
        self,
        inputs: Inputs,
        initial_state: State = None,
        dtype: torch.dtype | None = None,
        sequence_length: Lengths | None = None,
        scope: str | VariableScope | None = None,
    ) -> tuple[Any, State]:
        """Runs all steps; :class:`FusedRNNCell` describes the call.

        Raises:
            OptionError: There is neither ``initial_state`` nor ``dtype``.
            ShapeError: An argument does not fit the cell.
        """
        x = stack_steps(inputs, 0).transpose(0, 1)
        self.cell.make_variables(x.shape[-1], x.dtype, x.device, scope)
        state = first_state(self.cell, x, initial_state, dtype)
        outputs, final = self.cell.run(
            x, state, RunOptions(check_lengths(sequence_length, x.shape[0], x.shape[1], x.device))
        )
        outputs = outputs.transpose(0, 1)
        return outputs if isinstance(inputs, Tensor) else list(outputs), final


class FusedRNNCellAdaptor(FusedRNNCell):
    """Any cell as a fused one (``tf.contrib.rnn.FusedRNNCellAdaptor``).

    Args:
        cell: The cell.
        use_dynamic_rnn: Whether :func:`dynamic_rnn` or :func:`static_rnn` runs it; in Holdfast both compute the same.

    Example:
        >>> from holdfast import tf1
        >>> outputs, state = FusedRNNCellAdaptor(tf1.GRUCell(4))([torch.zeros(2, 3)] * 7, dtype=torch.float32)
        >>> len(outputs), state.shape
        (7, torch.Size([2, 4]))
    """

    def __init__(self, cell: RNNCell, use_dynamic_rnn: bool = False) -> None:
        super().__init__()
        self.cell, self.use_dynamic_rnn = cell, use_dynamic_rnn

    def forward(
        self,
        inputs: Inputs,
        initial_state: State = None,
        dtype: torch.dtype | None = None,
        sequence_length: Lengths | None = None,
        scope: str | VariableScope | None = None,
    ) -> tuple[Any, State]:
        """Runs all steps; :class:`FusedRNNCell` describes the call."""
        if self.use_dynamic_rnn:
            outputs, state = dynamic_rnn(
                self.cell,
                stack_steps(inputs, 0),
                sequence_length,
                initial_state,
                dtype,
                time_major=True,
                scope=scope,
            )
            return outputs if isinstance(inputs, Tensor) else list(outputs), state
        listed, state = static_rnn(self.cell, list(inputs), initial_state, dtype, sequence_length, scope)
        return torch.stack(listed) if isinstance(inputs, Tensor) else listed, state


class TimeReversedFusedRNN(FusedRNNCell):
    """A fused cell from each row's last step to its first (``tf.contrib.rnn.TimeReversedFusedRNN``).

    Args:
        cell: The fused cell.

    Raises:
        OptionError: It is a cell of single steps.

    Example:
        >>> cell = TimeReversedFusedRNN(LSTMBlockFusedCell(4, name="reversed"))
        >>> outputs, state = cell(torch.zeros(7, 2, 3), dtype=torch.float32)
        >>> outputs.shape
        torch.Size([7, 2, 4])
    """

    def __init__(self, cell: FusedRNNCell) -> None:
        super().__init__()
        if not isinstance(cell, FusedRNNCell):
            raise OptionError(
                f"TimeReversedFusedRNN got a {type(cell).__name__}; expected a fused cell. Put it into a "
                "FusedRNNCellAdaptor."
            )
        self.cell = cell

    def forward(
        self,
        inputs: Inputs,
        initial_state: State = None,
        dtype: torch.dtype | None = None,
        sequence_length: Lengths | None = None,
        scope: str | VariableScope | None = None,
    ) -> tuple[Any, State]:
        """Runs all steps as :class:`FusedRNNCell` describes; each output is at the step of its input."""
        x = stack_steps(inputs, 0)
        lengths = check_lengths(sequence_length, x.shape[1], x.shape[0], x.device)
        outputs, state = self.cell(_reversed(x, lengths), initial_state, dtype, sequence_length, scope)
        outputs = _reversed(outputs, lengths)
        return outputs if isinstance(inputs, Tensor) else list(outputs), state


def _reversed(x: Tensor, lengths: Tensor | None) -> Tensor:
    """[T, B, ...] with the order of each row's steps reversed, up to its length."""
    if lengths is None:
        return x.flip(0)
    t = torch.arange(len(x), device=x.device)[:, None]
    order = torch.where(t < lengths, lengths - 1 - t, t)
    return x.gather(0, order.reshape(order.shape + (1,) * (x.ndim - 2)).expand_as(x))
