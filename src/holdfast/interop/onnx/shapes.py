"""The operators of ONNX that move, cut and join values; see :mod:`holdfast.interop.onnx.operators`.

An argument of type ``Ints`` is a list where the file holds it, and a tensor where the graph computes it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from holdfast.errors import ShapeError

Ints = Tensor | Sequence[int] | int | None
Floats = Tensor | Sequence[float] | None


def integers(values: Ints) -> list[int] | None:
    """A list of whole numbers; of one number, a list of one."""
    if values is None:
        return None
    if isinstance(values, Tensor):
        return [int(value) for value in values.flatten().tolist()]
    return [values] if isinstance(values, int) else [int(value) for value in values]


def shape(x: Tensor, *, start: int = 0, end: int | None = None) -> Tensor:
    """The sizes from ``start`` to before ``end``."""
    return torch.tensor(x.shape[start:end], dtype=torch.int64)


def size(x: Tensor) -> Tensor:
    """How many values there are."""
    return torch.tensor(x.numel(), dtype=torch.int64)


def reshape(x: Tensor, shape: Ints = None, *, allowzero: int = 0) -> Tensor:
    """Other sizes: -1 for what is left, and 0 for the size that stands there now."""
    sizes = integers(shape) or []
    if not allowzero:
        sizes = [x.shape[k] if wanted == 0 else wanted for k, wanted in enumerate(sizes)]
    return x.reshape(tuple(sizes))


def flatten(x: Tensor, *, axis: int = 1) -> Tensor:
    """Two dimensions: those before the axis as one, and the others."""
    axis = axis if axis >= 0 else axis + x.ndim
    return x.reshape(x.shape[:axis].numel(), x.shape[axis:].numel())


def transpose(x: Tensor, *, perm: Ints = None) -> Tensor:
    """The dimensions in another order; turned around when none is given."""
    order = integers(perm)
    return x.permute(*(reversed(range(x.ndim)) if order is None else order))


def squeeze(x: Tensor, axes: Ints = None) -> Tensor:
    """Without these dimensions, which have size 1; without any such when none is named."""
    found = integers(axes)
    if found is None:
        return x.squeeze()
    if any(x.shape[axis] != 1 for axis in found):
        raise ShapeError(f"Squeeze got shape {tuple(x.shape)} and axes {found}; expected size 1 there.")
    return x.squeeze(found)


def unsqueeze(x: Tensor, axes: Ints = None) -> Tensor:
    """With new dimensions of size 1 at these places of the result."""
    places = integers(axes) or []
    count = x.ndim + len(places)
    for axis in sorted(axis % count for axis in places):
        x = x.unsqueeze(axis)
    return x


def expand(x: Tensor, shape: Ints = None) -> Tensor:
    """Broadcast with these sizes."""
    sizes: tuple[int, ...] = torch.broadcast_shapes(x.shape, tuple(integers(shape) or []))  # type: ignore[no-untyped-call]
    return x.expand(sizes)


def tile(x: Tensor, repeats: Ints = None) -> Tensor:
    """Repeated along each dimension."""
    return x.repeat(integers(repeats) or [])


def concat(*inputs: Tensor, axis: int = 0) -> Tensor:
    """Joined along an axis."""
    return torch.cat(inputs, axis)


def split(x: Tensor, split: Ints = None, *, axis: int = 0, num_outputs: int = 1) -> tuple[Tensor, ...]:
    """Cut along an axis: into these sizes, or into equal parts, the last one smaller where it must be."""
    sizes = integers(split) or -(-x.shape[axis] // num_outputs)
    return torch.split(x, sizes, axis)


def cut(x: Tensor, starts: Ints = None, ends: Ints = None, axes: Ints = None, steps: Ints = None) -> Tensor:
    """Every ``step``-th value from ``start`` to before ``end`` along some axes; a negative step goes backwards."""
    first, last = integers(starts) or [], integers(ends) or []
    along = integers(axes) or list(range(len(first)))
    strides = integers(steps) or [1] * len(first)
    for begin, end, axis, stride in zip(first, last, along, strides, strict=True):
        places = range(x.shape[axis])[begin:end:stride]
        if stride == 1:
            x = x.narrow(axis, places.start, len(places))
        else:
            x = x.index_select(axis, torch.tensor(places, dtype=torch.int64, device=x.device))
    return x


def gather(x: Tensor, indices: Tensor | None = None, *, axis: int = 0, place: int | None = None) -> Tensor:
    """The slices at these places along an axis; places below zero count from the end.

    A ``place`` is one that the file holds: the slice there, with one dimension less.
    """
    axis = axis % x.ndim
    if place is not None:
        return x.select(axis, place)
    if indices is None:
        raise ShapeError("Gather got no places; expected whole numbers.")
    places = indices.long()
    places = torch.where(places < 0, places + x.shape[axis], places)
    found = x.index_select(axis, places.flatten())
    return found.reshape((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


def gather_elements(x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    """The values at these places along an axis, one for each index."""
    places = indices.long()
    return torch.gather(x, axis, torch.where(places < 0, places + x.shape[axis], places))


def gather_nd(x: Tensor, indices: Tensor, *, batch_dims: int = 0) -> Tensor:
    """The slices at these coordinates, which stand along the last dimension of ``indices``."""
    if batch_dims:
        raise ShapeError(f"GatherND has batch_dims = {batch_dims}; expected 0.")
    return x[tuple(indices.long().unbind(-1))]


def scatter_nd(x: Tensor, indices: Tensor, updates: Tensor, *, reduction: str = "none") -> Tensor:
    """The values with others put at these coordinates, which stand along the last dimension of ``indices``."""
    if reduction not in ("none", "add"):
        raise ShapeError(f"ScatterND has reduction {reduction!r}; expected 'none' or 'add'.")
    return x.index_put(tuple(indices.long().unbind(-1)), updates, accumulate=reduction == "add")


def scatter_elements(x: Tensor, indices: Tensor, updates: Tensor, *, axis: int = 0, reduction: str = "none") -> Tensor:
    """The values with others put at these places along an axis, one for each index."""
    if reduction not in ("none", "add"):
        raise ShapeError(f"ScatterElements has reduction {reduction!r}; expected 'none' or 'add'.")
    places = torch.where(indices < 0, indices + x.shape[axis], indices).long()
    return x.scatter_add(axis, places, updates) if reduction == "add" else x.scatter(axis, places, updates)


def steps(start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    """The numbers from ``start`` to before ``limit``, ``delta`` apart."""
    return torch.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype, device=start.device)


def cumulative_sum(x: Tensor, axis: Ints = None, *, exclusive: int = 0, reverse: int = 0) -> Tensor:
    """The sum of the values so far along an axis."""
    (along,) = integers(axis) or [0]
    x = x.flip(along) if reverse else x
    total = x.cumsum(along, dtype=x.dtype) - (x if exclusive else 0)
    return total.flip(along) if reverse else total


def largest(x: Tensor, k: Ints = None, *, axis: int = -1, largest: int = 1, sorted: int = 1) -> tuple[Tensor, Tensor]:
    """The largest (or smallest) values along an axis and their places."""
    (count,) = integers(k) or [1]
    found = torch.topk(x, count, axis, bool(largest), bool(sorted))
    return found.values, found.indices


def one_hot(indices: Tensor, depth: Ints, values: Tensor, *, axis: int = -1) -> Tensor:
    """A new axis with the second of two values at the place of the index and the first elsewhere."""
    (count,) = integers(depth) or [1]
    places = torch.where(indices < 0, indices + count, indices).long()
    hot = places.unsqueeze(-1) == torch.arange(count, device=indices.device)
    return torch.where(hot, values[1], values[0]).movedim(-1, axis)


def depth_to_space(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """Channels laid out as blocks of the plane; in which of two orders they are says ``mode``."""
    if mode not in ("DCR", "CRD"):
        raise ShapeError(f"DepthToSpace has mode {mode!r}; expected 'DCR' or 'CRD'.")
    n, c, h, w = x.shape
    k = blocksize
    if mode == "DCR":
        apart = x.reshape(n, k, k, c // k**2, h, w).permute(0, 3, 4, 1, 5, 2)
    else:
        apart = x.reshape(n, c // k**2, k, k, h, w).permute(0, 1, 4, 2, 5, 3)
    return apart.reshape(n, c // k**2, h * k, w * k)


def space_to_depth(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """Blocks of the plane laid out as channels; in which of two orders says ``mode``."""
    if mode not in ("DCR", "CRD"):
        raise ShapeError(f"SpaceToDepth has mode {mode!r}; expected 'DCR' or 'CRD'.")
    n, c, h, w = x.shape
    k = blocksize
    apart = x.reshape(n, c, h // k, k, w // k, k)
    order = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    return apart.permute(order).reshape(n, c * k**2, h // k, w // k)


def triangle(x: Tensor, k: Ints = None, *, upper: int = 1) -> Tensor:
    """The values above (or below) a diagonal, and zeros."""
    (diagonal,) = integers(k) or [0]
    return torch.triu(x, diagonal) if upper else torch.tril(x, diagonal)


def reverse_sequence(x: Tensor, lengths: Tensor, *, batch_axis: int = 1, time_axis: int = 0) -> Tensor:
    """The steps within each row's length turned around."""
    rows = x.movedim((batch_axis, time_axis), (0, 1))
    time = torch.arange(rows.shape[1], device=x.device)
    within = lengths.long()[:, None]
    order = torch.where(time < within, within - 1 - time, time)
    turned = rows[torch.arange(len(rows), device=x.device)[:, None], order]
    return turned.movedim((0, 1), (batch_axis, time_axis))
