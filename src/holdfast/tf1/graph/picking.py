"""Values picked and placed by indices, masks and groups."""

from __future__ import annotations

from typing import Any

import torch

from holdfast.tf1.graph.convert import convert_to_tensor, known_sizes, known_value, same_kind, whole_numbers
from holdfast.tf1.graph.dtypes import as_dtype, int32
from holdfast.tf1.graph.graph import node, nodes
from holdfast.tf1.graph.names import public, publish
from holdfast.tf1.graph.shapes import Sizes, merged
from holdfast.tf1.graph.tensors import Tensor


@public("gather_nd")
def gather_nd(params: Any, indices: Any, name: str | None = None) -> Tensor:
    """The parts of ``params`` at positions [..., K]: the last dimension of ``indices`` counts along the first K."""
    table, places = convert_to_tensor(params), convert_to_tensor(indices)
    sizes: Sizes = None
    if table.sizes is not None and places.sizes is not None and places.sizes[-1] is not None:
        sizes = (*places.sizes[:-1], *table.sizes[places.sizes[-1] :])

    def compute(x: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        return x[_inside(at.long().unbind(-1), x.shape)]

    return node("GatherNd", compute, [table, places], table.dtype, sizes, name)


def _inside(indices: Any, sizes: Any) -> tuple[torch.Tensor, ...]:
    for index, size in zip(indices, sizes, strict=False):
        if index.numel() and (int(index.min()) < 0 or int(index.max()) >= size):
            raise IndexError(f"indices are {int(index.min())} to {int(index.max())}; expected 0 to {size - 1}")
    return tuple(indices)


@public("scatter_nd")
def scatter_nd(indices: Any, updates: Any, shape: Any, name: str | None = None) -> Tensor:
    """Zeros of a shape, with updates added at positions [..., K]."""
    places, values = convert_to_tensor(indices), convert_to_tensor(updates)

    def compute(at: torch.Tensor, x: torch.Tensor, to: torch.Tensor) -> torch.Tensor:
        whole = x.new_zeros(to.tolist())
        return whole.index_put(_inside(at.long().unbind(-1), whole.shape), x, accumulate=True)

    return node("ScatterNd", compute, [places, values, whole_numbers(shape)], values.dtype, known_sizes(shape), name)


@public("boolean_mask")
def boolean_mask(tensor: Any, mask: Any, name: str = "boolean_mask", axis: int = 0) -> Tensor:
    """The parts of a tensor where the mask is true.

    Raises:
        ValueError: The mask is a scalar, or its sizes are not those of the tensor.
    """
    value, chosen = convert_to_tensor(tensor), convert_to_tensor(mask, "bool")
    sizes: Sizes = None
    if chosen.sizes is not None:
        if not chosen.sizes:
            raise ValueError("boolean_mask got a scalar mask; expected one of one dimension or more.")
        if value.sizes is not None:
            end = axis + len(chosen.sizes)
            merged(value.sizes[axis:end], chosen.sizes)
            sizes = (*value.sizes[:axis], None, *value.sizes[end:])

    def compute(x: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
        key: tuple[Any, ...] = (*[slice(None)] * axis, m)
        return x[key]

    return node("BooleanMask", compute, [value, chosen], value.dtype, sizes, name)


@public("unique")
def unique(x: Any, out_idx: Any = int32, name: str | None = None) -> tuple[Tensor, Tensor]:
    """The values of a vector in the order in which they come first, and for each value its place among these."""
    values, places, _ = unique_with_counts(x, out_idx, name)
    return values, places


@public("unique_with_counts")
def unique_with_counts(x: Any, out_idx: Any = int32, name: str | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """:func:`unique`, and how often each value comes."""
    vector, kind = convert_to_tensor(x), as_dtype(out_idx)

    def compute(v: torch.Tensor) -> Any:
        found, inverse, counts = torch.unique(v, return_inverse=True, return_counts=True)
        first = torch.full((len(found),), len(v)).scatter_reduce(0, inverse, torch.arange(len(v)), "amin")
        order = first.argsort()
        return found[order], order.argsort()[inverse].to(kind.torch), counts[order].to(kind.torch)

    made = nodes(
        "Unique", compute, [vector], [(vector.dtype, (None,)), (kind, vector.sizes), (kind, (None,))], name,
        gradient=False,
    )  # fmt: skip
    return made[0], made[1], made[2]


@public("setdiff1d")
def setdiff1d(x: Any, y: Any, index_dtype: Any = int32, name: str | None = None) -> list[Tensor]:
    """The values of x that are not in y, and their places in x."""
    a, b = same_kind(x, y)
    kind = as_dtype(index_dtype)

    def compute(p: torch.Tensor, q: torch.Tensor) -> Any:
        alone = ~torch.isin(p, q)
        return p[alone], alone.nonzero().reshape(-1).to(kind.torch)

    return nodes("ListDiff", compute, [a, b], [(a.dtype, (None,)), (kind, (None,))], name, gradient=False)


@public("dynamic_partition")
def dynamic_partition(data: Any, partitions: Any, num_partitions: int, name: str | None = None) -> list[Tensor]:
    """The rows of each of ``num_partitions`` groups."""
    value, groups, count = convert_to_tensor(data), convert_to_tensor(partitions), int(num_partitions)
    known = None if value.sizes is None or groups.sizes is None else (None, *value.sizes[len(groups.sizes) :])
    return nodes(
        "DynamicPartition", lambda x, g: tuple(x[g == number] for number in range(count)), [value, groups],
        [(value.dtype, known)] * count, name,
    )  # fmt: skip


@public("dynamic_stitch")
def dynamic_stitch(indices: Any, data: Any, name: str | None = None) -> Tensor:
    """Rows of several tensors at given places of one; of two at one place, the later."""
    places, values = [convert_to_tensor(each) for each in indices], same_kind(*data)
    count, ranks = len(places), [len(each.sizes or ()) for each in places]
    known = [known_value(each) for each in places]
    rows = max((int(each.max()) + 1 for each in known if each is not None), default=0) if all(
        each is not None for each in known
    ) else None  # fmt: skip
    rest = None if values[0].sizes is None else values[0].sizes[ranks[0] :]

    def compute(*both: torch.Tensor) -> torch.Tensor:
        at = torch.cat([each.reshape(-1) for each in both[:count]]).long()
        inner = both[count].shape[both[0].ndim :]
        joined = torch.cat([each.reshape(-1, *inner) for each in both[count:]])
        last = torch.zeros(int(at.max()) + 1, dtype=torch.int64)
        last = last.scatter_reduce(0, at, torch.arange(len(at)), "amax", include_self=False)
        return joined[last]

    sizes = None if rest is None else (rows, *rest)
    return node("DynamicStitch", compute, [*places, *values], values[0].dtype, sizes, name)


def _segments(type_: str, how: str, *names: str) -> None:
    def function(data: Any, segment_ids: Any, num_segments: Any = None, name: str | None = None) -> Tensor:
        value, groups = convert_to_tensor(data), convert_to_tensor(segment_ids)
        inputs = [value, groups, *([] if num_segments is None else [convert_to_tensor(num_segments)])]
        known = None if num_segments is None else known_value(num_segments)
        inner = None if value.sizes is None or groups.sizes is None else value.sizes[len(groups.sizes) :]
        sizes = None if inner is None else (None if known is None else int(known), *inner)

        def compute(x: torch.Tensor, g: torch.Tensor, count: Any = None) -> torch.Tensor:
            rows = x.reshape(-1, *x.shape[g.ndim :])
            number = (int(g.max()) + 1 if g.numel() else 0) if count is None else int(count)
            at = g.reshape(-1, *[1] * (rows.ndim - 1)).long().expand_as(rows)
            return x.new_zeros(number, *rows.shape[1:]).scatter_reduce(0, at, rows, how, include_self=False)

        return node(type_, compute, inputs, value.dtype, sizes, name)

    function.__doc__ = f"For each group of rows their {how}; zeros for a group without rows."
    publish(function, *names)


for _how, _name in (("sum", "sum"), ("mean", "mean"), ("amax", "max"), ("amin", "min"), ("prod", "prod")):
    _segments(f"Segment{_name.title()}", _how, f"segment_{_name}", f"math.segment_{_name}")
    _segments(f"UnsortedSegment{_name.title()}", _how, f"unsorted_segment_{_name}")


@public("bincount")
def bincount(
    arr: Any, weights: Any = None, minlength: Any = None, maxlength: Any = None, dtype: Any = int32,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """How often each number comes, from 0 on."""
    value, kind = convert_to_tensor(arr), as_dtype(dtype)
    inputs = [value, *([] if weights is None else [convert_to_tensor(weights)])]
    result = inputs[-1].dtype if weights is not None else kind

    def compute(x: torch.Tensor, w: Any = None) -> torch.Tensor:
        counts = torch.bincount(
            x.reshape(-1).long(), None if w is None else w.reshape(-1), int(minlength) if minlength is not None else 0
        )
        return counts[: None if maxlength is None else int(maxlength)].to(result.torch)

    return node("Bincount", compute, inputs, result, (None,), name, gradient=False)


@public("confusion_matrix")
def confusion_matrix(
    labels: Any, predictions: Any, num_classes: Any = None, dtype: Any = int32, name: str | None = None,
    weights: Any = None,
) -> Tensor:  # fmt: skip
    """How often each class [row] was predicted as each class [column]."""
    truth, guess, kind = convert_to_tensor(labels), convert_to_tensor(predictions), as_dtype(dtype)
    count = None if num_classes is None else int(num_classes)
    inputs = [truth, guess, *([] if weights is None else [convert_to_tensor(weights)])]

    def compute(t: torch.Tensor, g: torch.Tensor, w: Any = None) -> torch.Tensor:
        t, g = t.reshape(-1).long(), g.reshape(-1).long()
        number = int(torch.maximum(t.max(), g.max())) + 1 if count is None else count
        counts = torch.bincount(t * number + g, None if w is None else w.reshape(-1), number * number)
        return counts.reshape(number, number).to(kind.torch)

    return node("ConfusionMatrix", compute, inputs, kind, (count, count), name, gradient=False)
