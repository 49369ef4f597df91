"""Sums and their like along axes, and positions of the largest values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from holdfast.tf1.graph.convert import convert_to_tensor, known_value
from holdfast.tf1.graph.dtypes import as_dtype, int64
from holdfast.tf1.graph.graph import node
from holdfast.tf1.graph.names import public, publish
from holdfast.tf1.graph.shapes import Sizes, axis_of
from holdfast.tf1.graph.tensors import Tensor


def axes_of(axis: Any, sizes: Sizes) -> list[int] | None:
    """The axes of a sum; None for all."""
    if axis is None:
        return None if sizes is None else list(range(len(sizes)))
    known = known_value(axis)
    if known is None:
        raise ValueError("The axis of a sum is not known before the run; expected a number or a list of numbers.")
    return [axis_of(each, sizes) for each in known.ravel()]


def _reduced(sizes: Sizes, axes: list[int] | None, keep: bool) -> Sizes:
    if sizes is None or axes is None:
        return () if axes is None and not keep else None
    if keep:
        return tuple(1 if place in axes else size for place, size in enumerate(sizes))
    return tuple(size for place, size in enumerate(sizes) if place not in axes)


def _reduction(type_: str, compute: Callable[..., torch.Tensor], *names: str, gradient: bool = True) -> Any:
    def function(
        input_tensor: Any, axis: Any = None, keepdims: Any = None, name: str | None = None,
        reduction_indices: Any = None, keep_dims: Any = None,
    ) -> Tensor:  # fmt: skip
        tensor = convert_to_tensor(input_tensor)
        axes = axes_of(axis if reduction_indices is None else reduction_indices, tensor.sizes)
        keep = bool(keepdims or keep_dims)

        def reduce(x: torch.Tensor) -> torch.Tensor:
            dims = list(range(x.ndim)) if axes is None else axes
            return compute(x, dims, keep) if dims else x

        return node(type_, reduce, [tensor], tensor.dtype, _reduced(tensor.sizes, axes, keep), name, gradient=gradient)

    function.__doc__ = f"``{type_}`` of the values along ``axis``; of all without one."
    function.__name__ = names[0]
    publish(function, *names)
    return function


def _sum(x: torch.Tensor, dims: list[int], keep: bool) -> torch.Tensor:
    return x.sum(dims, keep, dtype=x.dtype)


def _mean(x: torch.Tensor, dims: list[int], keep: bool) -> torch.Tensor:
    if x.is_floating_point():
        return x.mean(dims, keep)
    count = torch.tensor([x.shape[dim] for dim in dims]).prod()
    return torch.div(x.sum(dims, keep), count, rounding_mode="trunc").to(x.dtype)


def _product(x: torch.Tensor, dims: list[int], keep: bool) -> torch.Tensor:
    for dim in sorted(dims, reverse=True):
        x = x.prod(dim, keep, dtype=x.dtype)
    return x


reduce_sum = _reduction("Sum", _sum, "reduce_sum")
reduce_mean = _reduction("Mean", _mean, "reduce_mean")
reduce_max = _reduction("Max", torch.amax, "reduce_max")
reduce_min = _reduction("Min", torch.amin, "reduce_min")
reduce_prod = _reduction("Prod", _product, "reduce_prod")
reduce_logsumexp = _reduction("LogSumExp", torch.logsumexp, "reduce_logsumexp")
reduce_all = _reduction("All", lambda x, dims, keep: torch.all(x, dims, keep), "reduce_all", gradient=False)
reduce_any = _reduction("Any", lambda x, dims, keep: torch.any(x, dims, keep), "reduce_any", gradient=False)


def _position(type_: str, compute: Callable[..., torch.Tensor], name_: str) -> Any:
    def function(
        input: Any, axis: Any = None, name: str | None = None, dimension: Any = None, output_type: Any = int64
    ) -> Tensor:
        tensor, kind = convert_to_tensor(input), as_dtype(output_type)
        place = axis_of(known_value(dimension if axis is None else axis) if (axis, dimension) != (None, None) else 0,
                        tensor.sizes)  # fmt: skip
        sizes = _reduced(tensor.sizes, [place], False) if tensor.sizes is not None else None
        return node(type_, lambda x: compute(x, place).to(kind.torch), [tensor], kind, sizes, name, gradient=False)

    function.__doc__ = f"The place of the value along ``axis`` (0 by default): ``{type_}``."
    publish(function, name_, name_.replace("arg", "arg_"))
    return function


argmax = _position("ArgMax", torch.argmax, "argmax")
argmin = _position("ArgMin", torch.argmin, "argmin")


@public("norm", "linalg.norm")
def norm(
    tensor: Any, ord: Any = "euclidean", axis: Any = None, keepdims: Any = None, name: str | None = None,
    keep_dims: Any = None,
) -> Tensor:  # fmt: skip
    """The norm of vectors along an axis, or of all values: ``euclidean``, or of the order ``ord``."""
    value = convert_to_tensor(tensor)
    axes, keep = axes_of(axis, value.sizes), bool(keepdims or keep_dims)
    order = 2.0 if ord in ("euclidean", "fro") else float(ord)
    if axis is not None and len(axes or ()) > 1 and ord not in ("euclidean", "fro"):
        raise NotImplementedError(f"norm got ord={ord!r} of matrices; expected 'euclidean' or 'fro'.")
    return node(
        "Norm", lambda x: torch.linalg.vector_norm(x, order, axes, keep), [value], value.dtype,
        _reduced(value.sizes, axes, keep), name or "norm",
    )  # fmt: skip


@public("count_nonzero", "math.count_nonzero")
def count_nonzero(
    input_tensor: Any = None, axis: Any = None, keepdims: Any = None, dtype: Any = int64, name: str | None = None,
    reduction_indices: Any = None, keep_dims: Any = None, input: Any = None,
) -> Tensor:  # fmt: skip
    """How many values are not zero."""
    value, kind = convert_to_tensor(input_tensor if input is None else input), as_dtype(dtype)
    axes = axes_of(axis if reduction_indices is None else reduction_indices, value.sizes)
    keep = bool(keepdims or keep_dims)

    def compute(x: torch.Tensor) -> torch.Tensor:
        dims = list(range(x.ndim)) if axes is None else axes
        return (x != 0).sum(dims, keep).to(kind.torch) if dims else (x != 0).to(kind.torch)

    return node(
        "CountNonzero", compute, [value], kind, _reduced(value.sizes, axes, keep), name or "count_nonzero",
        gradient=False,
    )  # fmt: skip


def _cumulative(type_: str, compute: Callable[..., torch.Tensor], first: int, name_: str) -> Any:
    def function(
        x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None
    ) -> Tensor:
        tensor, place = convert_to_tensor(x), int(axis)

        def run(values: torch.Tensor) -> torch.Tensor:
            at = axis_of(place, tuple(values.shape))
            if reverse:
                values = values.flip(at)
            made = compute(values, at).to(values.dtype)
            if exclusive:
                head = torch.full_like(made.narrow(at, 0, min(1, made.shape[at])), first)
                made = torch.cat([head, made.narrow(at, 0, max(0, made.shape[at] - 1))], at)
            return made.flip(at) if reverse else made

        return node(type_, run, [tensor], tensor.dtype, tensor.sizes, name)

    function.__doc__ = f"``{type_}`` along an axis; ``exclusive`` leaves out each place's own value."
    publish(function, name_, f"math.{name_}")
    return function


cumsum = _cumulative("Cumsum", torch.cumsum, 0, "cumsum")
cumprod = _cumulative("Cumprod", torch.cumprod, 1, "cumprod")
