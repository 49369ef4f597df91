"""The parts of a :class:`~holdfast.interop.network.Network`: what a layer of a foreign model becomes.

Each is a module that takes its inputs in a fixed order (None for one left out) and gives a tuple of its outputs. Its
constructor's keyword arguments are what is stored of it, so they are values that JSON has.
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
from holdfast.interop.arrangement import Dot, Fill, Fold, Index, Logic, MoveDim, Noise, Permute, Unfold
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

    Inputs: the sequences [B, T, I]; what counts of them, lengths [B] or a mask [B, T] (true where a step counts); and
    the initial state, one tensor [layers * directions, B, size] for each part of it: h, and c for the LSTM.

    Outputs: every step's output [B, T, O]; the last layer's h after the last step, its directions merged, [B, O]; and
    the final state, part by part.

    Attributes:
        layer: The recurrent layer.
        repeat: What stands in the outputs at a step that does not count: the output before it, or zero.
        stateful: Whether a batch begins with the state that the one before it ended with; see :meth:`reset_state`.
    """

    def __init__(self, cell: Kind, *, repeat: bool = False, stateful: bool = False, **options: Any) -> None:
        """Builds the layer.

        Args:
            cell: The kind of cell.
            repeat: As the attribute.
            stateful: As the attribute.
            **options: The arguments of the layer's class, such as ``input_size``, without ``batch_first``.
        """
        super().__init__()
        if cell not in LAYERS:
            raise OptionError(f"There is no kind of cell {cell!r}: {did_you_mean(str(cell), LAYERS)}")
        self.layer: RecurrentLayer = LAYERS[cell](batch_first=True, **options)
        self.repeat, self.stateful = repeat, stateful
        self._state: Any = None

    def reset_state(self) -> None:
        """Lets the next batch begin with zeros where the layer is stateful."""
        self._state = None

    def forward(self, inputs: Tensor, counts: Tensor | None = None, *initial: Tensor | None) -> Outputs:
        """As the class says."""
        x, lengths, places = inputs, counts, None
        mask = counts if counts is not None and counts.ndim == 2 else None
        if mask is not None:
            mask = mask.bool()
            x, lengths, places = compacted(inputs, mask)
        outputs, state = self.layer(x, self._initial(inputs, initial), lengths=lengths)
        parts = state if isinstance(state, tuple) else (state,)
        if self.stateful:
            self._state = tuple(part.detach() for part in parts)
        if mask is not None:
            outputs = spread(outputs, mask, places, repeat=self.repeat, reverse=self.layer.reverse)
        return (outputs, self.layer.last_hidden(state), *parts)

    def _initial(self, inputs: Tensor, given: tuple[Tensor | None, ...]) -> Any:
        parts: tuple[Tensor | None, ...] = given or (None,)
        if all(part is None for part in parts):
            parts = self._state or (None,)
        if all(part is None for part in parts):
            return None
        sizes = list(self.layer.specs[0].state_sizes.values())
        rows = self.layer.num_layers * self.layer.num_directions
        whole = [*parts, *[None] * (len(sizes) - len(parts))]
        filled = [
            inputs.new_zeros(rows, inputs.shape[0], size) if part is None else part
            for part, size in zip(whole, sizes, strict=True)
        ]
        return filled[0] if len(filled) == 1 else tuple(filled)


class Embedding(nn.Embedding):
    """Vectors of ids [B, T] -> [B, T, E]; and, with ``mask_zero``, the mask of the ids that are not 0."""

    def __init__(self, num_embeddings: int, embedding_dim: int, mask_zero: bool = False) -> None:
        super().__init__(num_embeddings, embedding_dim)
        self.mask_zero = mask_zero

    def forward(self, ids: Tensor) -> Any:
        """As the class says; ids of any real dtype, since Keras passes floats."""
        ids = ids.long()
        return super().forward(ids), (ids != 0 if self.mask_zero else None)


