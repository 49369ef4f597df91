"""Cells that take whole sequences, time first: ``tf.contrib.rnn``'s fused cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.engines.unrolling import Lengths, State, check_lengths
from holdfast.errors import OptionError
from holdfast.tf1.lstm_cells import LSTMBlockCell
from holdfast.tf1.rnn import begun, dynamic_rnn, stacked, static_rnn
from holdfast.tf1.rnn_cell import How, RNNCell
from holdfast.tf1.variables import Reuse, VariableScope

Inputs = Tensor | Sequence[Tensor]


class FusedRNNCell(nn.Module):
    """What the fused cells have in common: a call on all steps, in a tensor [T, B, I] or a list of T [B, I].

    The call is ``(inputs, initial_state=None, dtype=None, sequence_length=None, scope=None)`` and gives the outputs,
    as a tensor or a list as the inputs are, and the final state.
    """

    @property
    def trainable_variables(self) -> list[nn.Parameter]:
        """The parameters that have gradients."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]


class LSTMBlockFusedCell(FusedRNNCell):
    """:class:`LSTMBlockCell` over whole sequences, through the engines (``tf.contrib.rnn.LSTMBlockFusedCell``).

    Args:
        num_units: H.
        forget_bias: Added to the forget gate at every step.
        cell_clip: The cell state is clamped into plus or minus this; 0 and negative numbers clip nothing.
        use_peephole: Whether the gates see the cell state.
        reuse: As in :class:`RNNCell`.
        dtype: As in :class:`RNNCell`.
        name: As in :class:`RNNCell`.
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
        """All steps, as :class:`FusedRNNCell` says.

        Raises:
            OptionError: There is neither ``initial_state`` nor ``dtype``.
            ShapeError: An argument does not fit the cell.
        """
        x = stacked(inputs, 0).transpose(0, 1)
        self.cell.make_variables(x.shape[-1], x.dtype, x.device, scope)
        state = begun(self.cell, x, initial_state, dtype)
        outputs, final = self.cell.run(x, state, How(check_lengths(sequence_length, x.shape[0], x.shape[1], x.device)))
        outputs = outputs.transpose(0, 1)
        return outputs if isinstance(inputs, Tensor) else list(outputs), final


class FusedRNNCellAdaptor(FusedRNNCell):
    """Any cell as a fused one (``tf.contrib.rnn.FusedRNNCellAdaptor``).

    Args:
        cell: The cell.
        use_dynamic_rnn: Whether :func:`dynamic_rnn` or :func:`static_rnn` runs it: one is the other here.
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
        """All steps, as :class:`FusedRNNCell` says."""
        if self.use_dynamic_rnn:
            outputs, state = dynamic_rnn(
                self.cell,
                stacked(inputs, 0),
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
        """All steps, as :class:`FusedRNNCell` says; outputs stand where their inputs do."""
        x = stacked(inputs, 0)
        lengths = check_lengths(sequence_length, x.shape[1], x.shape[0], x.device)
        outputs, state = self.cell(_turned(x, lengths), initial_state, dtype, sequence_length, scope)
        outputs = _turned(outputs, lengths)
        return outputs if isinstance(inputs, Tensor) else list(outputs), state


def _turned(x: Tensor, lengths: Tensor | None) -> Tensor:
    """[T, B, ...] with each row's steps in the opposite order, up to its length."""
    if lengths is None:
        return x.flip(0)
    t = torch.arange(len(x), device=x.device)[:, None]
    order = torch.where(t < lengths, lengths - 1 - t, t)
    return x.gather(0, order.reshape(order.shape + (1,) * (x.ndim - 2)).expand_as(x))
