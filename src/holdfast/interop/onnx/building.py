"""The parts of a network from the nodes of a graph."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from holdfast.cells import CellSpec
from holdfast.cells.parameter_names import layer_suffix
from holdfast.errors import ConversionError
from holdfast.interop.network import Network, Node
from holdfast.interop.onnx import inner_graphs as onnx_inner_graphs
from holdfast.interop.onnx import recurrent as onnx_recurrent
from holdfast.interop.onnx import tidy as onnx_tidy
from holdfast.interop.onnx.arguments import arguments, inlined
from holdfast.interop.onnx.directions import merged
from holdfast.interop.onnx.graph import SUBGRAPHS, Graph, OnnxNode, held
from holdfast.interop.onnx.joining import joined
from holdfast.interop.onnx.recurrent import Settings
from holdfast.interop.onnx.room import Room


def built(
    graph: Graph, around: Mapping[str, Tensor], outer: Sequence[str] = (), room: Room | None = None
) -> tuple[Network, dict[str, Tensor]]:
    """The network of a graph, on the ``meta`` device, and the tensors of its state dict.

    Args:
        graph: The graph, folded.
        around: The constants around it.
        outer: The values from around it, which are inputs of its network, behind its own.
        room: What its layers may hold; None for what the graph allows.

    Raises:
        ConversionError: A node has no counterpart here; the message names it.
    """
    room = room or Room(held(graph))
    graph = replace(graph, constants=ChainMap(graph.constants, around))  # type: ignore[arg-type]
    builder = _Builder(graph, room)
    for node in onnx_tidy.layers(graph, room):
        if isinstance(node, onnx_tidy.Layer):
            builder.layer(node)
        elif node.op in onnx_recurrent.KINDS:
            builder.recurrent(node)
        elif node.op in SUBGRAPHS:
            builder.control(node)
        else:
            builder.operator(node)
    builder.nodes, halves = merged(joined(builder.nodes, graph.outputs), graph.outputs)
    for forwards, backwards in halves.items():
        second = builder.tensors[backwards]
        builder.tensors[forwards] |= {
            key.removesuffix(layer_suffix(0)) + layer_suffix(0, 1): tensor for key, tensor in second.items()
        }
    nodes = [*builder.constants(), *builder.nodes]
    with torch.device("meta"):
        network = Network((*graph.inputs, *outer), graph.outputs, nodes)
    kept = {node.name for node in nodes}
    prefixes = {id(part): name for name, part in network.named_modules()}
    return network, {
        f"{prefixes[id(network.module(name))]}.{key}": tensor
        for name, own in builder.tensors.items()
        if name in kept
        for key, tensor in own.items()
    }


class _Builder:
    """Nodes of a network, one after the other.

    Attributes:
        nodes: Those made so far.
        tensors: The tensors of each of them that has any, by the name of the node.
    """

    def __init__(self, graph: Graph, room: Room) -> None:
        self._graph, self._room = graph, room
        self.nodes: list[Node] = []
        self.tensors: dict[str, dict[str, Tensor]] = {}

    def add(self, name: str, kind: str, options: dict[str, Any], inputs: tuple[str, ...], *outputs: str) -> str:
        """A node; the name of its first output is returned."""
        self.nodes.append(Node(name, kind, options, inputs, outputs))
        return outputs[0]

    def layer(self, layer: onnx_tidy.Layer) -> None:
        """A node that is a layer with tensors."""
        self.nodes.append(layer.node)
        self.tensors[layer.node.name] = layer.tensors

    def moved(self, name: str, value: str, *perm: int) -> str:
        """A value with its dimensions in another order; ``""`` for none."""
        return self.add(name, "Operator", {"op": "Transpose", "perm": list(perm)}, (value,), name) if value else ""

    def constants(self) -> list[Node]:
        """A node for each value of the file that a node so far, or the graph, takes."""
        taken = dict.fromkeys([value for node in self.nodes for value in node.inputs] + list(self._graph.outputs))
        names = {node.name for node in self.nodes}
        found = []
        for value in taken:
            tensor = self._graph.constants.get(value)
            if tensor is not None:
                name = f"constant {value}" if value in names else value
                options = {"shape": list(tensor.shape), "dtype": str(tensor.dtype).removeprefix("torch.")}
                found.append(Node(name, "Constant", options, (), (value,)))
                self.tensors[name] = {"value": tensor}
        return found

    def operator(self, node: OnnxNode) -> None:
        """Adds a node that is not recurrent.

        Raises:
            ConversionError: Holdfast has no such operator, or it takes other inputs or attributes.
        """
        found = arguments(node, self._graph.version)
        inputs, added = inlined(node, found, self._graph.constants)
        self.add(node.name, "Operator", {"op": node.op, **found, **added}, inputs, *node.outputs)

    def control(self, node: OnnxNode) -> None:
        """Adds a branch or a loop, with networks inside.

        Raises:
            ConversionError: A graph is missing, or takes or gives another number of values than the node.
        """
        inside = {name: one for name in SUBGRAPHS[node.op] if isinstance(one := node.attributes.get(name), Graph)}
        if set(inside) != set(SUBGRAPHS[node.op]):
            raise ConversionError(f"{node.label} has no graph {' or '.join(SUBGRAPHS[node.op])}; expected each.")
        kind, options, handed = onnx_inner_graphs.CONTROLS[node.op](node, inside, self._graph)
        outer = [value for value in onnx_inner_graphs.outer(inside.values()) if value not in self._graph.constants]
        own: dict[str, Tensor] = {}
        for name, graph in zip(onnx_inner_graphs.INNER[node.op], inside.values(), strict=True):
            network, tensors = built(graph, self._graph.constants, outer, self._room)
            options[name] = network.to_document()
            own |= {f"{name}.{key}": tensor for key, tensor in tensors.items()}
        self.tensors[node.name] = own
        self.add(node.name, kind, options, (*handed, *outer), *node.outputs)

    def recurrent(self, node: OnnxNode) -> None:
        """Adds a node LSTM, GRU or RNN.

        Raises:
            ConversionError: An attribute is unknown or has no counterpart, or the weights do not fit the node.
        """
        found = onnx_recurrent.settings(node)
        names = {name: found.inputs[name] for name in onnx_recurrent.WEIGHTS if name in found.inputs}
        if not all(value in self._graph.constants for value in names.values()):
            options = {"op": node.op, "inputs": list(node.inputs), "outputs": len(node.outputs)}
            options["attributes"] = dict(node.attributes)
            self.add(node.name, "RecurrentOperator", options, node.inputs, *node.outputs)
            return
        weights = {name: self._graph.constants[value] for name, value in names.items()}
        self._room.take(node, sum(tensor.numel() for tensor in weights.values()))
        specs = onnx_recurrent.specs(node, found, weights)
        parameters = [onnx_recurrent.parameters(node, spec, weights, number) for number, spec in enumerate(specs)]
        x = found.inputs["X"]
        if not found.batch_first:
            x = self.moved(f"{node.name}/X", x, 1, 0, 2)
        parts = [found.inputs.get(f"initial_{letter}", "") for letter in specs[0].state_sizes]
        finals = list(found.outputs[1:])
        if found.batch_first:
            parts = [self.moved(f"{node.name}/{part}", part, 1, 0, 2) for part in parts]
            finals = [value and f"{node.name}/{value}" for value in finals]
        y = self._layers(node.name, found, specs, parameters, (x, found.inputs.get("sequence_lens", "")), parts, finals)
        whole = found.outputs[0]
        if whole:
            shape = {"op": "Reshape", "shape": [0, 0, len(specs), specs[0].hidden_size]}
            apart = whole if found.batch_first else f"{node.name}/directions"
            self.add(f"{node.name}/directions", "Operator", shape, (y,), apart)
            if not found.batch_first:
                self.add(f"{node.name}/Y", "Operator", {"op": "Transpose", "perm": [1, 2, 0, 3]}, (apart,), whole)
        if found.batch_first:
            for value, final in zip(found.outputs[1:], finals, strict=True):
                if value:
                    self.add(
                        f"{node.name}/{value} out", "Operator", {"op": "Transpose", "perm": [1, 0, 2]}, (final,), value
                    )

    def _layers(
        self,
        name: str,
        found: Settings,
        specs: tuple[CellSpec, ...],
        parameters: list[dict[str, Tensor]],
        inputs: tuple[str, str],
        parts: list[str],
        finals: list[str],
    ) -> str:
        """Adds the layer of a node, or one for each direction where the two are different cells.

        Args:
            name: The node.
            found: What it says.
            specs: The cell of each direction.
            parameters: Those of each direction.
            inputs: The sequences, batch first, and their lengths.
            parts: The initial state, each part [directions, B, H].
            finals: What the parts of the final state are to be called; ``""`` for one that nobody takes.

        Returns:
            The outputs of every step, [B, T, directions * H].
        """
        if len(set(specs)) == 1:
            options = {"cell": found.kind, **_sizes(specs[0]), **found.options[0]}
            if len(specs) > 1 or found.directions[0]:
                options["bidirectional" if len(specs) > 1 else "reverse"] = True
            self.tensors[name] = {
                f"layer.{key}{layer_suffix(0, direction)}": tensor
                for direction, of_direction in enumerate(parameters)
                for key, tensor in of_direction.items()
            }
            return self.add(name, "Recurrent", options, (*inputs, *parts), f"{name}/outputs", "", *finals)
        halves: list[list[str]] = [[], []]
        for part in parts:
            apart = [part and f"{part} {way}" for way in ("forward", "reverse")]
            if part:
                self.add(f"{name}/{part}", "Operator", {"op": "Split", "num_outputs": 2}, (part,), *apart)
            for half, value in zip(halves, apart, strict=True):
                half.append(value)
        every = []
        for number, way in enumerate(("forward", "reverse")):
            one = found._replace(directions=(found.directions[number],), options=(found.options[number],))
            own_finals = [value and f"{value} {way}" for value in finals]
            arguments = (specs[number : number + 1], [parameters[number]], inputs, halves[number], own_finals)
            every.append(self._layers(f"{name} {way}", one, *arguments))
        for value in filter(None, finals):
            halved = (f"{value} forward", f"{value} reverse")
            self.add(f"{name}/{value}", "Operator", {"op": "Concat", "axis": 0}, halved, value)
        return self.add(f"{name}/outputs", "Operator", {"op": "Concat", "axis": 2}, tuple(every), f"{name}/outputs")


def _sizes(spec: CellSpec) -> dict[str, Any]:
    return {"input_size": spec.input_size, "hidden_size": spec.hidden_size, "bias": spec.bias}
