"""Two layers of one direction each that are side by side, as one layer of both directions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from holdfast.interop.network import Node


def merged(nodes: Sequence[Node], outputs: Sequence[str]) -> tuple[list[Node], dict[str, str]]:
    """The parts with one layer of both directions for two that are the same cell and are put side by side.

    Args:
        nodes: The parts.
        outputs: The values that the network gives.

    Returns:
        The parts, and for each layer that has both directions now the name of the one that ran in reverse.
    """
    uses = Counter([*outputs, *(value for node in nodes for value in node.inputs if value)])
    made = {value: node for node in nodes for value in node.outputs if value}
    both: dict[str, Node] = {}
    joins, halves = set[str](), dict[str, str]()
    for node in nodes:
        pair = _pair(node, made, uses)
        if pair is not None:
            forwards, backwards = pair
            given = node.outputs if forwards.outputs[0] == node.inputs[0] else ("", *node.outputs)
            options = {**forwards.options, "bidirectional": True}
            both[forwards.name] = replace(forwards, options=options, outputs=given)
            halves[forwards.name] = backwards.name
            joins |= {node.name, backwards.name}
    return [both.get(node.name, node) for node in nodes if node.name not in joins], halves


def _pair(node: Node, made: Mapping[str, Node], uses: Mapping[str, int]) -> tuple[Node, Node] | None:
    """The two layers that a part puts side by side; None where it does something else."""
    axis = node.options.get("axis")
    if node.options.get("op") != "Concat" or len(node.inputs) != 2 or not all(value in made for value in node.inputs):
        return None
    forwards, backwards = (made[value] for value in node.inputs)
    if forwards.kind != "Recurrent" or forwards.inputs != backwards.inputs or any(forwards.inputs[1:]):
        return None
    if "reverse" in forwards.options or {**forwards.options, "reverse": True} != backwards.options:
        return None
    if any(sum(uses[value] for value in one.outputs if value) != 1 for one in (forwards, backwards)):
        return None
    places = [one.outputs.index(value) for one, value in zip((forwards, backwards), node.inputs, strict=True)]
    fits = (places == [0, 0] and axis in (-1, 2)) or (places == [1, 1] and axis in (-1, 1))
    return (forwards, backwards) if fits else None
