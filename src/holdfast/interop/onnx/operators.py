"""The operators of ONNX that stand around recurrent layers, each as the function of torch that does the same.

A function takes the operator's inputs in their order (None for one left out) and its attributes as keyword arguments of
the same names. What newer versions of an operator take as an input and older ones as an attribute is one argument here,
so that both are read by the same line.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from holdfast.cells.activations import ACTIVATIONS
from holdfast.errors import ShapeError
from holdfast.interop.onnx import functions as onnx_functions
from holdfast.interop.onnx import resizing as onnx_resizing
from holdfast.interop.onnx import shapes as onnx_shapes
from holdfast.interop.onnx import windows as onnx_windows
from holdfast.interop.onnx.shapes import Ints, integers

_DTYPES = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    5: torch.int16,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float16,
    11: torch.float64,
    16: torch.bfloat16,
}
"""The element types that ``Cast`` names by number."""


def divide(a: Tensor, b: Tensor) -> Tensor:
    """A / b; of integers, towards zero."""
    whole = not a.is_floating_point() and not b.is_floating_point()
    return torch.div(a, b, rounding_mode="trunc") if whole else a / b


def modulo(a: Tensor, b: Tensor, *, fmod: int = 0) -> Tensor:
    """The remainder with the sign of ``b``; with ``fmod`` with that of ``a``."""
    return torch.fmod(a, b) if fmod else torch.remainder(a, b)


def power(a: Tensor, b: Tensor) -> Tensor:
    """A to the power of b, of the type of ``a``."""
    return torch.pow(a, b).to(a.dtype)


def cast(x: Tensor, *, to: int, saturate: int = 1) -> Tensor:
    """Another element type."""
    if to not in _DTYPES:
        raise ShapeError(f"Cast was asked for the element type {to}; expected one of {sorted(_DTYPES)}.")
    return x.to(_DTYPES[to])


def cast_like(x: Tensor, other: Tensor, *, saturate: int = 1) -> Tensor:
    """The element type of another value."""
    return x.to(other.dtype)


def clip(x: Tensor, min: Tensor | float | None = None, max: Tensor | float | None = None) -> Tensor:
    """Clamped into min to max."""
    for bound, function in ((min, torch.maximum), (max, torch.minimum)):
        if bound is not None:
            x = function(x, torch.as_tensor(bound, dtype=x.dtype, device=x.device))
    return x


def gemm(
    a: Tensor,
    b: Tensor,
    c: Tensor | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Tensor:
    """Alpha * a b + beta * c, with a or b transposed."""
    product = (a.T if transA else a) @ (b.T if transB else b)
    product = product if alpha == 1 else alpha * product
    return product if c is None else product + (c if beta == 1 else beta * c)


def along(function: Callable[[Tensor, int], Tensor]) -> Callable[..., Tensor]:
    """An operator that works along an axis; before version 13, along all dimensions from the axis on as one."""

    def worked(x: Tensor, *, axis: int = -1, flat: int = 0) -> Tensor:
        if not flat:
            return function(x, axis)
        return function(onnx_shapes.flatten(x, axis=axis), 1).reshape(x.shape)

    return worked


def reduction(function: Callable[[Tensor, list[int], bool], Tensor]) -> Callable[..., Tensor]:
    """An operator that takes axes away, from the function (x, axes, keepdim)."""

    def reduced(x: Tensor, axes: Ints = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Tensor:
        given = integers(axes) or []
        if not given and noop_with_empty_axes:
            return x
        return function(x, given or list(range(x.ndim)), bool(keepdims))

    return reduced


def product(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    """The product over some axes."""
    for axis in sorted((axis % x.ndim for axis in axes), reverse=True):
        x = x.prod(axis, keep, dtype=x.dtype)
    return x


def extreme(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """``ArgMax`` or ``ArgMin``."""

    def place(x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
        if not select_last_index:
            return function(x, axis, bool(keepdims))
        return x.shape[axis] - 1 - function(x.flip(axis), axis, bool(keepdims))

    return place


def folded(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """An operator of any number of inputs, from a function of two."""

    def over_all(first: Tensor, *others: Tensor) -> Tensor:
        for other in others:
            first = function(first, other)
        return first

    return over_all


def mean(*inputs: Tensor) -> Tensor:
    """The mean of the inputs, element by element."""
    return folded(torch.add)(*inputs) / len(inputs)


def identity(x: Tensor) -> Tensor:
    """The same."""
    return x


def where(condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """X where the condition holds, else y."""
    return torch.where(condition, x, y)


_UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "Abs": torch.abs,
    "Acos": torch.acos,
    "Acosh": torch.acosh,
    "Asin": torch.asin,
    "Asinh": torch.asinh,
    "Atan": torch.atan,
    "Atanh": torch.atanh,
    "Ceil": torch.ceil,
    "Cos": torch.cos,
    "Cosh": torch.cosh,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Floor": torch.floor,
    "GlobalAveragePool": onnx_windows.over_all(torch.mean),
    "GlobalMaxPool": onnx_windows.over_all(torch.amax),
    "HardSwish": F.hardswish,
    "Identity": identity,
    "IsNaN": torch.isnan,
    "Log": torch.log,
    "Mish": F.mish,
    "Neg": torch.neg,
    "Not": torch.logical_not,
    "Reciprocal": torch.reciprocal,
    "Relu": torch.relu,
    "Round": torch.round,
    "Sigmoid": torch.sigmoid,
    "Sign": torch.sign,
    "Sin": torch.sin,
    "Sinh": torch.sinh,
    "Softplus": ACTIVATIONS["softplus"],
    "Softsign": F.softsign,
    "Sqrt": torch.sqrt,
    "Tan": torch.tan,
    "Tanh": torch.tanh,
}
_BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Add": torch.add,
    "And": torch.logical_and,
    "Equal": torch.eq,
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "Less": torch.lt,
    "LessOrEqual": torch.le,
    "MatMul": torch.matmul,
    "Mul": torch.mul,
    "Or": torch.logical_or,
    "Sub": torch.sub,
    "Xor": torch.logical_xor,
}
_OTHERS: dict[str, Callable[..., Any]] = {
    "ArgMax": extreme(torch.argmax),
    "ArgMin": extreme(torch.argmin),
    "AveragePool": onnx_windows.average_pool,
    "BatchNormalization": onnx_functions.batch_norm,
    "Cast": cast,
    "CastLike": cast_like,
    "Celu": onnx_functions.celu,
    "Clip": clip,
    "Concat": onnx_shapes.concat,
    "Conv": onnx_windows.convolution,
    "ConvTranspose": onnx_windows.transposed_convolution,
    "CumSum": onnx_shapes.cumulative_sum,
    "DepthToSpace": onnx_shapes.depth_to_space,
    "Div": divide,
    "Dropout": onnx_functions.dropout,
    "Einsum": onnx_functions.einsum,
    "Elu": onnx_functions.elu,
    "Expand": onnx_shapes.expand,
    "Flatten": onnx_shapes.flatten,
    "Gather": onnx_shapes.gather,
    "GatherElements": onnx_shapes.gather_elements,
    "GatherND": onnx_shapes.gather_nd,
    "Gelu": onnx_functions.gelu,
    "Gemm": gemm,
    "GroupNormalization": onnx_functions.group_norm,
    "HardSigmoid": onnx_functions.hard_sigmoid,
    "InstanceNormalization": onnx_functions.instance_norm,
    "LayerNormalization": onnx_functions.layer_norm,
    "LeakyRelu": onnx_functions.leaky_relu,
    "LogSoftmax": along(torch.log_softmax),
    "Max": folded(torch.maximum),
    "MaxPool": onnx_windows.max_pool,
    "Mean": mean,
    "Min": folded(torch.minimum),
    "Mod": modulo,
    "OneHot": onnx_shapes.one_hot,
    "PRelu": onnx_functions.prelu,
    "Pad": onnx_windows.pad,
    "Pow": power,
    "Range": onnx_shapes.steps,
    "ReduceL1": reduction(lambda x, axes, keep: x.abs().sum(axes, keep)),
    "ReduceL2": reduction(lambda x, axes, keep: x.square().sum(axes, keep).sqrt()),
    "ReduceLogSumExp": reduction(torch.logsumexp),
    "ReduceMax": reduction(torch.amax),
    "ReduceMean": reduction(lambda x, axes, keep: x.mean(axes, keep)),
    "ReduceMin": reduction(torch.amin),
    "ReduceProd": reduction(product),
    "ReduceSum": reduction(lambda x, axes, keep: x.sum(axes, keep)),
    "ReduceSumSquare": reduction(lambda x, axes, keep: x.square().sum(axes, keep)),
    "Resize": onnx_resizing.resize,
    "Reshape": onnx_shapes.reshape,
    "ReverseSequence": onnx_shapes.reverse_sequence,
    "ScatterElements": onnx_shapes.scatter_elements,
    "ScatterND": onnx_shapes.scatter_nd,
    "Selu": onnx_functions.selu,
    "Shape": onnx_shapes.shape,
    "Size": onnx_shapes.size,
    "Slice": onnx_shapes.cut,
    "Softmax": along(torch.softmax),
    "SpaceToDepth": onnx_shapes.space_to_depth,
    "Split": onnx_shapes.split,
    "Squeeze": onnx_shapes.squeeze,
    "Sum": folded(torch.add),
    "ThresholdedRelu": onnx_functions.thresholded_relu,
    "Tile": onnx_shapes.tile,
    "TopK": onnx_shapes.largest,
    "Transpose": onnx_shapes.transpose,
    "Trilu": onnx_shapes.triangle,
    "Unsqueeze": onnx_shapes.unsqueeze,
    "Where": where,
}
OPERATORS: dict[str, Callable[..., Any]] = {**_UNARY, **_BINARY, **_OTHERS}
OUTPUTS = {"Dropout": 2, "LayerNormalization": 3, "MaxPool": 2, "Split": 10_000, "TopK": 2}
"""How many outputs an operator has at most; one where it does not stand here."""


def signature_of(op: str) -> inspect.Signature:
    """What the function of an operator takes; torch's own functions say nothing of themselves."""
    if op in _UNARY:
        return inspect.signature(identity)
    return inspect.signature(onnx_functions.prelu if op in _BINARY else OPERATORS[op])
