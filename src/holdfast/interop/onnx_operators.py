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
from holdfast.interop import onnx_shapes
from holdfast.interop.onnx_shapes import Ints, integers

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
    """a / b; of integers, towards zero."""
    whole = not a.is_floating_point() and not b.is_floating_point()
    return torch.div(a, b, rounding_mode="trunc") if whole else a / b


def modulo(a: Tensor, b: Tensor, *, fmod: int = 0) -> Tensor:
    """The remainder with the sign of ``b``; with ``fmod`` with that of ``a``."""
    return torch.fmod(a, b) if fmod else torch.remainder(a, b)


def power(a: Tensor, b: Tensor) -> Tensor:
    """a to the power of b, of the type of ``a``."""
    return torch.pow(a, b).to(a.dtype)


def cast(x: Tensor, *, to: int, saturate: int = 1) -> Tensor:
    """Another element type."""
    if to not in _DTYPES:
        raise ShapeError(f"Cast was asked for the element type {to}; expected one of {sorted(_DTYPES)}.")
    return x.to(_DTYPES[to])


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
    transA: int = 0,  # noqa: N803  (ONNX's names)
    transB: int = 0,  # noqa: N803
) -> Tensor:
    """alpha * a b + beta * c, with a or b transposed."""
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


def dropout(x: Tensor, ratio: Tensor | float | None = 0.5, training_mode: Tensor | None = None, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """The values as they are, and that all were kept: what is read here is a model that has been trained."""
    if training_mode is not None and bool(training_mode):
        raise ShapeError("Dropout was asked to drop values; expected training_mode to be false. Export for inference.")
    return x, torch.ones_like(x, dtype=torch.bool)


def layer_norm(
    x: Tensor, scale: Tensor, bias: Tensor | None = None, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> tuple[Tensor, Tensor, Tensor]:
    """Layer normalisation from an axis on (Ba et al. 2016); also the mean, and one over the deviation."""
    sizes = x.shape[axis % x.ndim :]
    over = tuple(range(axis % x.ndim, x.ndim))
    mean = x.mean(over, keepdim=True)
    inverse = (x.var(over, correction=0, keepdim=True) + epsilon).rsqrt()
    normalised = F.layer_norm(x, sizes, scale.expand(sizes), None if bias is None else bias.expand(sizes), epsilon)
    return normalised, mean, inverse


def batch_norm(
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
    spatial: int = 1,
) -> Tensor:
    """Batch normalisation by the mean and variance of the training (Ioffe & Szegedy 2015)."""
    if training_mode or not spatial:
        raise ShapeError("BatchNormalization was asked to train; expected training_mode = 0 and spatial = 1.")
    return F.batch_norm(x, mean, variance, scale, bias, False, 0.0, epsilon)


def convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Ints = None,
    group: int = 1,
    kernel_shape: Ints = None,
    pads: Ints = None,
    strides: Ints = None,
) -> Tensor:
    """A convolution over one, two or three dimensions."""
    if auto_pad not in ("NOTSET", "VALID"):
        raise ShapeError(f"Conv has auto_pad {auto_pad!r}; expected its padding as numbers (NOTSET).")
    count = x.ndim - 2
    around = integers(pads) or [0] * (2 * count)
    padded = F.pad(x, [around[k + side * count] for k in reversed(range(count)) for side in (0, 1)])
    function = (F.conv1d, F.conv2d, F.conv3d)[count - 1]
    ones = [1] * count
    return function(padded, weight, bias, integers(strides) or ones, 0, integers(dilations) or ones, group)


def gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    """GELU, exact or by tanh."""
    return F.gelu(x, approximate=approximate)


def reduction(function: Callable[[Tensor, list[int], bool], Tensor]) -> Callable[..., Tensor]:
    """An operator that takes axes away, from the function (x, axes, keepdim)."""

    def reduced(x: Tensor, axes: Ints = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Tensor:
        given = integers(axes) or []
        if not given and noop_with_empty_axes:
            return x
        return function(x, given or list(range(x.ndim)), bool(keepdims))

    return reduced


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


def elu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """x, below zero alpha (exp(x) - 1)."""
    return F.elu(x, alpha)


def leaky_relu(x: Tensor, *, alpha: float = 0.01) -> Tensor:
    """x, below zero alpha x."""
    return F.leaky_relu(x, alpha)


def hard_sigmoid(x: Tensor, *, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    """clip(alpha x + beta, 0, 1)."""
    return torch.clamp(alpha * x + beta, 0, 1)


def thresholded_relu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """x above alpha, 0 elsewhere."""
    return F.threshold(x, alpha, 0)


def selu(x: Tensor, *, alpha: float = 1.6732632423543772, gamma: float = 1.0507009873554805) -> Tensor:
    """gamma times x, below zero gamma alpha (exp(x) - 1) (Klambauer et al. 2017)."""
    return gamma * torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0)))


