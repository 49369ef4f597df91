"""Operators that move, cut, join and look up values."""

from __future__ import annotations

import torch
from torch import Tensor

from holdfast.errors import ShapeError
from holdfast.interop.onnx.operators.registry import Ints, integers, operator


@operator("Shape")
def shape(x: Tensor, *, start: int = 0, end: int | None = None) -> Tensor:
    """The sizes of the dimensions from ``start`` to before ``end``."""
    return torch.tensor(x.shape[start:end], dtype=torch.int64)


@operator("Size")
def size(x: Tensor) -> Tensor:
    """The number of values."""
    return torch.tensor(x.numel(), dtype=torch.int64)


@operator("Reshape")
def reshape(x: Tensor, shape: Ints = None, *, allowzero: int = 0) -> Tensor:
    """Changes the sizes: -1 is computed from the others, 0 keeps the present size."""
    sizes = integers(shape) or []
    if not allowzero:
        sizes = [x.shape[axis] if new == 0 else new for axis, new in enumerate(sizes)]
    return x.reshape(tuple(sizes))


@operator("Flatten")
def flatten(x: Tensor, *, axis: int = 1) -> Tensor:
    """Merges the dimensions before the axis into one, and those from the axis on into another."""
    axis = axis if axis >= 0 else axis + x.ndim
    return x.reshape(x.shape[:axis].numel(), x.shape[axis:].numel())


@operator("Transpose")
def transpose(x: Tensor, *, perm: Ints = None) -> Tensor:
    """Reorders the dimensions; reverses them when no order is given."""
    order = integers(perm)
    return x.permute(*(reversed(range(x.ndim)) if order is None else order))


@operator("Squeeze")
def squeeze(x: Tensor, axes: Ints = None) -> Tensor:
    """Removes these dimensions, which must have size 1; without ``axes``, all dimensions of size 1."""
    along = integers(axes)
    if along is None:
        return x.squeeze()
    if any(x.shape[axis] != 1 for axis in along):
        raise ShapeError(f"Squeeze got shape {tuple(x.shape)} and axes {along}; expected size 1 there.")
    return x.squeeze(along)


@operator("Unsqueeze")
def unsqueeze(x: Tensor, axes: Ints = None) -> Tensor:
    """Inserts dimensions of size 1 at these places of the result."""
    places = integers(axes) or []
    count = x.ndim + len(places)
    for axis in sorted(axis % count for axis in places):
        x = x.unsqueeze(axis)
    return x


@operator("Expand")
def expand(x: Tensor, shape: Ints = None) -> Tensor:
    """Broadcasts with these sizes."""
    sizes: tuple[int, ...] = torch.broadcast_shapes(x.shape, tuple(integers(shape) or []))  # type: ignore[no-untyped-call]
    return x.expand(sizes)


@operator("Tile")
def tile(x: Tensor, repeats: Ints = None) -> Tensor:
    """Repeats the values along each dimension."""
    return x.repeat(integers(repeats) or [])


@operator("Concat")
def concat(*inputs: Tensor, axis: int = 0) -> Tensor:
    """Joins values along an axis."""
    return torch.cat(inputs, axis)


