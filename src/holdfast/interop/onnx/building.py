"""Builds a network from the nodes of a graph."""

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
from holdfast.interop.nodes import INNER_NETWORKS
from holdfast.interop.onnx import recurrent as onnx_recurrent
from holdfast.interop.onnx.arguments import arguments, inline_constants
from holdfast.interop.onnx.graph import SUBGRAPHS, Graph, OnnxNode, count_elements, outer_values
from holdfast.interop.onnx.inner_graphs import CONVERTERS
from holdfast.interop.onnx.layer_patterns import join_layers, merge_directions
from holdfast.interop.onnx.linear_layers import Layer, find_layers
from holdfast.interop.onnx.memory_budget import MemoryBudget
from holdfast.interop.onnx.recurrent import Settings


def build(
    graph: Graph,
    outer_constants: Mapping[str, Tensor],
    outer_inputs: Sequence[str] = (),
    budget: MemoryBudget | None = None,
) -> tuple[Network, dict[str, Tensor]]:
    """Builds the network of a folded graph.

    Args:
        graph: The graph.
        outer_constants: The constants around it.
        outer_inputs: The outer values; they become inputs of the network, after the inputs of the graph.
        budget: The memory that the layers may take; None for what the graph allows.

    Returns:
        The network, on the ``meta`` device, and the tensors of its state dict.

    Raises:
        ConversionError: A node has no counterpart here; the message names the node.
        ModelFileError: The layers need far more memory than the file has.
    """
    budget = budget or MemoryBudget(count_elements(graph))
    graph = replace(graph, constants=ChainMap(graph.constants, outer_constants))  # type: ignore[arg-type]
    builder = _Builder(graph, budget)
    for node in find_layers(graph, budget):
        if isinstance(node, Layer):
            builder.layer(node)
        elif node.op in onnx_recurrent.KINDS:
            builder.recurrent(node)
        elif node.op in SUBGRAPHS:
            builder.control(node)
        else:
            builder.operator(node)
    builder.nodes, reverse_layers = merge_directions(join_layers(builder.nodes, graph.outputs), graph.outputs)
    for forwards, backwards in reverse_layers.items():
        builder.tensors[forwards] |= {
            key.removesuffix(layer_suffix(0)) + layer_suffix(0, 1): tensor
            for key, tensor in builder.tensors[backwards].items()
        }
    nodes = [*builder.constants(), *builder.nodes]
    with torch.device("meta"):
        network = Network((*graph.inputs, *outer_inputs), graph.outputs, nodes)
    names = {node.name for node in nodes}
    prefixes = {id(part): name for name, part in network.named_modules()}
    return network, {
        f"{prefixes[id(network.module(name))]}.{key}": tensor
        for name, tensors in builder.tensors.items()
        if name in names
        for key, tensor in tensors.items()
    }


