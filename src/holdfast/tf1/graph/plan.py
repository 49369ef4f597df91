"""The part of a graph that a set of fetches needs, compiled into one Python function.

A session keeps a plan for each set of fetches and feeds, so a step costs little more than the operations themselves:
the function has a line for each operation, and its local variables are the tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from holdfast.errors import HoldfastError
from holdfast.tf1.graph.failures import InvalidArgumentError
from holdfast.tf1.graph.shapes import written
from holdfast.tf1.graph.tensors import Operation, Tensor

_FILE = "<a plan of holdfast.tf1.graph>"
_VIEWS = {"Identity", "Reshape", "Transpose", "Squeeze", "ExpandDims", "StridedSlice", "Split", "Unpack", "Cast"}


class Plan:
    """A compiled part of a graph.

    What changes something (an assignment, an optimiser's step) comes after everything that does not depend on it: so
    what is fetched beside a training step is from before it. Gradients are torch's, over the whole function.

    Args:
        session: The session whose variables and random numbers it uses.
        fetches: What it returns; an operation returns None.
        feeds: The tensors whose values are given.

    Attributes:
        variables: The variables that it reads.
        operations: What it runs.
        differentiates: Those of them that compute gradients.
        function: The compiled function: takes the values of the feeds, returns a tuple of the fetches'.

    Raises:
        InvalidArgumentError: A placeholder is needed and not fed.
    """

    def __init__(self, session: Any, fetches: Sequence[Tensor | Operation], feeds: Sequence[Tensor]) -> None:
        self.session, self.fetches, self.feeds = session, list(fetches), list(feeds)
        self.variables: set[Any] = set()
        fed = set(self.feeds)
        self.operations = needed(self.fetches, fed)
        self.differentiates = [op for op in self.operations if op.settings.get("differentiates")]
        late = _after_effects(self.operations)
        pure = [op for op in self.operations if op.id not in late]
        leaves = {tensor for op in self.differentiates for tensor in op.settings["leaves"]}
        self._write(pure, [op for op in self.operations if op.id in late], leaves)

    def __call__(self, values: Iterable[Any]) -> Any:
        """The values of the fetches from those of the feeds.

        Raises:
            InvalidArgumentError: An operation failed; the message says which, and where the program made it.
        """
        try:
            if self.differentiates:
                with torch.enable_grad():
                    return self.function(*values)
            with torch.no_grad():
                return self.function(*values)
        except Exception as error:
            failure = self.failure(error)
            if failure is error:
                raise
            raise failure from error

    def failure(self, error: Exception) -> Exception:
        """The error to raise for one that came up in :attr:`function`: it says which operation failed."""
        op = None if isinstance(error, HoldfastError) else self._failed(error)
        if op is None or op.type == "PyFunc":
            return error
        shapes = ", ".join(written(tensor.sizes) for tensor in op.inputs)
        message = f"{op.type} {op.name} ({op.line}; inputs {shapes}) failed: {_first_line(error)}"
        return InvalidArgumentError(None, op, message)

    def _failed(self, error: BaseException) -> Operation | None:
        trace, line = error.__traceback__, 0
        while trace is not None:
            if trace.tb_frame.f_code is self.function.__code__:
                line = trace.tb_lineno
            trace = trace.tb_next
        return self._lines.get(line)

    def _write(self, pure: list[Operation], late: list[Operation], leaves: set[Tensor]) -> None:
        names: dict[str, Any] = {"leaf": _leaf}
        parameters = [_local(tensor) for tensor in self.feeds]
        lines = [f"def function({', '.join(parameters)}):"]
        self._lines: dict[int, Operation] = {}
        lines += [f" {_local(tensor)} = leaf({_local(tensor)})" for tensor in self.feeds if tensor in leaves]
        fed = set(self.feeds)
        kept: dict[Tensor, str] = {}  # what is fetched as it was before anything changes
        for group in (pure, late):
            for op in group:
                self._write_operation(op, names, lines, leaves, fed)
            if group is pure and late:
                before = {op.id for op in pure}
                fetched = [each for each in self.fetches if isinstance(each, Tensor)]
                aliases = [t for t in dict.fromkeys(fetched) if t.op.id in before and _may_be_of_a_variable(t)]
                lines += [f" kept_{_local(tensor)} = {_local(tensor)}.clone()" for tensor in aliases]
                kept |= {tensor: f"kept_{_local(tensor)}" for tensor in aliases}
        results = [kept.get(each, _local(each)) if isinstance(each, Tensor) else "None" for each in self.fetches]
        lines.append(f" return ({''.join(f'{result}, ' for result in results)})")
        exec(compile("\n".join(lines), _FILE, "exec"), names)
        self.function: Callable[..., Any] = names["function"]

    def _write_operation(
        self, op: Operation, names: dict[str, Any], lines: list[str], leaves: set[Tensor], fed: set[Tensor]
    ) -> None:
        if op.type == "Const":
            output = op.outputs[0]
            if output in leaves:
                names[f"c{op.id}"] = op.settings["value"]
                lines.append(f" {_local(output)} = leaf(c{op.id})")
            else:
                names[_local(output)] = op.settings["value"]
            return
        compute = op.prepare(self) if op.prepare else op.compute
        if compute is None:
            what = f"{op.outputs[0].dtype.name}, shape {written(op.outputs[0].sizes)}, {op.line}"
            message = f"Placeholder {op.name!r} ({what}) got no value; expected one in feed_dict."
            raise InvalidArgumentError(None, op, message)
        names[f"c{op.id}"] = compute
        outputs = [_local(tensor) if tensor not in fed else "_" for tensor in op.outputs]
        left = ", ".join(outputs) + (", = " if op.several and outputs else " = " if outputs else "")
        lines.append(f" {left}c{op.id}({', '.join(_local(tensor) for tensor in op.inputs)})")
        self._lines[len(lines)] = op
        lines += [f" {_local(t)} = leaf({_local(t)})" for t in op.outputs if t in leaves and t not in fed]


def _local(tensor: Tensor) -> str:
    return f"t{tensor.op.id}_{tensor.value_index}"


def _may_be_of_a_variable(tensor: Tensor) -> bool:
    """Whether a tensor's memory may be a part of a variable's, which a later operation changes."""
    while tensor.op.type in _VIEWS:
        tensor = tensor.op.inputs[0]
    return tensor.op.type == "VariableV2"


def _leaf(value: Any) -> Any:
    """A value of which there will be a gradient."""
    return value if value.requires_grad else value.detach().requires_grad_()


def needed(fetches: Iterable[Tensor | Operation], fed: set[Tensor]) -> list[Operation]:
    """The operations behind the fetches, in the order of their making, which is an order in which they can run."""
    needed: dict[int, Operation] = {}
    waiting = [each.op if isinstance(each, Tensor) else each for each in fetches if each not in fed]
    while waiting:
        op = waiting.pop()
        if op.id in needed or (op.outputs and fed.issuperset(op.outputs)):
            continue
        needed[op.id] = op
        waiting += [tensor.op for tensor in op.inputs if tensor not in fed]
        waiting += op.control_inputs
    return [needed[number] for number in sorted(needed)]


def _after_effects(operations: list[Operation]) -> set[int]:
    """The numbers of the operations that change something, or need one that does."""
    late: set[int] = set()
    for op in operations:
        behind = [tensor.op.id for tensor in op.inputs] + [control.id for control in op.control_inputs]
        if op.effect or any(number in late for number in behind):
            late.add(op.id)
    return late


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]
