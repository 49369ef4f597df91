"""Loops over the steps of a sequence that are recurrent layers, as those layers.

``Loop`` and ``Scan`` are brought to one form: values that go from step to step, a sequence that is taken step by step,
and what is put together of all steps. If the body is a cell (:mod:`~holdfast.interop.onnx.loop_cells`), the loop is one
node LSTM, GRU or RNN with transpositions around it. What has no such form stays a loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from holdfast.interop.onnx import loop_cells as onnx_loop_cells
from holdfast.interop.onnx.graph import Graph, OnnxNode
from holdfast.interop.onnx.inlining import renamed_in
from holdfast.interop.onnx.sizes import Known, Size, of_constant

_SAME = frozenset({"Identity"})
_PASSING = frozenset({"Cast", "Identity"})
"""Operators that pass a number on."""


class Around(NamedTuple):
    """What is around a loop.

    Attributes:
        known: What is known of a value.
        constants: The values that are known.
        needed: The values that are taken by anything.
    """

    known: Callable[[str], Known]
    constants: Mapping[str, Tensor]
    needed: Set[str]


@dataclass
class _Steps:
    """A loop over the steps of one sequence.

    Attributes:
        body: The graph inside.
        sequence: The sequence, and its axis of steps.
        backwards: Whether its last step comes first.
        step: The name of a step inside.
        states: For each value that goes along: its names inside before and after, at first, and at last.
        joined: For each value put together: its name inside, the name outside, its axis, and whether its last step
            comes first.
    """

    body: Graph
    sequence: str
    axis: int
    backwards: bool
    step: str
    states: list[tuple[str, str, str, str]]
    joined: list[tuple[str, str, int, bool]]


class Replaced(NamedTuple):
    """Nodes in the place of a loop, and the constants that they take."""

    nodes: list[OnnxNode]
    constants: dict[str, Tensor]


def as_layer(node: OnnxNode, version: int, around: Around) -> Replaced | None:
    """The nodes of a layer that a loop is; None where it is none."""
    body = node.attributes.get("body")
    if not isinstance(body, Graph):
        return None
    steps = (_of_loop if node.op == "Loop" else _of_scan)(node, body, around)
    if steps is None:
        return None
    x = around.known(steps.sequence).shape
    states = [around.known(initial).shape for _, _, initial, _ in steps.states]
    sizes = [shape[1].value for shape in states if shape is not None and len(shape) == 2]
    if x is None or len(x) != 3 or x[2].value is None or len(sizes) != len(states) or len(set(sizes)) != 1:
        return None
    if sizes[0] is None or steps.axis not in (0, 1):
        return None
    constants = {**{name: around.constants[name] for name in _captured(steps.body, around)}, **steps.body.constants}
    cell = onnx_loop_cells.identify(
        onnx_loop_cells.Body(
            steps.body.nodes,
            constants,
            version,
            steps.step,
            x[2].value,
            tuple((before, after) for before, after, _, _ in steps.states),
            sizes[0],
        )
    )
    if cell is None:
        return None
    root = _Rounds(node, steps.body, around).root
    after = root(steps.states[cell.order[0]][1])
    if any(root(value) != after for value, _, _, _ in steps.joined):
        return None
    return _layer(node.name, steps, cell)


def _captured(body: Graph, around: Around) -> set[str]:
    return {name for node in body.nodes for name in node.inputs if name in around.constants}


def _layer(name: str, steps: _Steps, cell: onnx_loop_cells.Found) -> Replaced:
    """The node of a cell and what is around it."""
    nodes: list[OnnxNode] = []
    constants = {f"{name}/{letter}": tensor for letter, tensor in zip("WRB", cell.weights, strict=True)}

    def add(op: str, inputs: Sequence[str], output: str, **attributes: object) -> str:
        nodes.append(OnnxNode(f"{name}/{output}", op, tuple(inputs), (output,), attributes))
        return output

    def numbers(*values: int) -> str:
        value = f"{name}/{values}"
        constants[value] = torch.tensor(values, dtype=torch.int64)
        return value

    x = steps.sequence
    if steps.axis == 1:
        x = add("Transpose", [x], f"{name}/steps", perm=[1, 0, 2])
    states = [steps.states[place] for place in cell.order]
    first = [
        add("Unsqueeze", [initial, numbers(0)], f"{name}/first {part}")
        for part, (_, _, initial, _) in enumerate(states)
    ]
    last = [f"{name}/last {part}" for part in range(len(states))]
    inputs = (x, *(f"{name}/{letter}" for letter in "WRB"), "", *first)
    direction = {"direction": "reverse"} if steps.backwards else {}
    nodes.append(OnnxNode(name, cell.op, inputs, (f"{name}/every", *last), {**cell.attributes, **direction}))
    for value, (_, _, _, output) in zip(last, states, strict=True):
        if output:
            add("Squeeze", [value, numbers(0)], output)
    for number, (_, output, axis, backwards) in enumerate(steps.joined):
        parts = ["Squeeze", *(["Slice"] if backwards != steps.backwards else []), *(["Transpose"] if axis else [])]
        value = f"{name}/every"
        for op in parts:
            given = output if op == parts[-1] else f"{name}/every {op} {number}"
            if op == "Squeeze":
                value = add(op, [value, numbers(1)], given)
            elif op == "Slice":
                value = add(op, [value, numbers(-1), numbers(-(2**62)), numbers(0), numbers(-1)], given)
            else:
                value = add(op, [value], given, perm=[1, 0, 2])
    return Replaced(nodes, constants)


def _of_scan(node: OnnxNode, body: Graph, around: Around) -> _Steps | None:
    """A ``Scan`` over one sequence."""
    scanned = node.attributes.get("num_scan_inputs")
    carried = len(node.inputs) - 1
    lists = [
        node.attributes.get(f"scan_{side}_{name}") for name in ("axes", "directions") for side in ("input", "output")
    ]
    if scanned != 1 or carried < 1 or len(body.inputs) != len(node.inputs) or len(body.outputs) < len(node.outputs):
        return None
    if not all(one is None or (isinstance(one, list) and all(isinstance(k, int) for k in one)) for one in lists):
        return None
    in_axes, out_axes, in_ways, out_ways = (list(one or []) for one in lists)
    outputs = (*node.outputs, *[""] * (len(body.outputs) - len(node.outputs)))
    joined = [
        (value, outputs[carried + number], [*out_axes, 0, 0][number], bool([*out_ways, 0, 0][number]))
        for number, value in enumerate(body.outputs[carried:])
        if outputs[carried + number]
        if number < 2
    ]
    if len(body.outputs) > carried + 2 or any(axis not in (0, 1) for _, _, axis, _ in joined):
        return None
    states = list(zip(body.inputs[:carried], body.outputs, node.inputs, outputs, strict=False))
    return _Steps(body, node.inputs[-1], [*in_axes, 0][0], bool([*in_ways, 0][0]), body.inputs[-1], states, joined)


def _of_loop(node: OnnxNode, body: Graph, around: Around) -> _Steps | None:
    """A ``Loop`` that takes a step of one sequence by the number of the round, over all of its steps."""
    carried = len(node.inputs) - 2
    if carried < 1 or len(body.inputs) != 2 + carried or len(body.outputs) < 1 + carried:
        return None
    rounds = _Rounds(node, body, around)
    outputs = (*node.outputs, *[""] * (len(body.outputs) - 1 - len(node.outputs)))
    states = []
    for row in zip(body.inputs[2:], body.outputs[1:], node.inputs[2:], outputs, strict=False):
        before, after, initial, last = row
        if rounds.root(after) == before:
            rounds.fixed[before] = initial
        elif rounds.counts(before, after, initial):
            rounds.counters.add(before)
        else:
            states.append(row)
            continue
        if last in around.needed:
            return None
    steps = [
        one for one in body.nodes if one.op == "Gather" and len(one.inputs) == 2 and rounds.number(one.inputs[1]) == 0
    ]
    if len(steps) != 1:
        return None
    (step,) = steps
    sequence = rounds.fixed.get(step.inputs[0], step.inputs[0])
    shape, axis = around.known(sequence).shape, step.attributes.get("axis", 0)
    if shape is None or not isinstance(axis, int) or not 0 <= axis < len(shape):
        return None
    if not rounds.is_size(node.inputs[0], shape[axis]) or not rounds.goes_on(shape[axis]):
        return None
    inner = replace(body, nodes=tuple(renamed_in(one, rounds.fixed) for one in body.nodes))
    joined = [(value, outputs[carried + number], 0, False) for number, value in enumerate(body.outputs[1 + carried :])]
    return _Steps(inner, sequence, axis, False, step.outputs[0], states, [one for one in joined if one[1]])


class _Rounds:
    """What is known of the rounds of a ``Loop``.

    Attributes:
        counters: The values inside that are the number of the round.
        fixed: The values inside that are the same in each round, and what they are outside.
    """

    def __init__(self, node: OnnxNode, body: Graph, around: Around) -> None:
        self._node, self._body, self._around = node, body, around
        self._made = {name: one for one in body.nodes for name in one.outputs}
        self.counters = {body.inputs[0]}
        self.fixed: dict[str, str] = {}

    def _passed(self, value: str, ops: Set[str]) -> str:
        """The value that one comes of by these operators alone."""
        for _ in self._made:
            made = self._made.get(value)
            if made is None or made.op not in ops or not made.inputs:
                break
            value = made.inputs[0]
        return value

    def root(self, value: str) -> str:
        """The value that one is, under its first name."""
        return self._passed(value, _SAME)

    def counts(self, before: str, after: str, initial: str) -> bool:
        """Whether a value begins at 0 and is one more in each round."""
        numbers = self._around.known(initial).data
        return numbers is not None and [one.value for one in numbers] == [0] and self.number(after, {before}) == 1

    def number(self, value: str, counters: Set[str] | None = None) -> int | None:
        """How much more than the number of the round a value is; None where that is not known."""
        counters, more = counters or self.counters, 0
        for _ in range(len(self._made) + 1):
            value = self._passed(value, _PASSING)
            if value in counters:
                return more
            made = self._made.get(value)
            if made is None or made.op != "Add" or len(made.inputs) != 2:
                return None
            numbers = [self._constant(name) for name in made.inputs]
            if (numbers[0] is None) == (numbers[1] is None):
                return None
            more += next(one for one in numbers if one is not None)
            value = made.inputs[0 if numbers[0] is None else 1]
        return None

    def _constant(self, name: str) -> int | None:
        tensor = self._body.constants.get(name, self._around.constants.get(self.fixed.get(name, name)))
        return int(tensor) if tensor is not None and tensor.numel() == 1 and not tensor.is_floating_point() else None

    def is_size(self, value: str, size: Size) -> bool:
        """Whether a value outside is a size."""
        inside = self._body.constants.get(value)
        numbers = (self._around.known(value) if inside is None else of_constant(inside)).data
        return numbers is not None and len(numbers) == 1 and numbers[0].same(size)

    def goes_on(self, length: Size) -> bool:
        """Whether the condition holds until the last step."""
        if self._node.inputs[1]:
            begins = self._around.known(self._node.inputs[1]).data
            if begins is None or [one.value for one in begins] != [1]:
                return False
        left, seen = [self._body.outputs[0]], set[str]()
        while left:
            value = self._passed(left.pop(), _PASSING)
            made = self._made.get(value)
            if value in seen or value == self._body.inputs[1] or self._constant(value) == 1:
                continue
            seen.add(value)
            if made is not None and made.op == "And":
                left.extend(made.inputs)
            elif made is None or made.op not in ("Less", "Greater") or len(made.inputs) != 2:
                return False
            else:
                low, high = made.inputs if made.op == "Less" else made.inputs[::-1]
                number, end = self.number(low), self._passed(high, _PASSING)
                if number is None or number > 1 or not self.is_size(self.fixed.get(end, end), length):
                    return False
        return True
