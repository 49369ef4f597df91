"""RNN, GRU and LSTM as layers, in place of torch.nn's.

The constructors take torch.nn's arguments in torch.nn's order, ``state_dict`` has torch.nn's names and shapes, and
results and gradients are torch.nn's. In addition there are every option of the cell, ``lengths``, per-step states and
the ways of stacking that :class:`~holdfast.layers.recurrent_layer.RecurrentLayer` describes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Unpack

import torch

from holdfast.cells import Activation, Kind
from holdfast.cells.options import one_activation
from holdfast.layers.layer_options import LayerOptions
from holdfast.layers.recurrent_layer import RecurrentLayer


class RNN(RecurrentLayer):
    """Simple recurrent layers; drop-in for ``torch.nn.RNN``.

    Args:
        input_size: I, values in a step of input.
        hidden_size: H, units of a layer; or a sequence with one size per layer.
        num_layers: Layers on top of one another.
        nonlinearity: The activation φ, any name of :data:`holdfast.cells.ACTIVATIONS` or a callable.
        bias: Whether there are bias vectors.
        batch_first: Whether input and output are [B, T, ...] instead of [T, B, ...].
        dropout: Probability of dropping a value between two layers while training.
        bidirectional: Also run from the end to the start.
        device: Where the parameters are made.
        dtype: Their dtype.
        **options: As in :class:`RecurrentLayer` and :class:`holdfast.cells.CellSpec`.

    Example:
        >>> layer = RNN(3, 4, nonlinearity="relu", batch_first=True)
        >>> outputs, h = layer(torch.zeros(2, 5, 3))
        >>> outputs.shape, h.shape
        (torch.Size([2, 5, 4]), torch.Size([1, 2, 4]))
    """

    kind = "rnn"

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Sequence[int],
        num_layers: int = 1,
        nonlinearity: Activation = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        shape = (input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype)
        options["activation"] = one_activation(nonlinearity, options)
        super().__init__(*shape, **options)

    @property
    def nonlinearity(self) -> Activation:
        """The activation, by torch.nn's name for it."""
        return self.specs[0].activation


class GRU(RecurrentLayer):
    """Layers of gated recurrent units; drop-in for ``torch.nn.GRU``.

    Args:
        input_size: I, values in a step of input.
        hidden_size: H, units of a layer; or a sequence with one size per layer.
        num_layers: Layers on top of one another.
        bias: Whether there are bias vectors.
        batch_first: Whether input and output are [B, T, ...] instead of [T, B, ...].
        dropout: Probability of dropping a value between two layers while training.
        bidirectional: Also run from the end to the start.
        device: Where the parameters are made.
        dtype: Their dtype.
        **options: As in :class:`RecurrentLayer` and :class:`holdfast.cells.CellSpec`.

    Example:
        >>> layer = GRU(3, 4, bidirectional=True, batch_first=True)
        >>> outputs, h = layer(torch.zeros(2, 5, 3), lengths=[5, 2])
        >>> outputs.shape, h.shape
        (torch.Size([2, 5, 8]), torch.Size([2, 2, 4]))
    """

    kind = "gru"

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Sequence[int],
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        shape = (input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype)
        super().__init__(*shape, **options)


class LSTM(RecurrentLayer):
    """Layers of long short-term memory; drop-in for ``torch.nn.LSTM``.

    Args:
        input_size: I, values in a step of input.
        hidden_size: H, units of a layer; or a sequence with one size per layer.
        num_layers: Layers on top of one another.
        bias: Whether there are bias vectors.
        batch_first: Whether input and output are [B, T, ...] instead of [T, B, ...].
        dropout: Probability of dropping a value between two layers while training.
        bidirectional: Also run from the end to the start.
        proj_size: P, size of the projected output; 0 for none.
        device: Where the parameters are made.
        dtype: Their dtype.
        **options: As in :class:`RecurrentLayer` and :class:`holdfast.cells.CellSpec`.

    Example:
        >>> layer = LSTM(3, 4, num_layers=2, batch_first=True, peepholes=True)
        >>> outputs, (h, c) = layer(torch.zeros(2, 5, 3))
        >>> outputs.shape, h.shape, c.shape
        (torch.Size([2, 5, 4]), torch.Size([2, 2, 4]), torch.Size([2, 2, 4]))
    """

    kind = "lstm"

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Sequence[int],
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: torch.dtype | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        shape = (input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype)
        super().__init__(*shape, proj_size=proj_size, **options)


LAYERS: dict[Kind, Callable[..., RecurrentLayer]] = {"rnn": RNN, "gru": GRU, "lstm": LSTM}
"""The class of each kind of cell."""
