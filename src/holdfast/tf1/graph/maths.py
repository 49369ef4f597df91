"""Conversions, ranges, choices and repetitions."""

from __future__ import annotations

from typing import Any

import torch

from holdfast.tf1.graph.convert import convert_to_tensor, known_value, whole_numbers
from holdfast.tf1.graph.differentiation import IndexedSlices
from holdfast.tf1.graph.dtypes import DType, as_dtype, boolean, int32, int64
from holdfast.tf1.graph.graph import node
from holdfast.tf1.graph.names import public, publish
from holdfast.tf1.graph.shapes import Sizes, axis_of
from holdfast.tf1.graph.tensors import Tensor


@public("cast")
def cast(x: Any, dtype: Any, name: str | None = None) -> Tensor:
    """The same values in another dtype; fractions are cut off. A sparse tensor stays one."""
    kind = as_dtype(dtype)
    if isinstance(x, IndexedSlices):
        x = x.dense()
    elif hasattr(x, "with_values"):
        return x.with_values(cast(x.values, kind, name))  # type: ignore[no-any-return]
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
    kinds = [each.dtype for each in values]
    widest = next((each for each in kinds if each.is_floating), int64 if int64 in kinds else int32)
    kind = widest if dtype is None else as_dtype(dtype)
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


@public("where")
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
    width, place = None if count is None else int(count), -1 if axis is None else axis
    kind = as_dtype(
        dtype if dtype is not None else "float32" if on_value is None else convert_to_tensor(on_value).dtype
    )
    on, off = (
        convert_to_tensor(default if given is None else given, kind)
        for given, default in ((on_value, 1), (off_value, 0))
    )

    def compute(which: torch.Tensor, one: torch.Tensor, zero: torch.Tensor, most: Any = width) -> torch.Tensor:
        hit = which.long().unsqueeze(-1) == torch.arange(int(most))
        return torch.where(hit, one, zero).movedim(-1, place)

    sizes: Sizes = None
    if ids.sizes is not None:
        at = axis_of(place, (*ids.sizes, None))
        sizes = (*ids.sizes[:at], width, *ids.sizes[at:])
    inputs = [ids, on, off, *([] if width is not None else [convert_to_tensor(depth)])]
    return node("OneHot", compute, inputs, kind, sizes, name, gradient=False)


@public("reverse", "reverse_v2")
def reverse(tensor: Any, axis: Any = None, name: str | None = None, dims: Any = None) -> Tensor:
    """A tensor backwards along axes; also with a list of booleans, ``dims``, as before TensorFlow 1.0."""
    value = convert_to_tensor(tensor)
    known = known_value(dims if axis is None else axis)
    if known is None:
        raise ValueError("reverse got axes that are not known before the run; expected a list of numbers.")
    flags = known.ravel().tolist()
    if known.dtype == bool:
        flags = [place for place, flag in enumerate(flags) if flag]
    axes = [axis_of(each, value.sizes) for each in flags]
    return node("ReverseV2", lambda x: x.flip(axes), [value], value.dtype, value.sizes, name)


publish(boolean, "bool")


@public("saturate_cast")
def saturate_cast(value: Any, dtype: Any, name: str | None = None) -> Tensor:
    """:func:`cast`, of the nearest value that the dtype has."""
    tensor, kind = convert_to_tensor(value), as_dtype(dtype)
    low, high = kind.min, kind.max
    return node(
        "SaturateCast", lambda x: x.clamp(low, high).to(kind.torch), [tensor], kind, tensor.sizes, name,
        gradient=tensor.dtype.is_floating and kind.is_floating,
    )  # fmt: skip
