"""What is known of the rounds of a ``Loop``: its counters, the values that never change, and its condition."""

from __future__ import annotations

from collections.abc import Set

from holdfast.interop.onnx.graph import Graph, OnnxNode
from holdfast.interop.onnx.scope import Scope
from holdfast.interop.onnx.sizes import Size, of_constant

_SAME = frozenset({"Identity"})
_KEEPS_NUMBER = frozenset({"Cast", "Identity"})
"""Operators that keep a whole number as it is."""


class Rounds:
    """What is known of the rounds of a ``Loop``.

    Attributes:
        counters: The inner values that are the number of the round.
        fixed: The inner values that are the same in every round, and the outer values that they equal.
    """

    def __init__(self, node: OnnxNode, body: Graph, scope: Scope) -> None:
        self._node, self._body, self._scope = node, body, scope
        self._makers = {name: part for part in body.nodes for name in part.outputs}
        self.counters = {body.inputs[0]}
        self.fixed: dict[str, str] = {}

    def root(self, value: str, ops: Set[str] = _SAME) -> str:
        """The value from which this one is made by these operators alone."""
        for _ in self._makers:
            maker = self._makers.get(value)
            if maker is None or maker.op not in ops or not maker.inputs:
                break
            value = maker.inputs[0]
        return value

    def counts(self, before: str, after: str, initial: str) -> bool:
        """Whether a value starts at 0 and grows by 1 per round."""
        numbers = self._scope.known_of(initial).data
        return numbers is not None and [size.value for size in numbers] == [0] and self.offset(after, {before}) == 1

    def offset(self, value: str, counters: Set[str] | None = None) -> int | None:
        """The difference between a value and the number of the round; None if it is unknown."""
        counters, offset = counters or self.counters, 0
        for _ in range(len(self._makers) + 1):
            value = self.root(value, _KEEPS_NUMBER)
            if value in counters:
                return offset
            maker = self._makers.get(value)
            if maker is None or maker.op != "Add" or len(maker.inputs) != 2:
                return None
            numbers = [self._constant(name) for name in maker.inputs]
            if (numbers[0] is None) == (numbers[1] is None):
                return None
            offset += next(number for number in numbers if number is not None)
            value = maker.inputs[0 if numbers[0] is None else 1]
        return None

    def _constant(self, name: str) -> int | None:
        tensor = self._body.constants.get(name, self._scope.constants.get(self.fixed.get(name, name)))
        return int(tensor) if tensor is not None and tensor.numel() == 1 and not tensor.is_floating_point() else None

    def is_size(self, value: str, size: Size) -> bool:
        """Whether an outer value is known to be a size."""
        constant = self._body.constants.get(value)
        numbers = (self._scope.known_of(value) if constant is None else of_constant(constant)).data
        return numbers is not None and len(numbers) == 1 and numbers[0].same(size)

    def runs_until(self, length: Size) -> bool:
        """Whether the condition is true until the number of rounds is the length."""
        if self._node.inputs[1]:
            first = self._scope.known_of(self._node.inputs[1]).data
            if first is None or [size.value for size in first] != [1]:
                return False
        pending, seen = [self._body.outputs[0]], set[str]()
        while pending:
            value = self.root(pending.pop(), _KEEPS_NUMBER)
            maker = self._makers.get(value)
            if value in seen or value == self._body.inputs[1] or self._constant(value) == 1:
                continue
            seen.add(value)
            if maker is not None and maker.op == "And":
                pending.extend(maker.inputs)
            elif maker is None or maker.op not in ("Less", "Greater") or len(maker.inputs) != 2:
                return False
            else:
                low, high = maker.inputs if maker.op == "Less" else maker.inputs[::-1]
                offset, end = self.offset(low), self.root(high, _KEEPS_NUMBER)
                if offset is None or offset > 1 or not self.is_size(self.fixed.get(end, end), length):
                    return False
        return True
