"""The operators of ONNX that converted networks have without torch, as functions of NumPy arrays.

A function takes the inputs of its operator in order (None for one left out) and the attributes as keyword arguments, as
:mod:`holdfast.interop.onnx.operators` does with tensors; there is what each of them computes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from holdfast.errors import OptionError
from holdfast.runtime.converted_windows import convolution, pad, transposed_convolution
from holdfast.runtime.network import Array

Ints = Array | Sequence[int] | int | None


def integers(values: Ints) -> list[int] | None:
    """The whole numbers as a list; a single number gives a list of one."""
    return None if values is None else [int(value) for value in np.ravel(values)]


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x), which does not overflow."""
    small = np.exp(-np.abs(x))  # never above 1
    values: Array = np.where(x >= 0, 1, small) / (1 + small)
    return values.astype(x.dtype, copy=False)


def softmax(x: Array, *, axis: int = -1, flat: int = 0) -> Array:
    """The exponentials along an axis, divided by their sum."""
    if flat:
        raise OptionError("Softmax over several axes, as before version 13 of ONNX, needs torch.")
    exponentials = np.exp(x - x.max(axis, keepdims=True))
    values: Array = exponentials / exponentials.sum(axis, keepdims=True)
    return values


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": sigmoid,
    "tanh": np.tanh,
}


def _reshape(x: Array, shape: Ints = None, *, allowzero: int = 0) -> Array:
    sizes = integers(shape) or []
    if not allowzero:
        sizes = [x.shape[axis] if new == 0 else new for axis, new in enumerate(sizes)]
    return x.reshape(sizes)


def _transpose(x: Array, *, perm: Ints = None) -> Array:
    return x.transpose(integers(perm) or None)


def _squeeze(x: Array, axes: Ints = None) -> Array:
    along = integers(axes)
    return x.squeeze() if along is None else x.squeeze(tuple(along))


def _unsqueeze(x: Array, axes: Ints = None) -> Array:
    return np.expand_dims(x, tuple(integers(axes) or []))


def _concat(*inputs: Array, axis: int = 0) -> Array:
    return np.concatenate(inputs, axis)


def _slice(x: Array, starts: Ints = None, ends: Ints = None, axes: Ints = None, steps: Ints = None) -> Array:
    first, last = integers(starts) or [], integers(ends) or []
    along = integers(axes) or list(range(len(first)))
    strides = integers(steps) or [1] * len(first)
    places = [slice(None)] * x.ndim
    for begin, end, axis, stride in zip(first, last, along, strides, strict=True):
        places[axis] = slice(begin, end, stride)
    return x[tuple(places)]


def _gather(x: Array, indices: Array | None = None, *, axis: int = 0, place: int | None = None) -> Array:
    taken: Array = np.take(x, int(place) if place is not None else np.asarray(indices, np.int64), axis)
    return taken


def _scatter_nd(x: Array, indices: Array, updates: Array, *, reduction: str = "none") -> Array:
    if reduction != "none":
        raise OptionError(f"ScatterND with reduction {reduction!r} needs torch.")
    result = x.copy()
    result[tuple(np.moveaxis(indices.astype(np.int64), -1, 0))] = updates
    return result


def _divide(a: Array, b: Array) -> Array:
    if a.dtype.kind in "iu" and b.dtype.kind in "iu":
        quotient: Array = a // b
        quotient += (a % b != 0) & ((a < 0) != (b < 0))  # towards zero
        return quotient
    ratio: Array = np.divide(a, b)
    return ratio


def _power(a: Array, b: Array) -> Array:
    if b.size == 1 and b.item() == 2:
        return a * a  # rounded once
    result: Array = np.power(a, b).astype(a.dtype)
    return result


def _reduction(function: Callable[..., Any]) -> Callable[..., Array]:
    def reduce_axes(x: Array, axes: Ints = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Array:
        along = integers(axes) or []
        if not along and noop_with_empty_axes:
            return x
        result = function(x, axis=tuple(along) or None, keepdims=bool(keepdims))
        return np.asarray(result, x.dtype)

    return reduce_axes


def _batch_norm(
    x: Array, scale: Array, bias: Array, mean: Array, variance: Array, *, epsilon: float = 1e-5, **training: Any
) -> Array:
    shape = (-1, *[1] * (x.ndim - 2))
    factor = scale / np.sqrt(variance + np.asarray(epsilon, x.dtype))
    y: Array = x * factor.reshape(shape) + (bias - mean * factor).reshape(shape)
    return y


def _gemm(
    a: Array,
    b: Array,
    c: Array | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Array:
    product = (a.T if transA else a) @ (b.T if transB else b)
    product = product if alpha == 1 else np.asarray(alpha, product.dtype) * product
    return product if c is None else product + (c if beta == 1 else np.asarray(beta, c.dtype) * c)


def _clip(x: Array, min: Array | float | None = None, max: Array | float | None = None) -> Array:
    for bound, function in ((min, np.maximum), (max, np.minimum)):
        x = x if bound is None else function(x, np.asarray(bound, x.dtype))
    return x


def _split(x: Array, split: Ints = None, *, axis: int = 0, num_outputs: int = 1) -> tuple[Array, ...]:
    sizes = integers(split)
    if sizes is None:
        size = -(-x.shape[axis] // num_outputs)
        places = list(range(size, x.shape[axis], size))
    else:
        places = np.cumsum(sizes)[:-1].tolist()
    return tuple(np.split(x, places, axis))


OPERATORS: dict[str, Callable[..., Any]] = {
    **{name: getattr(np, name.lower()) for name in ("Ceil", "Cos", "Exp", "Floor", "Log", "Sin", "Sqrt", "Tanh")},
    "Abs": np.abs,
    "Add": np.add,
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": convolution,
    "ConvTranspose": transposed_convolution,
    "Div": _divide,
    "Gather": _gather,
    "Gemm": _gemm,
    "Identity": lambda x: x,
    "MatMul": np.matmul,
    "Max": lambda *inputs: reduce(np.maximum, inputs),
    "Min": lambda *inputs: reduce(np.minimum, inputs),
    "Mul": np.multiply,
    "Neg": np.negative,
    "PRelu": lambda x, slope: np.where(x < 0, slope * x, x),
    "Pad": pad,
    "Pow": _power,
    "ReduceMax": _reduction(np.max),
    "ReduceMean": _reduction(np.mean),
    "ReduceMin": _reduction(np.min),
    "ReduceSum": _reduction(np.sum),
    "Relu": ACTIVATIONS["relu"],
    "Reshape": _reshape,
    "ScatterND": _scatter_nd,
    "Shape": lambda x, *, start=0, end=None: np.array(x.shape[start:end], np.int64),
    "Sigmoid": sigmoid,
    "Slice": _slice,
    "Softmax": softmax,
    "Split": _split,
    "Squeeze": _squeeze,
    "Sub": np.subtract,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": np.where,
}
"""The function of each operator."""
