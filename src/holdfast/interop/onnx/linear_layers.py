"""Turns products with matrices of the file into linear layers, and look-ups in them into embeddings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from holdfast.interop.network import Node
from holdfast.interop.onnx.graph import Graph, OnnxNode, all_inputs
from holdfast.interop.onnx.memory_budget import MemoryBudget


class Layer(NamedTuple):
    """A part of a network with the tensors of its module."""

    node: Node
    tensors: dict[str, Tensor]


def find_layers(graph: Graph, budget: MemoryBudget) -> list[OnnxNode | Layer]:
    """The nodes of a graph, with layers in the place of products and look-ups.

    Raises:
        ModelFileError: The layers need more memory than the budget.
    """
    uses = Counter([value for node in graph.nodes for value in all_inputs(node)] + list(graph.outputs))
    additions = {value: node for node in graph.nodes if node.op == "Add" for value in node.inputs if uses[value] == 1}
    parts: list[OnnxNode | Layer] = []
    merged: set[str] = set()
    for node in graph.nodes:
        if node.name in merged:
            continue
        layer = None
        if len(node.inputs) > 1 and len(node.outputs) == 1:
            if node.op == "Gather":
                layer = _embedding(node, graph.constants)
            elif node.op == "Gemm":
                layer = _gemm(node, graph.constants, budget)
            elif node.op == "MatMul":
                addition = additions.get(node.outputs[0])
                layer = _matmul(node, addition, graph.constants, budget)
                if layer and addition and layer.node.outputs == addition.outputs:
                    merged.add(addition.name)
        parts.append(layer or node)
    return parts


def _matrix(value: str, constants: Mapping[str, Tensor]) -> Tensor | None:
    tensor = constants.get(value)
    return tensor if tensor is not None and tensor.ndim == 2 and tensor.is_floating_point() and tensor.numel() else None


def _embedding(node: OnnxNode, constants: Mapping[str, Tensor]) -> Layer | None:
    weight = _matrix(node.inputs[0], constants)
    if weight is None or node.inputs[1] in constants or node.attributes.get("axis", 0) != 0:
        return None
    options = {"num_embeddings": weight.shape[0], "embedding_dim": weight.shape[1]}
    return Layer(Node(node.name, "Embedding", options, node.inputs[1:], node.outputs), {"weight": weight})


def _gemm(node: OnnxNode, constants: Mapping[str, Tensor], budget: MemoryBudget) -> Layer | None:
    weight = _matrix(node.inputs[1], constants)
    required = {"alpha": 1.0, "beta": 1.0, "transA": 0}
    if weight is None or any(node.attributes.get(name, value) != value for name, value in required.items()):
        return None
    if node.inputs[0] in constants:
        return None
    rows = weight if node.attributes.get("transB", 0) else budget.transpose(node, weight)
    has_bias = len(node.inputs) > 2 and bool(node.inputs[2])
    bias = constants.get(node.inputs[2]) if has_bias else None
    return None if has_bias and not _fits(bias, rows) else _linear(node, rows, bias, node.outputs)


def _matmul(
    node: OnnxNode, addition: OnnxNode | None, constants: Mapping[str, Tensor], budget: MemoryBudget
) -> Layer | None:
    weight = _matrix(node.inputs[1], constants)
    if weight is None or node.inputs[0] in constants:
        return None
    rows, bias = budget.transpose(node, weight), None
    if addition is not None and len(addition.inputs) == 2:
        bias = constants.get(addition.inputs[addition.inputs[0] == node.outputs[0]])
    if addition is None or not _fits(bias, rows):
        return _linear(node, rows, None, node.outputs)
    return _linear(node, rows, bias, addition.outputs)


def _fits(bias: Tensor | None, rows: Tensor) -> bool:
    return bias is not None and bias.shape == rows.shape[:1] and bias.dtype == rows.dtype


def _linear(node: OnnxNode, rows: Tensor, bias: Tensor | None, outputs: tuple[str, ...]) -> Layer:
    options = {"in_features": rows.shape[1], "out_features": rows.shape[0], "bias": bias is not None}
    tensors = {"weight": rows.contiguous()} | ({} if bias is None else {"bias": bias})
    return Layer(Node(node.name, "Linear", options, node.inputs[:1], outputs), tensors)
