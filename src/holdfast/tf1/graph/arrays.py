"""The shape of tensors: reshaping, joining, cutting, looking up."""

from __future__ import annotations

from typing import Any

import torch

from holdfast.tf1.graph.convert import convert_to_tensor, known_sizes, known_value, same_kind, whole_numbers
from holdfast.tf1.graph.dtypes import as_dtype, int32
from holdfast.tf1.graph.graph import get_default_graph, node, nodes
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.shapes import Sizes, axis_of, merged, merged_size, product, sizes_of
from holdfast.tf1.graph.tensors import Tensor


@public("placeholder")
def placeholder(dtype: Any, shape: Any = None, name: str | None = None) -> Tensor:
    """A tensor whose value each run is given in ``feed_dict``."""
    return node("Placeholder", None, [], dtype, sizes_of(shape), name)


@public("placeholder_with_default")
def placeholder_with_default(input: Any, shape: Any = None, name: str | None = None) -> Tensor:
    """A tensor with a value that a run may replace."""
    tensor = convert_to_tensor(input)
    return node("PlaceholderWithDefault", lambda x: x, [tensor], tensor.dtype, sizes_of(shape), name)


@public("identity")
def identity(input: Any, name: str | None = None) -> Tensor:
    """The same value."""
    tensor = convert_to_tensor(input)
    return node("Identity", lambda x: x, [tensor], tensor.dtype, tensor.sizes, name)


@public("shape")
def shape(input: Any, name: str | None = None, out_type: Any = int32) -> Tensor:
    """The sizes of a tensor in a run, [number of sizes]."""
    tensor, kind = convert_to_tensor(input), as_dtype(out_type)
    rank = None if tensor.sizes is None else len(tensor.sizes)
    return node(
        "Shape", lambda x: torch.tensor(x.shape, dtype=kind.torch), [tensor], kind, (rank,), name, gradient=False
    )


@public("reshape")
def reshape(tensor: Any, shape: Any, name: str | None = None) -> Tensor:
    """The same values in another shape; one size may be -1, which stands for what is left.

    Raises:
        ValueError: The sizes are known, and do not hold the values.
    """
    value, known = convert_to_tensor(tensor), known_value(shape)
    if known is not None:
        target = tuple(int(size) for size in known.ravel())
        return node("Reshape", lambda x: x.reshape(target), [value], value.dtype, _reshaped(value.sizes, target), name)
    return node(
        "Reshape", lambda x, to: x.reshape(to.tolist()), [value, whole_numbers(shape)], value.dtype,
        _partly_known(value.sizes, shape), name,
    )  # fmt: skip


