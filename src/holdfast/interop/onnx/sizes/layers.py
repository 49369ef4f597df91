"""Size rules of products, reductions, windows and recurrent layers."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from holdfast.errors import ShapeError
from holdfast.interop.onnx.graph import OnnxNode
from holdfast.interop.onnx.sizes.known import (
    NOTHING,
    UNKNOWN,
    Known,
    Size,
    axis_of,
    broadcast,
    integers,
    left_out,
    product,
    rule,
)


@rule("MatMul")
def _matmul(node: OnnxNode, inputs: Sequence[Known]) -> list[Known]:
    a, b = inputs[0].shape, inputs[1].shape
    if not a or not b:
        return [NOTHING]
    _check_inner(a[-1], b[-2] if len(b) > 1 else b[0])
    batch = broadcast([a[:-2], b[:-2]])
    return [Known((*batch, *(a[-2:-1]), *(b[-1:] if len(b) > 1 else ())))]


@rule("Gemm")
def _gemm(node: OnnxNode, inputs: Sequence[Known]) -> list[Known]:
    a, b = inputs[0].shape, inputs[1].shape
    if a is None or b is None:
        return [NOTHING]
    if len(a) != 2 or len(b) != 2:
        raise ShapeError(f"takes values of {len(a)} and {len(b)} dimensions; expected matrices")
    a, b = (a[::-1] if node.attributes.get("transA") else a), (b[::-1] if node.attributes.get("transB") else b)
    _check_inner(a[1], b[0])
    return [Known((a[0], b[1]))]


def _check_inner(a: Size, b: Size) -> None:
    if a.differs(b):
        raise ShapeError(f"multiplies rows of {a.value} values by columns of {b.value}")


def _reduced(node: OnnxNode, shape: Sequence[Size], axes: Collection[int]) -> tuple[Size, ...]:
    keep = node.attributes.get("keepdims", 1)
    return tuple(Size(1) if axis in axes else size for axis, size in enumerate(shape) if keep or axis not in axes)


@rule(*(f"Reduce{name}" for name in ["L1", "L2", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare"]))
def _reduce(node: OnnxNode, inputs: Sequence[Known]) -> list[Known]:
    shape, axes = inputs[0].shape, integers(node, inputs, 1, "axes")
    if shape is None or (axes is None and not left_out(node, 1, "axes")):
        return [NOTHING]
    if not axes and node.attributes.get("noop_with_empty_axes"):
        return [Known(shape)]
    removed = {axis_of(axis, len(shape)) for axis in axes or range(len(shape))}
    data = inputs[0].data if node.op == "ReduceProd" and len(shape) == 1 else None
    whole = None if data is None else (data[0] if len(data) == 1 else product(data),)
    return [Known(_reduced(node, shape, removed), whole)]


@rule("ArgMax", "ArgMin")
def _arg(node: OnnxNode, inputs: Sequence[Known]) -> list[Known]:
    shape = inputs[0].shape
    if shape is None:
        return [NOTHING]
    return [Known(_reduced(node, shape, [axis_of(node.attributes.get("axis", 0), len(shape))]))]


@rule("AveragePool", "Conv", "ConvTranspose", "GlobalAveragePool", "GlobalMaxPool", "MaxPool")
def _windows(node: OnnxNode, inputs: Sequence[Known]) -> list[Known]:
    """Derives the number of dimensions, and the channels of a convolution."""
    shape = inputs[0].shape
    if shape is None:
        return [NOTHING]
    if len(shape) < 3:
        raise ShapeError(f"takes a value of {len(shape)} dimensions; expected at least 3")
    channels = shape[1]
    if node.op in ("Conv", "ConvTranspose"):
        weight = inputs[1].shape
        if weight is not None and len(weight) != len(shape):
            raise ShapeError(f"takes a value of {len(shape)} and weights of {len(weight)} dimensions")
        channels = UNKNOWN if weight is None or node.op == "ConvTranspose" else weight[0]
    size = Size(1) if node.op.startswith("Global") else UNKNOWN
    return [Known((shape[0], channels, *[size] * (len(shape) - 2)))] * len(node.outputs)


@rule("Pad", "Resize")
def _same_rank(node: OnnxNode, inputs: Sequence[Known]) -> list[Known]:
    shape = inputs[0].shape
    return [Known(None if shape is None else (UNKNOWN,) * len(shape))]


@rule("LSTM", "GRU", "RNN")
def _recurrent(node: OnnxNode, inputs: Sequence[Known]) -> list[Known]:
    x, W, R = (value.shape for value in inputs[:3])
    batch_first = bool(node.attributes.get("layout", 0))
    if x is not None and len(x) != 3:
        raise ShapeError(f"takes a sequence of {len(x)} dimensions; expected 3: steps, rows and values")
    widths = [shape[2].value for shape in (x, W) if shape is not None and len(shape) == 3]
    if len(widths) == 2 and None not in widths and widths[0] != widths[1] and widths[1]:
        raise ShapeError(f"takes steps of {widths[0]} values; its weights are for {widths[1]}")
    if W is None or R is None or len(W) != 3 or len(R) != 3:
        return [NOTHING] * len(node.outputs)
    steps, rows = (UNKNOWN, UNKNOWN) if x is None else (x[1], x[0]) if batch_first else (x[0], x[1])
    directions, units = W[0], R[2]
    state = (rows, directions, units) if batch_first else (directions, rows, units)
    for place, initial in enumerate(inputs[5:7], 5):
        if any(size.differs(expected) for size, expected in zip(initial.shape or (), state, strict=False)):
            raise ShapeError(f"takes an initial state {node.inputs[place]!r} whose sizes do not fit its input")
    outputs = (rows, steps, directions, units) if batch_first else (steps, directions, rows, units)
    return [Known(outputs), Known(state), Known(state)][: len(node.outputs)]
