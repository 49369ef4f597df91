"""Random inputs for a network, for comparing it with other software."""

from __future__ import annotations

import torch
from torch import Tensor

from holdfast.errors import ConversionError
from holdfast.interop import nodes
from holdfast.interop.arrangement import Flip, Fold, Noise
from holdfast.interop.attention import MultiHeadAttention
from holdfast.interop.network import Network
from holdfast.interop.normalisation import BatchNorm, LayerNorm
from holdfast.interop.time_first import exchanges
from holdfast.interop.windows import Convolution, Cropping, Pooling, TransposedConvolution, Upsampling, ZeroPadding

BATCH, STEPS = 3, 11
SEEN_THROUGH = (
    *(nodes.Activation, nodes.Dropout, Flip, nodes.Masking, Noise, BatchNorm, LayerNorm),
    *(Pooling, ZeroPadding, Cropping, Upsampling),
)
"""The parts that keep the number of dimensions and of channels."""


def example_inputs(network: Network, seed: int = 0) -> tuple[Tensor | None, ...]:
    """Three sequences of eleven steps for each input: numbers, ids or lengths; None for an initial state.

    Args:
        network: The network.
        seed: The seed of the random numbers; torch's own random state is not used.

    Raises:
        ConversionError: The network does not determine what an input holds.
    """
    generator = torch.Generator().manual_seed(seed)
    dtype = next((parameter.dtype for parameter in network.parameters()), torch.float32)
    return tuple(_input(network, name, generator, dtype) for name in network.inputs)


def _input(network: Network, value: str, generator: torch.Generator, dtype: torch.dtype) -> Tensor | None:
    for node in network.nodes:
        if value not in node.inputs:
            continue
        part, place = network.module(node.name), node.inputs.index(value)
        if exchanges(node):
            swapped = _input(network, node.outputs[0], generator, dtype)
            return None if swapped is None else swapped.transpose(0, 1)
        if isinstance(part, nodes.Embedding):
            return torch.randint(part.num_embeddings, _sizes(network, value), generator=generator)
        if isinstance(part, nodes.Recurrent) and place:
            return torch.tensor([STEPS, 1, STEPS // 2]) if place == 1 else None
        if isinstance(part, nodes.Recurrent | nodes.Linear):
            width = part.in_features if isinstance(part, nodes.Linear) else part.layer.input_size
            return torch.randn(_sizes(network, value, width), generator=generator, dtype=dtype)
        if isinstance(part, Convolution | TransposedConvolution):
            between = [STEPS] * (part.layer.weight.ndim - 2)
            return torch.randn(BATCH, *between, part.layer.in_channels, generator=generator, dtype=dtype)
        if isinstance(part, MultiHeadAttention):
            width = (part.query, part.value, part.key)[place].in_features
            return torch.randn(BATCH, STEPS, width, generator=generator, dtype=dtype)
        if isinstance(part, Fold):
            row = _input(network, node.outputs[0], generator, dtype)
            return None if row is None else row[:, None].repeat(1, 2, *[1] * (row.ndim - 1))
        if isinstance(part, SEEN_THROUGH):
            return _input(network, node.outputs[0], generator, dtype)
        raise ConversionError(
            f"The input {value!r} goes into {node.name!r} ({node.kind}) first, which does not say what it is, so none "
            "can be made up."
        )
    raise ConversionError(f"Nothing in the network takes its input {value!r}, so none can be made up.")


def _sizes(network: Network, value: str, *trailing: int) -> list[int]:
    """The sizes of an input: three rows and eleven steps unless the network states others."""
    stated = network.shapes.get(value, (None,) * (2 + len(trailing)))
    leading = [BATCH, STEPS, *[2] * len(stated)][: len(stated) - len(trailing)]
    return [size if size is not None else default for size, default in zip(stated, [*leading, *trailing], strict=True)]
