"""The parts of a network that is being put together, and how their values were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from holdfast.interop.network import Node

SWAPPED = [1, 0, 2]
"""The order of dimensions in which batch and time change places."""
END = 2**31 - 1
"""A slice that ends here or later ends at the end of the values."""


class Parts:
    """The parts so far.

    Attributes:
        nodes: The parts.
    """

    def __init__(self, outputs: Sequence[str]) -> None:
        self.nodes: list[Node] = []
        self._outputs = set(outputs)  # of the network: these keep their names
        self._aliases: dict[str, str] = {}  # a value that was left out, and the earlier value that it equals
        self._makers: dict[str, Node] = {}
        self._places: dict[str, int] = {}  # of each node among the nodes

    def resolve(self, value: str) -> str:
        """The value that stands for this one."""
        return self._aliases.get(value, value)

    def keep(self, node: Node) -> None:
        """Adds a part."""
        self._places[node.name] = len(self.nodes)
        self.nodes.append(node)
        self._makers.update((value, node) for value in node.outputs if value)

    def maker(self, value: str) -> Node | None:
        """The part that gives a value; None for an input of the network."""
        return self._makers.get(value)

    def origin(self, value: str, rank: int | None = None) -> tuple[str, list[int]]:
        """The value that this one transposes, and the order; else itself, and the order of ``rank`` dimensions."""
        node = self._makers.get(value)
        if node is not None and node.options.get("op") == "Transpose" and "perm" in node.options:
            return node.inputs[0], list(node.options["perm"])
        return value, list(range(rank or 0))

    def alias(self, node: Node, value: str) -> Node:
        """Leaves out a part whose output equals a value, unless the output is an output of the network."""
        if self._outputs & set(node.outputs):
            return replace(node, kind="Operator", options={"op": "Identity"}, inputs=(value,))
        self._aliases[node.outputs[0]] = value
        return replace(node, outputs=())

    def transpose(self, node: Node, perm: list[int], value: str) -> Node:
        """A part that gives the value with its dimensions reordered; transpositions in a row become one."""
        source, before = self.origin(value, len(perm))
        if len(before) != len(perm):
            return node
        order = [before[axis] for axis in perm]
        if order == list(range(len(order))):
            return self.alias(node, source)
        return replace(node, kind="Operator", options={"op": "Transpose", "perm": order}, inputs=(source,))

    def take_last_output(self, node: Node, layer: Node) -> Node:
        """Gives the output of a part by the layer's own output for the final h, with the directions side by side."""
        if layer.outputs[1:2] != ("",) and layer.outputs[1:]:
            return self.alias(node, layer.outputs[1])
        place = self._places[layer.name]
        changed = replace(layer, outputs=(layer.outputs[0], node.outputs[0], *layer.outputs[2:]))
        self.nodes[place] = changed
        self._makers.update((value, changed) for value in changed.outputs if value)
        return replace(node, outputs=())

    def last_step_layer(self, source: str, perm: list[int], axis: int, place: int) -> Node | None:
        """The layer whose last step, in its direction, is at that place along an axis of its transposed outputs."""
        layer = self._makers.get(source)
        if layer is None or layer.kind != "Recurrent" or layer.outputs[0] != source or any(layer.inputs[1:2]):
            return None
        if len(perm) != 3 or not -3 <= axis < 3 or layer.options.get("bidirectional"):
            return None
        remaining = [dimension for number, dimension in enumerate(perm) if number != axis % 3]
        return layer if remaining == [0, 2] and place == (0 if layer.options.get("reverse") else -1) else None

    def final_h_layer(self, value: str, directions: int) -> Node | None:
        """The layer with that number of directions whose final h is the value."""
        layer = self._makers.get(value)
        return layer if layer is not None and self.final_h_rows(value) == directions else None

    def final_h_rows(self, value: str) -> int | None:
        """The number of rows of a final h, one per direction; None for another value."""
        layer = self._makers.get(value)
        if layer is None or layer.kind != "Recurrent" or layer.outputs[2:3] != (value,):
            return None
        return 2 if layer.options.get("bidirectional") else 1

    def final_h_row(self, value: str, axis: int, place: int | None) -> tuple[str, int] | None:
        """The final h, and the row of it, at that place of a final h or of several joined ones."""
        if axis != 0:
            return None
        joined: Sequence[str] = (value,)
        node = self._makers.get(value)
        if node is not None and node.options.get("op") == "Concat" and node.options.get("axis") == 0:
            joined = node.inputs
        counts = [self.final_h_rows(part) for part in joined]
        total = sum(count for count in counts if count is not None)
        place = 0 if place is None and total == 1 else place
        if None in counts or place is None or not -total <= place < total:
            return None
        rows = [(part, row) for part, count in zip(joined, counts, strict=True) for row in range(count or 0)]
        return rows[place]

    def half(self, value: str) -> tuple[str, int, int] | None:
        """The value of which this one is a slice of size 1 of 2, the axis and the place; None if it is no slice."""
        node = self._makers.get(value)
        if node is None or node.options.get("op") not in ("Gather", "Squeeze"):
            return None
        axis, place = removed_axis(node)
        value = node.inputs[0]
        cut = self._makers.get(value)
        if place is None and cut is not None and cut.options.get("op") == "Slice":
            axes, starts, ends = (cut.options.get(name, []) for name in ("axes", "starts", "ends"))
            if len(starts) != 1 or axes != [axis] or not takes_one(starts[0], ends, cut.options.get("steps", [1])):
                return None
            value, place = cut.inputs[0], starts[0]
        if axis is None or place is None:
            return None
        row = self.final_h_row(value, axis, place)
        return (row[0], 0, row[1]) if row is not None else (value, axis, place % 2 if place >= -2 else place)