def prelu(x: Tensor, slope: Tensor) -> Tensor:
    """x, below zero slope x."""
    return torch.where(x < 0, slope * x, x)


def identity(x: Tensor) -> Tensor:
    """The same."""
    return x


def where(condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """x where the condition holds, else y."""
    return torch.where(condition, x, y)


_UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "Abs": torch.abs,
    "Ceil": torch.ceil,
    "Cos": torch.cos,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Floor": torch.floor,
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
    "Softplus": ACTIVATIONS["softplus"],
    "Softsign": F.softsign,
    "Sqrt": torch.sqrt,
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
    "BatchNormalization": batch_norm,
    "Cast": cast,
    "Clip": clip,
    "Concat": onnx_shapes.concat,
    "Conv": convolution,
    "CumSum": onnx_shapes.cumulative_sum,
    "Div": divide,
    "Dropout": dropout,
    "Elu": elu,
    "Expand": onnx_shapes.expand,
    "Flatten": onnx_shapes.flatten,
    "Gather": onnx_shapes.gather,
    "GatherElements": onnx_shapes.gather_elements,
    "GatherND": onnx_shapes.gather_nd,
    "Gelu": gelu,
    "Gemm": gemm,
    "HardSigmoid": hard_sigmoid,
    "LayerNormalization": layer_norm,
    "LeakyRelu": leaky_relu,
    "LogSoftmax": along(torch.log_softmax),
    "Max": folded(torch.maximum),
    "Mean": mean,
    "Min": folded(torch.minimum),
    "Mod": modulo,
    "OneHot": onnx_shapes.one_hot,
    "PRelu": prelu,
    "Pad": onnx_shapes.pad,
    "Pow": power,
    "Range": onnx_shapes.steps,
    "ReduceL1": reduction(lambda x, axes, keep: x.abs().sum(axes, keep)),
    "ReduceL2": reduction(lambda x, axes, keep: x.square().sum(axes, keep).sqrt()),
    "ReduceLogSumExp": reduction(torch.logsumexp),
    "ReduceMax": reduction(torch.amax),
    "ReduceMean": reduction(lambda x, axes, keep: x.mean(axes, keep)),
    "ReduceMin": reduction(torch.amin),
    "ReduceSum": reduction(lambda x, axes, keep: x.sum(axes, keep)),
    "ReduceSumSquare": reduction(lambda x, axes, keep: x.square().sum(axes, keep)),
    "Reshape": onnx_shapes.reshape,
    "ReverseSequence": onnx_shapes.reverse_sequence,
    "ScatterND": onnx_shapes.scatter_nd,
    "Selu": selu,
    "Shape": onnx_shapes.shape,
    "Size": onnx_shapes.size,
    "Slice": onnx_shapes.cut,
    "Softmax": along(torch.softmax),
    "Split": onnx_shapes.split,
    "Squeeze": onnx_shapes.squeeze,
    "Sum": folded(torch.add),
    "ThresholdedRelu": thresholded_relu,
    "Tile": onnx_shapes.tile,
    "TopK": onnx_shapes.largest,
    "Transpose": onnx_shapes.transpose,
    "Trilu": onnx_shapes.triangle,
    "Unsqueeze": onnx_shapes.unsqueeze,
    "Where": where,
}
OPERATORS: dict[str, Callable[..., Any]] = {**_UNARY, **_BINARY, **_OTHERS}
OUTPUTS = {"Dropout": 2, "LayerNormalization": 3, "Split": 10_000, "TopK": 2}
"""How many outputs an operator has at most; one where it does not stand here."""


def signature_of(op: str) -> inspect.Signature:
    """What the function of an operator takes; torch's own functions say nothing of themselves."""
    if op in _UNARY:
        return inspect.signature(identity)
    return inspect.signature(prelu if op in _BINARY else OPERATORS[op])
