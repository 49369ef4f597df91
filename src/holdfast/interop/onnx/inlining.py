"""Replaces nodes by others that do the same, and gives the values in them free names."""

from __future__ import annotations

from collections.abc import Container, Mapping, MutableMapping, Set
from dataclasses import replace
from itertools import chain, count

import torch
from torch import Tensor

from holdfast.errors import ConversionError
from holdfast.interop.onnx.graph import Graph, OnnxNode, subgraphs


def expand_constant_of_shape(node: OnnxNode, constants: MutableMapping[str, Tensor]) -> OnnxNode:
    """Turns a node ``ConstantOfShape`` into a new constant, one number, that is expanded; this takes no memory.

    Raises:
        ConversionError: The node has other attributes than one number.
    """
    if node.op != "ConstantOfShape":
        return node
    value = node.attributes.get("value", torch.zeros(1))
    if set(node.attributes) - {"value"} or not isinstance(value, Tensor) or value.numel() != 1:
        raise ConversionError(f"{node.label} has attributes {set(node.attributes)}; expected one number as 'value'.")
    name = f"{node.name}/value"
    while name in constants:
        name += "'"
    constants[name] = value.reshape(())
    return OnnxNode(node.name, "Expand", (name, *node.inputs), node.outputs, {})


def inline(graph: Graph, node: OnnxNode, values: Container[str], names: Set[str]) -> Graph:
    """Prepares the nodes of a graph without inputs to take the place of the node around it, and to give its outputs.

    ``values`` and ``names`` are the names of values and of nodes that are in use.
    """
    inner = [*graph.constants, *(value for part in graph.nodes for value in part.outputs if value)]
    renames = {value: _free_name(value, node.name, values) for value in inner}
    renames = {old: new for old, new in renames.items() if old != new}
    nodes = [rename_values(part, renames) for part in graph.nodes]
    nodes += [
        OnnxNode(value, "Identity", (renames.get(result, result),), (value,), {})
        for value, result in zip(node.outputs, graph.outputs, strict=False)
        if value
    ]
    renamed, used = [], set(names)
    for part in nodes:
        name = _free_name(part.name, node.name, used)
        used.add(name)
        renamed.append(replace(part, name=name))
    constants = {renames.get(name, name): tensor for name, tensor in graph.constants.items()}
    return replace(graph, outputs=node.outputs, constants=constants, nodes=tuple(renamed))


def rename_values(node: OnnxNode, renames: Mapping[str, str]) -> OnnxNode:
    """Renames values in a node and in the graphs inside it."""
    if not renames:
        return node
    inside = {name: _rename_in_graph(graph, renames) for name, graph in subgraphs(node).items()}
    return replace(
        node,
        inputs=tuple(renames.get(value, value) for value in node.inputs),
        outputs=tuple(renames.get(value, value) for value in node.outputs),
        attributes={**node.attributes, **inside},
    )


def _rename_in_graph(graph: Graph, renames: Mapping[str, str]) -> Graph:
    inner = {*graph.inputs, *graph.constants, *(value for node in graph.nodes for value in node.outputs)}
    outer = {old: new for old, new in renames.items() if old not in inner}
    nodes = tuple(rename_values(node, outer) for node in graph.nodes)
    return replace(graph, outputs=tuple(outer.get(value, value) for value in graph.outputs), nodes=nodes)


def _free_name(name: str, within: str, used: Container[str]) -> str:
    """A name that is not in use: the name itself, or the name with a prefix that says where it is from."""
    prefixed = f"{within}/{name}"
    candidates = chain([name, prefixed], (f"{prefixed}/{number}" for number in count(1)))
    return next(candidate for candidate in candidates if candidate not in used)