class Masking(nn.Module):
    """Sets steps whose values are all ``value`` to 0, and gives the mask [B, T] of the others."""

    def __init__(self, value: float = 0.0) -> None:
        super().__init__()
        self.value = value

    def forward(self, inputs: Tensor) -> Outputs:
        """As the class says, of [B, T, I]."""
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
    """A function of each value, of a name that cells know, or the softmax over a dimension."""

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
    """Drops values while training; with ``locked``, of [B, T, I] the same ones at every step of a row."""

    def __init__(self, p: float, locked: bool = False) -> None:
        super().__init__(p)
        self.locked = locked

    def forward(self, inputs: Tensor) -> Any:
        """Shaped as the inputs."""
        if self.locked:
            return (inputs * super().forward(torch.ones_like(inputs[:, :1])),)
        return (super().forward(inputs),)


class Squeeze(nn.Module):
    """Takes a dimension of size 1 away."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, inputs: Tensor) -> Outputs:
        """One dimension less."""
        return (inputs.squeeze(self.dim),)


class Unsqueeze(nn.Module):
    """Puts a dimension of size 1 in."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, inputs: Tensor) -> Outputs:
        """One dimension more."""
        return (inputs.unsqueeze(self.dim),)


class Reshape(nn.Module):
    """Gives each row another shape; -1 stands for what is left."""

    def __init__(self, shape: list[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, inputs: Tensor) -> Outputs:
        """[B, ...] -> [B, *shape]."""
        return (inputs.reshape(inputs.shape[0], *self.shape),)


class RepeatVector(nn.Module):
    """The same vector at every one of ``count`` steps."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, inputs: Tensor) -> Outputs:
        """[B, I] -> [B, count, I]."""
        return (inputs[:, None].expand(-1, self.count, -1),)


class Flip(nn.Module):
    """Turns time around: [B, T, ...] -> the last step first."""

    def forward(self, inputs: Tensor) -> Outputs:
        """Shaped as the inputs."""
        return (inputs.flip(1),)


class Merge(nn.Module):
    """One tensor of several; ``"concat"`` along a dimension, else value by value.

    One with fewer dimensions than another is repeated along those behind the first, and one of size 1 along that.
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
        most = max(x.ndim for x in inputs)
        alike = [x.reshape(x.shape[0], *[1] * (most - x.ndim), *x.shape[1:]) for x in inputs]
        merged = reduce(_MERGES[self.mode], alike)
        return (merged / len(inputs) if self.mode == "mean" else merged,)


_MERGES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "concat": lambda one, two: torch.cat((one, two), -1),
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
        Recurrent,
        Embedding,
        Masking,
        Linear,
        Activation,
        Dropout,
        Squeeze,
        Unsqueeze,
        Reshape,
        RepeatVector,
        Flip,
        Merge,
        Permute,
        MoveDim,
        Index,
        Fold,
        Unfold,
        Dot,
        Noise,
        Fill,
        Logic,
        Convolution,
        TransposedConvolution,
        Pooling,
        GlobalPooling,
        ZeroPadding,
        Cropping,
        Upsampling,
        BatchNorm,
        LayerNorm,
        Attention,
        MultiHeadAttention,
        Operator,
        Constant,
        RecurrentOperator,
        Branch,
        Loop,
        Scan,
    )
}
INNER_NETWORKS = {"Branch": ("then", "otherwise"), "Loop": ("body",), "Scan": ("body",)}
"""The options of each kind that are networks: stored as their documents, and built before the module is."""


def build(kind: str, options: dict[str, Any], label: str) -> nn.Module:
    """The module of a node.

    Args:
        kind: A name of :data:`KINDS`.
        options: The keyword arguments of its constructor.
        label: The node, for the message.

    Raises:
        ConversionError: There is no such kind, or it cannot be built from these options.
    """
    if kind not in KINDS:
        raise ConversionError(f"{label} is a {kind!r}: {did_you_mean(kind, KINDS)}")
    try:
        return KINDS[kind](**options)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConversionError(f"{label} ({kind}) cannot be built: {str(error).splitlines()[0]}") from error
