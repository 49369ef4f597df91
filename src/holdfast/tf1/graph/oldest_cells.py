"""Cells of ``tensorflow.models.rnn``, of TensorFlow 0.5 to 0.10: the state of an LSTM is one tensor by default."""

from __future__ import annotations

from typing import Any

from holdfast.tf1.graph import engine_cells
from holdfast.tf1.graph.cells import RNNCell
from holdfast.tf1.graph.names import public


@public("models.rnn.rnn_cell.BasicLSTMCell")
class BasicLSTMCell(engine_cells.BasicLSTMCell):  # type: ignore[misc]
    """The LSTM cell with the arguments of its time.

    Args:
        num_units: The size of the cell.
        forget_bias: Added to the forget gate.
        input_size: Accepted.
        state_is_tuple: Whether the state is (c, h), or one tensor.
        options: As of today's cell.
    """

    def __init__(
        self, num_units: int, forget_bias: float = 1.0, input_size: Any = None, state_is_tuple: bool = False,
        **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(num_units, forget_bias=forget_bias, state_is_tuple=state_is_tuple, **options)


@public("models.rnn.rnn_cell.LSTMCell")
class LSTMCell(engine_cells.LSTMCell):  # type: ignore[misc]
    """The LSTM cell with peepholes, clip and projection, with the arguments of its time.

    Args:
        num_units: The size of the cell.
        input_size: Accepted.
        use_peepholes: Whether the gates read the cell state.
        cell_clip: The largest magnitude of the cell state.
        initializer: Of the kernel.
        num_proj: The size of the output.
        options: As of today's cell.
    """

    def __init__(
        self, num_units: int, input_size: Any = None, use_peepholes: bool = False, cell_clip: float | None = None,
        initializer: Any = None, num_proj: int | None = None, **options: Any,
    ) -> None:  # fmt: skip
        given = {"state_is_tuple": False, **options}
        super().__init__(
            num_units, use_peepholes=use_peepholes, cell_clip=cell_clip, initializer=initializer, num_proj=num_proj,
            **given,
        )  # fmt: skip


@public("models.rnn.rnn_cell.MultiRNNCell")
def MultiRNNCell(cells: Any, state_is_tuple: bool = False) -> RNNCell:
    """Stacked cells, whose state is one tensor."""
    return engine_cells.MultiRNNCell(cells, state_is_tuple)
