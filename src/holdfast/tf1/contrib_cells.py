"""``LayerNormBasicLSTMCell`` and ``SRUCell`` of ``tf.contrib.rnn``.

No layer of Holdfast describes the SRU, or this LSTM with layer normalisation, whose state is the normalised cell state.
Both run step by step, after one product for the inputs of all steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holdfast.cells import Activation, CellSpec, Noise, activation
from holdfast.cells.nested_state import State
from holdfast.engines import EngineChoice
from holdfast.engines.time_loop import SequenceCell
from holdfast.errors import OptionError
from holdfast.tf1.layer_cell import LayerCell, activation_of
from holdfast.tf1.lstm_cells import LSTMCell
from holdfast.tf1.masks import Dropper, check_keep_prob
from holdfast.tf1.rnn_cell import LSTMStateTuple, RNNCell, RunOptions, check_state
from holdfast.tf1.variables import Reuse

_EPSILON = {torch.float16: 1e-3}  # as tf.contrib.layers.layer_norm; 1e-12 for every other dtype
_NORMALISED = ("input", "transform", "forget", "output", "state")


class LayerNormBasicLSTMCell(LSTMCell):
    """The LSTM with layer normalisation and recurrent dropout (``tf.contrib.rnn.LayerNormBasicLSTMCell``).

    i, j, f, o = [x, h] kernel; LN(a) = γ ⊙ (a - mean(a)) / sqrt(var(a) + ε) + β, with its own γ and β in each of the
    five places (Ba et al. 2016); dropout draws a new mask at every step (Semeniuta et al. 2016):

        g  = dropout(φ(LN(j)))
        c' = LN(c ⊙ σ(LN(f) + forget_bias) + σ(LN(i)) ⊙ g)
        h' = φ(c') ⊙ σ(LN(o))

    Dropout acts in training mode; ``eval()`` turns it off. Without ``layer_norm`` the engines run the cell.

    Args:
        num_units: H.
        forget_bias: Added to the forget gate at every step.
        input_size: Ignored, as in TensorFlow.
        activation: φ: a name, a function, or None for tanh.
        layer_norm: Whether to normalise; otherwise the cell has a bias.
        norm_gain: The initial γ.
        norm_shift: The initial β.
        dropout_keep_prob: The probability to keep a unit of g.
        dropout_prob_seed: The seed of the masks; None for torch's own random state.
        reuse: As in :class:`RNNCell`.
        name: As in :class:`RNNCell`.
        dtype: As in :class:`RNNCell`.

    Example:
        >>> from holdfast import tf1
        >>> cell = tf1.LayerNormBasicLSTMCell(4)
        >>> outputs, state = tf1.dynamic_rnn(cell, torch.zeros(2, 7, 3), dtype=torch.float32)
        >>> outputs.shape, state.c.shape, state.h.shape
        (torch.Size([2, 7, 4]), torch.Size([2, 4]), torch.Size([2, 4]))
    """

    default_name = "layer_norm_basic_lstm_cell"
    keep_prob = 1.0

    def __init__(
        self,
        num_units: int,
        forget_bias: float = 1.0,
        input_size: int | None = None,
        activation: Activation | None = "tanh",
        layer_norm: bool = True,
        norm_gain: float = 1.0,
        norm_shift: float = 0.0,
        dropout_keep_prob: float = 1.0,
        dropout_prob_seed: int | None = None,
        reuse: Reuse = None,
        name: str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_units, forget_bias=forget_bias, activation=activation, reuse=reuse, name=name, dtype=dtype)
        self.layer_norm, self._gain, self._shift = layer_norm, norm_gain, norm_shift
        self.keep_prob = check_keep_prob(self.name, "dropout_keep_prob", dropout_keep_prob)
        self._dropper = Dropper(dropout_prob_seed)

    def spec(self, depth: int) -> CellSpec:
        """An LSTM with dropout of its candidate."""
        return replace(super().spec(depth), recurrent_dropout=1 - self.keep_prob, recurrent_dropout_mode="candidate")

    def make(self, depth: int) -> None:
        """Kernel [I + H, 4H], and bias [4H] or a gamma and a beta [H] for each of the five places."""
        if not self.layer_norm:
            super().make(depth)
            return
        self.add_variable("kernel", (depth + self.num_units, 4 * self.num_units))
        for place in _NORMALISED:
            self.add_variable(f"{place}/gamma", (self.num_units,), partial(nn.init.constant_, val=self._gain))
            self.add_variable(f"{place}/beta", (self.num_units,), partial(nn.init.constant_, val=self._shift))

    def masks(self, spec: CellSpec, batch: int, steps: int, like: Tensor) -> Noise | None:
        """The masks of g, [T, B, H]."""
        if not self.training or self.keep_prob == 1:
            return None
        return Noise(candidate=self._dropper.mask(self.keep_prob, (steps, batch, self.num_units), like))

    def begin_sequence(self, inputs: Tensor, state: State) -> SequenceCell:
        """The cell with the masks of one batch of sequences [T, B, I]."""
        if not self.layer_norm:
            return super().begin_sequence(inputs, state)
        kernel = self.get_parameter("kernel")
        self._check_inputs(inputs, self.depth, kernel)
        check_state(self.name, self.state_size, state, inputs.shape[1], kernel)
        noise = self.masks(self.spec(self.depth), inputs.shape[1], inputs.shape[0], inputs)
        norms = {
            place: (self.get_parameter(f"{place}_gamma"), self.get_parameter(f"{place}_beta")) for place in _NORMALISED
        }
        return _NormSteps(self, kernel[: self.depth], kernel[self.depth :], norms, noise)

    def run(self, inputs: Tensor, state: State, options: RunOptions) -> tuple[Tensor, State]:
        """Runs a batch of sequences; step by step with layer normalisation."""
        return RNNCell.run(self, inputs, state, options) if self.layer_norm else super().run(inputs, state, options)

    def choices(self, inputs: Tensor, state: State, options: RunOptions, part: str) -> Iterator[EngineChoice]:
        """The engine that :meth:`run` uses."""
        choices = RNNCell.choices if self.layer_norm else LayerCell.choices
        return choices(self, inputs, state, options, part)

    def why_by_steps(self) -> str:
        """One sentence that says why it runs step by step."""
        return f"{type(self).__name__} keeps the normalised cell state, which no layer does, so it runs step by step."


@dataclass(frozen=True)
class _NormSteps:
    cell: LayerNormBasicLSTMCell
    input_kernel: Tensor
    state_kernel: Tensor
    norms: Mapping[str, tuple[Tensor, Tensor]]
    noise: Noise | None

    def prepare(self, inputs: Tensor) -> Tensor:
        return inputs @ self.input_kernel

    def step(self, t: int, prepared: Tensor, state: Any) -> tuple[Tensor, LSTMStateTuple]:
        c, h = state if self.cell.state_is_tuple else state.chunk(2, 1)
        φ = activation(self.cell.activation)
        i, j, f, o = (prepared + h @ self.state_kernel).chunk(4, 1)

        g = φ(self._norm("transform", j))
        if self.noise is not None and self.noise.candidate is not None:
            g = g * self.noise.candidate[t]
        f = torch.sigmoid(self._norm("forget", f) + self.cell.forget_bias)
        c = self._norm("state", c * f + torch.sigmoid(self._norm("input", i)) * g)
        h = φ(c) * torch.sigmoid(self._norm("output", o))
        return h, LSTMStateTuple(c, h)

    def _norm(self, place: str, a: Tensor) -> Tensor:
        return F.layer_norm(a, a.shape[-1:], *self.norms[place], _EPSILON.get(a.dtype, 1e-12))


class SRUCell(RNNCell):
    """The simple recurrent unit (Lei et al. 2018; ``tf.contrib.rnn.SRUCell``).

    x̄, a_f, a_r, x̂ = x kernel, four parts of H each:

        f  = σ(a_f + b_f)
        r  = σ(a_r + b_r)
        c' = f ⊙ c + (1 - f) ⊙ x̄
        h  = r ⊙ φ(c') + (1 - r) ⊙ x̂

    The output is h; the state is c'.

    Args:
        num_units: H.
        activation: φ: a name, a function, or None for tanh.
        reuse: As in :class:`RNNCell`.
        name: As in :class:`RNNCell`.
        dtype: As in :class:`RNNCell`.

    Raises:
        OptionError: ``num_units`` is below 1.

    Example:
        >>> from holdfast import tf1
        >>> cell = tf1.SRUCell(4)
        >>> outputs, state = tf1.dynamic_rnn(cell, torch.zeros(2, 7, 3), dtype=torch.float32)
        >>> outputs.shape, state.shape
        (torch.Size([2, 7, 4]), torch.Size([2, 4]))
    """

    default_name = "sru_cell"

    def __init__(
        self,
        num_units: int,
        activation: Activation | None = None,
        reuse: Reuse = None,
        name: str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(reuse, name, dtype)
        if num_units < 1:
            raise OptionError(f"{self.name} num_units is {num_units}; expected a whole number from 1 on.")
        self.num_units, self.activation = num_units, activation_of(activation)

    @property
    def state_size(self) -> int:
        """H."""
        return self.num_units

    @property
    def output_size(self) -> int:
        """H."""
        return self.num_units

    def build(self, inputs_shape: Sequence[int | None]) -> None:
        """Kernel [I, 4H] and bias [2H]."""
        self.add_variable("kernel", (inputs_shape[-1] or 0, 4 * self.num_units))
        self.add_variable("bias", (2 * self.num_units,), nn.init.zeros_)

    def begin_sequence(self, inputs: Tensor, state: State) -> SequenceCell:
        """The cell for one batch of sequences [T, B, I]."""
        kernel = self.get_parameter("kernel")
        self._check_inputs(inputs, len(kernel), kernel)
        check_state(self.name, self.state_size, state, inputs.shape[1], kernel)
        return _SruSteps(activation(self.activation), kernel, self.get_parameter("bias"))


@dataclass(frozen=True)
class _SruSteps:
    φ: Any
    kernel: Tensor
    bias: Tensor

    def prepare(self, inputs: Tensor) -> Tensor:
        x_bar, a_f, a_r, x_hat = (inputs @ self.kernel).chunk(4, -1)
        return torch.cat([x_bar, torch.sigmoid(torch.cat([a_f, a_r], -1) + self.bias), x_hat], -1)

    def step(self, t: int, prepared: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        x_bar, f, r, x_hat = prepared.chunk(4, -1)
        c = f * state + (1 - f) * x_bar
        return r * self.φ(c) + (1 - r) * x_hat, c