class _Builder:
    """Makes the parts of a network, one after the other.

    Attributes:
        nodes: The parts so far.
        tensors: The tensors of each part that has any, by the name of the part.
    """

    def __init__(self, graph: Graph, budget: MemoryBudget) -> None:
        self._graph, self._budget = graph, budget
        self.nodes: list[Node] = []
        self.tensors: dict[str, dict[str, Tensor]] = {}

    def _add(self, name: str, kind: str, options: dict[str, Any], inputs: tuple[str, ...], *outputs: str) -> str:
        """Adds a part and returns the name of its first output."""
        self.nodes.append(Node(name, kind, options, inputs, outputs))
        return outputs[0]

    def _transpose(self, name: str, value: str, perm: list[int], output: str | None = None) -> str:
        """Adds a transposition of a value, if there is one, and returns the name of the result."""
        options = {"op": "Transpose", "perm": perm}
        return self._add(name, "Operator", options, (value,), output or name) if value else ""

    def layer(self, layer: Layer) -> None:
        """Adds a layer with tensors."""
        self.nodes.append(layer.node)
        self.tensors[layer.node.name] = layer.tensors

    def constants(self) -> list[Node]:
        """A part for each constant that the parts so far, or the outputs of the graph, use."""
        used = dict.fromkeys([value for node in self.nodes for value in node.inputs] + list(self._graph.outputs))
        names = {node.name for node in self.nodes}
        parts = []
        for value in used:
            tensor = self._graph.constants.get(value)
            if tensor is not None:
                name = f"constant {value}" if value in names else value
                options = {"shape": list(tensor.shape), "dtype": str(tensor.dtype).removeprefix("torch.")}
                parts.append(Node(name, "Constant", options, (), (value,)))
                self.tensors[name] = {"value": tensor}
        return parts

    def operator(self, node: OnnxNode) -> None:
        """Adds an operator.

        Raises:
            ConversionError: Holdfast does not have this operator, or the operator takes other inputs or attributes.
        """
        options = arguments(node, self._graph.version)
        inputs, added = inline_constants(node, options, self._graph.constants)
        self._add(node.name, "Operator", {"op": node.op, **options, **added}, inputs, *node.outputs)

    def control(self, node: OnnxNode) -> None:
        """Adds a branch or a loop, with networks inside.

        Raises:
            ConversionError: A graph is missing, or takes or gives another number of values than the node.
        """
        attributes = ((name, node.attributes.get(name)) for name in SUBGRAPHS[node.op])
        inner = {name: graph for name, graph in attributes if isinstance(graph, Graph)}
        if set(inner) != set(SUBGRAPHS[node.op]):
            raise ConversionError(f"{node.label} has no graph {' or '.join(SUBGRAPHS[node.op])}; expected each.")
        kind, options = CONVERTERS[node.op](node, inner, self._graph)
        used = dict.fromkeys(value for graph in inner.values() for value in outer_values(graph))
        outer = [value for value in used if value not in self._graph.constants]
        self.tensors[node.name] = {}
        for name, graph in zip(INNER_NETWORKS[kind], inner.values(), strict=True):
            network, tensors = build(graph, self._graph.constants, outer, self._budget)
            options[name] = network.to_document()
            self.tensors[node.name] |= {f"{name}.{key}": tensor for key, tensor in tensors.items()}
        self._add(node.name, kind, options, (*node.inputs, *outer), *node.outputs)

    def recurrent(self, node: OnnxNode) -> None:
        """Adds a node LSTM, GRU or RNN.

        Raises:
            ConversionError: An attribute is unknown or has no counterpart, or the weights do not fit the node.
        """
        settings = onnx_recurrent.settings(node)
        names = {name: settings.inputs[name] for name in onnx_recurrent.WEIGHTS if name in settings.inputs}
        if not all(value in self._graph.constants for value in names.values()):
            options = {"op": node.op, "inputs": list(node.inputs), "outputs": len(node.outputs)}
            options["attributes"] = dict(node.attributes)
            self._add(node.name, "RecurrentOperator", options, node.inputs, *node.outputs)
            return
        weights = {name: self._graph.constants[value] for name, value in names.items()}
        self._budget.spend(node, sum(tensor.numel() for tensor in weights.values()))
        specs = onnx_recurrent.specs(node, settings, weights)
        parameters = [onnx_recurrent.parameters(node, spec, weights, number) for number, spec in enumerate(specs)]
        x, y = settings.inputs["X"], settings.outputs[0]
        states = [settings.inputs.get(f"initial_{letter}", "") for letter in specs[0].state_sizes]
        finals = list(settings.outputs[1:])
        if settings.batch_first:
            states = [self._transpose(f"{node.name}/{state}", state, [1, 0, 2]) for state in states]
            finals = [value and f"{node.name}/{value}" for value in finals]
        else:
            x = self._transpose(f"{node.name}/X", x, [1, 0, 2])
        inputs = (x, settings.inputs.get("sequence_lens", ""))
        outputs = self._layers(node.name, settings, specs, parameters, inputs, states, finals)
        if y:
            split_shape = {"op": "Reshape", "shape": [0, 0, len(specs), specs[0].hidden_size]}
            split = y if settings.batch_first else f"{node.name}/directions"
            self._add(f"{node.name}/directions", "Operator", split_shape, (outputs,), split)
            if not settings.batch_first:
                self._transpose(f"{node.name}/Y", split, [1, 2, 0, 3], y)
        if settings.batch_first:
            for value, final in zip(settings.outputs[1:], finals, strict=True):
                self._transpose(f"{node.name}/{value} out", final, [1, 0, 2], value)

    def _layers(
        self,
        name: str,
        settings: Settings,
        specs: tuple[CellSpec, ...],
        parameters: list[dict[str, Tensor]],
        inputs: tuple[str, str],
        states: list[str],
        finals: list[str],
    ) -> str:
        """Adds the layer of a node, or one layer for each direction if the two are different cells.

        The inputs are the sequences, batch first, and their lengths; the states are the parts of the initial state,
        each [directions, B, H]; the finals are names for the parts of the final state, ``""`` for an unused part.

        Returns:
            The outputs of every step, [B, T, directions * H].
        """
        if len(set(specs)) == 1:
            sizes = {name: getattr(specs[0], name) for name in ("input_size", "hidden_size", "bias")}
            options = {"cell": settings.kind, **sizes, **settings.options[0]}
            if len(specs) > 1 or settings.directions[0]:
                options["bidirectional" if len(specs) > 1 else "reverse"] = True
            self.tensors[name] = {
                f"layer.{key}{layer_suffix(0, direction)}": tensor
                for direction, tensors in enumerate(parameters)
                for key, tensor in tensors.items()
            }
            return self._add(name, "Recurrent", options, (*inputs, *states), f"{name}/outputs", "", *finals)
        ways = ("forward", "reverse")
        split_states: list[list[str]] = [[], []]
        for state in states:
            halves = [state and f"{state} {way}" for way in ways]
            if state:
                self._add(f"{name}/{state}", "Operator", {"op": "Split", "num_outputs": 2}, (state,), *halves)
            for way_states, half in zip(split_states, halves, strict=True):
                way_states.append(half)
        outputs = []
        for number, way in enumerate(ways):
            direction, options = settings.directions[number], settings.options[number]
            way_settings = settings._replace(directions=(direction,), options=(options,))
            way_finals = [value and f"{value} {way}" for value in finals]
            cell = (specs[number : number + 1], [parameters[number]])
            outputs.append(self._layers(f"{name} {way}", way_settings, *cell, inputs, split_states[number], way_finals))
        for value in filter(None, finals):
            halves = [f"{value} {way}" for way in ways]
            self._add(f"{name}/{value}", "Operator", {"op": "Concat", "axis": 0}, tuple(halves), value)
        return self._add(f"{name}/outputs", "Operator", {"op": "Concat", "axis": 2}, tuple(outputs), f"{name}/outputs")
