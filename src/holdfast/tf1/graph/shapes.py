"""Static shapes: sizes that are known before a run, and None for those that are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from holdfast.tf1.graph.names import public

Sizes = tuple[int | None, ...] | None
"""The sizes of a tensor, None for an unknown size; None if even their number is unknown."""


@public("Dimension")
class Dimension:
    """One size of a shape, or an unknown one; acts as a whole number where a program uses it as one."""

    def __init__(self, value: Any) -> None:
        self.value: int | None = value.value if isinstance(value, Dimension) else None if value is None else int(value)

    def __int__(self) -> int:
        return self.__index__()

    def __index__(self) -> int:
        if self.value is None:
            raise TypeError("A size of this shape is unknown before the run; expected a known one. Use tf.shape.")
        return self.value

    def __eq__(self, other: object) -> Any:
        return self.value == (other.value if isinstance(other, Dimension) else other)

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return f"Dimension({self.value})"

    def __str__(self) -> str:
        return "?" if self.value is None else str(self.value)

    def _with(self, other: Any, function: Callable[[int, int], int]) -> Dimension:
        value = Dimension(other).value
        return Dimension(None if self.value is None or value is None else function(self.value, value))

    def __add__(self, other: Any) -> Dimension:
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other: Any) -> Dimension:
        return self._with(other, lambda a, b: a - b)

    def __rsub__(self, other: Any) -> Dimension:
        return self._with(other, lambda a, b: b - a)

    def __mul__(self, other: Any) -> Dimension:
        return self._with(other, lambda a, b: a * b)

    def __floordiv__(self, other: Any) -> Dimension:
        return self._with(other, lambda a, b: a // b)

    def __mod__(self, other: Any) -> Dimension:
        return self._with(other, lambda a, b: a % b)

    def __lt__(self, other: Any) -> bool:
        return int(self) < int(other)

    def __le__(self, other: Any) -> bool:
        return int(self) <= int(other)

    def __gt__(self, other: Any) -> bool:
        return int(self) > int(other)

    def __ge__(self, other: Any) -> bool:
        return int(self) >= int(other)

    __radd__, __rmul__, __truediv__ = __add__, __mul__, __floordiv__


@public("TensorShape")
class TensorShape:
    """A static shape as programs see it: ``shape[0]``, ``as_list()``, ``ndims``."""

    def __init__(self, dims: Any) -> None:
        self.sizes = sizes_of(dims)

    @property
    def ndims(self) -> int | None:
        """The number of sizes; None if it is unknown."""
        return None if self.sizes is None else len(self.sizes)

    rank = ndims

    @property
    def dims(self) -> list[Dimension] | None:
        """The sizes; None if their number is unknown."""
        return None if self.sizes is None else [Dimension(size) for size in self.sizes]

    def as_list(self) -> list[int | None]:
        """The sizes as numbers, None for an unknown one.

        Raises:
            ValueError: The number of sizes is unknown.
        """
        if self.sizes is None:
            raise ValueError("as_list() of a shape whose number of sizes is unknown; expected a known number.")
        return list(self.sizes)

    def num_elements(self) -> int | None:
        """The number of values; None if it is unknown."""
        if self.sizes is None or None in self.sizes:
            return None
        product = 1
        for size in self.sizes:
            product *= size or 0
        return product

    def is_fully_defined(self) -> bool:
        """Whether every size is known."""
        return self.sizes is not None and None not in self.sizes

    def with_rank(self, rank: int) -> TensorShape:
        """The shape, if it can have ``rank`` sizes."""
        return TensorShape(merged(self.sizes, (None,) * rank))

    def merge_with(self, other: Any) -> TensorShape:
        """What both shapes know."""
        return TensorShape(merged(self.sizes, sizes_of(other)))

    def is_compatible_with(self, other: Any) -> bool:
        """Whether some shape is of both kinds."""
        try:
            self.merge_with(other)
        except ValueError:
            return False
        return True

    def concatenate(self, other: Any) -> TensorShape:
        """The sizes of this shape, then those of another."""
        sizes = sizes_of(other)
        return TensorShape(None if self.sizes is None or sizes is None else self.sizes + sizes)

    def __getitem__(self, index: Any) -> Any:
        if self.sizes is None:
            return TensorShape(None) if isinstance(index, slice) else Dimension(None)
        part = self.sizes[index]
        return TensorShape(part) if isinstance(index, slice) else Dimension(part)

    def __len__(self) -> int:
        return len(self.as_list())

    def __iter__(self) -> Iterator[Dimension]:
        return iter([Dimension(size) for size in self.as_list()])

    def __bool__(self) -> bool:
        return self.sizes is not None

    def __eq__(self, other: object) -> bool:
        try:
            return self.sizes == sizes_of(other)
        except TypeError:
            return False

    def __hash__(self) -> int:
        return hash(self.sizes)

    def __str__(self) -> str:
        return written(self.sizes)

    def __repr__(self) -> str:
        return f"TensorShape({None if self.sizes is None else self.dims})"


def sizes_of(shape: Any) -> Sizes:
    """The sizes of what a program writes as a shape: None, a number, or a list of numbers, None and dimensions.

    Raises:
        TypeError: It is not a shape.
    """
    if shape is None:
        return None
    if isinstance(shape, TensorShape):
        return shape.sizes
    if isinstance(shape, int | Dimension):
        shape = [shape]
    try:
        sizes = tuple(Dimension(size).value for size in shape)
    except (TypeError, ValueError):
        raise TypeError(f"A shape is {shape!r}; expected whole numbers or None, such as [None, 28].") from None
    return tuple(None if size is not None and size < 0 else size for size in sizes)


def written(sizes: Sizes) -> str:
    """A shape as TensorFlow writes it: ``(?, 28)``."""
    if sizes is None:
        return "<unknown>"
    return f"({', '.join('?' if size is None else str(size) for size in sizes)}{',' if len(sizes) == 1 else ''})"


def merged(one: Sizes, other: Sizes) -> Sizes:
    """What two shapes of the same tensor know together.

    Raises:
        ValueError: They contradict each other.
    """
    if one is None or other is None:
        return one if other is None else other
    if len(one) != len(other):
        raise ValueError(f"Shapes {written(one)} and {written(other)} are not compatible: {len(one)} and {len(other)} "
                         "sizes.")  # fmt: skip
    return tuple(merged_size(a, b, one, other) for a, b in zip(one, other, strict=True))


def merged_size(a: int | None, b: int | None, one: Sizes = None, other: Sizes = None) -> int | None:
    """What is known of a size of which two things are known.

    Raises:
        ValueError: They contradict each other.
    """
    if a is not None and b is not None and a != b:
        shapes = f" in shapes {written(one)} and {written(other)}" if one is not None else ""
        raise ValueError(f"Dimensions must be equal, but are {a} and {b}{shapes}.")
    return b if a is None else a


def broadcast(one: Sizes, other: Sizes) -> Sizes:
    """The shape of an operation by elements on two tensors.

    Raises:
        ValueError: The shapes do not fit.
    """
    if one is None or other is None:
        return None
    longest = max(len(one), len(other))
    left = (1,) * (longest - len(one)) + one
    right = (1,) * (longest - len(other)) + other
    sizes: list[int | None] = []
    for a, b in zip(left, right, strict=True):
        if a == 1 or b == 1:
            sizes.append(b if a == 1 else a)
        else:
            sizes.append(merged_size(a, b, one, other))
    return tuple(sizes)


def axis_of(axis: Any, sizes: Sizes) -> Any:
    """An axis counted from the front, if the number of sizes is known.

    Raises:
        ValueError: There is no such axis.
    """
    axis = int(axis)
    if sizes is None:
        return axis
    if not -len(sizes) <= axis < len(sizes):
        raise ValueError(f"Axis {axis} is out of range for a tensor of shape {written(sizes)}.")
    return axis % len(sizes)


def product(sizes: Sequence[int | None]) -> int | None:
    """The number of values of a shape; None if a size is unknown."""
    result = 1
    for size in sizes:
        if size is None:
            return None
        result *= size
    return result
