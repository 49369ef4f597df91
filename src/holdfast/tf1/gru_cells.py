"""TensorFlow 1's simple RNN and GRU cells."""

from __future__ import annotations

import torch
from torch import nn

from holdfast.cells import Activation, CellSpec
from holdfast.errors import OptionError
from holdfast.tf1.layer_cell import LayerCell, activation_of, spec_of
from holdfast.tf1.variables import Initializer, Reuse

_ZEROS, _ONES = nn.init.zeros_, nn.init.ones_


class BasicRNNCell(LayerCell):
    """h' = φ([x, h] kernel + bias) (``tf.nn.rnn_cell.BasicRNNCell``).

    Args:
        num_units: H.
        activation: φ: a name, a function, or None for tanh.
        reuse: As in :class:`RNNCell`.
        name: As in :class:`RNNCell`.
        dtype: As in :class:`RNNCell`.

    Example:
        >>> from holdfast import tf1
        >>> cell = tf1.BasicRNNCell(4)
        >>> outputs, state = tf1.dynamic_rnn(cell, torch.zeros(2, 7, 3), dtype=torch.float32)
        >>> outputs.shape, state.shape
        (torch.Size([2, 7, 4]), torch.Size([2, 4]))
    """

    default_name = "basic_rnn_cell"

    def __init__(
        self,
        num_units: int,
        activation: Activation | None = None,
        reuse: Reuse = None,
        name: str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(reuse, name, dtype)
        self.num_units, self.activation = num_units, activation_of(activation)
        self.spec(1)

    @property
    def state_size(self) -> int:
        """H."""
        return self.num_units

    @property
    def output_size(self) -> int:
        """H."""
        return self.num_units

    def spec(self, depth: int) -> CellSpec:
        """An RNN with one bias."""
        return spec_of(
            kind="rnn", input_size=depth, hidden_size=self.num_units, single_bias=True, activation=self.activation
        )

    def make(self, depth: int) -> None:
        """Kernel [I + H, H] and bias [H]."""
        self.add_variable("kernel", (depth + self.num_units, self.num_units))
        self.add_variable("bias", (self.num_units,), _ZEROS)


class GRUCell(LayerCell):
    """The GRU with the reset gate before the recurrent product (``tf.nn.rnn_cell.GRUCell``).

    Args:
        num_units: H.
        activation: φ: a name, a function, or None for tanh.
        reuse: As in :class:`RNNCell`.
        kernel_initializer: Fills the kernels.
        bias_initializer: Fills the biases; None for 1 in the gates' and 0 in the candidate's.
        name: As in :class:`RNNCell`.
        dtype: As in :class:`RNNCell`.

    Example:
        >>> from holdfast import tf1
        >>> cell = tf1.GRUCell(4)
        >>> outputs, state = tf1.dynamic_rnn(cell, torch.zeros(2, 7, 3), dtype=torch.float32)
        >>> outputs.shape, state.shape
        (torch.Size([2, 7, 4]), torch.Size([2, 4]))
    """

    default_name = "gru_cell"

    def __init__(
        self,
        num_units: int,
        activation: Activation | None = None,
        reuse: Reuse = None,
        kernel_initializer: Initializer | None = None,
        bias_initializer: Initializer | None = None,
        name: str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(reuse, name, dtype)
        self.num_units, self.activation = num_units, activation_of(activation)
        self._kernel_initializer, self._bias_initializer = kernel_initializer, bias_initializer
        self.spec(1)

    @property
    def state_size(self) -> int:
        """H."""
        return self.num_units

    @property
    def output_size(self) -> int:
        """H."""
        return self.num_units

    def spec(self, depth: int) -> CellSpec:
        """A GRU with ``reset_after=False`` and one bias."""
        return spec_of(
            kind="gru",
            input_size=depth,
            hidden_size=self.num_units,
            single_bias=True,
            reset_after=False,
            activation=self.activation,
        )

    def make(self, depth: int) -> None:
        """gates/kernel [I + H, 2H] in the order r, u; candidate/kernel [I + H, H]; and a bias for each."""
        rows, H = depth + self.num_units, self.num_units
        self.add_variable("gates/kernel", (rows, 2 * H), self._kernel_initializer)
        self.add_variable("gates/bias", (2 * H,), self._bias_initializer or _ONES)
        self.add_variable("candidate/kernel", (rows, H), self._kernel_initializer)
        self.add_variable("candidate/bias", (H,), self._bias_initializer or _ZEROS)


class GRUBlockCellV2(GRUCell):
    """The GRU as one fused operation, with tanh (``tf.contrib.rnn.GRUBlockCellV2``); it computes what GRUCell does.

    Args:
        num_units: H.
        cell_size: An older name of ``num_units``.
        reuse: As in :class:`RNNCell`.
        name: As in :class:`RNNCell`.
        dtype: As in :class:`RNNCell`.

    Raises:
        OptionError: Both or neither of ``num_units`` and ``cell_size`` are given.

    Example:
        >>> from holdfast import tf1
        >>> cell = tf1.GRUBlockCellV2(4)
        >>> outputs, state = tf1.dynamic_rnn(cell, torch.zeros(2, 7, 3), dtype=torch.float32)
        >>> outputs.shape, state.shape
        (torch.Size([2, 7, 4]), torch.Size([2, 4]))
    """

    def __init__(
        self,
        num_units: int | None = None,
        cell_size: int | None = None,
        reuse: Reuse = None,
        name: str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        units = num_units if cell_size is None else cell_size
        if units is None or (num_units is not None and cell_size is not None):
            raise OptionError(
                f"{type(self).__name__} got num_units={num_units} and cell_size={cell_size}; expected one of them."
            )
        super().__init__(units, None, reuse, name=name, dtype=dtype)


class CudnnCompatibleGRUCell(GRUCell):
    """The GRU for weights of a cuDNN GRU (``tf.contrib.cudnn_rnn.CudnnCompatibleGRUCell``).

    Its reset gate acts after the recurrent product, which has its own bias.

    Args:
        num_units: H.
        reuse: As in :class:`RNNCell`.
        kernel_initializer: Fills the kernels.
        name: As in :class:`RNNCell`.
        dtype: As in :class:`RNNCell`.

    Example:
        >>> from holdfast import tf1
        >>> cell = tf1.CudnnCompatibleGRUCell(4)
        >>> outputs, state = tf1.dynamic_rnn(cell, torch.zeros(2, 7, 3), dtype=torch.float32)
        >>> outputs.shape, state.shape
        (torch.Size([2, 7, 4]), torch.Size([2, 4]))
    """

    default_name = "cudnn_compatible_gru_cell"

    def __init__(
        self,
        num_units: int,
        reuse: Reuse = None,
        kernel_initializer: Initializer | None = None,
        name: str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_units, None, reuse, kernel_initializer, name=name, dtype=dtype)

    def spec(self, depth: int) -> CellSpec:
        """A GRU with ``reset_after=True`` and two biases."""
        return spec_of(kind="gru", input_size=depth, hidden_size=self.num_units)

    def make(self, depth: int) -> None:
        """Gates as in :class:`GRUCell`; the candidate has a kernel and a bias for the input and for the state."""
        H = self.num_units
        self.add_variable("gates/kernel", (depth + H, 2 * H), self._kernel_initializer)
        self.add_variable("gates/bias", (2 * H,), _ONES)
        for part, rows in (("input", depth), ("hidden", H)):
            self.add_variable(f"candidate/{part}_projection/kernel", (rows, H), self._kernel_initializer)
            self.add_variable(f"candidate/{part}_projection/bias", (H,), _ZEROS)
