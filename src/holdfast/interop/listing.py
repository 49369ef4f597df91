"""The layers of a model as a table: their names in the source, their kinds and sizes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from holdfast.cells import NAMES
from holdfast.interop import nodes
from holdfast.interop.attention import MultiHeadAttention
from holdfast.interop.network import Network
from holdfast.interop.windows import Convolution, TransposedConvolution

_MAX_NAMES = 12


@dataclass(frozen=True)
class Line:
    """One layer.

    Attributes:
        name: Its name in the file.
        kind: What it is, such as ``"LSTM"``.
        sizes: Values in and out per step, and the numbers of layers and directions, in words.
        parameters: The number of parameters.
    """

    name: str
    kind: str
    sizes: str
    parameters: int


@dataclass(frozen=True)
class Listing:
    """The layers of a model in order; ``print`` it for a table.

    Attributes:
        lines: The layers.
        note: A sentence about them, such as why they are not a network; may be empty.
    """

    lines: tuple[Line, ...]
    note: str = ""

    @property
    def parameters(self) -> int:
        """The number of parameters of all layers."""
        return sum(line.parameters for line in self.lines)

    def as_dict(self) -> dict[str, Any]:
        """All attributes, for JSON."""
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
    """The nodes of a network, and of the networks inside them."""
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
        networks = {name: inner for name, inner in part.named_children() if isinstance(inner, Network)}
        parameters = 0 if networks or node.shares else sum(parameter.numel() for parameter in part.parameters())
        yield Line(node.name, kind, size, parameters)
        for name, inner in networks.items():
            yield from (replace(line, name=f"{node.name}.{name}.{line.name}") for line in _lines(inner))


def sizes(inputs: int, outputs: int, num_layers: int = 1, bidirectional: bool = False, **_: Any) -> str:
    """Sizes in words, such as ``"28 -> 256, 2 layers, both directions"``.

    Args:
        inputs: Values in, per step.
        outputs: Values out, per step.
        num_layers: The number of stacked layers.
        bidirectional: Whether there are two directions.
        **_: Other arguments of a layer, ignored.
    """
    parts = [f"{inputs} -> {outputs}"]
    parts += [f"{num_layers} layers"] if num_layers > 1 else []
    return ", ".join([*parts, *(["both directions"] if bidirectional else [])])


def first_names(names: Sequence[str]) -> str:
    """The first twelve names of a list, and the number of the others, in words."""
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return f"{', '.join(names[:_MAX_NAMES])}{more}"
