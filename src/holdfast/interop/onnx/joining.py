"""Groups of operators that stand for one layer: what exporters write in several steps, read as the one that was meant.

ONNX's recurrent operators take the time first and give a dimension for the directions, so exporters put transpositions
around them; where these undo one another, the layers that they are between follow one another directly. The last step
of a layer's outputs is its own output for that, and so are the rows of final states that exporters put together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from holdfast.interop.network import Node
from holdfast.interop.onnx.slices import END, is_one, last_of, splits, takes_all, takes_every

_ACTIVATIONS = {"Relu": "relu", "Sigmoid": "sigmoid", "Softplus": "softplus", "Softsign": "softsign", "Tanh": "tanh"}
_SWAPPED = [1, 0, 2]


def joined(nodes: Sequence[Node], outputs: Sequence[str]) -> list[Node]:
    """The parts of a network without those that undo one another, and without those whose values nobody takes.

    Args:
        nodes: The parts.
        outputs: The values that the network gives; these keep their names.
    """
    kept = _Joining(outputs)
    for node in nodes:
        kept.add(node)
    wanted, found = set(outputs), []
    for node in reversed(kept.nodes):
        if wanted & set(node.outputs):
            wanted.update(node.inputs)
            found.append(node)
    return _named_as_given(found[::-1], outputs)


def _named_as_given(nodes: Sequence[Node], outputs: Sequence[str]) -> list[Node]:
    """The parts without those that only give a value the name of an output: the value has that name from the start."""
    made = {value for node in nodes for value in node.outputs}
    names: dict[str, str] = {}
    left = []
    for node in nodes:
        value = node.inputs[0] if node.options.get("op") == "Identity" else ""
        if value and value in made and value not in outputs and value not in names and node.outputs[0] in outputs:
            names[value] = node.outputs[0]
        else:
            left.append(node)
    return [
        replace(
            node,
            inputs=tuple(names.get(value, value) for value in node.inputs),
            outputs=tuple(names.get(value, value) for value in node.outputs),
        )
        for node in left
    ]


class _Joining:
    """Parts so far, and how their values came about."""

    def __init__(self, outputs: Sequence[str]) -> None:
        self.nodes: list[Node] = []
        self._outputs = set(outputs)
        self._same: dict[str, str] = {}  # a value and an earlier one that is the same
        self._source: dict[str, Node] = {}
        self._place: dict[str, int] = {}  # of each node among the nodes

    def add(self, node: Node) -> None:
        """Takes in the next part."""
        node = replace(node, inputs=tuple(self._same.get(value, value) for value in node.inputs))
        node = self._simpler(node)
        if node.outputs:
            self._keep(node)

    def _keep(self, node: Node) -> None:
        self._place[node.name] = len(self.nodes)
        self.nodes.append(node)
        self._source.update((value, node) for value in node.outputs if value)

    def _simpler(self, node: Node) -> Node:
        """The part, or one that does the same in one step; one without outputs where there is nothing left to do."""
        op, options = node.options.get("op"), node.options
        if node.kind == "Recurrent":
            return self._backwards(node)
        if node.kind in ("Linear", "Activation"):
            return self._before_transposition(node)
        if node.kind != "Operator" or len(node.outputs) != 1 or not node.inputs:
            return node
        if op in _ACTIVATIONS or (op == "Softmax" and options.get("axis", -1) == -1 and "flat" not in options):
            named = {"name": _ACTIVATIONS.get(str(op), "softmax")}
            return self._before_transposition(Node(node.name, "Activation", named, node.inputs, node.outputs))
        if op == "Identity":
            return self._alias(node, node.inputs[0])
        if op == "Transpose" and "perm" in options:
            return self._transposed(node, list(options["perm"]), node.inputs[0])
        if op == "Concat" and len(node.inputs) == 2:
            return self._both_directions(node)
        if op == "Slice":
            return self._sliced(node)
        if op == "Reshape":
            return self._reshaped(node)
        if op in ("Gather", "Squeeze"):
            return self._without_dimension(node)
        return node

    def _origin(self, value: str, rank: int | None = None) -> tuple[str, list[int]]:
        """The value that one is a transposition of, and the order of its dimensions; a value itself, of that rank."""
        node = self._source.get(value)
        if node is not None and node.options.get("op") == "Transpose" and "perm" in node.options:
            return node.inputs[0], list(node.options["perm"])
        return value, list(range(rank or 0))

    def _transposed(self, node: Node, perm: list[int], value: str) -> Node:
        """A part that gives a value with its dimensions in another order: of the value that this one is made of."""
        source, before = self._origin(value, len(perm))
        if len(before) != len(perm):
            return node
        order = [before[axis] for axis in perm]
        if order == list(range(len(order))):
            return self._alias(node, source)
        return replace(node, kind="Operator", options={"op": "Transpose", "perm": order}, inputs=(source,))

    def _before_transposition(self, node: Node) -> Node:
        """A layer over the last dimension, where its input has two others exchanged: these are exchanged behind it."""
        source, perm = self._origin(node.inputs[0])
        if perm != _SWAPPED:
            return node
        before = f"{node.outputs[0]} before"
        self._keep(replace(node, inputs=(source,), outputs=(before,)))
        return Node(f"{node.name} exchanged", "Operator", {"op": "Transpose", "perm": perm}, (before,), node.outputs)

    def _alias(self, node: Node, value: str) -> Node:
        """Leaves a part out whose output is a value that is there, unless the network gives it under its own name."""
        if self._outputs & set(node.outputs):
            return replace(node, kind="Operator", options={"op": "Identity"}, inputs=(value,))
        self._same[node.outputs[0]] = value
        return replace(node, outputs=())

    def _reshaped(self, node: Node) -> Node:
        """The outputs of all directions side by side."""
        shape, (source, perm) = node.options.get("shape", []), self._origin(node.inputs[0], 4)
        apart = self._source.get(source)
        if apart is None or len(shape) != 3 or list(shape[:2]) != [0, 0] or perm[2:] != [2, 3]:
            return node
        sizes = apart.options.get("shape", [])
        if apart.options.get("op") != "Reshape" or len(sizes) != 4 or list(sizes[:2]) != [0, 0]:
            return node
        if shape[2] not in (-1, sizes[2] * sizes[3]) or min(sizes[2:]) < 1:
            return node
        return self._transposed(node, [*perm[:2], 2], apart.inputs[0])

    def _without_dimension(self, node: Node) -> Node:
        """What takes a dimension away: that of the one direction, or all steps but the last."""
        axis, place = self._taken(node)
        if axis is None:
            return node
        value = node.inputs[0]
        cut = self._source.get(value)
        if place is None and cut is not None and last_of(cut) == axis:
            value, place = cut.inputs[0], -1  # a slice of the last step, and its dimension taken away
        source, perm = self._origin(value)
        apart = self._source.get(source)
        if apart is not None and splits(apart, 1) and place in (None, 0, -1):
            order = perm or [0, 1, 2, 3]
            if 0 <= axis < 4 and order[axis] == 2:
                left = [2 if one == 3 else one for number, one in enumerate(order) if number != axis]
                return self._transposed(node, left, apart.inputs[0])
        if place is not None and self._is_last_step(source, perm or [0, 1, 2], axis, place):
            return self._last_hidden(node, self._source[source])
        part = self._row(value, axis, place)
        if part is not None and self._directions(part[0]) == 1:
            return self._last_hidden(node, self._source[part[0]])
        return node

    def _taken(self, node: Node) -> tuple[int | None, int | None]:
        """The axis that an operator takes away, and the place along it that it keeps, None where there is one only."""
        if node.options["op"] == "Squeeze":
            axes = node.options.get("axes") or []
            return (axes[0], None) if len(axes) == 1 else (None, None)
        place = node.options.get("place")
        return (None, None) if place is None else (node.options.get("axis", 0), place)

    def _is_last_step(self, source: str, perm: list[int], axis: int, place: int) -> bool:
        """Whether a place along an axis of a layer's outputs is the step that it runs over last."""
        layer = self._source.get(source)
        if layer is None or layer.kind != "Recurrent" or layer.outputs[0] != source or any(layer.inputs[1:2]):
            return False
        if len(perm) != 3 or not -3 <= axis < 3 or layer.options.get("bidirectional"):
            return False
        left = [one for number, one in enumerate(perm) if number != axis % 3]
        return left == [0, 2] and place == (0 if layer.options.get("reverse") else -1)

    def _directions(self, value: str) -> int | None:
        """The rows of a final h, as many as there are directions; None for another value."""
        layer = self._source.get(value)
        if layer is None or layer.kind != "Recurrent" or layer.outputs[2:3] != (value,):
            return None
        return 2 if layer.options.get("bidirectional") else 1

    def _row(self, value: str, axis: int, place: int | None) -> tuple[str, int] | None:
        """The final h that a row is of, and which row of it; None for a row of another value."""
        if axis != 0:
            return None
        parts: Sequence[str] = (value,)
        node = self._source.get(value)
        if node is not None and node.options.get("op") == "Concat" and node.options.get("axis") == 0:
            parts = node.inputs
        counts = [self._directions(part) for part in parts]
        total = sum(count for count in counts if count is not None)
        place = 0 if place is None and total == 1 else place
        if None in counts or place is None or not -total <= place < total:
            return None
        place %= total
        for part, count in zip(parts, counts, strict=True):
            assert count is not None
            if place < count:
                return part, place
            place -= count
        return None

    def _both_directions(self, node: Node) -> Node:
        """The outputs, or the final h, of both directions side by side."""
        along = node.options.get("axis", 0)
        origins = [self._origin(value) for value in node.inputs]
        if along in (-1, 2) and [perm for _, perm in origins] == [_SWAPPED] * 2:
            before = f"{node.outputs[0]} before"
            inner = self._both_directions(
                replace(node, inputs=tuple(source for source, _ in origins), outputs=(before,))
            )
            if inner.outputs:
                self._keep(inner)
            exchanged = replace(node, name=f"{node.name} exchanged")
            return self._transposed(exchanged, _SWAPPED, self._same.get(before, before))
        rows = [self._half(value) for value in node.inputs]
        if rows[0] is None or rows[1] is None or rows[0][:2] != rows[1][:2] or [rows[0][2], rows[1][2]] != [0, 1]:
            return node
        value, axis, _ = rows[0]
        if axis == 0 and along in (-1, 1) and self._directions(value) == 2:
            return self._last_hidden(node, self._source[value])
        source, perm = self._origin(value)
        apart = self._source.get(source)
        if axis == 1 and along in (-1, 2) and perm == [1, 2, 0, 3] and apart is not None and splits(apart, 2):
            return self._transposed(node, _SWAPPED, apart.inputs[0])
        return node

    def _half(self, value: str) -> tuple[str, int, int] | None:
        """Of what value, along which axis and at which place a value is one of two slices; None where it is none."""
        node = self._source.get(value)
        if node is None or node.options.get("op") not in ("Gather", "Squeeze"):
            return None
        axis, place = self._taken(node)
        value = node.inputs[0]
        cut = self._source.get(value)
        if place is None and cut is not None and cut.options.get("op") == "Slice":
            axes, starts, ends = (cut.options.get(name, []) for name in ("axes", "starts", "ends"))
            if len(starts) != 1 or axes != [axis] or not is_one(starts[0], ends, cut.options.get("steps", [1])):
                return None
            value, place = cut.inputs[0], starts[0]
        if axis is None or place is None:
            return None
        row = self._row(value, axis, place)
        return (row[0], 0, row[1]) if row is not None else (value, axis, place % 2 if place >= -2 else place)

    def _sliced(self, node: Node) -> Node:
        """All of a final h as it is; and what is turned around in time, whatever the order of dimensions."""
        value, options = node.inputs[0], node.options
        count = self._directions(value)
        if (count is not None and takes_all(options, count)) or (len(node.inputs) == 1 and takes_every(options)):
            return self._alias(node, value)
        turned = options.get("starts") == [-1] and options.get("steps") == [-1] and options.get("ends", [0])[0] < -END
        axes = options.get("axes") or []
        source, perm = self._origin(value, 3)
        if not turned or len(axes) != 1 or len(perm) != 3 or not 0 <= axes[0] < 3 or perm[axes[0]] != 1:
            return node
        before = self._source.get(source)
        if before is not None and before.kind == "Flip":
            return self._transposed(node, perm, before.inputs[0])
        if perm == [0, 1, 2]:
            return replace(node, kind="Flip", options={}, inputs=(source,))
        flipped = f"{node.outputs[0]} turned"
        self._keep(Node(f"{node.name} turned", "Flip", {}, (source,), (flipped,)))
        return self._transposed(node, perm, flipped)

    def _backwards(self, node: Node) -> Node:
        """A layer over a sequence that was turned around, as one that runs in reverse."""
        before = self._source.get(node.inputs[0])
        both = node.options.get("bidirectional") or node.options.get("reverse")
        if before is None or before.kind != "Flip" or both or any(node.inputs[1:2]):
            return node
        turned = f"{node.outputs[0]} turned" if node.outputs[0] else ""
        options = {**node.options, "reverse": True}
        layer = replace(node, options=options, inputs=(before.inputs[0], *node.inputs[1:]))
        if not turned:
            return layer
        self._keep(replace(layer, outputs=(turned, *node.outputs[1:])))
        return Node(f"{node.name} turned", "Flip", {}, (turned,), node.outputs[:1])

    def _last_hidden(self, node: Node, layer: Node) -> Node:
        """Takes the final h of a layer, its directions side by side, from its own output for it."""
        if layer.outputs[1:2] != ("",) and layer.outputs[1:]:
            return self._alias(node, layer.outputs[1])
        place = self._place[layer.name]
        changed = replace(layer, outputs=(layer.outputs[0], node.outputs[0], *layer.outputs[2:]))
        self.nodes[place] = changed
        self._source.update((value, changed) for value in changed.outputs if value)
        return replace(node, outputs=())
