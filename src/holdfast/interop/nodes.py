"""The parts of a :class:`~holdfast.interop.network.Network`: the modules that foreign layers become.

Each module takes its inputs in a fixed order (None for a missing one) and returns a tuple of its outputs. Files store
the keyword arguments of its constructor, so these are JSON values.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.cells import Kind
from holdfast.cells.activations import activation
from holdfast.errors import ConversionError, OptionError, did_you_mean
from holdfast.interop.arrangement import (
    Dot,
    Fill,
    Flip,
    Fold,
    Index,
    Logic,
    MoveDim,
    Noise,
    Permute,
    RepeatVector,
    Reshape,
    Squeeze,
    Unfold,
    Unsqueeze,
)
from holdfast.interop.attention import Attention, MultiHeadAttention
from holdfast.interop.masking import compacted, spread
from holdfast.interop.normalisation import BatchNorm, LayerNorm
from holdfast.interop.onnx.control import Branch, Loop, Scan
from holdfast.interop.onnx.nodes import Constant, Operator, RecurrentOperator
from holdfast.interop.windows import (
    Convolution,
    Cropping,
    GlobalPooling,
    Pooling,
    TransposedConvolution,
    Upsampling,
    ZeroPadding,
)
from holdfast.layers import LAYERS
from holdfast.layers.recurrent_layer import RecurrentLayer

Outputs = tuple[Tensor | None, ...]


class Recurrent(nn.Module):
    """Recurrent layers, batch first.

    Inputs: the sequences [B, T, I]; the steps that count, as lengths [B] or as a mask [B, T] (true for a step that
    counts); and the initial state, a tensor [layers * directions, B, size] per part: h, and c for the LSTM.

    Outputs: the output of every step [B, T, O]; the last layer's h after the last step, its directions merged, [B, O];
    and the parts of the final state.

    Attributes:
        layer: The recurrent layer.
        repeat: Whether the output at a masked step is the output before it; else it is zero.
        stateful: Whether a batch begins with the final state of the previous batch; see :meth:`reset_state`.
    """

    def __init__(self, cell: Kind, *, repeat: bool = False, stateful: bool = False, **options: Any) -> None:
        """Builds the layer.

        Args:
            cell: The kind of cell.
            repeat: As the attribute.
            stateful: As the attribute.
            **options: The arguments of the layer's class except ``batch_first``, such as ``input_size``.
        """
        super().__init__()
        if cell not in LAYERS:
            raise OptionError(f"There is no kind of cell {cell!r}: {did_you_mean(str(cell), LAYERS)}")
        self.layer: RecurrentLayer = LAYERS[cell](batch_first=True, **options)
        self.repeat, self.stateful = repeat, stateful
        self._state: Any = None

    def reset_state(self) -> None:
        """Lets the next batch of a stateful layer begin with zeros."""
        self._state = None

    def forward(self, inputs: Tensor, counts: Tensor | None = None, *initial: Tensor | None) -> Outputs:
        """As the class says."""
        x, lengths, positions = inputs, counts, None
        mask = counts if counts is not None and counts.ndim == 2 else None
        if mask is not None:
            mask = mask.bool()
            x, lengths, positions = compacted(inputs, mask)
        outputs, state = self.layer(x, self._initial(inputs, initial), lengths=lengths)
        parts = state if isinstance(state, tuple) else (state,)
        if self.stateful:
            self._state = tuple(part.detach() for part in parts)
        if mask is not None:
            outputs = spread(outputs, mask, positions, repeat=self.repeat, reverse=self.layer.reverse)
        return (outputs, self.layer.last_hidden(state), *parts)

    def _initial(self, inputs: Tensor, initial: tuple[Tensor | None, ...]) -> Any:
        state: tuple[Tensor | None, ...] = initial or (None,)
        if all(part is None for part in state):
            state = self._state or (None,)
        if all(part is None for part in state):
            return None
        sizes = list(self.layer.specs[0].state_sizes.values())
        rows = self.layer.num_layers * self.layer.num_directions
        padded = [*state, *[None] * (len(sizes) - len(state))]
        filled = [
            inputs.new_zeros(rows, inputs.shape[0], size) if part is None else part
            for part, size in zip(padded, sizes, strict=True)
        ]
        return filled[0] if len(filled) == 1 else tuple(filled)


class Embedding(nn.Embedding):
    """Vectors for ids, [B, T] -> [B, T, E]; with ``mask_zero`` also the mask [B, T], false where an id is 0."""

    def __init__(self, num_embeddings: int, embedding_dim: int, mask_zero: bool = False) -> None:
        super().__init__(num_embeddings, embedding_dim)
        self.mask_zero = mask_zero

    def forward(self, ids: Tensor) -> Any:
        """As the class says; the ids may have any real dtype, since Keras passes floats."""
        ids = ids.long()
        return super().forward(ids), (ids != 0 if self.mask_zero else None)


class Masking(nn.Module):
    """Sets the steps whose values all equal ``value`` to 0; also gives the mask [B, T], false at these steps."""

    def __init__(self, value: float = 0.0) -> None:
        super().__init__()
        self.value = value

    def forward(self, inputs: Tensor) -> Outputs:
        """[B, T, I] -> [B, T, I], [B, T]."""
        mask = (inputs != self.value).any(-1)
        return inputs * mask[..., None], mask


class Linear(nn.Linear):
    """A linear layer over the last dimension."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__(in_features, out_features, bias)

    def forward(self, inputs: Tensor) -> Any:
        """[..., I] -> [..., O]."""
        return (super().forward(inputs),)


