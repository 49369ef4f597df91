"""The recurrent layers of a file alone, whatever stands beside them: by their names, or as a network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from holdfast.errors import ConversionError, did_you_mean
from holdfast.interop import nodes
from holdfast.interop.network import Network, Node, with_tensors
from holdfast.layers.recurrent_layer import RecurrentLayer

READ_LAYERS = "Its recurrent layers alone can be read: formats.read_layers(path), or --set layers='*'."
"""What to do with a file that cannot be read as a whole."""
_NAMED = 12  # of what is passed over, in a sentence


@dataclass(frozen=True)
class Alone:
    """A recurrent layer, apart from the model that it is of.

    Attributes:
        options: The arguments of :class:`holdfast.interop.nodes.Recurrent`.
        tensors: Its parameters, by the names that its layer has for them.
    """

    options: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


@dataclass(frozen=True)
class Selection:
    """The recurrent layers of a file, and what else it has.

    Attributes:
        layers: By their names, in the file's order.
        others: The names of whatever else has weights.
        refused: Recurrent layers that cannot be read, and why.
    """

    layers: Mapping[str, Alone]
    others: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)

    def modules(self, path: Path) -> dict[str, RecurrentLayer]:
        """Each layer as a module, batch first.

        Raises:
            ConversionError: There is none; the message says what there is.
        """
        return {name: built(self.layers[name], name) for name in self._named("*", path)}

    def network(self, names: str, path: Path) -> Network:
        """Some of the layers, each with an input and an output of its own, in evaluation mode.

        Args:
            names: Their names, apart by commas; ``"*"`` for all.
            path: The file, for the messages.

        Raises:
            ConversionError: There is no such layer, or it cannot be read.
        """
        taken = self._named(names, path)
        found, tensors = [], {}
        for name in taken:
            options, label = dict(self.layers[name].options), name or str(self.layers[name].options["cell"])
            ends = ("inputs", "outputs") if len(taken) == 1 else (f"{label}.inputs", f"{label}.outputs")
            found.append(Node(label, "Recurrent", options, ends[:1], ends[1:]))
        with torch.device("meta"):
            network = Network([node.inputs[0] for node in found], [node.outputs[0] for node in found], found)
        for key, name in zip(network.parts, taken, strict=True):
            for own, tensor in self.layers[name].tensors.items():
                # What was read may be a view of the file.
                tensors[f"parts.{key}.layer.{own}"] = tensor.clone(memory_format=torch.contiguous_format)
        return with_tensors(network, tensors, path)

    def note(self, network: Network) -> str:
        """What was passed over when these layers were taken; empty for nothing."""
        taken = {node.name for node in network.nodes}
        rest = [name for name in (*self.layers, *self.refused, *self.others) if name not in taken and name]
        if not rest:
            return ""
        more = f" and {len(rest) - _NAMED} more" if len(rest) > _NAMED else ""
        return f"Passed over: {', '.join(rest[:_NAMED])}{more}."

    def _named(self, names: str, path: Path) -> list[str]:
        if names.strip() == "*":
            if not self.layers:
                raise ConversionError(f"{path} has no recurrent layer that can be read{self._why()}.")
            return list(self.layers)
        wanted = [one.strip() for one in names.split(",")]
        for name in wanted:
            if name in self.refused:
                raise ConversionError(self.refused[name])
            if name not in self.layers:
                known = did_you_mean(name, self.layers) if self.layers else "it has none."
                raise ConversionError(f"{path} has no recurrent layer {name!r}: {known}")
        return list(dict.fromkeys(wanted))

    def _why(self) -> str:
        if self.refused:
            return f": {next(iter(self.refused.values())).rstrip('.')}"
        others = ", ".join(name for name in self.others[:_NAMED] if name)
        return f"; it has {others}" if others else ""


def built(alone: Alone, name: str) -> RecurrentLayer:
    """A layer as a module, batch first, with its own memory.

    Args:
        alone: The layer.
        name: What it is called, for the message.

    Raises:
        ConversionError: It cannot be built.
    """
    with torch.device("meta"):
        part = nodes.build("Recurrent", dict(alone.options), name)
    assert isinstance(part, nodes.Recurrent)
    apart = {own: tensor.clone(memory_format=torch.contiguous_format) for own, tensor in alone.tensors.items()}
    part.layer.load_state_dict(apart, assign=True)
    return part.layer


def of_network(network: Network) -> Selection:
    """The recurrent layers of a network."""
    layers, others = {}, []
    for node in network.nodes:
        part = network.module(node.name)
        if node.shares:
            continue
        if isinstance(part, nodes.Recurrent):
            layers[node.name] = Alone(node.options, part.layer.state_dict())
        elif _has_weights(part.parameters()):
            others.append(node.name)
    return Selection(layers, tuple(others))


def _has_weights(parameters: Iterable[Tensor]) -> bool:
    return next(iter(parameters), None) is not None
