"""Gradients: ``tf.gradients``, by torch's autograd over a run; and those of rows that were looked up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from holdfast.tf1.graph.convert import CONVERSIONS, convert_to_tensor
from holdfast.tf1.graph.dtypes import int64
from holdfast.tf1.graph.graph import node, nodes
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.tensors import Operation, Tensor


@public("IndexedSlices")
class IndexedSlices:
    """The gradient of rows of a variable: values [N, ...] for the rows ``indices`` [N], which may repeat."""

    def __init__(self, values: Tensor, indices: Tensor, dense_shape: Any = None) -> None:
        self.values, self.indices, self.dense_shape = values, indices, dense_shape
        self.rows: int | None = None

    @property
    def dtype(self) -> Any:
        """Of the values."""
        return self.values.dtype

    @property
    def name(self) -> str:
        """Of the values."""
        return self.values.name

    @property
    def op(self) -> Operation:
        """That makes the values."""
        return self.values.op

    @property
    def fetched(self) -> list[Tensor]:
        """What a session runs for it."""
        return [self.values, self.indices]

    @staticmethod
    def together(parts: list[Any]) -> Any:
        """What a session returns for it."""
        return IndexedSlices(*parts)

    def with_values(self, values: Tensor) -> IndexedSlices:
        """The same rows with other values."""
        slices = IndexedSlices(values, self.indices, self.dense_shape)
        slices.rows = self.rows
        return slices

    def dense(self) -> Tensor:
        """The whole gradient, with zeros in the other rows."""
        rows = self.rows or 0

        def scattered(values: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
            return values.new_zeros(rows, *values.shape[1:]).index_add_(0, indices, values)

        sizes = self.values.sizes
        return node(
            "UnsortedSegmentSum", scattered, [self.values, self.indices], self.dtype,
            None if sizes is None else (self.rows, *sizes[1:]),
        )  # fmt: skip


CONVERSIONS.append((IndexedSlices, IndexedSlices.dense))


@public("gradients")
def gradients(
    ys: Any, xs: Any, grad_ys: Any = None, name: str = "gradients", colocate_gradients_with_ops: bool = False,
    gate_gradients: Any = False, aggregation_method: Any = None, stop_gradients: Any = None,
) -> list[Any]:  # fmt: skip
    """The gradient of the sum of ``ys`` by each of ``xs``.

    Args:
        ys: A tensor or a list.
        xs: A tensor or a list.
        grad_ys: Gradients of each of ``ys``; None for ones.
        stop_gradients: Tensors through which no gradient flows further.
        name: The beginning of the operation's name.

    Returns:
        A list: None for an x of which no y depends; :class:`IndexedSlices` for a variable of which rows are looked up
        and nothing else.

    Raises:
        NotImplementedError: One of ``stop_gradients`` depends on one of ``xs``.

    Example:
        >>> from holdfast.tf1 import graph as tf
        >>> with tf.Graph().as_default(), tf.Session() as session:
        ...     x = tf.constant(3.0)
        ...     session.run(tf.gradients(x * x, [x]))
        [np.float32(6.0)]
    """
    y_list = [convert_to_tensor(y) for y in _as_list(ys)]
    x_list = [x.values if isinstance(x, IndexedSlices) else convert_to_tensor(x) for x in _as_list(xs)]
    upstream = [None if g is None else convert_to_tensor(g) for g in _as_list(grad_ys)] or [None] * len(y_list)
    stops = {convert_to_tensor(tensor) for tensor in _as_list(stop_gradients)}
    for stop in stops:
        behind = set(_readers([stop], stops - {stop})) - {stop}
        if behind & set(x_list):
            raise NotImplementedError(
                f"stop_gradients has {stop.name}, which depends on one of xs; expected tensors that do not. Use "
                "tf.stop_gradient where it is made."
            )
    readers = _readers(y_list, stops)
    reached = {tensor for tensor in readers if tensor.dtype.is_floating}
    found = list(dict.fromkeys(x for x in x_list if x in reached))
    looked_up = {x: [op for op in readers[x] if op is not None] for x in found if _only_rows(x, readers[x])}
    targets = [tensor for x in found for tensor in (_rows_of(looked_up[x]) if x in looked_up else [x])]
    if not targets:
        return [None] * len(x_list)
    values = dict(zip(targets, _node(y_list, upstream, targets, name), strict=True))
    made = {x: _slices(x, looked_up[x], values) if x in looked_up else values[x] for x in found}
    return [made.get(x) for x in x_list]


def _as_list(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]


def _readers(ys: Sequence[Tensor], stops: set[Tensor]) -> dict[Tensor, list[Operation | None]]:
    """The tensors of which ys depend through gradients, each with the operations on the way that read it.

    None stands for the sum of ys itself.
    """
    found: dict[Tensor, list[Operation | None]] = {}
    seen: set[int] = set()
    for y in ys:
        found.setdefault(y, []).append(None)
    waiting = list(ys)
    while waiting:
        tensor = waiting.pop()
        op = tensor.op
        if op.id in seen or not op.gradient or tensor in stops:
            continue
        seen.add(op.id)
        blocked = op.settings.get("constants", ())  # inputs that have no gradient
        for place, read in enumerate(op.inputs):
            if place in blocked or not read.dtype.is_floating:
                continue
            found.setdefault(read, []).append(op)
            waiting.append(read)
    return found


def _only_rows(x: Tensor, readers: list[Operation | None]) -> bool:
    return x.op.type == "VariableV2" and all(op is not None and op.type == "Gather" for op in readers)


def _rows_of(lookups: list[Operation]) -> list[Tensor]:
    return [op.outputs[0] for op in lookups]


def _node(ys: list[Tensor], upstream: list[Tensor | None], targets: list[Tensor], name: str) -> list[Tensor]:
    given = [g for g in upstream if g is not None]
    count = len(ys)

    def prepare(plan: Any) -> Callable[..., Any]:
        own = outputs[0].op
        again = any(_depends(op, own) for op in plan.differentiates if op is not own)
        retain = len(plan.differentiates) > 1

        def compute(*values: torch.Tensor) -> tuple[torch.Tensor, ...]:
            rest = iter(values[count : count + len(given)])
            xs = values[count + len(given) :]
            heads = [  # torch takes None as 1 for a single number, and checks other heads with a slow import
                next(rest) if g is not None else None if y.ndim == 0 else torch.ones_like(y)
                for g, y in zip(upstream, values, strict=False)
            ]
            pairs = [(y, head) for y, head in zip(values, heads, strict=False) if y.requires_grad]
            if not pairs:
                return tuple(torch.zeros_like(x) for x in xs)
            y_values, y_heads = zip(*pairs, strict=True)
            grads = torch.autograd.grad(
                y_values, xs, y_heads, retain_graph=retain or again, create_graph=again, allow_unused=True
            )
            return tuple(torch.zeros_like(x) if grad is None else grad for x, grad in zip(xs, grads, strict=True))

        return compute

    outputs = nodes(
        "Gradients", None, [*ys, *given, *targets], [(x.dtype, x.sizes) for x in targets], name,
        prepare=prepare, differentiates=True, leaves=targets,
    )  # fmt: skip
    return outputs


def _depends(op: Operation, on: Operation) -> bool:
    seen: set[int] = set()
    waiting = [op]
    while waiting:
        each = waiting.pop()
        if each is on:
            return True
        if each.id in seen or each.id < on.id:
            continue
        seen.add(each.id)
        waiting += [tensor.op for tensor in each.inputs]
    return False


def _slices(x: Tensor, lookups: list[Operation], values: dict[Tensor, Tensor]) -> IndexedSlices:
    """The gradient of a variable from those of what was looked up in it."""
    inner = (x.sizes or (None,))[1:]
    grads, rows = [], []
    for op in lookups:
        grad, ids = values[op.outputs[0]], op.inputs[1]
        shape = [-1, *[size or 0 for size in inner]]
        grads.append(node("Reshape", lambda g, to=shape: g.reshape(to), [grad], grad.dtype, (None, *inner)))
        rows.append(node("Reshape", lambda i: i.reshape(-1).long(), [ids], int64, (None,), gradient=False))
    if len(grads) > 1:
        grads = [node("ConcatV2", lambda *parts: torch.cat(parts), grads, grads[0].dtype, (None, *inner))]
        rows = [node("ConcatV2", lambda *parts: torch.cat(parts), rows, int64, (None,), gradient=False)]
    slices = IndexedSlices(grads[0], rows[0], None)
    slices.rows = (x.sizes or (None,))[0]
    return slices


@public("stop_gradient")
def stop_gradient(input: Any, name: str | None = None) -> Tensor:
    """The same value, through which no gradient flows."""
    tensor = convert_to_tensor(input)
    return node("StopGradient", lambda x: x.detach(), [tensor], tensor.dtype, tensor.sizes, name, gradient=False)
