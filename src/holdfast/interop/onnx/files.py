"""ONNX files in: every node becomes a part of a :class:`~holdfast.interop.network.Network`.

Nodes LSTM, GRU and RNN become recurrent layers of Holdfast; the operators around them, torch's functions that do the
same (:mod:`~holdfast.interop.onnx.operators`).
"""

from __future__ import annotations

import inspect
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from holdfast.cells import CellSpec
from holdfast.errors import ConversionError
from holdfast.interop.network import Network, Node, with_tensors
from holdfast.interop.onnx import graph as onnx_graph
from holdfast.interop.onnx import recurrent as onnx_recurrent
from holdfast.interop.onnx import tidy as onnx_tidy
from holdfast.interop.onnx.graph import Graph, OnnxNode
from holdfast.interop.onnx.operators import OPERATORS, OUTPUTS, signature_of
from holdfast.interop.onnx.recurrent import Settings

_ALONG_ONE_AXIS = 13
"""The version of the operators from which on a softmax is along one axis."""
_SMALL = 64
"""Constants of so many whole numbers at most are written as an attribute."""


def read(path: Path | str) -> Network:
    """The network of an ONNX file, in evaluation mode.

    It is called with the graph's inputs in their order; those that the file has a value for are no inputs.

    Raises:
        ModelFileError: The file is not there, no ONNX model, damaged, or holds absurdly much.
        ConversionError: A node has no counterpart here; the message names the node, its operator and what stops it.
        MissingLibraryError: The library ``onnx`` is not installed.
    """
    path = Path(path)
    graph = onnx_graph.read(path)
    builder = _Builder(graph)
    for node in onnx_tidy.layers(graph):
        if isinstance(node, onnx_tidy.Layer):
            builder.layer(node)
        elif node.op in onnx_recurrent.KINDS:
            builder.recurrent(node)
        else:
            builder.operator(node)
    builder.nodes = onnx_tidy.joined(builder.nodes, graph.outputs, graph.constants)
    nodes = [*builder.constants(), *builder.nodes]
    with torch.device("meta"):
        network = Network(graph.inputs, graph.outputs, nodes)
    kept = {node.name for node in nodes}
    prefixes = {id(part): name for name, part in network.named_modules()}
    tensors = {
        f"{prefixes[id(network.module(name))]}.{key}": tensor
        for name, own in builder.tensors.items()
        if name in kept
        for key, tensor in own.items()
    }
    return with_tensors(network, tensors, path)


class _Builder:
    """Nodes of a network, one after the other.

    Attributes:
        nodes: Those made so far.
        tensors: The tensors of each of them that has any, by the name of the node.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
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
        taken = {value for node in self.nodes for value in node.inputs} | set(self._graph.outputs)
        names = {node.name for node in self.nodes}
        found = []
        for value, tensor in self._graph.constants.items():
            if value in taken:
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
        if node.op == "ConstantOfShape":
            node = self._expanded(node)
        if node.op not in OPERATORS:
            raise ConversionError(
                f"{node.label} has no counterpart here; docs/onnx.md lists the {len(OPERATORS)} operators that have "
                "one. Export the model without it."
            )
        if len(node.outputs) > OUTPUTS.get(node.op, 1):
            raise ConversionError(f"{node.label} gives {node.outputs}; expected at most {OUTPUTS.get(node.op, 1)}.")
        attributes = _attributes(node, self._graph.version)
        signature = signature_of(node.op)
        inputs, inlined = self._inlined(node, list(signature.parameters.values()))
        try:
            signature.bind(*inputs, **attributes, **inlined)
        except TypeError as error:
            raise ConversionError(f"{node.label} is not one that Holdfast knows: {error}.") from error
        self.add(node.name, "Operator", {"op": node.op, **attributes, **inlined}, inputs, *node.outputs)

    def _expanded(self, node: OnnxNode) -> OnnxNode:
        """A node ``ConstantOfShape`` as one number that is expanded, which takes no memory."""
        value = node.attributes.get("value", torch.zeros(1))
        if set(node.attributes) - {"value"} or not isinstance(value, Tensor) or value.numel() != 1:
            raise ConversionError(
                f"{node.label} has attributes {set(node.attributes)}; expected one number as 'value'."
            )
        name = f"{node.name}/value"
        self._graph.constants[name] = value.reshape(())
        return OnnxNode(node.name, "Expand", (name, *node.inputs), node.outputs, {})

    def _inlined(self, node: OnnxNode, known: list[inspect.Parameter]) -> tuple[tuple[str, ...], dict[str, Any]]:
        """The inputs that stay, and those at the end that the file holds as a few numbers, as arguments."""
        inputs, found = list(node.inputs), dict[str, Any]()
        while inputs:
            if inputs[-1]:
                constant = self._graph.constants.get(inputs[-1])
                parameter = known[len(inputs) - 1] if len(inputs) <= len(known) else None
                if constant is None or parameter is None or constant.numel() > _SMALL:
                    break
                if parameter.annotation == "Ints" and not constant.is_floating_point():
                    found[parameter.name] = constant.flatten().tolist()
                elif "float" in str(parameter.annotation) and constant.numel() == 1 and math.isfinite(constant):
                    found[parameter.name] = constant.item()
                else:
                    break
            inputs.pop()
        return tuple(inputs), found

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
            suffixes = ("_l0", "_l0_reverse")
            own = zip(suffixes, parameters, strict=False)
            self.tensors[name] = {f"layer.{key}{end}": tensor for end, one in own for key, tensor in one.items()}
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


def _attributes(node: OnnxNode, version: int) -> dict[str, Any]:
    """The attributes of a node as arguments of its function.

    Raises:
        ConversionError: One of them is a tensor.
    """
    found = dict(node.attributes)
    for name, value in found.items():
        if isinstance(value, Tensor):
            raise ConversionError(f"{node.label} has an attribute {name!r} that is a tensor; expected numbers.")
        if name == "op" or (isinstance(value, float) and not math.isfinite(value)):
            raise ConversionError(
                f"{node.label} has an attribute {name} = {value!r}; expected a number that is finite."
            )
    if node.op in ("Softmax", "LogSoftmax") and version < _ALONG_ONE_AXIS:
        found = {"axis": 1, **found, "flat": 1}
    if node.op == "Split" and "num_outputs" not in found:
        found["num_outputs"] = len(node.outputs)
    return found
