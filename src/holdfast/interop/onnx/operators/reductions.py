"""Operators that reduce or normalise along axes, and products of matrices."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from holdfast.interop.onnx.operators.registry import Ints, integers, operator
from holdfast.interop.onnx.operators.shapes import flatten


@operator("Gemm")
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
    """The matrix alpha a b + beta c; ``transA`` transposes a, ``transB`` transposes b."""
    product = (a.T if transA else a) @ (b.T if transB else b)
    product = product if alpha == 1 else alpha * product
    return product if c is None else product + (c if beta == 1 else beta * c)


@operator("Einsum")
def einsum(first: Tensor, *others: Tensor, equation: str) -> Tensor:
    """Sums products over the letters that an equation names."""
    sums: Tensor = torch.einsum(equation.replace(" ", ""), first, *others)
    return sums


@operator("CumSum")
def cumulative_sum(x: Tensor, axis: Ints = None, *, exclusive: int = 0, reverse: int = 0) -> Tensor:
    """The sum of the values up to each place along an axis."""
    (along,) = integers(axis) or [0]
    x = x.flip(along) if reverse else x
    total = x.cumsum(along, dtype=x.dtype) - (x if exclusive else 0)
    return total.flip(along) if reverse else total


def _softmax(function: Callable[[Tensor, int], Tensor]) -> Callable[..., Tensor]:
    """An operator along one axis; with ``flat``, as before version 13, over all dimensions from that axis on."""

    def apply(x: Tensor, *, axis: int = -1, flat: int = 0) -> Tensor:
        return function(flatten(x, axis=axis), 1).reshape(x.shape) if flat else function(x, axis)

    return apply


operator("Softmax")(_softmax(torch.softmax))
operator("LogSoftmax")(_softmax(torch.log_softmax))


def _arg(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The index of the largest or the smallest value along an axis."""

    def find(x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
        if not select_last_index:
            return function(x, axis, bool(keepdims))
        return x.shape[axis] - 1 - function(x.flip(axis), axis, bool(keepdims))

    return find


operator("ArgMax")(_arg(torch.argmax))
operator("ArgMin")(_arg(torch.argmin))


def _product(x: Tensor, axes: list[int], keepdim: bool) -> Tensor:
    for axis in sorted((axis % x.ndim for axis in axes), reverse=True):
        x = x.prod(axis, keepdim, dtype=x.dtype)
    return x


def _reduction(function: Callable[[Tensor, list[int], bool], Tensor]) -> Callable[..., Tensor]:
    """An operator that removes axes, from a function of (x, axes, keepdim)."""

    def reduce(x: Tensor, axes: Ints = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Tensor:
        along = integers(axes) or []
        if not along and noop_with_empty_axes:
            return x
        return function(x, along or list(range(x.ndim)), bool(keepdims))

    return reduce


_REDUCTIONS: dict[str, Callable[[Tensor, list[int], bool], Tensor]] = {
    "ReduceL1": lambda x, axes, keepdim: x.abs().sum(axes, keepdim),
    "ReduceL2": lambda x, axes, keepdim: x.square().sum(axes, keepdim).sqrt(),
    "ReduceLogSumExp": torch.logsumexp,
    "ReduceMax": torch.amax,
    "ReduceMean": lambda x, axes, keepdim: x.mean(axes, keepdim),
    "ReduceMin": torch.amin,
    "ReduceProd": _product,
    "ReduceSum": lambda x, axes, keepdim: x.sum(axes, keepdim),
    "ReduceSumSquare": lambda x, axes, keepdim: x.square().sum(axes, keepdim),
}
for _name, _function in _REDUCTIONS.items():
    operator(_name)(_reduction(_function))
