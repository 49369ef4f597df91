"""Merges two layers of one direction each, whose outputs are put side by side, into one layer of both directions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from holdfast.interop.network import Node


def merge_directions(nodes: Sequence[Node], outputs: Sequence[str]) -> tuple[list[Node], dict[str, str]]:
    """Merges pairs of layers that are the same cell.

    Args:
        nodes: The parts of a network.
        outputs: The values that the network gives.

    Returns:
        The parts; and for each merged layer, the name of the layer that ran in reverse.
    """
    uses = Counter([*outputs, *(value for node in nodes for value in node.inputs if value)])
    makers = {value: node for node in nodes for value in node.outputs if value}
    merged: dict[str, Node] = {}
    removed, reverse_layers = set[str](), dict[str, str]()
    for node in nodes:
        pair = _pair(node, makers, uses)
        if pair is not None:
            forwards, backwards = pair
            layer_outputs = node.outputs if forwards.outputs[0] == node.inputs[0] else ("", *node.outputs)
            options = {**forwards.options, "bidirectional": True}
            merged[forwards.name] = replace(forwards, options=options, outputs=layer_outputs)
            reverse_layers[forwards.name] = backwards.name
            removed |= {node.name, backwards.name}
    return [merged.get(node.name, node) for node in nodes if node.name not in removed], reverse_layers


def _pair(node: Node, makers: Mapping[str, Node], uses: Mapping[str, int]) -> tuple[Node, Node] | None:
    """The two layers whose outputs a part puts side by side; None for another part."""
    axis = node.options.get("axis")
    if node.options.get("op") != "Concat" or len(node.inputs) != 2 or not all(value in makers for value in node.inputs):
        return None
    forwards, backwards = layers = tuple(makers[value] for value in node.inputs)
    if forwards.kind != "Recurrent" or forwards.inputs != backwards.inputs or any(forwards.inputs[1:]):
        return None
    if "reverse" in forwards.options or {**forwards.options, "reverse": True} != backwards.options:
        return None
    if any(sum(uses[value] for value in layer.outputs if value) != 1 for layer in layers):
        return None
    places = [layer.outputs.index(value) for layer, value in zip(layers, node.inputs, strict=True)]
    fits = (places == [0, 0] and axis in (-1, 2)) or (places == [1, 1] and axis in (-1, 1))
    return (forwards, backwards) if fits else None
