"""Rewrites nodes into nodes with fewer inputs that compute the same, by what is known of the inputs."""

from __future__ import annotations

from dataclasses import replace

from holdfast.interop.onnx import recurrent as onnx_recurrent
from holdfast.interop.onnx.graph import OnnxNode
from holdfast.interop.onnx.scope import Scope
from holdfast.interop.onnx.sizes import Known, Size


def simplify(node: OnnxNode, scope: Scope) -> OnnxNode:
    """The node, or a simpler one with the same outputs."""
    if node.op in onnx_recurrent.KINDS:
        return _without_zero_states(node, scope)
    if node.op == "Reshape" and len(node.inputs) == 2:
        return _product_over_last(node, scope) or _with_kept_sizes(node, scope)
    if node.op == "ReverseSequence" and len(node.inputs) == 2:
        return _reversed_slice(node, scope)
    return node


def _without_zero_states(node: OnnxNode, scope: Scope) -> OnnxNode:
    """A recurrent node without initial states of zeros."""
    states = ("" if _is_zero(scope.known_of(value)) else value for value in node.inputs[5:7])
    return replace(node, inputs=(*node.inputs[:5], *states, *node.inputs[7:]))


def _is_zero(known: Known) -> bool:
    return known.fill.value == 0 if isinstance(known.fill, Size) else known.fill == 0


def _product_over_last(node: OnnxNode, scope: Scope) -> OnnxNode | None:
    """One MatMul for Reshape, MatMul, Reshape, where the value is flattened to a matrix only for the product."""
    product = scope.makers.get(node.inputs[0])
    flattening = scope.makers.get(product.inputs[0]) if product is not None and product.op == "MatMul" else None
    if product is None or flattening is None or flattening.op != "Reshape" or product.inputs[1] not in scope.constants:
        return None
    x, weight, target = map(scope.known_of, (flattening.inputs[0], product.inputs[1], node.inputs[1]))
    rows = scope.known_of(flattening.outputs[0]).shape
    if x.shape is None or rows is None or weight.shape is None or target.data is None or len(weight.shape) != 2:
        return None
    expected = (*x.shape[:-1], weight.shape[1])
    fits = len(expected) == len(target.data) and all(a.same(b) for a, b in zip(expected, target.data, strict=True))
    if len(rows) != 2 or not x.shape or not rows[1].same(x.shape[-1]) or not fits:
        return None
    return OnnxNode(product.name, "MatMul", (flattening.inputs[0], product.inputs[1]), node.outputs, {})


def _with_kept_sizes(node: OnnxNode, scope: Scope) -> OnnxNode:
    """A Reshape to a constant shape: 0 for a size that stays, -1 for one size that follows from the others."""
    x, target = map(scope.known_of, node.inputs)
    if x.shape is None or target.data is None or node.attributes.get("allowzero", 0):
        return node
    sizes = []
    for place, size in enumerate(target.data):
        if size.value == 0 or (place < len(x.shape) and size.same(x.shape[place])):
            sizes.append(0)
        elif size.value is not None and not size.relies:
            sizes.append(size.value)
        else:
            sizes.append(-1)
    return scope.with_constant(node, 1, "shape", sizes) if sizes.count(-1) < 2 else node


def _reversed_slice(node: OnnxNode, scope: Scope) -> OnnxNode:
    """A Slice that goes backwards, for a ReverseSequence whose lengths are all the full length."""
    axis, (x, lengths) = node.attributes.get("time_axis", 0), map(scope.known_of, node.inputs)
    if x.shape is None or not 0 <= axis < len(x.shape) or not isinstance(lengths.fill, Size):
        return node
    if not lengths.fill.same(x.shape[axis]):
        return node
    backwards = OnnxNode(node.name, "Slice", node.inputs[:1], node.outputs, {})
    for place, (name, number) in enumerate({"starts": -1, "ends": -(2**62), "axes": axis, "steps": -1}.items(), 1):
        backwards = scope.with_constant(backwards, place, name, [number])
    return backwards
