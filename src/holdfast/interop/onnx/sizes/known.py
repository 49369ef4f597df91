"""What is known of sizes and values, and the table of the rules of operators.

A rule takes what is known of the inputs of a node and returns what is known of its outputs. A rule that finds sizes
that contradict one another raises :class:`~holdfast.errors.ShapeError`; its text continues the name of the node.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from holdfast.errors import ShapeError
from holdfast.interop.onnx.graph import OnnxNode
from holdfast.interop.onnx.registry import registrar

MAX_DATA = 64
"""The numbers of tensors with more whole numbers than this are not tracked."""


@dataclass(frozen=True)
class Size:
    """A size, or another whole number.

    Attributes:
        value: The number; None if it is unknown.
        name: The dimension of an input that has this size, such as ``"x[1]"``; empty for another number.
        relies: The dimensions with a stated size from which ``value`` was computed.
    """

    value: int | None = None
    name: str = ""
    relies: frozenset[str] = frozenset()

    def same(self, other: Size) -> bool:
        """Whether two sizes are known to be equal."""
        return bool(self.name and self.name == other.name) or (self.value is not None and self.value == other.value)

    def differs(self, other: Size) -> bool:
        """Whether two sizes are known to differ."""
        return None not in (self.value, other.value) and self.value != other.value


class Known(NamedTuple):
    """What is known of a value.

    Attributes:
        shape: Its sizes; None if not even the number of dimensions is known.
        data: Its numbers, for a whole number or a short vector of them; truth values are 0 and 1.
        fill: The number that every element has.
    """

    shape: tuple[Size, ...] | None = None
    data: tuple[Size, ...] | None = None
    fill: float | Size | None = None


NOTHING = Known()
UNKNOWN = Size()

Rule = Callable[[OnnxNode, Sequence[Known]], Sequence[Known]]
RULES: dict[str, Rule] = {}
"""The rule of each operator; nothing is known of the outputs of any other operator."""
rule = registrar(RULES)


def of_constant(tensor: Tensor) -> Known:
    """What is known of a tensor of the file."""
    shape = tuple(Size(size) for size in tensor.shape)
    numbers = None
    if tensor.ndim < 2 and tensor.numel() <= (1 if tensor.is_floating_point() else MAX_DATA):
        values = tensor.flatten().tolist()
        if not tensor.is_floating_point() or all(math.isfinite(value) and value == int(value) for value in values):
            numbers = tuple(Size(int(value)) for value in values)
    fill = None
    if tensor.numel():
        first = float(tensor.flatten()[0])
        fill = first if bool((tensor == first).all()) else None
    return Known(shape, numbers, fill)


def of_input(name: str, sizes: Sequence[int | None]) -> Known:
    """What is known of an input of a graph with the sizes that the file states."""
    shape = []
    for place, size in enumerate(sizes):
        dimension = f"{name}[{place}]"
        shape.append(Size(size, dimension, frozenset() if size is None else frozenset([dimension])))
    return Known(tuple(shape))


def elements(shape: Sequence[Size] | None) -> int | None:
    """The number of elements; None if it is unknown."""
    values = [None] if shape is None else [size.value for size in shape]
    return None if None in values else math.prod(values)  # type: ignore[arg-type]


def product(sizes: Sequence[Size]) -> Size:
    """The product of some sizes."""
    count = elements(sizes)
    return UNKNOWN if count is None else Size(count, "", frozenset[str]().union(*(size.relies for size in sizes)))


def broadcast(shapes: Sequence[Sequence[Size]]) -> tuple[Size, ...]:
    """The shape to which values of these shapes are broadcast."""
    result: list[Size] = []
    for place in range(max(map(len, shapes), default=0)):
        size = Size(1)
        for shape in shapes:
            size = _broadcast_size(size, shape[-1 - place] if place < len(shape) else Size(1))
        result.insert(0, size)
    return tuple(result)


def _broadcast_size(a: Size, b: Size) -> Size:
    if a.value == 1:
        return b
    if a.same(b) or b.value == 1:
        return a
    if a.differs(b):
        raise ShapeError(f"takes values of {a.value} and {b.value} elements along one dimension")
    if a.value is not None or b.value is not None:
        return a if a.value is not None else b
    return UNKNOWN


def integers(node: OnnxNode, inputs: Sequence[Known], place: int, name: str) -> list[int] | None:
    """An argument that is an attribute in some versions and an input in others; None if it is unknown."""
    if name in node.attributes:
        value = node.attributes[name]
        return list(value) if isinstance(value, list) else [int(value)]
    data = inputs[place].data if place < len(inputs) else None
    if data is None or any(number.value is None or number.relies for number in data):
        return None
    return [number.value for number in data if number.value is not None]


def left_out(node: OnnxNode, place: int, name: str) -> bool:
    """Whether a node has an argument neither as an attribute nor as an input."""
    return name not in node.attributes and (place >= len(node.inputs) or not node.inputs[place])


def axis_of(axis: int, rank: int) -> int:
    """The axis counted from the start; a negative axis counts from the end.

    Raises:
        ShapeError: There is no such axis.
    """
    if not -rank <= axis < rank:
        raise ShapeError(f"asks for axis {axis} of a value with {rank} dimensions")
    return axis % rank
