"""The rules of :mod:`~holdfast.interop.onnx.size_rules` for operators that work value by value on several inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from holdfast.interop.onnx.graph import OnnxNode
from holdfast.interop.onnx.sizes import UNKNOWN, Known, Size, broadcast

Rule = Callable[[OnnxNode, Sequence[Known]], Sequence[Known]]


def elementwise(function: Callable[[int, int], int] | None = None) -> Rule:
    """A function of several values, of which something is known where they are whole numbers."""

    def rule(node: OnnxNode, known: Sequence[Known]) -> list[Known]:
        shapes = [one.shape for one in known]
        shape = None if None in shapes else broadcast(shapes)  # type: ignore[arg-type]
        data = None
        if function and len(known) == 2 and shape is not None and len(shape) < 2:
            a, b = known[0].data, known[1].data
            if a is not None and b is not None and (len(a) == len(b) or 1 in (len(a), len(b))):
                count = max(len(a), len(b)) if min(len(a), len(b)) else 0
                pairs = zip(a * (count if len(a) == 1 else 1), b * (count if len(b) == 1 else 1), strict=True)
                data = tuple(_computed(function, *pair) for pair in pairs)
        return [Known(shape, data)]

    return rule


def _computed(function: Callable[[int, int], int], a: Size, b: Size) -> Size:
    if a.value is None or b.value is None:
        # A size that the file leaves open is 1 at least.
        small, large = (b, a) if function is _greater else (a, b)
        more = function in (_less, _greater) and small.value == 0 and bool(large.name)
        return Size(1) if more or (function is _equal and a.same(b)) else UNKNOWN
    if function is _quotient and (not b.value or a.value % b.value):
        return UNKNOWN  # it is rounded where the two are whole numbers, and not where they are not
    return Size(function(a.value, b.value), "", a.relies | b.relies)


def _quotient(a: int, b: int) -> int:
    return a // b


def _less(a: int, b: int) -> int:
    return int(a < b)


def _greater(a: int, b: int) -> int:
    return int(a > b)


def _equal(a: int, b: int) -> int:
    return int(a == b)


BINARY: dict[str, Callable[[int, int], int] | None] = {
    "Add": lambda a, b: a + b,
    "And": lambda a, b: int(bool(a and b)),
    "Div": _quotient,
    "Equal": _equal,
    "Greater": _greater,
    "GreaterOrEqual": lambda a, b: int(a >= b),
    "Less": _less,
    "LessOrEqual": lambda a, b: int(a <= b),
    "Max": max,
    "Min": min,
    "Mul": lambda a, b: a * b,
    "Or": lambda a, b: int(bool(a or b)),
    "Sub": lambda a, b: a - b,
    **dict.fromkeys(("Mean", "Mod", "Pow", "Sum", "Xor")),
}
"""The function of each such operator where its inputs are whole numbers; None where nothing is known of it."""
