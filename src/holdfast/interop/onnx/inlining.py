"""Nodes put in the place of others that do the same."""

from __future__ import annotations

from collections.abc import Container, Mapping, MutableMapping, Set
from dataclasses import replace

import torch
from torch import Tensor

from holdfast.errors import ConversionError
from holdfast.interop.onnx.graph import Graph, OnnxNode, subgraphs


def expanded(node: OnnxNode, constants: MutableMapping[str, Tensor]) -> OnnxNode:
    """A node ``ConstantOfShape`` as one number that is expanded, which takes no memory; any other as it is.

    Args:
        node: The node.
        constants: The number is put here.

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


def inlined(graph: Graph, node: OnnxNode, values: Container[str], names: Set[str]) -> Graph:
    """A graph inside a node so that its nodes can stand in the node's place, and give the node's outputs.

    Args:
        graph: The graph; it has no inputs of its own.
        node: The node that it is inside of.
        values: The names of values that are taken already.
        names: Those of nodes.
    """
    own = [*graph.constants, *(value for one in graph.nodes for value in one.outputs if value)]
    renamed = {value: _free(value, node.name, values) for value in own}
    renamed = {old: new for old, new in renamed.items() if old != new}
    nodes = [renamed_in(one, renamed) for one in graph.nodes]
    nodes += [
        OnnxNode(value, "Identity", (renamed.get(result, result),), (value,), {})
        for value, result in zip(node.outputs, graph.outputs, strict=False)
        if value
    ]
    named, seen = [], set(names)
    for one in nodes:
        name = _free(one.name, node.name, seen)
        seen.add(name)
        named.append(replace(one, name=name))
    constants = {renamed.get(name, name): tensor for name, tensor in graph.constants.items()}
    return replace(graph, outputs=node.outputs, constants=constants, nodes=tuple(named))


def renamed_in(node: OnnxNode, renamed: Mapping[str, str]) -> OnnxNode:
    """A node with other names for some values, in the graphs inside it as well."""
    if not renamed:
        return node
    inside = {name: _renamed(one, renamed) for name, one in subgraphs(node).items()}
    return replace(
        node,
        inputs=tuple(renamed.get(value, value) for value in node.inputs),
        outputs=tuple(renamed.get(value, value) for value in node.outputs),
        attributes={**node.attributes, **inside},
    )


def _renamed(graph: Graph, renamed: Mapping[str, str]) -> Graph:
    own = {*graph.inputs, *graph.constants, *(value for node in graph.nodes for value in node.outputs)}
    left = {old: new for old, new in renamed.items() if old not in own}
    nodes = tuple(renamed_in(node, left) for node in graph.nodes)
    return replace(graph, outputs=tuple(left.get(value, value) for value in graph.outputs), nodes=nodes)


def _free(name: str, within: str, taken: Container[str]) -> str:
    """A name that is not taken: the name itself, or one that says where it is from."""
    if name not in taken:
        return name
    found = f"{within}/{name}"
    number = 1
    while found in taken:
        found, number = f"{within}/{name}/{number}", number + 1
    return found