class Activation(nn.Module):
    """An activation by its name in :mod:`holdfast.cells.activations`, or ``"softmax"`` over a dimension."""

    def __init__(self, name: str, dim: int = -1) -> None:
        super().__init__()
        self.name, self.dim = name, dim
        self._function: Callable[[Tensor], Tensor] = self._softmax if name == "softmax" else activation(name)

    def forward(self, inputs: Tensor) -> Outputs:
        """Shaped as the inputs."""
        return (self._function(inputs),)

    def _softmax(self, x: Tensor) -> Tensor:
        return torch.softmax(x, self.dim)


class Dropout(nn.Dropout):
    """Dropout in training; with ``locked``, the same values of a row are dropped at every step of [B, T, I]."""

    def __init__(self, p: float, locked: bool = False) -> None:
        super().__init__(p)
        self.locked = locked

    def forward(self, inputs: Tensor) -> Any:
        """Shaped as the inputs."""
        if self.locked:
            return (inputs * super().forward(torch.ones_like(inputs[:, :1])),)
        return (super().forward(inputs),)


class Merge(nn.Module):
    """Merges several tensors: ``"concat"`` along a dimension; any other mode value by value.

    A tensor with fewer dimensions than another is repeated along the dimensions after the first; a dimension of size 1
    is repeated as well.
    """

    def __init__(self, mode: str, dim: int = -1) -> None:
        super().__init__()
        if mode not in _MERGES:
            raise OptionError(f"There is no merge {mode!r}: {did_you_mean(str(mode), _MERGES)}")
        self.mode, self.dim = mode, dim

    def forward(self, *inputs: Tensor) -> Outputs:
        """As the class says."""
        if self.mode == "concat":
            return (torch.cat(inputs, self.dim),)
        ndim = max(x.ndim for x in inputs)
        expanded = [x.reshape(x.shape[0], *[1] * (ndim - x.ndim), *x.shape[1:]) for x in inputs]
        merged = reduce(_MERGES[self.mode], expanded)
        return (merged / len(inputs) if self.mode == "mean" else merged,)


_MERGES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "concat": lambda a, b: torch.cat((a, b), -1),
    "sum": torch.add,
    "mean": torch.add,
    "product": torch.mul,
    "difference": torch.sub,
    "max": torch.maximum,
    "min": torch.minimum,
}

KINDS: dict[str, Callable[..., nn.Module]] = {
    kind.__name__: kind
    for kind in (
        *(Recurrent, Embedding, Masking, Linear, Activation, Dropout, Squeeze, Unsqueeze, Reshape, RepeatVector),
        *(Flip, Merge, Permute, MoveDim, Index, Fold, Unfold, Dot, Noise, Fill, Logic, Convolution),
        *(TransposedConvolution, Pooling, GlobalPooling, ZeroPadding, Cropping, Upsampling, BatchNorm, LayerNorm),
        *(Attention, MultiHeadAttention, Operator, Constant, RecurrentOperator, Branch, Loop, Scan),
    )
}
INNER_NETWORKS = {"Branch": ("then", "otherwise"), "Loop": ("body",), "Scan": ("body",)}
"""The options of each kind that are networks: stored as documents, and built before the module."""


def build(kind: str, options: dict[str, Any], label: str) -> nn.Module:
    """The module of a node.

    Args:
        kind: A name of :data:`KINDS`.
        options: The keyword arguments of its constructor.
        label: The node's name, for the message.

    Raises:
        ConversionError: There is no such kind, or it cannot be built with these options.
    """
    if kind not in KINDS:
        raise ConversionError(f"{label} is a {kind!r}: {did_you_mean(kind, KINDS)}")
    try:
        return KINDS[kind](**options)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConversionError(f"{label} ({kind}) cannot be built: {str(error).splitlines()[0]}") from error
