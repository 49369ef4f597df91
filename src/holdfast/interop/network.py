"""What a foreign model file becomes: nodes in the order they run, each a module with named inputs and outputs.

A chain of layers is the simple case. Every format has a reader that makes a :class:`Network` and, where it can, a
writer that takes one; so a network is what formats are converted through.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.errors import ConversionError, ModelFileError, ShapeError
from holdfast.files import storage
from holdfast.interop import nodes

KIND = "network"
_MAX_DEPTH = 12
"""Networks within networks: the branches and loops of ONNX."""


@dataclass(frozen=True)
class Node:
    """A part of a network.

    Attributes:
        name: Its name in the file it came from; no two nodes have the same.
        kind: A name of :data:`holdfast.interop.nodes.KINDS`.
        options: The keyword arguments of its module.
        inputs: The names of the values it takes, in the module's order; ``""`` for one that is left out.
        outputs: The names of the values it gives; ``""`` for one that nobody takes, and so may be those at the end.
        shares: The node before whose module it runs once more, with the same parameters; ``""`` for its own.
    """

    name: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    shares: str = ""


class Network(nn.Module):
    """Nodes in the order they run.

    Called with its inputs in their order, it gives its output, or the tuple of them where it has several.

    Attributes:
        inputs: The names of the values it is called with.
        outputs: The names of those it gives.
        nodes: The nodes.
        shapes: The sizes that inputs must have, by name, where they are known: a number, or None for one that may be
            any.

    Raises:
        ConversionError: A node cannot be built, two have one name, or a value is used that no node before gives.
    """

    def __init__(
        self,
        inputs: Sequence[str],
        outputs: Sequence[str],
        nodes_: Sequence[Node],
        shapes: Mapping[str, Sequence[int | None]] | None = None,
        *,
        depth: int = 0,
    ) -> None:
        super().__init__()
        self.inputs, self.outputs, self.nodes = tuple(inputs), tuple(outputs), tuple(nodes_)
        self.shapes = {name: tuple(sizes) for name, sizes in (shapes or {}).items()}
        if depth > _MAX_DEPTH:
            raise ConversionError(f"The network has networks within networks, more than {_MAX_DEPTH} deep. Refused.")
        self._check()
        self.parts = nn.ModuleDict()
        self._keys: dict[str, str] = {}
        for number, node in enumerate(self.nodes):
            if node.shares:
                self._keys[node.name] = self._keys[node.shares]
                continue
            key = re.sub(r"\W", "_", node.name)
            if hasattr(self.parts, key) or key in self.parts:  # torch has no module called "keys", or twice the same
                key = f"{key}_{number}"
            self._keys[node.name] = key
            inner = {
                name: Network.from_document(node.options.get(name, {}), depth=depth + 1)
                for name in nodes.INNER_NETWORKS.get(node.kind, ())
            }
            self.parts[key] = nodes.build(node.kind, {**node.options, **inner}, node.name)

    def _check(self) -> None:
        known = set(self.inputs)
        if not self.outputs or len(known) != len(self.inputs) or "" in known:
            raise ConversionError(f"The network has inputs {self.inputs} and outputs {self.outputs}; expected names.")
        seen: set[str] = set()
        for node in self.nodes:
            if node.name in seen or not node.name:
                raise ConversionError(f"Two nodes are called {node.name!r}; expected a name for each.")
            if node.shares and node.shares not in seen:
                raise ConversionError(f"{node.name} shares the module of {node.shares!r}, which is no node before it.")
            seen.add(node.name)
            for value in node.inputs:
                if value and value not in known:
                    raise ConversionError(f"{node.name} takes {value!r}, which no node before it gives.")
            given = [value for value in node.outputs if value]
            if known & set(given) or len(set(given)) != len(given):
                raise ConversionError(f"{node.name} gives {given}, and one of these is given already.")
            known.update(given)
        for value in self.outputs:
            if value not in known:
                raise ConversionError(f"The network gives {value!r}, which is none of its values.")

    def module(self, name: str) -> nn.Module:
        """The module of the node of that name.

        Raises:
            KeyError: There is no such node.
        """
        return self.parts[self._keys[name]]

    def forward(self, *inputs: Tensor | None) -> Any:
        """Runs the nodes.

        Args:
            *inputs: In the order of :attr:`inputs`; None for one that is left out.

        Raises:
            ShapeError: There are more or fewer inputs than the network has, or one has other sizes than it must have.
        """
        if len(inputs) != len(self.inputs):
            raise ShapeError(
                f"The network got {len(inputs)} inputs; expected {len(self.inputs)}: {', '.join(self.inputs)}."
            )
        for name, value in zip(self.inputs, inputs, strict=True):
            sizes = self.shapes.get(name)
            if value is not None and sizes is not None:
                fits = zip(value.shape, sizes, strict=False)
                if value.ndim != len(sizes) or any(size not in (None, given) for given, size in fits):
                    wanted = ", ".join("any" if size is None else str(size) for size in sizes)
                    raise ShapeError(
                        f"The input {name!r} has shape {tuple(value.shape)}; expected {len(sizes)} dimensions of sizes "
                        f"({wanted}), as the file it was read from says."
                    )
        values: dict[str, Tensor | None] = {"": None, **dict(zip(self.inputs, inputs, strict=True))}
        for node in self.nodes:
            given = self.module(node.name)(*(values[name] for name in node.inputs))
            values.update((name, value) for name, value in zip(node.outputs, given, strict=False) if name)
        results = tuple(values[name] for name in self.outputs)
        return results[0] if len(results) == 1 else results

    def to_document(self) -> dict[str, Any]:
        """All of the network but its tensors, as values that JSON has."""
        document = {"inputs": self.inputs, "outputs": self.outputs, "nodes": [asdict(node) for node in self.nodes]}
        return document | ({"shapes": self.shapes} if self.shapes else {})

    @classmethod
    def from_document(cls, document: Mapping[str, Any], *, depth: int = 0) -> Network:
        """The network of a document, without memory for its tensors: they are on the ``meta`` device.

        Raises:
            ConversionError: The document is not one of a network.
        """
        try:
            found = [
                Node(
                    name=str(one["name"]),
                    kind=str(one["kind"]),
                    options=dict(one["options"]),
                    inputs=tuple(one["inputs"]),
                    outputs=tuple(one["outputs"]),
                    shares=str(one.get("shares", "")),
                )
                for one in document["nodes"]
            ]
            inputs, outputs = tuple(document["inputs"]), tuple(document["outputs"])
            shapes = {str(name): tuple(sizes) for name, sizes in dict(document.get("shapes", {})).items()}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ConversionError(f"The document of the network is incomplete ({error}).") from error
        with torch.device("meta"):
            return cls(inputs, outputs, found, shapes, depth=depth)


def with_tensors(network: Network, tensors: Mapping[str, Tensor], source: Path) -> Network:
    """Gives a network on the ``meta`` device its tensors, and puts it into evaluation mode.

    Args:
        network: The network.
        tensors: All tensors of its state dict; they become the network's own memory.
        source: The file they come from, for the message.

    Raises:
        ModelFileError: A tensor is missing, is not the network's, or has another shape.
    """
    storage.fit_tensors(network, tensors, source, assign=True)
    return network.eval()


def save(path: Path, network: Network) -> None:
    """Writes a network, atomically; one that is there is replaced.

    Raises:
        ModelFileError: The file cannot be written.
    """
    storage.write(path, network.state_dict(), network.to_document(), KIND)


def load(path: Path) -> Network:
    """Opens a file of :func:`save`, in evaluation mode, on the CPU. Opening a file never runs code from it.

    Raises:
        ModelFileError: The file is not there, truncated, damaged, too new, or of another kind.
    """
    tensors, document = storage.read(path, KIND)
    _check_layers(path, document, len(tensors))
    try:
        network = Network.from_document(document)
    except ConversionError as error:
        raise ModelFileError(f"{path} is damaged: {str(error).rstrip('.')}. Take another copy of it.") from error
    # What is read are views of the file, and a model is to outlive it.
    return with_tensors(network, {name: tensor.clone() for name, tensor in tensors.items()}, path)


def _check_layers(path: Path, document: Mapping[str, Any], tensors: int) -> None:
    """Refuses more layers than there are tensors, before anything is made for each of them."""
    described = document.get("nodes")
    for node in described if isinstance(described, list) else []:
        options = node.get("options") if isinstance(node, dict) else None
        layers = options.get("num_layers") if isinstance(options, dict) else None
        if isinstance(layers, int) and layers > tensors:
            raise ModelFileError(
                f"{path} is damaged: it describes {layers:,} layers and holds {tensors} tensors. "
                "Take another copy of it."
            )
