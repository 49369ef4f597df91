"""Recognises groups of operators that exporters write for a single layer.

ONNX's recurrent operators take the time first and have a dimension for the directions, so exporters put transpositions
around them. Where these undo one another, the layers between them are connected directly. A layer has an output of its
own for the last step; it replaces slices of the last step, and rows of final states that exporters put together.

A pattern takes the next part and returns a part that does the same in one step, or one without outputs if there is
nothing left to do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from holdfast.interop.network import Node
from holdfast.interop.onnx.parts import END, SWAPPED, Parts, last_of, removed_axis, splits, takes_all, takes_every
from holdfast.interop.onnx.registry import registrar

Pattern = Callable[[Parts, Node], Node]
_PATTERNS: dict[str, Pattern] = {}
"""The pattern of each kind of part and of each operator."""
_pattern = registrar(_PATTERNS)


def join_layers(nodes: Sequence[Node], outputs: Sequence[str]) -> list[Node]:
    """Applies the patterns, and leaves out parts whose values are not used; the outputs keep their names."""
    parts = Parts(outputs)
    for node in nodes:
        node = replace(node, inputs=tuple(map(parts.resolve, node.inputs)))
        name = str(node.options.get("op")) if node.kind == "Operator" else node.kind
        complete = node.kind != "Operator" or (len(node.outputs) == 1 and node.inputs)
        if name in _PATTERNS and complete:
            node = _PATTERNS[name](parts, node)
        if node.outputs:
            parts.keep(node)
    needed, used = set(outputs), []
    for node in reversed(parts.nodes):
        if needed & set(node.outputs):
            needed.update(node.inputs)
            used.append(node)
    return _with_output_names(used[::-1], outputs)


def _with_output_names(nodes: Sequence[Node], outputs: Sequence[str]) -> list[Node]:
    """Leaves out parts that only rename a value to an output: the value gets that name at once."""
    made = {value for node in nodes for value in node.outputs}
    names: dict[str, str] = {}
    kept = []
    for node in nodes:
        value = node.inputs[0] if node.options.get("op") == "Identity" else ""
        if value and value in made and value not in outputs and value not in names and node.outputs[0] in outputs:
            names[value] = node.outputs[0]
        else:
            kept.append(node)
    return [
        replace(
            node,
            inputs=tuple(names.get(value, value) for value in node.inputs),
            outputs=tuple(names.get(value, value) for value in node.outputs),
        )
        for node in kept
    ]


@_pattern("Identity")
def _identity(parts: Parts, node: Node) -> Node:
    return parts.alias(node, node.inputs[0])


@_pattern("Relu", "Sigmoid", "Softplus", "Softsign", "Tanh", "Softmax")
def _activation(parts: Parts, node: Node) -> Node:
    """An operator that is an activation part; a Softmax only along the last axis."""
    op, options = node.options["op"], node.options
    if op == "Softmax" and (options.get("axis", -1) != -1 or "flat" in options):
        return node
    return _over_last(parts, Node(node.name, "Activation", {"name": op.lower()}, node.inputs, node.outputs))


@_pattern("Linear", "Activation")
def _over_last(parts: Parts, node: Node) -> Node:
    """A layer over the last dimension: an exchange of the other two before it moves behind it."""
    source, perm = parts.origin(node.inputs[0])
    if perm != SWAPPED:
        return node
    before = f"{node.outputs[0]} before"
    parts.keep(replace(node, inputs=(source,), outputs=(before,)))
    return Node(f"{node.name} exchanged", "Operator", {"op": "Transpose", "perm": perm}, (before,), node.outputs)


@_pattern("Transpose")
def _transpose(parts: Parts, node: Node) -> Node:
    return parts.transpose(node, list(node.options["perm"]), node.inputs[0]) if "perm" in node.options else node


@_pattern("Reshape")
def _reshape(parts: Parts, node: Node) -> Node:
    """Puts the outputs of all directions side by side, which they were before they were split."""
    shape, (source, perm) = node.options.get("shape", []), parts.origin(node.inputs[0], 4)
    split = parts.maker(source)
    if split is None or len(shape) != 3 or list(shape[:2]) != [0, 0] or perm[2:] != [2, 3]:
        return node
    sizes = split.options.get("shape", [])
    if split.options.get("op") != "Reshape" or len(sizes) != 4 or list(sizes[:2]) != [0, 0]:
        return node
    if shape[2] not in (-1, sizes[2] * sizes[3]) or min(sizes[2:]) < 1:
        return node
    return parts.transpose(node, [*perm[:2], 2], split.inputs[0])


@_pattern("Gather", "Squeeze")
def _remove_dimension(parts: Parts, node: Node) -> Node:
    """Removes the dimension of the only direction, or takes the last step."""
    axis, place = removed_axis(node)
    if axis is None:
        return node
    value = node.inputs[0]
    cut = parts.maker(value)
    if place is None and cut is not None and last_of(cut) == axis:
        value, place = cut.inputs[0], -1  # a slice of the last step, then its dimension is removed
    source, perm = parts.origin(value)
    split = parts.maker(source)
    if split is not None and splits(split, 1) and place in (None, 0, -1):
        order = perm or [0, 1, 2, 3]
        if 0 <= axis < 4 and order[axis] == 2:
            remaining = [2 if old == 3 else old for number, old in enumerate(order) if number != axis]
            return parts.transpose(node, remaining, split.inputs[0])
    layer = None if place is None else parts.last_step_layer(source, perm or [0, 1, 2], axis, place)
    if layer is None:
        row = parts.final_h_row(value, axis, place)
        layer = None if row is None else parts.final_h_layer(row[0], directions=1)
    return node if layer is None else parts.take_last_output(node, layer)


@_pattern("Concat")
def _concat(parts: Parts, node: Node) -> Node:
    """Puts the outputs, or the final h, of both directions side by side."""
    if len(node.inputs) != 2:
        return node
    along = node.options.get("axis", 0)
    origins = [parts.origin(value) for value in node.inputs]
    if along in (-1, 2) and [perm for _, perm in origins] == [SWAPPED] * 2:
        before = f"{node.outputs[0]} before"
        inner = _concat(parts, replace(node, inputs=tuple(source for source, _ in origins), outputs=(before,)))
        if inner.outputs:
            parts.keep(inner)
        exchanged = replace(node, name=f"{node.name} exchanged")
        return parts.transpose(exchanged, SWAPPED, parts.resolve(before))
    first, second = (parts.half(value) for value in node.inputs)
    if first is None or second is None or first[:2] != second[:2] or (first[2], second[2]) != (0, 1):
        return node
    value, axis, _ = first
    layer = parts.final_h_layer(value, directions=2)
    if axis == 0 and along in (-1, 1) and layer is not None:
        return parts.take_last_output(node, layer)
    source, perm = parts.origin(value)
    split = parts.maker(source)
    if axis == 1 and along in (-1, 2) and perm == [1, 2, 0, 3] and split is not None and splits(split, 2):
        return parts.transpose(node, SWAPPED, split.inputs[0])
    return node


@_pattern("Slice")
def _slice(parts: Parts, node: Node) -> Node:
    """A slice that takes everything; and a reversal in time, whatever the order of dimensions."""
    value, options = node.inputs[0], node.options
    count = parts.final_h_rows(value)
    if (count is not None and takes_all(options, count)) or (len(node.inputs) == 1 and takes_every(options)):
        return parts.alias(node, value)
    backwards = options.get("starts") == [-1] and options.get("steps") == [-1] and options.get("ends", [0])[0] < -END
    axes = options.get("axes") or []
    source, perm = parts.origin(value, 3)
    if not backwards or len(axes) != 1 or len(perm) != 3 or not 0 <= axes[0] < 3 or perm[axes[0]] != 1:
        return node
    before = parts.maker(source)
    if before is not None and before.kind == "Flip":
        return parts.transpose(node, perm, before.inputs[0])
    if perm == [0, 1, 2]:
        return replace(node, kind="Flip", options={}, inputs=(source,))
    flipped = f"{node.outputs[0]} turned"
    parts.keep(Node(f"{node.name} turned", "Flip", {}, (source,), (flipped,)))
    return parts.transpose(node, perm, flipped)


@_pattern("Recurrent")
def _recurrent(parts: Parts, node: Node) -> Node:
    """A layer over a reversed sequence, as a layer that runs in reverse."""
    before = parts.maker(node.inputs[0])
    reversed_already = node.options.get("bidirectional") or node.options.get("reverse")
    if before is None or before.kind != "Flip" or reversed_already or any(node.inputs[1:2]):
        return node
    turned = f"{node.outputs[0]} turned" if node.outputs[0] else ""
    options = {**node.options, "reverse": True}
    layer = replace(node, options=options, inputs=(before.inputs[0], *node.inputs[1:]))
    if not turned:
        return layer
    parts.keep(replace(layer, outputs=(turned, *node.outputs[1:])))
    return Node(f"{node.name} turned", "Flip", {}, (turned,), node.outputs[:1])


def merge_directions(nodes: Sequence[Node], outputs: Sequence[str]) -> tuple[list[Node], dict[str, str]]:
    """Merges two layers of one direction each, whose outputs are put side by side, if they are the same cell.

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
