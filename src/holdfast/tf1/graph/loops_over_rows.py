"""Loops over the elements of tensors: ``tf.scan``, ``tf.map_fn``, ``tf.foldl``. Gradients flow through all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from holdfast.tf1.graph.conditions import as_tensor
from holdfast.tf1.graph.convert import convert_to_tensor
from holdfast.tf1.graph.dtypes import as_dtype
from holdfast.tf1.graph.graph import nodes
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.nested import flatten, is_structure, pack_sequence_as
from holdfast.tf1.graph.shapes import Sizes
from holdfast.tf1.graph.subgraph import Subgraph
from holdfast.tf1.graph.tensors import Tensor


def _rows(elems: Any) -> tuple[list[Tensor], list[tuple[Any, Sizes]]]:
    """Tensors that are gone through by their first dimension, and what one element of each is like."""
    tensors = [convert_to_tensor(each) for each in flatten(elems)]
    return tensors, [(each.dtype, None if each.sizes is None else each.sizes[1:]) for each in tensors]


@public("scan")
def scan(
    fn: Callable[..., Any], elems: Any, initializer: Any = None, parallel_iterations: int = 10, back_prop: bool = True,
    swap_memory: bool = False, infer_shape: bool = True, reverse: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """The results of ``fn(accumulator, element)`` for each element, one after the other.

    Args:
        fn: A function of its last result and an element (both in their structures): the next result.
        elems: Tensors [T, ...], whose elements it goes through.
        initializer: The first accumulator; the first element by default.
        parallel_iterations: Accepted.
        back_prop: Whether gradients flow through it.
        swap_memory: Accepted.
        infer_shape: Accepted.
        reverse: Whether it goes from the last element to the first.
        name: Of the operation.

    Returns:
        All results [T, ...], in the structure of the initializer.
    """
    return _accumulated(fn, elems, initializer, back_prop, reverse, name or "scan", every=True)


@public("foldl")
def foldl(
    fn: Callable[..., Any], elems: Any, initializer: Any = None, parallel_iterations: int = 10, back_prop: bool = True,
    swap_memory: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """The last result of :func:`scan`."""
    return _accumulated(fn, elems, initializer, back_prop, False, name or "foldl", every=False)


@public("foldr")
def foldr(
    fn: Callable[..., Any], elems: Any, initializer: Any = None, parallel_iterations: int = 10, back_prop: bool = True,
    swap_memory: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """The last result of :func:`scan` from the last element to the first."""
    return _accumulated(fn, elems, initializer, back_prop, True, name or "foldr", every=False)


def _accumulated(
    fn: Callable[..., Any], elems: Any, initializer: Any, back_prop: bool, reverse: bool, name: str, *, every: bool
) -> Any:
    rows, kinds = _rows(elems)
    structure = elems if initializer is None else initializer
    firsts = [] if initializer is None else [convert_to_tensor(each) for each in flatten(initializer)]
    starts = kinds if initializer is None else [(each.dtype, each.sizes) for each in firsts]
    count, own = len(rows), len(starts)

    def step(*flat: Tensor) -> Any:
        made = fn(pack_sequence_as(structure, flat[:own]), pack_sequence_as(elems, flat[own:]))
        leaves = [as_tensor(leaf) for leaf in flatten(made)]
        if len(leaves) != own:
            raise ValueError(
                f"The function of {name} returned {len(leaves)} tensors; expected {own}, as the accumulator."
            )
        return leaves

    body = Subgraph(step, [*starts, *kinds])

    def prepare(plan: Any) -> Callable[..., Any]:
        function = body.compiled(plan)

        def compute(*values: Any) -> Any:
            xs, rest = values[:count], values[count:]
            state: Any = rest[: len(firsts)]
            captured = rest[len(firsts) :]
            order = list(range(len(xs[0])))[:: -1 if reverse else 1]
            results = [None] * len(order)
            for position, t in enumerate(order):
                elements = [x[t] for x in xs]
                state = elements if not position and not firsts else function(*state, *elements, *captured)
                results[t] = state
            if not every:
                return state
            return [torch.stack(column) for column in zip(*results, strict=True)] if results else state

        return compute

    time = None if rows[0].sizes is None else rows[0].sizes[0]
    shapes = [out.sizes for out in body.outputs]
    outputs = nodes(
        name.title(), None, [*rows, *firsts, *body.captured],
        [
            (out.dtype, sizes if not every or sizes is None else (time, *sizes))
            for out, sizes in zip(body.outputs, shapes, strict=True)
        ],
        name, prepare=prepare, gradient=back_prop, effect=body.effect,
    )  # fmt: skip
    return pack_sequence_as(structure, outputs)


@public("map_fn")
def map_fn(
    fn: Callable[..., Any], elems: Any, dtype: Any = None, parallel_iterations: int = 10, back_prop: bool = True,
    swap_memory: bool = False, infer_shape: bool = True, name: str | None = None,
) -> Any:  # fmt: skip
    """The results of ``fn(element)`` for each element, stacked.

    Args:
        fn: A function of an element, in the structure of ``elems``.
        elems: Tensors [T, ...].
        dtype: The structure and the dtypes of the results; as ``elems`` by default.
        parallel_iterations: Accepted.
        back_prop: Whether gradients flow through it.
        swap_memory: Accepted.
        infer_shape: Accepted.
        name: Of the operation.
    """
    rows, kinds = _rows(elems)
    structure = elems if dtype is None else dtype
    wanted = [each.dtype for each in rows] if dtype is None else [as_dtype(each) for each in flatten(dtype)]
    body = Subgraph(lambda *flat: [as_tensor(leaf) for leaf in flatten(fn(pack_sequence_as(elems, flat)))], kinds)
    if [out.dtype for out in body.outputs] != wanted:
        raise TypeError(
            f"The function of map_fn returns {[out.dtype.name for out in body.outputs]}; expected "
            f"{[kind.name for kind in wanted]}: give dtype=."
        )
    count = len(rows)

    def prepare(plan: Any) -> Callable[..., Any]:
        function = body.compiled(plan)

        def compute(*values: Any) -> Any:
            xs, captured = values[:count], values[count:]
            results = [function(*(x[t] for x in xs), *captured) for t in range(len(xs[0]))]
            return [torch.stack(column) for column in zip(*results, strict=True)]

        return compute

    time = None if rows[0].sizes is None else rows[0].sizes[0]
    outputs = nodes(
        "Map", None, [*rows, *body.captured],
        [(out.dtype, None if out.sizes is None else (time, *out.sizes)) for out in body.outputs],
        name or "map", prepare=prepare, gradient=back_prop, effect=body.effect,
    )  # fmt: skip
    return pack_sequence_as(structure, outputs) if is_structure(structure) else outputs[0]
