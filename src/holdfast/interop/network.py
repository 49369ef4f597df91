"""The form that every foreign model is read into: nodes in running order, each a module with named inputs and outputs.

A chain of layers is the simple case. Each format has a reader that makes a :class:`Network` and, where possible, a
writer that takes one, so every conversion goes through a network.
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
"""How deep networks may be nested: the branches and loops of ONNX are networks in a network."""


@dataclass(frozen=True)
class Node:
    """A part of a network.

    Attributes:
        name: Its unique name in the file.
        kind: A name of :data:`holdfast.interop.nodes.KINDS`.
        options: The keyword arguments of its module.
        inputs: The names of the values it takes, in the module's order; ``""`` for a missing one.
        outputs: The names of the values it gives; ``""`` for an unused one. Unused ones at the end may be left out.
        shares: The earlier node whose module it runs again, with the same parameters; ``""`` if it has its own.
    """

    name: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    shares: str = ""


class Network(nn.Module):
    """Nodes in running order.

    The call takes the inputs in order and returns the output, or the tuple of the outputs if there are several.

    Args:
        inputs: The names of the inputs.
        outputs: The names of the outputs.
        nodes_: The nodes, in running order.
        shapes: The known sizes of inputs, by name; None for a size that may be any.
        depth: How many networks this one is within.

    Attributes:
        inputs: The names of the inputs.
        outputs: The names of the outputs.
        nodes: The nodes.
        shapes: The known sizes of inputs, by name; None for a size that may be any.

    Raises:
        ConversionError: A node cannot be built, two have the same name, or a node uses a value that no earlier node
            gives.
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
            if hasattr(self.parts, key) or key in self.parts:  # torch allows no module called "keys", and no name twice
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
                raise ConversionError(f"Two nodes are called {node.name!r}; expected a unique name for each.")
            if node.shares and node.shares not in seen:
                raise ConversionError(f"{node.name} shares the module of {node.shares!r}, which is no node before it.")
            seen.add(node.name)
            for value in node.inputs:
                if value and value not in known:
                    raise ConversionError(f"{node.name} takes {value!r}, which no node before it gives.")
            outputs = [value for value in node.outputs if value]
            if known & set(outputs) or len(set(outputs)) != len(outputs):
                raise ConversionError(f"{node.name} gives {outputs}, and one of these is given already.")
            known.update(outputs)
        for value in self.outputs:
            if value not in known:
                raise ConversionError(f"The network gives {value!r}, which is not one of its values.")

    def module(self, name: str) -> nn.Module:
        """The module of a node.

        Args:
            name: The name of the node.

        Raises:
            KeyError: There is no such node.
        """
        return self.parts[self._keys[name]]

    def forward(self, *inputs: Tensor | None) -> Any:
        """Runs the nodes.

        Args:
            *inputs: In the order of :attr:`inputs`, such as [B, T, I] for a sequence; None for a missing one.

        Raises:
            ShapeError: The number of inputs is wrong, or an input has the wrong sizes.
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
        """The network of a document. Its tensors are on the ``meta`` device, without memory.

        Args:
            document: What :meth:`to_document` returned, such as JSON of a file.
            depth: How many networks this one is within.

        Raises:
            ConversionError: The document does not describe a network.
        """
        try:
            nodes_ = [
                Node(
                    name=str(node["name"]),
                    kind=str(node["kind"]),
                    options=dict(node["options"]),
                    inputs=tuple(node["inputs"]),
                    outputs=tuple(node["outputs"]),
                    shares=str(node.get("shares", "")),
                )
                for node in document["nodes"]
            ]
            inputs, outputs = tuple(document["inputs"]), tuple(document["outputs"])
            shapes = {str(name): tuple(sizes) for name, sizes in dict(document.get("shapes", {})).items()}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ConversionError(f"The document of the network is incomplete ({error}).") from error
        with torch.device("meta"):
            return cls(inputs, outputs, nodes_, shapes, depth=depth)


def with_tensors(network: Network, tensors: Mapping[str, Tensor], source: Path) -> Network:
    """Gives a network on the ``meta`` device its tensors and sets evaluation mode.

    Args:
        network: The network.
        tensors: All tensors of its state dict; the network uses their memory.
        source: Their file, for the message.

    Raises:
        ModelFileError: A tensor is missing, unknown, or has the wrong shape.
    """
    storage.fit_tensors(network, tensors, source, assign=True)
    return network.eval()


def save(path: Path, network: Network) -> None:
    """Writes a network, atomically; an existing file is replaced.

    Args:
        path: The file.
        network: The network.

    Raises:
        ModelFileError: The file cannot be written.
    """
    storage.write(path, network.state_dict(), network.to_document(), KIND)


def load(path: Path) -> Network:
    """Loads a file of :func:`save`, in evaluation mode, on the CPU. Loading never runs code from the file.

    Args:
        path: The file.

    Raises:
        ModelFileError: The file does not exist, or is truncated, damaged, too new, or of another kind.
    """
    tensors, document = storage.read(path, KIND)
    _check_layers(path, document, len(tensors))
    try:
        network = Network.from_document(document)
    except ConversionError as error:
        raise ModelFileError(f"{path} is damaged: {str(error).rstrip('.')}. Take another copy of it.") from error
    # The tensors are views of the file, and the model must not depend on it.
    return with_tensors(network, {name: tensor.clone() for name, tensor in tensors.items()}, path)


def _check_layers(path: Path, document: Mapping[str, Any], tensors: int) -> None:
    """Refuses more layers than there are tensors, before memory is taken for each layer."""
    described = document.get("nodes")
    for node in described if isinstance(described, list) else []:
        options = node.get("options") if isinstance(node, dict) else None
        layers = options.get("num_layers") if isinstance(options, dict) else None
        if isinstance(layers, int) and layers > tensors:
            raise ModelFileError(
                f"{path} is damaged: it describes {layers:,} layers and holds {tensors} tensors. "
                "Take another copy of it."
            )
