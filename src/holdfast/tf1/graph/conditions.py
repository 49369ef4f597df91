"""What runs before what, and conditions: ``tf.group``, ``tf.cond``, ``tf.py_func``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from holdfast.tf1.graph.arrays import identity
from holdfast.tf1.graph.convert import constant, convert_to_tensor
from holdfast.tf1.graph.dtypes import as_dtype, string
from holdfast.tf1.graph.failures import InvalidArgumentError
from holdfast.tf1.graph.graph import action, get_default_graph, node, nodes
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.nested import flatten, pack_sequence_as
from holdfast.tf1.graph.shapes import Sizes
from holdfast.tf1.graph.subgraph import Subgraph
from holdfast.tf1.graph.tensors import Operation, Tensor


@public("no_op")
def no_op(name: str | None = None) -> Operation:
    """An operation that does nothing."""
    return action("NoOp", lambda: None, [], name, effect=False)


@public("group")
def group(*inputs: Any, name: str | None = None) -> Operation:
    """An operation that runs others."""
    ops = [getattr(each, "op", each) for each in flatten(inputs) if each is not None]
    with get_default_graph().control_dependencies(ops):
        return no_op(name or "group_deps")


@public("tuple")
def tuple_(tensors: Any, name: str | None = None, control_inputs: Any = None) -> list[Any]:
    """The same tensors, each of which has its value when all have theirs."""
    ops = [each.op for each in tensors if each is not None] + [getattr(c, "op", c) for c in control_inputs or ()]
    with get_default_graph().control_dependencies(ops):
        return [None if each is None else identity(each) for each in tensors]


@public("control_dependencies")
@contextmanager
def control_dependencies(control_inputs: Any) -> Iterator[None]:
    """Operations made within the block run after ``control_inputs``."""
    with get_default_graph().control_dependencies(control_inputs):
        yield


@public("device", "colocate_with", "python.framework.ops.device")
@contextmanager
def device(device_name_or_function: Any, ignore_existing: bool = False) -> Iterator[None]:
    """Accepted; the kernels choose the device."""
    yield


@public("cond")
def cond(
    pred: Any, true_fn: Callable[[], Any] | None = None, false_fn: Callable[[], Any] | None = None,
    strict: bool = False, name: str | None = None, fn1: Any = None, fn2: Any = None,
) -> Any:  # fmt: skip
    """What one of two functions returns, as the condition says in a run.

    Args:
        pred: A boolean tensor.
        true_fn: Makes the result where it holds. What it makes itself runs in no other case.
        false_fn: Makes the result otherwise: the same structure, of the same dtypes.
        strict: Whether a list of one tensor stays a list.
        name: Of the operation.
        fn1: ``true_fn``, as before TensorFlow 1.0.
        fn2: ``false_fn``, as before TensorFlow 1.0.

    Raises:
        TypeError: The condition is not a tensor, or the dtypes of the two results differ.
        ValueError: The structures of the two results differ.
    """
    yes, no = (fn1 if true_fn is None else true_fn), (fn2 if false_fn is None else false_fn)
    if not callable(yes) or not callable(no):
        raise TypeError("cond needs true_fn and false_fn; expected two functions without arguments.")
    if isinstance(pred, bool | np.bool_):
        raise TypeError(f"cond got pred={pred}; expected a boolean tensor. Use Python's `if` for a Python bool.")
    chosen = convert_to_tensor(pred, "bool")
    branches = [Subgraph(lambda make=make: _as_tensors(make()), []) for make in (yes, no)]
    first, second = branches
    _check_alike(first, second)
    counts = [len(branch.captured) for branch in branches]

    def prepare(plan: Any) -> Callable[..., Any]:
        run_first, run_second = first.compiled(plan), second.compiled(plan)

        def compute(condition: torch.Tensor, *captured: Any) -> Any:
            return run_first(*captured[: counts[0]]) if condition else run_second(*captured[counts[0] :])

        return compute

    outputs = nodes(
        "If", None, [chosen, *first.captured, *second.captured],
        [(a.dtype, common(a.sizes, b.sizes)) for a, b in zip(first.outputs, second.outputs, strict=True)],
        name or "cond", prepare=prepare, effect=first.effect or second.effect,
    )  # fmt: skip
    packed = pack_sequence_as(first.result, outputs)
    return packed[0] if isinstance(packed, list) and len(packed) == 1 and not strict else packed


def _as_tensors(result: Any) -> Any:
    """The result of a branch, with a tensor for each of its leaves."""
    if result is None:
        raise ValueError("A function of tf.cond returned None; expected tensors or an operation.")
    return pack_sequence_as(result, [as_tensor(leaf) for leaf in flatten(result)])


def as_tensor(leaf: Any) -> Tensor:
    """A tensor, a value as a tensor, or one whose only purpose is to follow an operation."""
    if isinstance(leaf, Operation):
        with get_default_graph().control_dependencies([leaf]):
            return identity(constant(True))
    return convert_to_tensor(leaf)


def _check_alike(first: Subgraph, second: Subgraph) -> None:
    kinds = [[tensor.dtype.name for tensor in branch.outputs] for branch in (first, second)]
    if len(kinds[0]) != len(kinds[1]):
        raise ValueError(
            f"true_fn returns {len(kinds[0])} tensors, false_fn {len(kinds[1])}; expected as many of both."
        )
    if kinds[0] != kinds[1]:
        raise TypeError(f"true_fn returns {kinds[0]}, false_fn {kinds[1]}; expected the same dtypes: use tf.cast.")


def common(one: Sizes, other: Sizes) -> Sizes:
    """What is known of a tensor that has one shape or the other."""
    if one is None or other is None or len(one) != len(other):
        return None
    return tuple(a if a == b else None for a, b in zip(one, other, strict=True))


@public("case")
def case(
    pred_fn_pairs: Any, default: Callable[[], Any] | None = None, exclusive: bool = False, strict: bool = False,
    name: str = "case",
) -> Any:  # fmt: skip
    """The result of the function whose condition holds first, otherwise the result of ``default``."""
    pairs = list(pred_fn_pairs.items() if isinstance(pred_fn_pairs, dict) else pred_fn_pairs)
    if not pairs:
        raise ValueError("case got no pairs; expected a condition and a function, or more.")
    (pred, function), rest = pairs[0], pairs[1:]
    if not rest and default is None:
        return function()
    otherwise = (lambda: case(rest, default, exclusive, strict)) if rest else default
    return cond(pred, function, otherwise, strict, name)


@public("Print")
def print_(
    input_: Any, data: Any, message: str | None = None, first_n: int | None = None, summarize: int | None = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """The same value; a run writes ``data`` to the standard error stream, ``first_n`` times at most."""
    tensor, shown = convert_to_tensor(input_), [convert_to_tensor(each) for each in data]
    left, most = [first_n], 3 if summarize is None else summarize

    def compute(x: Any, *values: Any) -> Any:
        if left[0] is None or left[0] > 0:
            left[0] = None if left[0] is None else left[0] - 1
            print((message or "") + "".join(_shown(value, most) for value in values), file=sys.stderr)
        return x

    return node("Print", compute, [tensor, *shown], tensor.dtype, tensor.sizes, name)


def _shown(value: Any, most: int) -> str:
    flat = np.asarray(value.detach() if isinstance(value, torch.Tensor) else value).ravel()
    some = " ".join(str(each) for each in (flat if most < 0 else flat[:most]))
    return f"[{some}{'...' if 0 <= most < flat.size else ''}]"


@public("py_func")
def py_func(func: Callable[..., Any], inp: Any, Tout: Any, stateful: bool = True, name: str | None = None) -> Any:
    """What a Python function of arrays returns in a run: one tensor, or a list for a list of dtypes."""
    tensors = [convert_to_tensor(each) for each in inp]
    several = isinstance(Tout, list | tuple)
    kinds = [as_dtype(kind) for kind in (Tout if several else [Tout])]

    def compute(*values: Any) -> Sequence[Any]:
        arrays = [value.detach().numpy() if isinstance(value, torch.Tensor) else value for value in values]
        made = func(*arrays)
        parts = made if isinstance(made, list | tuple) else [made]
        if len(parts) != len(kinds):
            raise ValueError(f"The function of py_func returned {len(parts)} values; expected {len(kinds)}: see Tout.")
        return [
            np.asarray(part, np.object_) if kind == string else torch.from_numpy(_array(part, kind))
            for part, kind in zip(parts, kinds, strict=True)
        ]

    made = nodes("PyFunc", compute, tensors, [(kind, None) for kind in kinds], name or "PyFunc", gradient=False)
    return made if several else made[0]


def _array(part: Any, kind: Any) -> Any:
    array = np.asarray(part)
    if array.dtype != kind.as_numpy_dtype and array.dtype.kind == "f" and kind.is_integer:
        raise TypeError(f"The function of py_func returned {array.dtype.name}; expected {kind.name}, as Tout says.")
    return np.array(array, dtype=kind.as_numpy_dtype)


@public("Assert")
def assert_(condition: Any, data: Any, summarize: int | None = None, name: str | None = None) -> Operation:
    """An operation that fails in a run unless the condition holds."""
    shown = [convert_to_tensor(each) for each in data]

    def compute(holds: torch.Tensor, *values: Any) -> None:
        if not bool(torch.as_tensor(holds).all()):
            said = " ".join(_shown(value, 3) for value in values)
            raise InvalidArgumentError(None, None, f"assertion failed: {said}")

    return action("Assert", compute, [convert_to_tensor(condition), *shown], name, effect=False)
