"""Products and look-ups with weights of the file as the layers that they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from holdfast.interop.network import Node
from holdfast.interop.onnx.graph import Graph, OnnxNode, all_inputs
from holdfast.interop.onnx.room import Room


class Layer(NamedTuple):
    """A part of a network with the tensors of its module."""

    node: Node
    tensors: dict[str, Tensor]


def layers(graph: Graph, room: Room) -> list[OnnxNode | Layer]:
    """The nodes of a graph, products with a matrix of the file as linear layers and look-ups in one as embeddings.

    Args:
        graph: The graph.
        room: What the layers may hold.
    """
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
                layer = _gemm(node, graph.constants, room)
            elif node.op == "MatMul":
                add = adds.get(node.outputs[0])
                layer = _product(node, add, graph.constants, room)
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


def _gemm(node: OnnxNode, constants: Mapping[str, Tensor], room: Room) -> Layer | None:
    weight = _matrix(node.inputs[1], constants)
    plain = {"alpha": 1.0, "beta": 1.0, "transA": 0}
    if weight is None or any(node.attributes.get(name, value) != value for name, value in plain.items()):
        return None
    if node.inputs[0] in constants:
        return None
    rows = weight if node.attributes.get("transB", 0) else room.rows(node, weight)
    bias = constants.get(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None
    if len(node.inputs) > 2 and node.inputs[2] and not _fits(bias, rows):
        return None
    return _linear(node, rows, bias, node.outputs)


def _product(node: OnnxNode, add: OnnxNode | None, constants: Mapping[str, Tensor], room: Room) -> Layer | None:
    weight = _matrix(node.inputs[1], constants)
    if weight is None or node.inputs[0] in constants:
        return None
    rows, bias = room.rows(node, weight), None
    if add is not None and len(add.inputs) == 2:
        bias = constants.get(add.inputs[add.inputs[0] == node.outputs[0]])
    if add is None or not _fits(bias, rows):
        return _linear(node, rows, None, node.outputs)
    return _linear(node, rows, bias, add.outputs)


def _fits(bias: Tensor | None, rows: Tensor) -> bool:
    return bias is not None and bias.shape == rows.shape[:1] and bias.dtype == rows.dtype


def _linear(node: OnnxNode, rows: Tensor, bias: Tensor | None, outputs: tuple[str, ...]) -> Layer:
    options = {"in_features": rows.shape[1], "out_features": rows.shape[0], "bias": bias is not None}
    tensors = {"weight": rows.contiguous()} | ({} if bias is None else {"bias": bias})
    return Layer(Node(node.name, "Linear", options, node.inputs[:1], outputs), tensors)