def removed_axis(node: Node) -> tuple[int | None, int | None]:
    """The axis that a Squeeze or Gather removes, and the place along it that stays; None for the only place."""
    if node.options["op"] == "Squeeze":
        axes = node.options.get("axes") or []
        return (axes[0], None) if len(axes) == 1 else (None, None)
    place = node.options.get("place")
    return (None, None) if place is None else (node.options.get("axis", 0), place)


def splits(node: Node, directions: int) -> bool:
    """Whether a part splits the outputs [B, T, D * H] of that number of directions D into [B, T, D, H]."""
    return node.options.get("op") == "Reshape" and list(node.options.get("shape", [])[:3]) == [0, 0, directions]


def takes_one(start: int, ends: Sequence[int], steps: Sequence[int]) -> bool:
    """Whether a slice takes a single place."""
    return list(steps) == [1] and (list(ends) == [start + 1] or (start == -1 and len(ends) == 1 and ends[0] >= END))


def last_of(node: Node) -> int | None:
    """The axis along which a slice takes the last place; None for another part."""
    cut = [list(node.options.get(name) or []) for name in ("axes", "starts", "ends")]
    if node.options.get("op") != "Slice" or any(len(numbers) != 1 for numbers in cut) or len(node.inputs) != 1:
        return None
    (axis,), (start,), ends = cut
    return int(axis) if start == -1 and takes_one(-1, ends, node.options.get("steps", [1])) else None


def takes_every(options: Mapping[str, Any]) -> bool:
    """Whether a slice takes all values, whatever the sizes."""
    starts, ends, steps = (list(options.get(name) or []) for name in ("starts", "ends", "steps"))
    return bool(ends) and not any(starts) and min(ends) >= END and all(step == 1 for step in steps)


def takes_all(options: Mapping[str, Any], count: int) -> bool:
    """Whether a slice takes all of a first dimension of that size."""
    cut = [options.get(name, [0 if name == "axes" else 1]) for name in ("axes", "starts", "ends", "steps")]
    if any(len(numbers) != 1 for numbers in cut) or cut[0] != [0]:
        return False
    (_,), (start,), (end,), (step,) = cut
    return bool(step) and list(range(count)[start:end:step]) == list(range(count))
