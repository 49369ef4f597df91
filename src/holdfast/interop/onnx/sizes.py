"""What is known of the sizes of values before a graph runs.

A size is a number, or the size of an input's dimension that the file leaves open, or not known.
:mod:`~holdfast.interop.onnx.size_rules` has a rule for each operator that moves sizes along.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from holdfast.errors import ShapeError
from holdfast.interop.onnx.graph import OnnxNode

MAX_DATA = 64
"""Of tensors of more whole numbers than these, the numbers are not looked at."""


@dataclass(frozen=True)
class Size:
    """A size, or another whole number.

    Attributes:
        value: The number; None where it is not known.
        name: The dimension of an input that it is the size of, such as ``"x[1]"``; empty for another number.
        relies: Those dimensions that the file states a size for, which ``value`` was computed from.
    """

    value: int | None = None
    name: str = ""
    relies: frozenset[str] = frozenset()

    def same(self, other: Size) -> bool:
        """Whether two sizes are known to be equal."""
        return bool(self.name and self.name == other.name) or (self.value is not None and self.value == other.value)


class Known(NamedTuple):
    """What is known of a value.

    Attributes:
        shape: Its sizes; None where not even their number is known.
        data: Its numbers, where it is a whole number or a vector of a few; truth values are 0 and 1.
        fill: The number that all of it is, whatever its sizes.
    """

    shape: tuple[Size, ...] | None = None
    data: tuple[Size, ...] | None = None
    fill: float | Size | None = None


NOTHING = Known()
UNKNOWN = Size()


def of_constant(tensor: Tensor) -> Known:
    """All about a tensor of the file."""
    shape = tuple(Size(size) for size in tensor.shape)
    numbers = None
    if tensor.ndim < 2 and tensor.numel() <= (1 if tensor.is_floating_point() else MAX_DATA):
        values = tensor.flatten().tolist()
        if not tensor.is_floating_point() or all(math.isfinite(one) and one == int(one) for one in values):
            numbers = tuple(Size(int(one)) for one in values)
    fill = None
    if tensor.numel():
        first = float(tensor.flatten()[0])
        fill = first if bool((tensor == first).all()) else None
    return Known(shape, numbers, fill)


def of_input(name: str, sizes: Sequence[int | None]) -> Known:
    """An input of a graph with the sizes that the file states."""
    names = [f"{name}[{place}]" for place in range(len(sizes))]
    return Known(
        tuple(
            Size(size, one, frozenset() if size is None else frozenset([one]))
            for size, one in zip(sizes, names, strict=True)
        )
    )


def merged(one: Known, other: Known) -> Known:
    """What holds for a value that is one of two."""
    shape = None
    if one.shape is not None and other.shape is not None and len(one.shape) == len(other.shape):
        shape = tuple(a if a.same(b) else UNKNOWN for a, b in zip(one.shape, other.shape, strict=True))
    return Known(shape, None, one.fill if one.fill == other.fill else None)


def elements(shape: Sequence[Size] | None) -> int | None:
    """The number of elements; None where it is not known."""
    values = [None] if shape is None else [size.value for size in shape]
    return None if None in values else math.prod(values)  # type: ignore[arg-type]


def broadcast(shapes: Sequence[Sequence[Size]]) -> tuple[Size, ...]:
    """The sizes of values that are brought to one shape."""
    result: list[Size] = []
    for place in range(max(map(len, shapes), default=0)):
        size = Size(1)
        for shape in shapes:
            other = shape[-1 - place] if place < len(shape) else Size(1)
            size = _widened(size, other)
        result.insert(0, size)
    return tuple(result)


def _widened(one: Size, other: Size) -> Size:
    if one.value == 1 or one.same(other):
        return other if one.value == 1 else one
    if other.value == 1:
        return one
    if one.value is not None and other.value is not None:
        raise ShapeError(f"takes values of {one.value} and {other.value} elements along one dimension")
    if one.value is not None or other.value is not None:
        return one if one.value is not None else other
    return UNKNOWN


def integers(node: OnnxNode, known: Sequence[Known], place: int, name: str) -> list[int] | None:
    """An argument that is an attribute in some versions and an input in others; None where it is not known."""
    if name in node.attributes:
        value = node.attributes[name]
        return list(value) if isinstance(value, list) else [int(value)]
    found = known[place].data if place < len(known) else None
    if found is None or any(one.value is None or one.relies for one in found):
        return None
    return [one.value for one in found if one.value is not None]


def left_out(node: OnnxNode, place: int, name: str) -> bool:
    """Whether a node has an argument neither as an attribute nor as an input."""
    return name not in node.attributes and (place >= len(node.inputs) or not node.inputs[place])


def axis_of(axis: int, rank: int) -> int:
    """An axis that may count from the end, counted from the start.

    Raises:
        ShapeError: There is no such axis.
    """
    if not -rank <= axis < rank:
        raise ShapeError(f"is asked for axis {axis} of a value with {rank} dimensions")
    return axis % rank
