"""The layers of a model as a table: their names in the source, their kinds and sizes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from holdfast.cells import NAMES
from holdfast.interop import nodes
from holdfast.interop.attention import MultiHeadAttention
from holdfast.interop.network import Network
from holdfast.interop.windows import Convolution, TransposedConvolution
from holdfast.layers.summary import LayerRow, Summary, listed, sizes

_MAX_NAMES = 12


def listing(network: Network) -> Summary:
    """The nodes of a network, and of the networks inside them."""
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
        networks = {name: inner for name, inner in part.named_children() if isinstance(inner, Network)}
        parameters = 0 if networks or node.shares else sum(parameter.numel() for parameter in part.parameters())
        yield LayerRow(node.name, None, parameters, kind, size)
        for name, inner in networks.items():
            yield from (replace(row, name=f"{node.name}.{name}.{row.name}") for row in _rows(inner))


def first_names(names: Sequence[str]) -> str:
    """The first twelve names of a list, and the number of the others, in words."""
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return f"{', '.join(names[:_MAX_NAMES])}{more}"
