"""``tf.while_loop``. Gradients flow through it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from holdfast.tf1.graph.convert import convert_to_tensor
from holdfast.tf1.graph.graph import nodes
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.nested import flatten, pack_sequence_as
from holdfast.tf1.graph.shapes import Sizes, TensorShape, sizes_of, written
from holdfast.tf1.graph.subgraph import Subgraph
from holdfast.tf1.graph.tensor_arrays import TensorArray
from holdfast.tf1.graph.tensors import Tensor


class _Variables:
    """The variables of a loop: their structure, its leaves, and a tensor for each of these."""

    def __init__(self, structure: Any) -> None:
        self.structure, self.leaves = structure, flatten(structure)
        self.firsts = [leaf.flow if isinstance(leaf, TensorArray) else convert_to_tensor(leaf) for leaf in self.leaves]

    def restored(self, flat: Sequence[Tensor]) -> Any:
        """The structure with other tensors."""
        pairs = zip(self.leaves, flat, strict=True)
        made = [leaf.again(each) if isinstance(leaf, TensorArray) else each for leaf, each in pairs]
        return pack_sequence_as(self.structure, made)

    def called(self, function: Callable[..., Any], flat: Sequence[Tensor]) -> Any:
        """What a function of the variables returns."""
        packed = self.restored(flat)
        return function(*packed) if isinstance(packed, list | tuple) else function(packed)


@public("while_loop")
def while_loop(
    cond: Callable[..., Any], body: Callable[..., Any], loop_vars: Any, shape_invariants: Any = None,
    parallel_iterations: int = 10, back_prop: bool = True, swap_memory: bool = False, name: str | None = None,
    maximum_iterations: Any = None, return_same_structure: bool = False,
) -> Any:  # fmt: skip
    """Repeats ``body`` while ``cond`` holds.

    Args:
        cond: A function of the variables of the loop: a boolean tensor.
        body: A function of the variables of the loop: their next values, in the same structure.
        loop_vars: Their first values: tensors, tensor arrays, or structures of them.
        shape_invariants: What stays of their shapes, in the same structure; all, by default.
        parallel_iterations: Accepted.
        back_prop: Whether gradients flow through it.
        swap_memory: Accepted.
        name: Of the operation.
        maximum_iterations: The number of repetitions after which it ends in any case.
        return_same_structure: Whether a list of one variable stays a list.

    Returns:
        Their last values.

    Raises:
        ValueError: The body returns another structure, or a variable's shape changes without a shape invariant.
        TypeError: The body returns another dtype.
    """
    variables = _Variables(loop_vars)
    leaves, firsts = variables.leaves, variables.firsts
    kept = _invariants(shape_invariants, leaves, firsts)
    arguments = [(first.dtype, sizes) for first, sizes in zip(firsts, kept, strict=True)]
    test = Subgraph(lambda *flat: convert_to_tensor(variables.called(cond, flat), "bool"), arguments)
    step = Subgraph(lambda *flat: _next(variables.called(body, flat), firsts, leaves), arguments)
    _check_kept(step, kept)
    count, condition_count = len(firsts), len(test.captured)
    most = None if maximum_iterations is None else convert_to_tensor(maximum_iterations)

    def prepare(plan: Any) -> Callable[..., Any]:
        holds, repeat = test.compiled(plan), step.compiled(plan)

        def compute(*values: Any) -> Any:
            state, captured = values[:count], values[count + (most is not None) :]
            left = int(values[count]) if most is not None else -1
            of_test, of_step = captured[:condition_count], captured[condition_count:]
            while left and holds(*state, *of_test)[0]:
                state = repeat(*state, *of_step)
                left -= 1
            return state

        return compute

    inputs = [*firsts, *([] if most is None else [most]), *test.captured, *step.captured]
    outputs = nodes(
        "While", None, inputs, arguments, name or "while", prepare=prepare, gradient=back_prop, effect=step.effect
    )
    packed = variables.restored(outputs)
    single = isinstance(packed, list | tuple) and len(packed) == 1 and not return_same_structure
    return packed[0] if single else packed


def _invariants(given: Any, leaves: list[Any], firsts: list[Tensor]) -> list[Sizes]:
    if given is None:
        return [first.sizes for first in firsts]
    flat = _shapes_in(given)
    if len(flat) != len(leaves):
        raise ValueError(
            f"while_loop got {len(flat)} shape_invariants for {len(leaves)} variables; expected one for each."
        )
    for first, sizes in zip(firsts, flat, strict=True):
        if sizes is not None and not _keeps(first.sizes, sizes):
            raise ValueError(f"{first.name} has shape {written(first.sizes)}; its shape invariant is {written(sizes)}.")
    return flat


def _keeps(got: Sizes, sizes: tuple[int | None, ...]) -> bool:
    """Whether a tensor of one static shape has the sizes that another says, for sure."""
    return got is not None and len(got) == len(sizes) and all(
        size is None or size == new for size, new in zip(sizes, got, strict=True)
    )  # fmt: skip


def _shapes_in(given: Any) -> list[Sizes]:
    if isinstance(given, TensorShape) or given is None:
        return [sizes_of(given)]
    if isinstance(given, list | tuple) and all(part is None or isinstance(part, int) for part in given) and given:
        return [sizes_of(given)]
    return [sizes for part in given for sizes in _shapes_in(part)]


def _next(result: Any, firsts: list[Tensor], leaves: list[Any]) -> list[Tensor]:
    """The tensors of the body's result."""
    flat = flatten(result)
    if len(flat) != len(firsts):
        raise ValueError(
            f"The body of a loop returned {len(flat)} values; expected {len(firsts)}, one for each variable."
        )
    made = []
    for value, first, leaf in zip(flat, firsts, leaves, strict=True):
        if isinstance(leaf, TensorArray):
            if leaf.element_shape is None:
                leaf.element_shape = value.element_shape  # what the body writes
            made.append(value.flow)
            continue
        tensor = convert_to_tensor(value, None if isinstance(value, Tensor) else first.dtype)
        if tensor.dtype != first.dtype:
            raise TypeError(
                f"The body of a loop returned {tensor.dtype.name} for {first.name}; expected {first.dtype.name}."
            )
        made.append(tensor)
    return made


def _check_kept(step: Subgraph, kept: list[Sizes]) -> None:
    for tensor, sizes in zip(step.outputs, kept, strict=True):
        got = tensor.sizes
        if sizes is None or _keeps(got, sizes):
            continue
        raise ValueError(
            f"A variable of a loop has shape {written(sizes)} before the body and {written(got)} after it; expected "
            "the same. Give shape_invariants, or use set_shape in the body."
        )
