"""The recurrent layers of a file without the rest of its model: by their names, or as a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from holdfast.errors import ConversionError, did_you_mean
from holdfast.interop import nodes
from holdfast.interop.listing import first_names
from holdfast.interop.network import Network, Node, with_tensors
from holdfast.layers.recurrent_layer import RecurrentLayer

READ_LAYERS = "Its recurrent layers alone can be read: formats.read_layers(path), or --set layers='*'."
"""What to do with a file that cannot be read as a whole, for messages."""


@dataclass(frozen=True)
class LoneLayer:
    """A recurrent layer without the rest of its model.

    Attributes:
        options: The arguments of :class:`holdfast.interop.nodes.Recurrent`.
        tensors: Its parameters, by their names in the layer; they may be views of a file.
    """

    options: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


@dataclass(frozen=True)
class Selection:
    """The recurrent layers of a file, and the names of its other parts.

    Attributes:
        layers: The layers by name, in the file's order.
        others: The names of the other parts with weights.
        refused: Why other recurrent layers cannot be read, by name.
    """

    layers: Mapping[str, LoneLayer]
    others: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)

    def modules(self, path: Path) -> dict[str, RecurrentLayer]:
        """Each layer as a module, batch first.

        Raises:
            ConversionError: There is none; the message names what there is.
        """
        return {name: build_layer(self.layers[name], name) for name in self._chosen("*", path)}

    def network(self, names: str, path: Path) -> Network:
        """Some of the layers, each with its own input and output, in evaluation mode.

        Args:
            names: Their names, separated by commas; ``"*"`` for all.
            path: The file, for the messages.

        Raises:
            ConversionError: There is no such layer, or it cannot be read.
        """
        taken = self._chosen(names, path)
        chosen: list[Node] = []
        tensors: dict[str, Tensor] = {}
        for name in taken:
            options, label = dict(self.layers[name].options), name or str(self.layers[name].options["cell"])
            values = ("inputs", "outputs") if len(taken) == 1 else (f"{label}.inputs", f"{label}.outputs")
            chosen.append(Node(label, "Recurrent", options, values[:1], values[1:]))
        with torch.device("meta"):
            network = Network([node.inputs[0] for node in chosen], [node.outputs[0] for node in chosen], chosen)
        for key, name in zip(network.parts, taken, strict=True):
            tensors |= copied(self.layers[name].tensors, f"parts.{key}.layer.")
        return with_tensors(network, tensors, path)

    def note(self, network: Network) -> str:
        """A sentence about what was not read besides these layers; empty if there is nothing else."""
        taken = {node.name for node in network.nodes}
        rest = [name for name in (*self.layers, *self.refused, *self.others) if name not in taken and name]
        return f"Skipped: {first_names(rest)}." if rest else ""

    def _chosen(self, names: str, path: Path) -> list[str]:
        if names.strip() == "*":
            if not self.layers:
                raise ConversionError(f"{path} has no recurrent layer that can be read{self._why()}.")
            return list(self.layers)
        wanted = [name.strip() for name in names.split(",")]
        for name in wanted:
            if name in self.refused:
                raise ConversionError(self.refused[name])
            if name not in self.layers:
                hint = did_you_mean(name, self.layers) if self.layers else "it has none."
                raise ConversionError(f"{path} has no recurrent layer {name!r}: {hint}")
        return list(dict.fromkeys(wanted))

    def _why(self) -> str:
        if self.refused:
            return f": {next(iter(self.refused.values())).rstrip('.')}"
        others = first_names([name for name in self.others if name])
        return f"; it has {others}" if others else ""


def build_layer(layer: LoneLayer, name: str) -> RecurrentLayer:
    """A layer as a module, batch first, with its own memory.

    Args:
        layer: The layer.
        name: Its name, for the message.

    Raises:
        ConversionError: It cannot be built.
    """
    with torch.device("meta"):
        part = nodes.build("Recurrent", dict(layer.options), name)
    assert isinstance(part, nodes.Recurrent)
    part.layer.load_state_dict(copied(layer.tensors), assign=True)
    return part.layer


def copied(tensors: Mapping[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """Copies of tensors, each contiguous in its own memory, under their names after a prefix."""
    return {prefix + name: one.clone(memory_format=torch.contiguous_format) for name, one in tensors.items()}


def select_from_network(network: Network) -> Selection:
    """The recurrent layers of a network."""
    layers, others = {}, []
    for node in network.nodes:
        part = network.module(node.name)
        if node.shares:
            continue
        if isinstance(part, nodes.Recurrent):
            layers[node.name] = LoneLayer(node.options, part.layer.state_dict())
        elif next(part.parameters(), None) is not None:
            others.append(node.name)
    return Selection(layers, tuple(others))
