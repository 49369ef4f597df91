"""Parts of tensors by position: slices, rows that are looked up, masks."""

from __future__ import annotations

from typing import Any

import torch

from holdfast.tf1.graph.convert import convert_to_tensor, known_sizes, known_value, whole_numbers
from holdfast.tf1.graph.graph import node
from holdfast.tf1.graph.names import public, publish
from holdfast.tf1.graph.shapes import Dimension, Sizes
from holdfast.tf1.graph.tensors import OPERATORS, Tensor


@public("gather")
def gather(params: Any, indices: Any, validate_indices: Any = None, name: str | None = None, axis: int = 0) -> Tensor:
    """The parts of ``params`` at ``indices`` along an axis, in the shape of the indices."""
    table, ids = convert_to_tensor(params), convert_to_tensor(indices)
    sizes: Sizes = None
    if table.sizes is not None and ids.sizes is not None:
        place = axis % len(table.sizes)
        sizes = (*table.sizes[:place], *ids.sizes, *table.sizes[place + 1 :])
    if axis == 0:
        return node("Gather", _rows, [table, ids], table.dtype, sizes, name)

    def along(x: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
        place = axis % x.ndim
        picked = x.index_select(place, which.reshape(-1).long())
        return picked.reshape(*x.shape[:place], *which.shape, *x.shape[place + 1 :])

    return node("GatherV2", along, [table, ids], table.dtype, sizes, name)


def _rows(table: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    if ids.numel() and (int(ids.min()) < 0 or int(ids.max()) >= len(table)):
        raise IndexError(
            f"indices are {int(ids.min())} to {int(ids.max())}; expected 0 to {len(table) - 1}, the rows of the table"
        )
    if table.ndim == 2:
        return torch.nn.functional.embedding(ids, table)
    return table[ids.long()]


@public("nn.embedding_lookup")
def embedding_lookup(
    params: Any, ids: Any, partition_strategy: str = "mod", name: str | None = None, validate_indices: bool = True,
    max_norm: float | None = None,
) -> Tensor:  # fmt: skip
    """The rows ``ids`` of a table.

    Raises:
        NotImplementedError: The table is in several parts, or its norm is bounded.
    """
    if isinstance(params, list | tuple) and len(params) == 1:
        params = params[0]
    if isinstance(params, list | tuple) or max_norm is not None:
        raise NotImplementedError("embedding_lookup got several tables or max_norm; expected one table and neither.")
    return gather(params, ids, name=name or "embedding_lookup")


@public("strided_slice")
def strided_slice(
    input_: Any, begin: Any, end: Any, strides: Any = None, begin_mask: int = 0, end_mask: int = 0,
    ellipsis_mask: int = 0, new_axis_mask: int = 0, shrink_axis_mask: int = 0, var: Any = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """The part from ``begin`` to ``end`` in steps of ``strides``; the bits of the masks say which count."""
    bounds = [_numbers_of(each) for each in (begin, end, [1] * len(_numbers_of(begin)) if strides is None else strides)]
    key: list[Any] = []
    for place, (first, last, step) in enumerate(zip(*bounds, strict=True)):
        bit = 1 << place
        if ellipsis_mask & bit:
            key.append(Ellipsis)
        elif new_axis_mask & bit:
            key.append(None)
        elif shrink_axis_mask & bit:
            key.append(first)
        else:
            key.append(slice(None if begin_mask & bit else first, None if end_mask & bit else last, step))
    return part(convert_to_tensor(input_), tuple(key), name)


def _numbers_of(values: Any) -> list[Any]:
    """The bounds of a slice, one by one: numbers, or tensors."""
    known = known_value(values)
    if known is not None:
        return known.tolist()  # type: ignore[no-any-return]
    if not isinstance(values, Tensor):
        return list(values)
    count = (values.sizes or (None,))[0]
    if count is None:
        raise ValueError(f"strided_slice got bounds {values.name} whose number is unknown; expected a known one.")
    return [part(values, place) for place in range(count)]


@public("slice")
def slice_(input_: Any, begin: Any, size: Any, name: str | None = None) -> Tensor:
    """The part of ``size`` values from ``begin`` on; a size of -1 means all that follow."""
    tensor = convert_to_tensor(input_)
    first, count = known_value(begin), known_value(size)
    if first is not None and count is not None:
        bounds = tuple(slice(int(a), None if n < 0 else int(a) + int(n)) for a, n in zip(first, count, strict=True))
        cut = part(tensor, bounds, name)
        cut.set_shape([None if n < 0 else int(n) for n in count])
        return cut

    def compute(x: torch.Tensor, starts: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        return x[
            tuple(slice(a, None if n < 0 else a + n) for a, n in zip(starts.tolist(), counts.tolist(), strict=True))
        ]

    sizes = known_sizes(size)
    if sizes is None and tensor.sizes is not None:
        sizes = (None,) * len(tensor.sizes)
    return node("Slice", compute, [tensor, whole_numbers(begin), whole_numbers(size)], tensor.dtype, sizes, name)


def part(tensor: Tensor, key: Any, name: str | None = None) -> Tensor:
    """``tensor[key]``: whole numbers, slices, ``...``, ``tf.newaxis``, and tensors in their place."""
    keys = list(key) if isinstance(key, tuple) else [key]
    inputs: list[Tensor] = [tensor]
    plain = [_known_key(each, inputs) for each in keys]
    backwards = any(isinstance(each, slice) and isinstance(each.step, int) and each.step < 0 for each in plain)
    fixed = len(inputs) == 1 and not backwards

    def compute(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        if fixed:
            return x[fixed_key]
        rest = iter(values)
        return _backwards(x, [_filled(each, rest) for each in plain])

    fixed_key = tuple(plain)
    single = plain[0] if len(plain) == 1 and isinstance(plain[0], int) else None
    return node("StridedSlice", compute, inputs, tensor.dtype, _sizes(tensor, plain), name, index=single)


_GIVEN = object()  # in the place of a bound that a run gives


def _known_key(key: Any, inputs: list[Tensor]) -> Any:
    if isinstance(key, slice):
        return slice(*(_bound(each, inputs) for each in (key.start, key.stop, key.step)))
    if key is None or key is Ellipsis:
        return key
    if isinstance(key, bool | float):
        raise TypeError(f"A tensor was indexed by {key!r}; expected whole numbers, slices, ... or tf.newaxis.")
    return _bound(key, inputs)


def _bound(value: Any, inputs: list[Tensor]) -> Any:
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, Dimension):
        return value.value
    if isinstance(value, Tensor):
        if value.dtype.is_bool:
            raise TypeError("A tensor was indexed by a mask; expected tf.boolean_mask(tensor, mask).")
        known = known_value(value)
        if known is not None and known.ndim == 0:
            return int(known)
        inputs.append(value)
        return _GIVEN
    return int(value)


def _filled(key: Any, values: Any) -> Any:
    if isinstance(key, slice):
        return slice(*(int(next(values)) if each is _GIVEN else each for each in (key.start, key.stop, key.step)))
    return int(next(values)) if key is _GIVEN else key


def _backwards(x: torch.Tensor, key: list[Any]) -> torch.Tensor:
    """``x[key]`` where torch has no negative steps: the values are picked one by one."""
    if not any(isinstance(each, slice) and each.step is not None and each.step < 0 for each in key):
        return x[tuple(key)]
    place, plain = 0, list(key)
    taken = sum(1 for each in key if each is not None and each is not Ellipsis)
    for number, each in enumerate(key):
        if each is Ellipsis:
            place += x.ndim - taken
        elif each is not None:
            if isinstance(each, slice) and each.step is not None and each.step < 0:
                picked = list(range(x.shape[place])[each])
                x = x.index_select(place, torch.tensor(picked, dtype=torch.int64))
                plain[number] = slice(None)
            place += 1
    return x[tuple(plain)]


def _sizes(tensor: Tensor, key: list[Any]) -> Sizes:
    if tensor.sizes is None:
        return None
    taken = sum(1 for each in key if each is not None and each is not Ellipsis)
    if taken > len(tensor.sizes):
        raise ValueError(f"Tensor {tensor.name} has {len(tensor.sizes)} dimensions; got {taken} indices.")
    key = key if Ellipsis in [each for each in key if each is Ellipsis] else [*key, Ellipsis]
    sizes: list[int | None] = []
    place = 0
    for each in key:
        if each is None:
            sizes.append(1)
        elif each is Ellipsis:
            count = len(tensor.sizes) - taken
            sizes += tensor.sizes[place : place + count]
            place += count
        else:
            size = tensor.sizes[place]
            if isinstance(each, slice):
                sizes.append(_sliced(size, each))
            elif isinstance(each, int) and size is not None and not -size <= each < size:
                raise ValueError(f"Tensor {tensor.name} was indexed by {each}; expected less than {size}.")
            place += 1
    return tuple(sizes)


def _sliced(size: int | None, key: slice) -> int | None:
    if _GIVEN in (key.start, key.stop, key.step):
        return None
    if size is not None:
        return len(range(size)[key])
    if key == slice(None):
        return None
    start, stop, step = key.start or 0, key.stop, key.step or 1
    if stop is not None and step > 0 and (start < 0) == (stop < 0) and start < 0:
        return len(range(start, stop, step))
    return None


OPERATORS["__getitem__"] = part
publish(None, "newaxis")