def _partly_known(before: Sizes, shape: Any) -> Sizes:
    """The sizes of a reshape whose target has sizes that only a run knows."""
    sizes = known_sizes(shape)
    parts = shape.op.inputs if isinstance(shape, Tensor) and shape.op.type == "Pack" else shape
    if sizes is None or before is None or isinstance(parts, Tensor):
        return sizes
    values = [known_value(part) for part in parts]
    free = [place for place, part in enumerate(values) if part is not None and int(part) == -1]
    count, rest = product(before), product([size for place, size in enumerate(sizes) if place not in free])
    if len(free) != 1 or count is None or not rest or count % rest:
        return sizes
    return tuple(count // rest if place in free else size for place, size in enumerate(sizes))


def _reshaped(before: Sizes, target: tuple[int, ...]) -> Sizes:
    count = None if before is None else product(before)
    rest = product([size for size in target if size >= 0]) or 0
    if -1 not in target:
        if count is not None and count != rest:
            raise ValueError(f"Cannot reshape {count} values ({before}) into {target}, which holds {rest}.")
        return target
    left: int | None = None
    if count is not None:
        if not rest or count % rest:
            raise ValueError(
                f"Cannot reshape {count} values ({before}) into {target}: they are not a multiple of {rest}."
            )
        left = count // rest
    return tuple(left if size < 0 else size for size in target)


@public("transpose")
def transpose(a: Any, perm: Any = None, name: str | None = None) -> Tensor:
    """The dimensions in another order; in the reverse order without one."""
    tensor = convert_to_tensor(a)
    if perm is None:
        sizes = None if tensor.sizes is None else tensor.sizes[::-1]
        return node("Transpose", lambda x: x.permute(*reversed(range(x.ndim))), [tensor], tensor.dtype, sizes, name)
    known = known_value(perm)
    if known is None:
        return node(
            "Transpose", lambda x, order: x.permute(*order.tolist()), [tensor, whole_numbers(perm)], tensor.dtype,
            None if tensor.sizes is None else (None,) * len(tensor.sizes), name,
        )  # fmt: skip
    order = [int(axis) for axis in known]
    if tensor.sizes is not None and sorted(order) != list(range(len(tensor.sizes))):
        raise ValueError(
            f"transpose got perm={order}; expected the numbers 0 to {len(tensor.sizes) - 1} in some order."
        )
    sizes = (None,) * len(order) if tensor.sizes is None else tuple(tensor.sizes[axis] for axis in order)
    return node("Transpose", lambda x: x.permute(order), [tensor], tensor.dtype, sizes, name)


@public("expand_dims")
def expand_dims(input: Any, axis: Any = None, name: str | None = None, dim: Any = None) -> Tensor:
    """A new dimension of size 1."""
    tensor, place = convert_to_tensor(input), int(dim if axis is None else axis)
    sizes: Sizes = None
    if tensor.sizes is not None:
        at = axis_of(place, (*tensor.sizes, None))
        sizes = (*tensor.sizes[:at], 1, *tensor.sizes[at:])
    return node("ExpandDims", lambda x: x.unsqueeze(place), [tensor], tensor.dtype, sizes, name)


@public("squeeze")
def squeeze(input: Any, axis: Any = None, name: str | None = None, squeeze_dims: Any = None) -> Tensor:
    """Without dimensions of size 1: those of ``axis``, or all.

    Raises:
        ValueError: A dimension of ``axis`` has another size.
    """
    tensor, given = convert_to_tensor(input), squeeze_dims if axis is None else axis
    if given is None:
        sizes = None if tensor.sizes is None or None in tensor.sizes else tuple(s for s in tensor.sizes if s != 1)
        return node("Squeeze", torch.squeeze, [tensor], tensor.dtype, sizes, name)
    axes = [axis_of(each, tensor.sizes) for each in (given if isinstance(given, list | tuple) else [given])]

    def compute(x: torch.Tensor) -> torch.Tensor:
        if any(x.shape[each] != 1 for each in axes):
            raise ValueError(f"squeeze of axes {axes} of {tuple(x.shape)}; expected sizes of 1")
        return x.squeeze(axes)

    if tensor.sizes is None:
        return node("Squeeze", compute, [tensor], tensor.dtype, None, name)
    for each in axes:
        merged_size(tensor.sizes[each], 1, tensor.sizes, None)
    sizes = tuple(size for place, size in enumerate(tensor.sizes) if place not in axes)
    return node("Squeeze", compute, [tensor], tensor.dtype, sizes, name)


@public("concat", "concat_v2")
def concat(values: Any, axis: Any = None, name: str = "concat", concat_dim: Any = None) -> Tensor:
    """Tensors one after the other along an axis; also with the axis first, as before TensorFlow 1.0."""
    axis = concat_dim if axis is None else axis
    if isinstance(values, int) or (not isinstance(values, list | tuple) and isinstance(axis, list | tuple)):
        values, axis = axis, values
    tensors = [convert_to_tensor(each) for each in (values if isinstance(values, list | tuple) else [values])]
    tensors = same_kind(*tensors)
    known = known_value(axis)
    if known is None:
        raise ValueError("concat got an axis that is not known before the run; expected a whole number.")
    place = axis_of(int(known), next((each.sizes for each in tensors if each.sizes is not None), None))
    return node("ConcatV2", lambda *xs: torch.cat(xs, place), tensors, tensors[0].dtype, _joined(tensors, place), name)


def _joined(tensors: list[Tensor], axis: int) -> Sizes:
    if any(tensor.sizes is None for tensor in tensors):
        return None
    others: Sizes = None
    total: int | None = 0
    for tensor in tensors:
        sizes = list(tensor.sizes or ())
        size = sizes[axis]
        sizes[axis] = None
        others = merged(others, tuple(sizes))
        total = None if total is None or size is None else total + size
    return tuple(total if place == axis else size for place, size in enumerate(others or ()))


@public("stack", "pack")
def stack(values: Any, axis: int = 0, name: str | None = None) -> Tensor:
    """Tensors of one shape side by side along a new axis."""
    tensors = same_kind(*[convert_to_tensor(each) for each in values]) if isinstance(values, list | tuple) else [
        *unstack(values)
    ]  # fmt: skip
    sizes: Sizes = None
    for tensor in tensors:
        sizes = merged(sizes, tensor.sizes)
    if sizes is not None:
        at = axis_of(axis, (*sizes, None))
        sizes = (*sizes[:at], len(tensors), *sizes[at:])
    return node("Pack", lambda *xs: torch.stack(xs, axis), tensors, tensors[0].dtype, sizes, name or "stack")


@public("unstack", "unpack")
def unstack(value: Any, num: int | None = None, axis: int = 0, name: str = "unstack") -> list[Tensor]:
    """A list of the parts of a tensor along an axis.

    Raises:
        ValueError: The number of parts is unknown, or another than ``num``.
    """
    tensor = convert_to_tensor(value)
    sizes = tensor.sizes
    count = None if sizes is None else sizes[axis_of(axis, sizes)]
    if num is not None:
        count = merged_size(count, int(num), sizes)
    get_default_graph().allow(count or 0)
    if count is None:
        raise ValueError(f"unstack of {tensor.name} got num=None, and the size of axis {axis} is unknown; give num.")
    rest = None if sizes is None else tuple(s for place, s in enumerate(sizes) if place != axis_of(axis, sizes))
    return nodes("Unpack", lambda x: x.unbind(axis), [tensor], [(tensor.dtype, rest)] * count, name)


@public("split", "split_v")
def split(
    value: Any, num_or_size_splits: Any = None, axis: Any = 0, num: Any = None, name: str = "split",
    split_dim: Any = None, num_split: Any = None,
) -> list[Tensor]:  # fmt: skip
    """A list of parts of a tensor along an axis: a number of equal parts, or the sizes of a list.

    With a whole number first, the arguments are in the order of before TensorFlow 1.0: axis, number of parts, value.

    Raises:
        ValueError: The size is not a multiple of the number of parts.
    """
    if isinstance(value, int) and not isinstance(axis, int):
        value, num_or_size_splits, axis = axis, num_or_size_splits, value
    axis = axis if split_dim is None else split_dim
    num_or_size_splits = num_or_size_splits if num_split is None else num_split
    tensor = convert_to_tensor(value)
    sizes = tensor.sizes
    known = known_value(num_or_size_splits)
    if known is None:
        raise ValueError("split got sizes that are not known before the run; expected a number or a list of numbers.")
    place = axis_of(int(known_value(axis)), sizes)  # type: ignore[arg-type]
    whole = None if sizes is None else sizes[place]
    parts: list[int | None]
    if known.ndim == 0:
        count = int(known)
        get_default_graph().allow(count)
        if whole is not None and whole % count:
            raise ValueError(
                f"split of {whole} along axis {axis} into {count} parts; expected a number that divides it."
            )
        parts = [None if whole is None else whole // count] * count
    else:
        parts = [int(size) for size in known]
        if -1 in parts and whole is not None:
            parts[parts.index(-1)] = whole - sum(part or 0 for part in parts) - 1
        parts = [None if part == -1 else part for part in parts]

    def compute(x: torch.Tensor) -> Any:
        if known.ndim:
            given = sum(part or 0 for part in parts)
            return x.split_with_sizes([x.shape[place] - given if part is None else part for part in parts], place)
        if x.shape[place] % len(parts):
            raise ValueError(f"split of {x.shape[place]} into {len(parts)} parts; expected a number that divides it")
        return x.tensor_split(len(parts), place)

    shapes = [None if sizes is None else (*sizes[:place], part, *sizes[place + 1 :]) for part in parts]
    return nodes("Split", compute, [tensor], [(tensor.dtype, each) for each in shapes], name)