@operator("Split", max_outputs=10_000)
def split(x: Tensor, split: Ints = None, *, axis: int = 0, num_outputs: int = 1) -> tuple[Tensor, ...]:
    """Cuts along an axis into parts of these sizes, or into equal parts; the last part may be smaller."""
    sizes = integers(split) or -(-x.shape[axis] // num_outputs)
    return torch.split(x, sizes, axis)


@operator("Slice")
def slice_(x: Tensor, starts: Ints = None, ends: Ints = None, axes: Ints = None, steps: Ints = None) -> Tensor:
    """Takes every ``step``-th value from ``start`` to before ``end``, per axis; a negative step goes backwards."""
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


@operator("Gather")
def gather(x: Tensor, indices: Tensor | None = None, *, axis: int = 0, place: int | None = None) -> Tensor:
    """Takes the slices at these indices along an axis; negative indices count from the end.

    ``place`` is a single index from the file: the result is the slice there, with one dimension less.
    """
    axis = axis % x.ndim
    if place is not None:
        return x.select(axis, place)
    if indices is None:
        raise ShapeError("Gather got no indices; expected whole numbers.")
    rows = x.index_select(axis, _from_start(indices, x.shape[axis]).flatten())
    return rows.reshape((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


@operator("GatherElements")
def gather_elements(x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    """Takes one value along an axis for each index."""
    return torch.gather(x, axis, _from_start(indices, x.shape[axis]))


@operator("GatherND")
def gather_nd(x: Tensor, indices: Tensor, *, batch_dims: int = 0) -> Tensor:
    """Takes the slices at these coordinates, which are the last dimension of ``indices``."""
    if batch_dims:
        raise ShapeError(f"GatherND has batch_dims = {batch_dims}; expected 0.")
    return x[tuple(indices.long().unbind(-1))]


@operator("ScatterND")
def scatter_nd(x: Tensor, indices: Tensor, updates: Tensor, *, reduction: str = "none") -> Tensor:
    """Puts the updates at these coordinates, which are the last dimension of ``indices``."""
    return x.index_put(tuple(indices.long().unbind(-1)), updates, accumulate=_adds("ScatterND", reduction))


@operator("ScatterElements")
def scatter_elements(x: Tensor, indices: Tensor, updates: Tensor, *, axis: int = 0, reduction: str = "none") -> Tensor:
    """Puts one update along an axis for each index."""
    places = _from_start(indices, x.shape[axis])
    adds = _adds("ScatterElements", reduction)
    return x.scatter_add(axis, places, updates) if adds else x.scatter(axis, places, updates)


def _adds(op: str, reduction: str) -> bool:
    if reduction not in ("none", "add"):
        raise ShapeError(f"{op} has reduction {reduction!r}; expected 'none' or 'add'.")
    return reduction == "add"


def _from_start(indices: Tensor, size: int) -> Tensor:
    """Indices counted from the start; negative indices count from the end."""
    places = indices.long()
    return torch.where(places < 0, places + size, places)


@operator("Range")
def range_(start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    """The numbers from ``start`` to before ``limit`` in steps of ``delta``."""
    return torch.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype, device=start.device)


@operator("TopK", max_outputs=2)
def top_k(x: Tensor, k: Ints = None, *, axis: int = -1, largest: int = 1, sorted: int = 1) -> tuple[Tensor, Tensor]:
    """The ``k`` largest (or smallest) values along an axis, and their indices."""
    (count,) = integers(k) or [1]
    top = torch.topk(x, count, axis, bool(largest), bool(sorted))
    return top.values, top.indices


@operator("OneHot")
def one_hot(indices: Tensor, depth: Ints, values: Tensor, *, axis: int = -1) -> Tensor:
    """Adds an axis with ``values[1]`` at the index and ``values[0]`` elsewhere."""
    (count,) = integers(depth) or [1]
    hot = _from_start(indices, count).unsqueeze(-1) == torch.arange(count, device=indices.device)
    return torch.where(hot, values[1], values[0]).movedim(-1, axis)


@operator("DepthToSpace")
def depth_to_space(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """Moves channels into blocks of the plane: depth-column-row order, or with "CRD" column-row-depth."""
    if mode not in ("DCR", "CRD"):
        raise ShapeError(f"DepthToSpace has mode {mode!r}; expected 'DCR' or 'CRD'.")
    n, c, h, w = x.shape
    k = blocksize
    if mode == "DCR":
        blocks = x.reshape(n, k, k, c // k**2, h, w).permute(0, 3, 4, 1, 5, 2)
    else:
        blocks = x.reshape(n, c // k**2, k, k, h, w).permute(0, 1, 4, 2, 5, 3)
    return blocks.reshape(n, c // k**2, h * k, w * k)


@operator("SpaceToDepth")
def space_to_depth(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """Moves blocks of the plane into channels; the inverse of :func:`depth_to_space`."""
    if mode not in ("DCR", "CRD"):
        raise ShapeError(f"SpaceToDepth has mode {mode!r}; expected 'DCR' or 'CRD'.")
    n, c, h, w = x.shape
    k = blocksize
    blocks = x.reshape(n, c, h // k, k, w // k, k)
    order = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    return blocks.permute(order).reshape(n, c * k**2, h // k, w // k)


@operator("Trilu")
def triangle(x: Tensor, k: Ints = None, *, upper: int = 1) -> Tensor:
    """Keeps the values above (or below) a diagonal; the others become zero."""
    (diagonal,) = integers(k) or [0]
    return torch.triu(x, diagonal) if upper else torch.tril(x, diagonal)


@operator("ReverseSequence")
def reverse_sequence(x: Tensor, lengths: Tensor, *, batch_axis: int = 1, time_axis: int = 0) -> Tensor:
    """Reverses the steps within the length of each row."""
    rows = x.movedim((batch_axis, time_axis), (0, 1))
    time = torch.arange(rows.shape[1], device=x.device)
    within = lengths.long()[:, None]
    order = torch.where(time < within, within - 1 - time, time)
    reversed_rows = rows[torch.arange(len(rows), device=x.device)[:, None], order]
    return reversed_rows.movedim((0, 1), (batch_axis, time_axis))
