"""TensorFlow 1's LSTM cells."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from holdfast.cells import Activation, CellSpec
from holdfast.cells.nested_state import State
from holdfast.errors import OptionError
from holdfast.tf1.layer_cell import LayerCell, activation_of, spec_of
from holdfast.tf1.rnn_cell import LSTMStateTuple
from holdfast.tf1.variables import Initializer, Reuse


class LSTMCell(LayerCell):
    """The LSTM with all options (``tf.nn.rnn_cell.LSTMCell``).

    Args:
        num_units: H.
        use_peepholes: Whether the gates see the cell state.
        cell_clip: Clamps the cell state into plus or minus this.
        initializer: Fills kernel, peepholes and projection.
        num_proj: P, the size of the projected output; None for none.
        proj_clip: Clamps the projected output into plus or minus this.
        num_unit_shards: The number of parts of the stored kernel; None or 1.
        num_proj_shards: The same for the projection.
        forget_bias: Added to the forget gate at every step, besides the stored bias. 0 for weights of a cuDNN LSTM.
        state_is_tuple: Whether the state is an :class:`LSTMStateTuple`, or one tensor with c and h side by side.
        activation: φ: a name, a function, or None for tanh.
        reuse: As in :class:`RNNCell`.
        name: As in :class:`RNNCell`.
        dtype: As in :class:`RNNCell`.

    Raises:
        OptionError: A number is out of range.

    Example:
        >>> from holdfast import tf1
        >>> cell = tf1.LSTMCell(4, num_proj=2, use_peepholes=True)
        >>> outputs, state = tf1.dynamic_rnn(cell, torch.zeros(2, 7, 3), dtype=torch.float32)
        >>> outputs.shape, state.c.shape, state.h.shape
        (torch.Size([2, 7, 2]), torch.Size([2, 4]), torch.Size([2, 2]))
    """

    default_name = "lstm_cell"

    def __init__(
        self,
        num_units: int,
        use_peepholes: bool = False,
        cell_clip: float | None = None,
        initializer: Initializer | None = None,
        num_proj: int | None = None,
        proj_clip: float | None = None,
        num_unit_shards: int | None = None,
        num_proj_shards: int | None = None,
        forget_bias: float = 1.0,
        state_is_tuple: bool = True,
        activation: Activation | None = None,
        reuse: Reuse = None,
        name: str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(reuse, name, dtype)
        for option, shards in (("num_unit_shards", num_unit_shards), ("num_proj_shards", num_proj_shards)):
            if shards not in (None, 1):
                raise OptionError(
                    f"{self.name} {option} is {shards}; expected None or 1: Holdfast stores each variable in one piece."
                )
        if num_proj is not None and not 0 < num_proj < num_units:
            raise OptionError(
                f"{self.name} num_proj is {num_proj}; expected None, or 1 to less than num_units = {num_units}."
            )
        self.num_units, self.num_proj = num_units, num_proj
        self.use_peepholes, self.forget_bias, self.state_is_tuple = use_peepholes, forget_bias, state_is_tuple
        self.activation = activation_of(activation)
        self._clips = cell_clip, proj_clip if num_proj else None  # TensorFlow ignores proj_clip without a projection
        self._initializer = initializer
        self.spec(1)

    @property
    def state_size(self) -> Any:
        """(H, O) as an LSTMStateTuple, or H + O."""
        size = LSTMStateTuple(self.num_units, self.output_size)
        return size if self.state_is_tuple else sum(size)

    @property
    def output_size(self) -> int:
        """P with a projection, otherwise H."""
        return self.num_proj or self.num_units

    def inward(self, state: State) -> tuple[Tensor, ...]:
        """(h, c)."""
        c, h = state if self.state_is_tuple else state.split_with_sizes([self.num_units, self.output_size], 1)
        return h, c

    def outward(self, state: tuple[Tensor, ...]) -> State:
        """(c, h), or one tensor with both side by side."""
        h, c = state
        return LSTMStateTuple(c, h) if self.state_is_tuple else torch.cat([c, h], 1)

    def spec(self, depth: int) -> CellSpec:
        """An LSTM with one bias."""
        cell_clip, proj_clip = self._clips
        return spec_of(
            kind="lstm",
            input_size=depth,
            hidden_size=self.num_units,
            single_bias=True,
            activation=self.activation,
            peepholes=self.use_peepholes,
            proj_size=self.num_proj or 0,
            cell_clip=cell_clip,
            proj_clip=proj_clip,
        )

    def make(self, depth: int) -> None:
        """Kernel [I + O, 4H] in the order i, j, f, o, bias [4H], w_f_diag, w_i_diag and w_o_diag [H], projection."""
        H = self.num_units
        self.add_variable("kernel", (depth + self.output_size, 4 * H), self._initializer)
        self.add_variable("bias", (4 * H,), nn.init.zeros_)
        if self.use_peepholes:
            for gate in "fio":
                self.add_variable(f"w_{gate}_diag", (H,), self._initializer)
        if self.num_proj:
            self.add_variable("projection/kernel", (H, self.num_proj), self._initializer)


class BasicLSTMCell(LSTMCell):
    """The LSTM without peepholes, clipping and projection (``tf.nn.rnn_cell.BasicLSTMCell``).

    Args:
        num_units: As in :class:`LSTMCell`.
        forget_bias: As in :class:`LSTMCell`.
        state_is_tuple: As in :class:`LSTMCell`.
        activation: As in :class:`LSTMCell`.
        reuse: As in :class:`RNNCell`.
        name: As in :class:`RNNCell`.
        dtype: As in :class:`RNNCell`.

    Example:
        >>> from holdfast import tf1
        >>> cell = tf1.BasicLSTMCell(4)
        >>> outputs, state = tf1.dynamic_rnn(cell, torch.zeros(2, 7, 3), dtype=torch.float32)
        >>> outputs.shape, state.c.shape, state.h.shape
        (torch.Size([2, 7, 4]), torch.Size([2, 4]), torch.Size([2, 4]))
    """

    default_name = "basic_lstm_cell"

    def __init__(
        self,
        num_units: int,
        forget_bias: float = 1.0,
        state_is_tuple: bool = True,
        activation: Activation | None = None,
        reuse: Reuse = None,
        name: str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            num_units,
            forget_bias=forget_bias,
            state_is_tuple=state_is_tuple,
            activation=activation,
            reuse=reuse,
            name=name,
            dtype=dtype,
        )


class LSTMBlockCell(LSTMCell):
    """The LSTM as one fused operation, with tanh (``tf.contrib.rnn.LSTMBlockCell``).

    Args:
        num_units: As in :class:`LSTMCell`.
        forget_bias: As in :class:`LSTMCell`.
        cell_clip: As in :class:`LSTMCell`; 0 and negative numbers do not clip.
        use_peephole: As ``use_peepholes`` in :class:`LSTMCell`.
        dtype: As in :class:`RNNCell`.
        reuse: As in :class:`RNNCell`.
        name: As in :class:`RNNCell`.

    Example:
        >>> from holdfast import tf1
        >>> cell = tf1.LSTMBlockCell(4, use_peephole=True)
        >>> outputs, state = tf1.dynamic_rnn(cell, torch.zeros(2, 7, 3), dtype=torch.float32)
        >>> outputs.shape, state.c.shape, state.h.shape
        (torch.Size([2, 7, 4]), torch.Size([2, 4]), torch.Size([2, 4]))
    """

    def __init__(
        self,
        num_units: int,
        forget_bias: float = 1.0,
        cell_clip: float | None = None,
        use_peephole: bool = False,
        dtype: torch.dtype | None = None,
        reuse: Reuse = None,
        name: str | None = None,
    ) -> None:
        super().__init__(
            num_units,
            use_peephole,
            cell_clip if cell_clip and cell_clip > 0 else None,
            forget_bias=forget_bias,
            reuse=reuse,
            name=name,
            dtype=dtype,
        )


class CudnnCompatibleLSTMCell(LSTMBlockCell):
    """The LSTM for weights of a cuDNN LSTM (``tf.contrib.cudnn_rnn.CudnnCompatibleLSTMCell``).

    Its forget bias is 0, as the stored biases of cuDNN contain it.

    Args:
        num_units: H.
        reuse: As in :class:`RNNCell`.
        name: As in :class:`RNNCell`.
        dtype: As in :class:`RNNCell`.

    Example:
        >>> from holdfast import tf1
        >>> cell = tf1.CudnnCompatibleLSTMCell(4)
        >>> outputs, state = tf1.dynamic_rnn(cell, torch.zeros(2, 7, 3), dtype=torch.float32)
        >>> outputs.shape, state.c.shape, state.h.shape
        (torch.Size([2, 7, 4]), torch.Size([2, 4]), torch.Size([2, 4]))
    """

    default_name = "cudnn_compatible_lstm_cell"

    def __init__(
        self, num_units: int, reuse: Reuse = None, name: str | None = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__(num_units, forget_bias=0.0, reuse=reuse, name=name, dtype=dtype)
