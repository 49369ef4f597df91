"""The layers of a model as a table: what they are called where they come from, what they are, and how large."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from holdfast.cells import NAMES
from holdfast.interop import nodes
from holdfast.interop.attention import MultiHeadAttention
from holdfast.interop.network import Network
from holdfast.interop.windows import Convolution, TransposedConvolution


@dataclass(frozen=True)
class Line:
    """One layer.

    Attributes:
        name: Its name in the file.
        kind: What it is, such as ``"LSTM"``.
        sizes: Values in and out of a step, and how many layers and directions, in words.
        parameters: How many numbers it has learned.
    """

    name: str
    kind: str
    sizes: str
    parameters: int


@dataclass(frozen=True)
class Listing:
    """The layers of a model in their order; ``print`` it for a table.

    Attributes:
        lines: The layers.
        note: A sentence about them, such as why they are no network; empty for none.
    """

    lines: tuple[Line, ...]
    note: str = ""

    @property
    def parameters(self) -> int:
        """Of all layers."""
        return sum(line.parameters for line in self.lines)

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        rows = [{"layer": x.name, "kind": x.kind, "sizes": x.sizes, "parameters": x.parameters} for x in self.lines]
        return {"layers": rows, "parameters": self.parameters} | ({"note": self.note} if self.note else {})

    def __str__(self) -> str:
        head = ("Layer", "Kind", "Sizes", "Parameters")
        body = [(line.name, line.kind, line.sizes, f"{line.parameters:,}") for line in self.lines]
        widths = [max(len(row[column]) for row in [head, *body]) for column in range(4)]
        rows = [
            f"{name:<{widths[0]}}  {kind:<{widths[1]}}  {size:<{widths[2]}}  {count:>{widths[3]}}"
            for name, kind, size, count in [head, *body]
        ]
        rule = "-" * (sum(widths) + 6)
        lines = [rows[0], rule, *rows[1:], rule, f"Total parameters: {self.parameters:,}"]
        return "\n".join([*lines, self.note] if self.note else lines)


def listing(network: Network) -> Listing:
    """The nodes of a network that have parameters, or do something to the values beyond passing them on."""
    return Listing(tuple(_lines(network)))


def _lines(network: Network) -> Iterable[Line]:
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
        yield Line(node.name, kind, size, own)
        for name, one in inner.items():
            yield from (replace(line, name=f"{node.name}.{name}.{line.name}") for line in _lines(one))


def sizes(inputs: int, outputs: int, num_layers: int = 1, bidirectional: bool = False, **_: Any) -> str:
    """Sizes in words, such as ``"28 -> 256, 2 layers, both directions"``.

    Args:
        inputs: Values in.
        outputs: Values out.
        num_layers: Layers on top of one another.
        bidirectional: Whether there are two directions.
        **_: Whatever else a layer is built with.
    """
    parts = [f"{inputs} -> {outputs}"]
    parts += [f"{num_layers} layers"] if num_layers > 1 else []
    return ", ".join([*parts, *(["both directions"] if bidirectional else [])])
