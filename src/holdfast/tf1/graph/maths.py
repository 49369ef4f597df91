"""Products, sums along axes, conversions and clipping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from holdfast.tf1.graph.convert import convert_to_tensor, known_value, whole_numbers
from holdfast.tf1.graph.differentiation import IndexedSlices
from holdfast.tf1.graph.dtypes import DType, as_dtype, boolean, int32, int64
from holdfast.tf1.graph.graph import node
from holdfast.tf1.graph.names import public, publish
from holdfast.tf1.graph.operators import multiply
from holdfast.tf1.graph.shapes import Sizes, axis_of, broadcast, merged_size
from holdfast.tf1.graph.tensors import OPERATORS, Tensor


@public("matmul", "batch_matmul")
def matmul(
    a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False, adjoint_a: bool = False,
    adjoint_b: bool = False, a_is_sparse: bool = False, b_is_sparse: bool = False, name: str | None = None,
    adj_x: bool = False, adj_y: bool = False,
) -> Tensor:  # fmt: skip
    """The product of matrices, or of batches of matrices [..., I, K] and [..., K, J].

    Raises:
        ValueError: The sizes that are summed over differ.
    """
    x = convert_to_tensor(a, b.dtype if isinstance(b, Tensor) and not isinstance(a, Tensor) else None)
    y = convert_to_tensor(b, x.dtype)
    flip_x, flip_y = transpose_a or adjoint_a or adj_x, transpose_b or adjoint_b or adj_y

    def compute(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        return torch.matmul(p.transpose(-1, -2) if flip_x else p, q.transpose(-1, -2) if flip_y else q)

    return node(
        "MatMul", compute if flip_x or flip_y else torch.matmul, [x, y], x.dtype,
        _product_sizes(x, y, flip_x, flip_y), name,
    )  # fmt: skip


def _product_sizes(x: Tensor, y: Tensor, flip_x: bool, flip_y: bool) -> Sizes:
    if x.sizes is None or y.sizes is None:
        return None
    if len(x.sizes) < 2 or len(y.sizes) < 2:
        raise ValueError(f"matmul of shapes {x.shape} and {y.shape}; expected matrices, of two dimensions or more.")
    rows, left = x.sizes[-2:][::-1] if flip_x else x.sizes[-2:]
    right, columns = y.sizes[-2:][::-1] if flip_y else y.sizes[-2:]
    merged_size(left, right, x.sizes, y.sizes)
    batch = broadcast(x.sizes[:-2], y.sizes[:-2])
    return (*(batch or ()), rows, columns)


OPERATORS["__matmul__"] = matmul
OPERATORS["__rmatmul__"] = lambda x, y: matmul(y, x)


@public("tensordot")
def tensordot(a: Any, b: Any, axes: Any, name: str | None = None) -> Tensor:
    """The product of tensors, summed over ``axes``: a number of last and first ones, or two lists."""
    x = convert_to_tensor(a)
    y = convert_to_tensor(b, x.dtype)
    if isinstance(axes, int):
        over: Any = axes
        left = list(range(len(x.sizes or ()) - axes, len(x.sizes or ())))
        right = list(range(axes))
    else:
        left, right = ([each] if isinstance(each, int) else list(each) for each in axes)
        over = (left, right)
    sizes: Sizes = None
    if x.sizes is not None and y.sizes is not None:
        left, right = [a % len(x.sizes) for a in left], [b % len(y.sizes) for b in right]
        sizes = tuple(s for i, s in enumerate(x.sizes) if i not in left)
        sizes += tuple(s for i, s in enumerate(y.sizes) if i not in right)
    return node("Tensordot", lambda p, q: torch.tensordot(p, q, over), [x, y], x.dtype, sizes, name)


def _axes(axis: Any, sizes: Sizes) -> list[int] | None:
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
        axes = _axes(axis if reduction_indices is None else reduction_indices, tensor.sizes)
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


@public("cast")
def cast(x: Any, dtype: Any, name: str | None = None) -> Tensor:
    """The same values in another dtype; fractions are cut off."""
    kind = as_dtype(dtype)
    if isinstance(x, IndexedSlices):
        x = x.dense()
    tensor = convert_to_tensor(x)
    if tensor.dtype == kind:
        return tensor
    return node(
        "Cast", lambda value: value.to(kind.torch), [tensor], kind, tensor.sizes, name,
        gradient=tensor.dtype.is_floating and kind.is_floating,
    )  # fmt: skip


def _conversion(kind: DType, name_: str) -> None:
    def function(x: Any, name: str | None = None) -> Tensor:
        return cast(x, kind, name)

    function.__doc__ = f"``tf.cast(x, tf.{kind.name})``."
    publish(function, name_)


for _name in ("float", "double", "int32", "int64"):
    _conversion(as_dtype(_name), f"to_{_name}")


@public("range")
def range_(start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, name: str = "range") -> Tensor:
    """The numbers from ``start`` to less than ``limit`` in steps of ``delta``; from 0 with one argument."""
    if limit is None:
        start, limit = 0, start
    values = [convert_to_tensor(each) for each in (start, limit, delta)]
    kind = as_dtype(dtype) if dtype is not None else next(
        (each.dtype for each in values if each.dtype.is_floating), next((v.dtype for v in values if v.dtype == int64), int32)
    )  # fmt: skip
    known = [known_value(each) for each in values]
    size: int | None = None
    if all(each is not None for each in known):
        first, last, step = (each.item() for each in known if each is not None)
        size = len(torch.arange(first, last, step))
    return node(
        "Range", lambda a, b, c: torch.arange(a.item(), b.item(), c.item(), dtype=kind.torch), values, kind, (size,),
        name, gradient=False,
    )  # fmt: skip


@public("linspace", "lin_space")
def linspace(start: Any, stop: Any, num: Any, name: str | None = None) -> Tensor:
    """``num`` numbers from ``start`` to ``stop``, evenly spaced."""
    count = int(num)
    a = convert_to_tensor(start)
    b = convert_to_tensor(stop, a.dtype)
    return node(
        "LinSpace", lambda x, y: torch.linspace(x.item(), y.item(), count, dtype=x.dtype), [a, b], a.dtype, (count,),
        name, gradient=False,
    )  # fmt: skip


@public("size")
def size(input: Any, name: str | None = None, out_type: Any = int32) -> Tensor:
    """The number of values of a tensor in a run."""
    kind = as_dtype(out_type)
    return node(
        "Size", lambda x: torch.tensor(x.numel(), dtype=kind.torch), [convert_to_tensor(input)], kind, (), name,
        gradient=False,
    )  # fmt: skip


@public("rank")
def rank(input: Any, name: str | None = None) -> Tensor:
    """The number of dimensions of a tensor in a run."""
    return node(
        "Rank", lambda x: torch.tensor(x.ndim, dtype=torch.int32), [convert_to_tensor(input)], int32, (), name,
        gradient=False,
    )  # fmt: skip


@public("tile")
def tile(input: Any, multiples: Any, name: str | None = None) -> Tensor:
    """A tensor repeated along its dimensions."""
    tensor, known = convert_to_tensor(input), known_value(multiples)
    if known is None:
        sizes: Sizes = None if tensor.sizes is None else (None,) * len(tensor.sizes)
        return node(
            "Tile", lambda x, n: x.repeat(n.tolist()), [tensor, whole_numbers(multiples)], tensor.dtype, sizes, name
        )
    counts = [int(count) for count in known]
    if tensor.sizes is not None and len(counts) != len(tensor.sizes):
        raise ValueError(f"tile got multiples {counts} for shape {tensor.shape}; expected one for each dimension.")
    sizes = None if tensor.sizes is None else tuple(
        None if s is None else s * n for s, n in zip(tensor.sizes, counts, strict=True)
    )  # fmt: skip
    return node("Tile", lambda x: x.repeat(counts), [tensor], tensor.dtype, sizes, name)


@public("clip_by_value")
def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: str | None = None) -> Any:
    """Values below the first bound or above the second replaced by it."""
    if isinstance(t, IndexedSlices):
        return t.with_values(clip_by_value(t.values, clip_value_min, clip_value_max, name))
    tensor = convert_to_tensor(t)
    low, high = convert_to_tensor(clip_value_min, tensor.dtype), convert_to_tensor(clip_value_max, tensor.dtype)
    return node(
        "ClipByValue", lambda x, a, b: torch.minimum(torch.maximum(x, a), b), [tensor, low, high], tensor.dtype,
        broadcast(broadcast(tensor.sizes, low.sizes), high.sizes), name,
    )  # fmt: skip


@public("global_norm")
def global_norm(t_list: Any, name: str | None = None) -> Tensor:
    """The norm of all tensors of a list together; of rows that were looked up, of each of them."""
    values = [convert_to_tensor(t.values if isinstance(t, IndexedSlices) else t) for t in t_list if t is not None]
    if not values:
        raise ValueError("global_norm got no tensors; expected one that is not None.")

    def compute(*xs: torch.Tensor) -> torch.Tensor:
        return torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(x) for x in xs]))

    return node("GlobalNorm", compute, values, values[0].dtype, (), name or "global_norm")


@public("clip_by_global_norm")
def clip_by_global_norm(
    t_list: Any, clip_norm: Any, use_norm: Any = None, name: str | None = None
) -> tuple[list[Any], Tensor]:
    """The tensors of a list, scaled so that their norm together is at most ``clip_norm``; and that norm before."""
    norm = global_norm(t_list) if use_norm is None else use_norm
    most = convert_to_tensor(clip_norm, norm.dtype)
    scale = node("Scale", lambda n, m: m / torch.maximum(n, m), [norm, most], norm.dtype, ())
    clipped: list[Any] = []
    for t in t_list:
        if t is None:
            clipped.append(None)
        elif isinstance(t, IndexedSlices):
            clipped.append(t.with_values(multiply(t.values, scale)))
        else:
            clipped.append(multiply(convert_to_tensor(t), scale))
    return clipped, norm


@public("clip_by_norm")
def clip_by_norm(t: Any, clip_norm: Any, axes: Any = None, name: str | None = None) -> Any:
    """A tensor, scaled so that its norm (along ``axes``) is at most ``clip_norm``."""
    if isinstance(t, IndexedSlices):
        return t.with_values(clip_by_norm(t.values, clip_norm, axes, name))
    tensor = convert_to_tensor(t)
    most, over = convert_to_tensor(clip_norm, tensor.dtype), _axes(axes, tensor.sizes)

    def compute(x: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
        norm = torch.linalg.vector_norm(x, dim=over, keepdim=True) if over else x.abs()
        return x * (m / torch.maximum(norm, m))

    return node("ClipByNorm", compute, [tensor, most], tensor.dtype, tensor.sizes, name)


@public("where", "select")
def where(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Tensor:
    """``x`` where the condition holds, otherwise ``y``; without them, the places where it holds [N, dimensions].

    A condition [B] chooses whole rows of ``x`` and ``y``.
    """
    chosen = convert_to_tensor(condition)
    if x is None:
        rank_ = None if chosen.sizes is None else len(chosen.sizes)
        return node("Where", lambda c: c.nonzero(), [chosen], int64, (None, rank_), name, gradient=False)
    a = convert_to_tensor(x, y.dtype if isinstance(y, Tensor) and not isinstance(x, Tensor) else None)
    b = convert_to_tensor(y, a.dtype)

    def compute(c: torch.Tensor, p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        if c.ndim == 1 and p.ndim > 1:
            c = c.reshape(-1, *[1] * (p.ndim - 1))
        return torch.where(c, p, q)

    return node("Select", compute, [chosen, a, b], a.dtype, a.sizes if a.sizes is not None else b.sizes, name)


@public("one_hot")
def one_hot(
    indices: Any, depth: Any, on_value: Any = None, off_value: Any = None, axis: int | None = None, dtype: Any = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """For each index a vector of ``depth`` values: ``on_value`` (1) at the index, ``off_value`` (0) elsewhere."""
    ids, count = convert_to_tensor(indices), known_value(depth)
    if count is None:
        raise ValueError("one_hot got a depth that is not known before the run; expected a whole number.")
    width, place = int(count), -1 if axis is None else axis
    kind = as_dtype(
        dtype if dtype is not None else "float32" if on_value is None else convert_to_tensor(on_value).dtype
    )
    on, off = (
        convert_to_tensor(default if given is None else given, kind)
        for given, default in ((on_value, 1), (off_value, 0))
    )

    def compute(which: torch.Tensor, one: torch.Tensor, zero: torch.Tensor) -> torch.Tensor:
        hit = which.long().unsqueeze(-1) == torch.arange(width)
        return torch.where(hit, one, zero).movedim(-1, place)

    sizes: Sizes = None
    if ids.sizes is not None:
        at = axis_of(place, (*ids.sizes, None))
        sizes = (*ids.sizes[:at], width, *ids.sizes[at:])
    return node("OneHot", compute, [ids, on, off], kind, sizes, name, gradient=False)


@public("reverse", "reverse_v2")
def reverse(tensor: Any, axis: Any, name: str | None = None) -> Tensor:
    """A tensor backwards along axes; also with a list of booleans, as before TensorFlow 1.0."""
    value = convert_to_tensor(tensor)
    known = known_value(axis)
    if known is None:
        raise ValueError("reverse got axes that are not known before the run; expected a list of numbers.")
    flags = known.ravel().tolist()
    if known.dtype == bool:
        flags = [place for place, flag in enumerate(flags) if flag]
    axes = [axis_of(each, value.sizes) for each in flags]
    return node("ReverseV2", lambda x: x.flip(axes), [value], value.dtype, value.sizes, name)


publish(boolean, "bool")
