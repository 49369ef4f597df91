"""A part of a graph that runs many times within one operation: the body of a loop, a branch, a cell of a program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from holdfast.tf1.graph.graph import get_default_graph, node
from holdfast.tf1.graph.nested import flatten
from holdfast.tf1.graph.plan import Plan
from holdfast.tf1.graph.shapes import Sizes
from holdfast.tf1.graph.tensors import Operation, Tensor


class Subgraph:
    """What a function of tensors does, recorded once.

    Args:
        function: Takes tensors and returns a structure of them.
        arguments: The dtype and the sizes of each argument.

    Attributes:
        result: The structure that the function returned.
        outputs: Its tensors.
        captured: The tensors from outside that they need, all variables among them, and one of each operation that must
            run before; inputs of the operation that runs the subgraph.
        effect: Whether it changes something.
    """

    def __init__(self, function: Callable[..., Any], arguments: Sequence[tuple[Any, Sizes]]) -> None:
        graph = get_default_graph()
        self._first = len(graph.operations)
        with graph.control_dependencies(None):
            self.arguments = [node("Argument", None, [], dtype, sizes) for dtype, sizes in arguments]
            self.result = function(*self.arguments)
        self.outputs: list[Tensor] = [leaf for leaf in flatten(self.result) if isinstance(leaf, Tensor)]
        self.effect = False
        self.captured = list(dict.fromkeys(self._outside()))

    def _outside(self) -> list[Tensor]:
        found: list[Tensor] = []
        seen: set[int] = set()
        waiting = [tensor.op for tensor in self.outputs]
        found += [tensor for tensor in self.outputs if self._is_outside(tensor.op)]
        while waiting:
            op = waiting.pop()
            if op.id in seen or self._is_outside(op):
                continue
            seen.add(op.id)
            self.effect = self.effect or op.effect
            found += [tensor for tensor in op.inputs if self._is_outside(tensor.op)]
            waiting += [tensor.op for tensor in op.inputs]
            outside = [control for control in op.control_inputs if control.id < self._first]
            found += [_after(control) for control in outside]
            op.control_inputs = [control for control in op.control_inputs if control not in outside]
            waiting += op.control_inputs
        return found

    def _is_outside(self, op: Operation) -> bool:
        return op.id < self._first or op.type == "VariableV2"

    def compiled(self, plan: Plan) -> Callable[..., Any]:
        """A function of the arguments' and the captured tensors' values that returns a tuple of the outputs' values."""
        inner = Plan(plan.session, self.outputs, [*self.arguments, *self.captured])
        plan.variables |= inner.variables
        function = inner.function

        def run(*values: Any) -> Any:
            try:
                if inner.differentiates:
                    with torch.enable_grad():
                        return function(*values)
                return function(*values)
            except Exception as error:
                failure = inner.failure(error)
                if failure is error:
                    raise
                raise failure from error

        return run


def _after(op: Operation) -> Tensor:
    """A tensor whose only purpose is to follow an operation."""
    if op.outputs:
        return op.outputs[0]
    with op.graph.control_dependencies([op]):
        return node("After", lambda: torch.tensor(True), [], "bool", (), gradient=False)
