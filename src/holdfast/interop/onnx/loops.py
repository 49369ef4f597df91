"""Turns loops over the steps of a sequence into recurrent layers.

``Loop`` and ``Scan`` are brought into one form: values that go from step to step, a sequence that is read step by step,
and outputs that are collected from all steps. If the body is a cell (:mod:`~holdfast.interop.onnx.loop_cells`), the
loop becomes one node LSTM, GRU or RNN with transpositions around it. A loop without such a form stays a loop.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from holdfast.interop.onnx.graph import Graph, OnnxNode
from holdfast.interop.onnx.inlining import rename_values
from holdfast.interop.onnx.loop_body import Body
from holdfast.interop.onnx.loop_cells import Cell, identify
from holdfast.interop.onnx.loop_rounds import Rounds
from holdfast.interop.onnx.scope import Scope


class _State(NamedTuple):
    """A value that goes from step to step: its names inside before and after a step, and outside at first and last."""

    before: str
    after: str
    initial: str
    final: str


class _Collected(NamedTuple):
    """An output that is collected from all steps: its names inside and outside, and its axis and order of steps."""

    inner: str
    outer: str
    axis: int
    backwards: bool


@dataclass
class _Steps:
    """A loop over the steps of one sequence, which lie along ``axis``; ``step`` is the name of a step in the body."""

    body: Graph
    sequence: str
    axis: int
    backwards: bool
    step: str
    states: list[_State]
    collected: list[_Collected]


class Replacement(NamedTuple):
    """The nodes that replace a loop, and their constants."""

    nodes: list[OnnxNode]
    constants: dict[str, Tensor]


def as_layer(node: OnnxNode, version: int, scope: Scope, needed: Set[str]) -> Replacement | None:
    """The nodes of the layer that a loop computes; None for none. ``needed`` holds all values that are used."""
    body = node.attributes.get("body")
    if not isinstance(body, Graph):
        return None
    steps = _of_loop(node, body, scope, needed) if node.op == "Loop" else _of_scan(node, body)
    if steps is None:
        return None
    x = scope.known_of(steps.sequence).shape
    states = [scope.known_of(state.initial).shape for state in steps.states]
    sizes = [shape[1].value for shape in states if shape is not None and len(shape) == 2]
    if x is None or len(x) != 3 or x[2].value is None or len(sizes) != len(states) or len(set(sizes)) != 1:
        return None
    if sizes[0] is None or steps.axis not in (0, 1):
        return None
    nodes, names = steps.body.nodes, tuple((state.before, state.after) for state in steps.states)
    captured = {name for part in nodes for name in part.inputs if name in scope.constants}
    constants = {**{name: scope.constants[name] for name in captured}, **steps.body.constants}
    cell = identify(Body(nodes, constants, version, steps.step, x[2].value, names, sizes[0]))
    if cell is None:
        return None
    root = Rounds(node, steps.body, scope).root
    h = root(steps.states[cell.order[0]].after)
    if any(root(output.inner) != h for output in steps.collected):
        return None
    return _layer(node.name, steps, cell)


def _layer(name: str, steps: _Steps, cell: Cell) -> Replacement:
    """The node of a cell and the nodes around it."""
    nodes: list[OnnxNode] = []
    constants = {f"{name}/{letter}": tensor for letter, tensor in zip("WRB", cell.weights, strict=True)}

    def add(op: str, inputs: Sequence[str], output: str, **attributes: object) -> str:
        nodes.append(OnnxNode(f"{name}/{output}", op, tuple(inputs), (output,), attributes))
        return output

    def constant(*numbers: int) -> str:
        value = f"{name}/{numbers}"
        constants[value] = torch.tensor(numbers, dtype=torch.int64)
        return value

    x = steps.sequence
    if steps.axis == 1:
        x = add("Transpose", [x], f"{name}/steps", perm=[1, 0, 2])
    states = [steps.states[place] for place in cell.order]
    first = [
        add("Unsqueeze", [state.initial, constant(0)], f"{name}/first {part}") for part, state in enumerate(states)
    ]
    last = [f"{name}/last {part}" for part in range(len(states))]
    inputs = (x, *(f"{name}/{letter}" for letter in "WRB"), "", *first)
    direction = {"direction": "reverse"} if steps.backwards else {}
    nodes.append(OnnxNode(name, cell.op, inputs, (f"{name}/every", *last), {**cell.attributes, **direction}))
    for value, state in zip(last, states, strict=True):
        if state.final:
            add("Squeeze", [value, constant(0)], state.final)
    for number, output in enumerate(steps.collected):
        turned = output.backwards != steps.backwards
        ops = ["Squeeze", *(["Slice"] if turned else []), *(["Transpose"] if output.axis else [])]
        value = f"{name}/every"
        for op in ops:
            result = output.outer if op == ops[-1] else f"{name}/every {op} {number}"
            if op == "Squeeze":
                value = add(op, [value, constant(1)], result)
            elif op == "Slice":
                value = add(op, [value, constant(-1), constant(-(2**62)), constant(0), constant(-1)], result)
            else:
                value = add(op, [value], result, perm=[1, 0, 2])
    return Replacement(nodes, constants)


def _of_scan(node: OnnxNode, body: Graph) -> _Steps | None:
    """The steps of a ``Scan`` over one sequence."""
    scanned = node.attributes.get("num_scan_inputs")
    carried = len(node.inputs) - 1
    lists = [
        node.attributes.get(f"scan_{side}_{name}") for name in ("axes", "directions") for side in ("input", "output")
    ]
    if scanned != 1 or carried < 1 or len(body.inputs) != len(node.inputs) or len(body.outputs) < len(node.outputs):
        return None
    if not all(
        numbers is None or (isinstance(numbers, list) and all(isinstance(number, int) for number in numbers))
        for numbers in lists
    ):
        return None
    in_axes, out_axes, in_directions, out_directions = ([*(numbers or []), 0, 0] for numbers in lists)
    outputs = (*node.outputs, *[""] * (len(body.outputs) - len(node.outputs)))
    collected = [
        _Collected(value, outputs[carried + number], out_axes[number], bool(out_directions[number]))
        for number, value in enumerate(body.outputs[carried : carried + 2])
        if outputs[carried + number]
    ]
    if len(body.outputs) > carried + 2 or any(output.axis not in (0, 1) for output in collected):
        return None
    states = list(map(_State, body.inputs[:carried], body.outputs, node.inputs, outputs))
    return _Steps(body, node.inputs[-1], in_axes[0], bool(in_directions[0]), body.inputs[-1], states, collected)


def _of_loop(node: OnnxNode, body: Graph, scope: Scope, needed: Set[str]) -> _Steps | None:
    """The steps of a ``Loop`` that reads one sequence by the number of the round, over all of its steps."""
    carried = len(node.inputs) - 2
    if carried < 1 or len(body.inputs) != 2 + carried or len(body.outputs) < 1 + carried:
        return None
    rounds = Rounds(node, body, scope)
    outputs = (*node.outputs, *[""] * (len(body.outputs) - 1 - len(node.outputs)))
    states = []
    for state in map(_State, body.inputs[2:], body.outputs[1:], node.inputs[2:], outputs):
        if rounds.root(state.after) == state.before:
            rounds.fixed[state.before] = state.initial
        elif rounds.counts(state.before, state.after, state.initial):
            rounds.counters.add(state.before)
        else:
            states.append(state)
            continue
        if state.final in needed:
            return None
    reads = [
        part
        for part in body.nodes
        if part.op == "Gather" and len(part.inputs) == 2 and rounds.offset(part.inputs[1]) == 0
    ]
    if len(reads) != 1:
        return None
    (read,) = reads
    sequence = rounds.fixed.get(read.inputs[0], read.inputs[0])
    shape, axis = scope.known_of(sequence).shape, read.attributes.get("axis", 0)
    if shape is None or not isinstance(axis, int) or not 0 <= axis < len(shape):
        return None
    if not rounds.is_size(node.inputs[0], shape[axis]) or not rounds.runs_until(shape[axis]):
        return None
    inner = replace(body, nodes=tuple(rename_values(part, rounds.fixed) for part in body.nodes))
    collected = [
        _Collected(value, outer, 0, False)
        for value, outer in zip(body.outputs[1 + carried :], outputs[carried:], strict=False)
        if outer
    ]
    return _Steps(inner, sequence, axis, False, read.outputs[0], states, collected)
