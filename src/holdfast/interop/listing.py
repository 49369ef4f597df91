"""The layers of a network as a summary: their names in the file they come from, what they are, and their sizes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from holdfast.cells import NAMES
from holdfast.interop import nodes
from holdfast.interop.attention import MultiHeadAttention
from holdfast.interop.network import Network
from holdfast.interop.windows import Convolution, TransposedConvolution
from holdfast.layers.summary import LayerRow, Summary, listed, sizes


def listing(network: Network) -> Summary:
    """The nodes of a network that have parameters, or do something to the values beyond passing them on."""
    return listed(_rows(network))


def _rows(network: Network) -> Iterable[LayerRow]:
    for node in network.nodes:
        part = network.module(node.name)
        kind, size = node.kind, ""
        if isinstance(part, nodes.Recurrent):
            layer = part.layer
            kind = NAMES[layer.kind]
            size = sizes(layer.input_size, layer.output_size, layer.num_layers, layer.bidirectional)
        elif isinstance(part, nodes.Embedding):
            size = sizes(part.num_embeddings, part.embedding_dim)
        elif isinstance(part, nodes.Linear):
            size = sizes(part.in_features, part.out_features)
        elif isinstance(part, nodes.Activation | nodes.Merge):
            size = part.name if isinstance(part, nodes.Activation) else part.mode
        elif isinstance(part, Convolution | TransposedConvolution):
            size = sizes(part.layer.in_channels, part.layer.out_channels)
        elif isinstance(part, MultiHeadAttention):
            size = sizes(part.query.in_features, part.output.out_features)
        inner = {name: one for name, one in part.named_children() if isinstance(one, Network)}
        own = 0 if inner or node.shares else sum(parameter.numel() for parameter in part.parameters())
        yield LayerRow(node.name, None, own, kind, size)
        for name, network_inside in inner.items():
            yield from (replace(row, name=f"{node.name}.{name}.{row.name}") for row in _rows(network_inside))
