"""The rules of :mod:`~holdfast.interop.onnx.size_rules` for products, reductions, windows and recurrent layers."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.errors import ShapeError
from holdfast.interop.onnx.graph import OnnxNode
from holdfast.interop.onnx.sizes import NOTHING, UNKNOWN, Known, Size, axis_of, broadcast, elements, integers, left_out


def matmul(node: OnnxNode, known: Sequence[Known]) -> list[Known]:
    """A product of matrices."""
    a, b = known[0].shape, known[1].shape
    if a is None or b is None or not a or not b:
        return [NOTHING]
    inner = a[-1], b[-2] if len(b) > 1 else b[0]
    if None not in (inner[0].value, inner[1].value) and inner[0].value != inner[1].value:
        raise ShapeError(f"multiplies rows of {inner[0].value} values by columns of {inner[1].value}")
    batch = broadcast([a[:-2], b[:-2]])
    return [Known((*batch, *(a[-2:-1]), *(b[-1:] if len(b) > 1 else ())))]


def gemm(node: OnnxNode, known: Sequence[Known]) -> list[Known]:
    """A product of two matrices, each transposed or not."""
    a, b = known[0].shape, known[1].shape
    if a is None or b is None:
        return [NOTHING]
    if len(a) != 2 or len(b) != 2:
        raise ShapeError(f"takes values of {len(a)} and {len(b)} dimensions; expected matrices")
    a, b = (a[::-1] if node.attributes.get("transA") else a), (b[::-1] if node.attributes.get("transB") else b)
    if None not in (a[1].value, b[0].value) and a[1].value != b[0].value:
        raise ShapeError(f"multiplies rows of {a[1].value} values by columns of {b[0].value}")
    return [Known((a[0], b[1]))]


def reduced(node: OnnxNode, known: Sequence[Known]) -> list[Known]:
    """What takes axes away."""
    shape, axes = known[0].shape, integers(node, known, 1, "axes")
    if shape is None or (axes is None and not left_out(node, 1, "axes")):
        return [NOTHING]
    if not axes and node.attributes.get("noop_with_empty_axes"):
        return [Known(shape)]
    gone = {axis_of(axis, len(shape)) for axis in axes or range(len(shape))}
    keep = node.attributes.get("keepdims", 1)
    data = known[0].data if node.op == "ReduceProd" and len(shape) == 1 else None
    whole = None if data is None else (data[0],) if len(data) == 1 else _product(data)
    return [Known(tuple(Size(1) if k in gone else one for k, one in enumerate(shape) if keep or k not in gone), whole)]


def _product(sizes: Sequence[Size]) -> tuple[Size, ...]:
    count = elements(sizes)
    relies = frozenset[str]().union(*(size.relies for size in sizes))
    return (UNKNOWN if count is None else Size(count, "", relies),)


def chosen_place(node: OnnxNode, known: Sequence[Known]) -> list[Known]:
    """``ArgMax`` and ``ArgMin``."""
    shape = known[0].shape
    if shape is None:
        return [NOTHING]
    axis, keep = axis_of(node.attributes.get("axis", 0), len(shape)), node.attributes.get("keepdims", 1)
    return [Known(tuple(Size(1) if k == axis else one for k, one in enumerate(shape) if keep or k != axis))]


def windows(node: OnnxNode, known: Sequence[Known]) -> list[Known]:
    """Convolutions and pools: the number of dimensions, and the channels of a convolution."""
    shape = known[0].shape
    if shape is None:
        return [NOTHING]
    if len(shape) < 3:
        raise ShapeError(f"takes a value of {len(shape)} dimensions; expected at least 3")
    channels = shape[1]
    if node.op in ("Conv", "ConvTranspose"):
        weight = known[1].shape
        if weight is not None and len(weight) != len(shape):
            raise ShapeError(f"takes a value of {len(shape)} and weights of {len(weight)} dimensions")
        channels = UNKNOWN if weight is None or node.op == "ConvTranspose" else weight[0]
    every = [Size(1) if node.op.startswith("Global") else UNKNOWN] * (len(shape) - 2)
    return [Known((shape[0], channels, *every))] * len(node.outputs)


def same_rank(node: OnnxNode, known: Sequence[Known]) -> list[Known]:
    """As many dimensions, of sizes that are not known."""
    shape = known[0].shape
    return [Known(None if shape is None else (UNKNOWN,) * len(shape))]


def recurrent(node: OnnxNode, known: Sequence[Known]) -> list[Known]:
    """The nodes LSTM, GRU and RNN."""
    x, W, R = (one.shape for one in known[:3])
    batch_first = bool(node.attributes.get("layout", 0))
    if x is not None and len(x) != 3:
        raise ShapeError(f"takes a sequence of {len(x)} dimensions; expected 3: steps, rows and values")
    widths = [one[2].value for one in (x, W) if one is not None and len(one) == 3 and one[2].value is not None]
    if len(widths) == 2 and widths[0] != widths[1] and widths[1]:
        raise ShapeError(f"takes steps of {widths[0]} values; its weights are for {widths[1]}")
    if W is None or R is None or len(W) != 3 or len(R) != 3:
        return [NOTHING] * len(node.outputs)
    steps, rows = (UNKNOWN, UNKNOWN) if x is None else (x[1], x[0]) if batch_first else (x[0], x[1])
    directions, units = W[0], R[2]
    state = (rows, directions, units) if batch_first else (directions, rows, units)
    for place, initial in enumerate(known[5:7], 5):
        for one, expected in zip(initial.shape or (), state, strict=False):
            if None not in (one.value, expected.value) and one.value != expected.value:
                raise ShapeError(f"takes an initial state {node.inputs[place]!r} whose sizes do not fit its input")
    whole = (rows, steps, directions, units) if batch_first else (steps, directions, rows, units)
    return [Known(whole), Known(state), Known(state)][: len(node.outputs)]
