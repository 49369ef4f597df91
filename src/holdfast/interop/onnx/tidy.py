"""Groups of operators that stand for one layer: what exporters write in several steps, read as the one that was meant.

ONNX's recurrent operators take the time first and give a dimension for the directions, so exporters put transpositions
around them; where these undo one another, the layers that they are between follow one another directly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from torch import Tensor

from holdfast.interop.network import Node
from holdfast.interop.onnx.graph import Graph, OnnxNode, all_inputs

_ACTIVATIONS = {"Relu": "relu", "Sigmoid": "sigmoid", "Softplus": "softplus", "Softsign": "softsign", "Tanh": "tanh"}
_SWAPPED = [1, 0, 2]


class Layer(NamedTuple):
    """A part of a network with the tensors of its module."""

    node: Node
    tensors: dict[str, Tensor]


def layers(graph: Graph) -> list[OnnxNode | Layer]:
    """The nodes of a graph, products with a matrix of the file as linear layers and look-ups in one as embeddings."""
    uses = Counter([value for node in graph.nodes for value in all_inputs(node)] + list(graph.outputs))
    adds = {value: node for node in graph.nodes if node.op == "Add" for value in node.inputs if uses[value] == 1}
    found: list[OnnxNode | Layer] = []
    joined: set[str] = set()
    for node in graph.nodes:
        if node.name in joined:
            continue
        layer = None
        if len(node.inputs) > 1 and len(node.outputs) == 1:
            if node.op == "Gather":
                layer = _embedding(node, graph.constants)
            elif node.op == "Gemm":
                layer = _gemm(node, graph.constants)
            elif node.op == "MatMul":
                add = adds.get(node.outputs[0])
                layer = _product(node, add, graph.constants)
                if layer and add and layer.node.outputs == add.outputs:
                    joined.add(add.name)
        found.append(layer or node)
    return found


def _matrix(value: str, constants: Mapping[str, Tensor]) -> Tensor | None:
    tensor = constants.get(value)
    return tensor if tensor is not None and tensor.ndim == 2 and tensor.is_floating_point() and tensor.numel() else None


def _embedding(node: OnnxNode, constants: Mapping[str, Tensor]) -> Layer | None:
    weight = _matrix(node.inputs[0], constants)
    if weight is None or node.inputs[1] in constants or node.attributes.get("axis", 0) != 0:
        return None
    options = {"num_embeddings": weight.shape[0], "embedding_dim": weight.shape[1]}
    return Layer(Node(node.name, "Embedding", options, node.inputs[1:], node.outputs), {"weight": weight})


def _gemm(node: OnnxNode, constants: Mapping[str, Tensor]) -> Layer | None:
    weight = _matrix(node.inputs[1], constants)
    plain = {"alpha": 1.0, "beta": 1.0, "transA": 0}
    if weight is None or any(node.attributes.get(name, value) != value for name, value in plain.items()):
        return None
    rows = weight if node.attributes.get("transB", 0) else weight.T
    bias = constants.get(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None
    if len(node.inputs) > 2 and node.inputs[2] and not _fits(bias, rows):
        return None
    return _linear(node, rows, bias, node.outputs, constants)


def _product(node: OnnxNode, add: OnnxNode | None, constants: Mapping[str, Tensor]) -> Layer | None:
    weight = _matrix(node.inputs[1], constants)
    if weight is None:
        return None
    bias = None
    if add is not None and len(add.inputs) == 2:
        bias = constants.get(add.inputs[add.inputs[0] == node.outputs[0]])
    if add is None or not _fits(bias, weight.T):
        return _linear(node, weight.T, None, node.outputs, constants)
    return _linear(node, weight.T, bias, add.outputs, constants)


def _fits(bias: Tensor | None, rows: Tensor) -> bool:
    return bias is not None and bias.shape == rows.shape[:1] and bias.dtype == rows.dtype


def _linear(
    node: OnnxNode, rows: Tensor, bias: Tensor | None, outputs: tuple[str, ...], constants: Mapping[str, Tensor]
) -> Layer | None:
    if node.inputs[0] in constants:
        return None
    options = {"in_features": rows.shape[1], "out_features": rows.shape[0], "bias": bias is not None}
    tensors = {"weight": rows.contiguous()} | ({} if bias is None else {"bias": bias})
    return Layer(Node(node.name, "Linear", options, node.inputs[:1], outputs), tensors)


def joined(nodes: Sequence[Node], outputs: Sequence[str], constants: Mapping[str, Tensor]) -> list[Node]:
    """The parts of a network without those that undo one another, and without those whose values nobody takes.

    Args:
        nodes: The parts.
        outputs: The values that the network gives; these keep their names.
        constants: The values of the file, some of which are places to gather from.
    """
    kept = _Joining(outputs, constants)
    for node in nodes:
        kept.add(node)
    wanted, found = set(outputs), []
    for node in reversed(kept.nodes):
        if wanted & set(node.outputs):
            wanted.update(node.inputs)
            found.append(node)
    return found[::-1]


class _Joining:
    """Parts so far, and how their values came about."""

    def __init__(self, outputs: Sequence[str], constants: Mapping[str, Tensor]) -> None:
        self.nodes: list[Node] = []
        self._outputs, self._constants = set(outputs), constants
        self._same: dict[str, str] = {}  # a value and an earlier one that is the same
        self._source: dict[str, Node] = {}

    def add(self, node: Node) -> None:
        """Takes in the next part."""
        node = replace(node, inputs=tuple(self._same.get(value, value) for value in node.inputs))
        node = self._simpler(node)
        if not node.outputs:
            return
        self.nodes.append(node)
        self._source.update((value, node) for value in node.outputs if value)

    def _simpler(self, node: Node) -> Node:
        """The part, or one that does the same in one step; one without outputs where there is nothing left to do."""
        op, options = node.options.get("op"), node.options
        if node.kind != "Operator" or len(node.outputs) != 1 or not node.inputs:
            return node
        if op in _ACTIVATIONS or (op == "Softmax" and options.get("axis", -1) == -1 and "flat" not in options):
            named = {"name": _ACTIVATIONS.get(str(op), "softmax")}
            return Node(node.name, "Activation", named, node.inputs, node.outputs)
        if op == "Identity":
            return self._alias(node, node.inputs[0])
        before = self._source.get(node.inputs[0])
        if before is None:
            return node
        if _perm(node) == _perm(before) == _SWAPPED:
            return self._alias(node, before.inputs[0])
        if _perm(before) == [1, 2, 0, 3] and self._drops_direction(node, axis=1):
            apart = self._source.get(before.inputs[0])
            if apart is not None and _splits(apart, 1):
                return replace(node, options={"op": "Transpose", "perm": _SWAPPED}, inputs=apart.inputs)
        if op == "Concat" and len(node.inputs) == 2:
            return self._both_directions(node)
        if before.kind == "Recurrent" and before.outputs[2:3] == node.inputs[:1]:  # h after the last step
            count = 2 if before.options.get("bidirectional") else 1
            if count == 1 and self._drops_direction(node, axis=0):
                return self._last_hidden(node, before)
            if op == "Slice" and _takes_all(options, count):
                return self._alias(node, node.inputs[0])
        return node

    def _both_directions(self, node: Node) -> Node:
        """The outputs, or the final h, of both directions side by side."""
        halves = [self._direction(value) for value in node.inputs]
        if halves[0] is None or halves[1] is None or halves[0][:2] != halves[1][:2]:
            return node
        value, axis, _ = halves[0]
        whole, along = self._source.get(value), node.options.get("axis", 0)
        if whole is None or [halves[0][2], halves[1][2]] != [0, 1]:
            return node
        if axis == 1 and along in (-1, 2) and _perm(whole) == [1, 2, 0, 3]:
            apart = self._source.get(whole.inputs[0])
            if apart is not None and _splits(apart, 2):
                return replace(node, options={"op": "Transpose", "perm": _SWAPPED}, inputs=apart.inputs)
        both = whole.kind == "Recurrent" and whole.options.get("bidirectional")
        if axis == 0 and along in (-1, 1) and both and whole.outputs[2:3] == (value,):
            return self._last_hidden(node, whole)
        return node

    def _direction(self, value: str) -> tuple[str, int, int] | None:
        """Of what value, along which axis and at which place a value is one slice; None where it is none."""
        node = self._source.get(value)
        if node is None or not node.inputs:
            return None
        if node.options.get("op") == "Gather":
            place = self._constants.get(node.inputs[1])
            known = place is not None and place.ndim == 0
            return (node.inputs[0], node.options.get("axis", 0), int(place)) if known else None  # type: ignore[arg-type]
        cut = self._source.get(node.inputs[0])
        if node.options.get("op") != "Squeeze" or cut is None or cut.options.get("op") != "Slice":
            return None
        axes, starts, ends = (cut.options.get(name, []) for name in ("axes", "starts", "ends"))
        if len(starts) != 1 or ends != [starts[0] + 1] or axes != node.options.get("axes") or starts[0] < 0:
            return None
        return cut.inputs[0], axes[0], starts[0]

    def _alias(self, node: Node, value: str) -> Node:
        """Leaves a part out whose output is a value that is there, unless the network gives it under its own name."""
        if self._outputs & set(node.outputs):
            return replace(node, options={"op": "Identity"}, inputs=(value,))
        self._same[node.outputs[0]] = value
        return replace(node, outputs=())

    def _drops_direction(self, node: Node, axis: int) -> bool:
        """Whether an operator takes away a dimension of size 1."""
        options: Mapping[str, Any] = node.options
        if options["op"] == "Squeeze":
            return options.get("axes") == [axis]
        if options["op"] != "Gather" or options.get("axis", 0) != axis:
            return False
        place = self._constants.get(node.inputs[1])
        return place is not None and place.ndim == 0 and int(place) in (0, -1)

    def _last_hidden(self, node: Node, layer: Node) -> Node:
        """Takes the final h of a layer of one direction from its own output for it."""
        if layer.outputs[1]:
            return self._alias(node, layer.outputs[1])
        place = next(number for number, one in enumerate(self.nodes) if one.name == layer.name)
        changed = replace(layer, outputs=(layer.outputs[0], node.outputs[0], *layer.outputs[2:]))
        self.nodes[place] = changed
        self._source.update((value, changed) for value in changed.outputs if value)
        return replace(node, outputs=())


def _perm(node: Node) -> Any:
    """The order of a transposition; None for any other part."""
    return node.options.get("perm") if node.options.get("op") == "Transpose" else None


def _splits(node: Node, directions: int) -> bool:
    """Whether a part gives the outputs of so many directions [B, T, D * H] a dimension for these."""
    return node.options.get("op") == "Reshape" and node.options.get("shape", [])[:3] == [0, 0, directions]


def _takes_all(options: Mapping[str, Any], count: int) -> bool:
    """Whether a slice of a first dimension of that size is all of it."""
    cut = [options.get(name, [0 if name == "axes" else 1]) for name in ("axes", "starts", "ends", "steps")]
    if any(len(numbers) != 1 for numbers in cut) or cut[0] != [0]:
        return False
    (_,), (start,), (end,), (step,) = cut
    return bool(step) and list(range(count)[start:end:step]) == list(range(count))
