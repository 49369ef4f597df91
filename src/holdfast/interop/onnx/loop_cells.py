"""Which cell the body of a loop is, found by computing it.

The body is a function of a step x and of the state, and it is known node by node. In float64, what goes into each of
its activations is computed at zero and at the unit vectors, which gives the weights if it is linear; then the equations
of each cell are held against what the body gives for random values. A body that fits none of them is no cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any, NamedTuple

import torch
from torch import Tensor

from holdfast.errors import ConversionError
from holdfast.interop.onnx.arguments import arguments
from holdfast.interop.onnx.graph import OnnxNode
from holdfast.interop.onnx.operators import OPERATORS

MAX_ELEMENTS = 2**24
"""Of the values of one node that are looked at; a larger body stays a loop."""
MAX_NODES = 200
"""Of a body that is looked at; a cell has about thirty."""
_ACTIVATIONS: dict[str, tuple[str, ...]] = {
    "Elu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
    "LeakyRelu": ("alpha",),
    "Relu": (),
    "Sigmoid": (),
    "Softplus": (),
    "Softsign": (),
    "Tanh": (),
    "ThresholdedRelu": ("alpha",),
}
"""The activations that ONNX's recurrent operators know, and their parameters."""
_SMOOTH = frozenset(
    {"Add", "Cast", "Concat", "Div", "Flatten", "Gather", "Gemm", "Identity", "MatMul", "Mul"}
    | {"Neg", "Reshape", "Slice", "Split", "Squeeze", "Sub", "Sum", "Transpose", "Unsqueeze"}
)
"""Operators that may stand between activations: what holds for random values of these holds for all."""
_ROWS = 24
_CLOSE = 1e-9
_FAILURES = (ConversionError, RuntimeError, IndexError, TypeError, ValueError)
"""What the body raises where it does not take rows of a step and of a state: then it is no cell."""


@dataclass(frozen=True)
class Body:
    """A loop's body as a function.

    Attributes:
        nodes: Its nodes in the order they run.
        constants: The values that are known, by name.
        version: Of the operators.
        step: The name of the step x, [B, input_size].
        input_size: Of it.
        states: The names of the state before, and after, part by part, [B, H] each.
        hidden_size: Of them.
    """

    nodes: tuple[OnnxNode, ...]
    constants: Mapping[str, Tensor]
    version: int
    step: str
    input_size: int
    states: tuple[tuple[str, str], ...]
    hidden_size: int


class Found(NamedTuple):
    """A cell of ONNX.

    Attributes:
        op: ``"LSTM"``, ``"GRU"`` or ``"RNN"``.
        attributes: Those of the node.
        weights: W, R and B, with one direction.
        order: Which parts of the body's state are h and, for the LSTM, c.
    """

    op: str
    attributes: dict[str, Any]
    weights: tuple[Tensor, Tensor, Tensor]
    order: tuple[int, ...]


class _Gate(NamedTuple):
    """H values of an activation.

    Attributes:
        node: The node.
        start: Where they begin among its values.
        linear: W [H, I], R [H, H] and bias [H] where what goes in is linear in x and h.
    """

    node: OnnxNode
    start: int
    linear: tuple[Tensor, Tensor, Tensor] | None


def identify(body: Body) -> Found | None:
    """The cell that a body is; None for one that is none."""
    work = (body.input_size + body.hidden_size + 1) * body.hidden_size * 4
    if (
        work > MAX_ELEMENTS
        or len(body.nodes) > MAX_NODES
        or len(body.states) not in (1, 2)
        or body.hidden_size < 1
        or body.input_size < 1
    ):
        return None
    try:
        for order in permutations(range(len(body.states))):
            found = _Fitting(body, order).cell()
            if found is not None:
                return found
    except _FAILURES:
        return None
    return None


class _Fitting:
    """Holds the equations of cells against a body.

    Args:
        body: The body.
        order: Which part of its state is h and which, if there are two, c.
    """

    def __init__(self, body: Body, order: tuple[int, ...]) -> None:
        self._body, self._order = body, order
        self._names = [body.states[place] for place in order]
        wanted, nodes = {after for _, after in self._names}, []
        for node in reversed(body.nodes):
            if wanted & set(node.outputs) and body.step not in node.outputs:
                wanted.update(node.inputs)
                nodes.append(node)
        if not {node.op for node in nodes} <= _SMOOTH | set(_ACTIVATIONS):
            raise ConversionError("A body with other operators is no cell.")
        self._nodes = nodes[::-1]
        self._constants = {
            name: tensor.double() if tensor.is_floating_point() else tensor
            for name, tensor in body.constants.items()
            if name in wanted
        }
        generator = torch.Generator().manual_seed(0)
        sizes = (body.input_size, *[body.hidden_size] * len(self._names))
        self._tried = [torch.randn(_ROWS, size, generator=generator, dtype=torch.float64) for size in sizes]
        self._values = self._computed(*self._tried)
        self._gates = list(self._activations())

    def cell(self) -> Found | None:
        """The cell, if one fits; each activation of the body is one of the cell."""
        fits = {(2, 5): self._lstm, (1, 1): self._rnn, (1, 3): self._gru}.get((len(self._names), len(self._gates)))
        return None if fits is None else fits()

    def _computed(self, x: Tensor, *state: Tensor, given: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """All values of the body; those in ``given`` are taken as they are."""
        given = given or {}
        values = {**self._constants, self._body.step: x, **given}
        values |= {before: part for (before, _), part in zip(self._names, state, strict=False)}
        for node in self._nodes:
            if set(node.outputs) <= set(given):
                continue
            inputs = [values[name] if name else None for name in node.inputs]
            widened = node.op == "Cast" and inputs[0] is not None and inputs[0].is_floating_point()
            op, attributes = ("Identity", {}) if widened else (node.op, arguments(node, self._body.version))
            if _size(op, [one for one in inputs if one is not None]) > MAX_ELEMENTS:
                raise ConversionError("A body with values of this size is no cell.")
            found = OPERATORS[op](*inputs, **attributes)
            outputs = found if isinstance(found, tuple) else (found,)
            values |= {name: one for name, one in zip(node.outputs, outputs, strict=False) if name not in given}
        return values

    def _activations(self) -> Iterator[_Gate]:
        """The values of all activations, H by H, and what goes into them."""
        H, body = self._body.hidden_size, self._body
        count = body.input_size + H + 1
        steps = torch.zeros(count, body.input_size, dtype=torch.float64)
        states = torch.zeros(count, H, dtype=torch.float64)
        steps[1 : 1 + body.input_size] = torch.eye(body.input_size, dtype=torch.float64)
        states[1 + body.input_size :] = torch.eye(H, dtype=torch.float64)
        others = [torch.zeros_like(states)] * (len(self._names) - 1)
        at_units = self._computed(steps, states, *others)
        for node in self._nodes:
            if node.op not in _ACTIVATIONS:
                continue
            before, tried = at_units[node.inputs[0]], self._values[node.inputs[0]]
            if before.ndim != 2 or before.shape[0] != count or before.shape[1] % H:
                raise ConversionError("A body with activations of other sizes is no cell.")
            for start in range(0, before.shape[1], H):
                part = before[:, start : start + H]
                W, R = (part[1 : 1 + body.input_size] - part[0]).T, (part[1 + body.input_size :] - part[0]).T
                linear = self._tried[0] @ W.T + self._tried[1] @ R.T + part[0]
                fits = _close(linear, tried[:, start : start + H])
                yield _Gate(node, start, (W, R, part[0]) if fits else None)

    def _value(self, gate: _Gate, values: Mapping[str, Tensor] | None = None) -> Tensor:
        found = (values or self._values)[gate.node.outputs[0]]
        return found[:, gate.start : gate.start + self._body.hidden_size]

    def _after(self, part: int = 0) -> Tensor:
        return self._values[self._names[part][1]]

    def _linear(self) -> list[_Gate]:
        return [gate for gate in self._gates if gate.linear is not None]

    def _rnn(self) -> Found | None:
        """H' = φ(W x + R h + b)."""
        for gate in self._linear():
            if _close(self._value(gate), self._after()):
                return self._found("RNN", [gate], [gate.linear])
        return None

    def _lstm(self) -> Found | None:
        """C' = f c + i g; h' = o ψ(c')."""
        c = self._tried[2]
        outer = [node for node in self._nodes if node.op in _ACTIVATIONS and self._is(node.inputs[0], self._after(1))]
        for i, f, g, o in permutations(self._linear(), 4):
            if i.node.op != f.node.op or not _close(
                self._value(f) * c + self._value(i) * self._value(g), self._after(1)
            ):
                continue
            for node in outer:
                if _close(self._value(o) * self._values[node.outputs[0]], self._after()):
                    out = _Gate(node, 0, None)
                    if o.node.op == i.node.op:
                        return self._found("LSTM", [i, g, out], [one.linear for one in (i, o, f, g)])
        return None

    def _is(self, name: str, tensor: Tensor) -> bool:
        found = self._values[name]
        return found.shape == tensor.shape and _close(found, tensor)

    def _gru(self) -> Found | None:
        """H' = z h + (1 - z) n, with n of x and r and h in one of two ways."""
        h = self._tried[1]
        candidates = [gate for gate in self._gates if gate.linear is None]
        for z, r in permutations(self._linear(), 2):
            for n in candidates:
                kept, new = self._value(z), self._value(n)
                if _close(kept * h + (1 - kept) * new, self._after()):
                    update = z.linear
                elif z.node.op == "Sigmoid" and _close((1 - kept) * h + kept * new, self._after()):
                    update = tuple(-one for one in z.linear)  # type: ignore[union-attr, assignment]
                else:
                    continue
                candidate = self._candidate(r, n)
                if candidate is not None and z.node.op == r.node.op:
                    after, linear, second = candidate
                    attributes = {"linear_before_reset": int(after)}
                    return self._found("GRU", [z, n], [update, r.linear, linear], second, **attributes)
        return None

    def _candidate(self, r: _Gate, n: _Gate) -> tuple[bool, Any, Tensor] | None:
        """How n comes of x, r and h: whether r acts after the product with h, and W, R and the biases of both."""
        body, H = self._body, self._body.hidden_size
        count = body.input_size + H + 1
        steps, states = (torch.zeros(count, size, dtype=torch.float64) for size in (body.input_size, H))
        steps[1 : 1 + body.input_size] = torch.eye(body.input_size, dtype=torch.float64)
        states[1 + body.input_size :] = torch.eye(H, dtype=torch.float64)
        closed, opened = (self._before(n, r, steps, states, torch.full((count, H), value)) for value in (0.0, 1.0))
        W, first = (closed[1 : 1 + body.input_size] - closed[0]).T, closed[0]
        second = opened[0] - closed[0]
        R = (opened[1 + body.input_size :] - opened[0]).T
        generator = torch.Generator().manual_seed(1)
        reset = torch.rand(_ROWS, H, generator=generator, dtype=torch.float64)
        x, h = self._tried[:2]
        tried = self._before(n, r, x, h, reset)
        if _close(x @ W.T + first + reset * (h @ R.T + second), tried):
            return True, (W, R, first), second
        if _close(x @ W.T + first + (reset * h) @ R.T, tried):
            return False, (W, R, first), second
        return None

    def _before(self, n: _Gate, r: _Gate, x: Tensor, h: Tensor, reset: Tensor) -> Tensor:
        """What goes into n when r is given."""
        name = r.node.outputs[0]
        whole = self._computed(x, h)[name].clone()
        whole[:, r.start : r.start + self._body.hidden_size] = reset
        return self._computed(x, h, given={name: whole})[n.node.inputs[0]][
            :, n.start : n.start + self._body.hidden_size
        ]

    def _found(
        self, op: str, functions: Sequence[_Gate], gates: Sequence[Any], last: Tensor | None = None, **attributes: Any
    ) -> Found:
        """The node of a cell, with its gates in ONNX's order and a second bias of the last one."""
        W, R, bias = (torch.cat([gate[place] for gate in gates]).float() for place in range(3))
        second = torch.zeros_like(bias)
        if last is not None:
            second[-len(last) :] = last.float()
        named: dict[str, Any] = {"hidden_size": self._body.hidden_size, **attributes}
        named["activations"] = [gate.node.op for gate in functions]
        for place, letter in enumerate(("alpha", "beta")):
            values = [
                float(gate.node.attributes.get(_ACTIVATIONS[gate.node.op][place], _DEFAULTS[gate.node.op][place]))
                for gate in functions
                if len(_ACTIVATIONS[gate.node.op]) > place
            ]
            named |= {f"activation_{letter}": values} if values else {}
        return Found(op, named, (W[None], R[None], torch.cat([bias, second])[None]), self._order)


_DEFAULTS = {"Elu": (1.0,), "HardSigmoid": (0.2, 0.5), "LeakyRelu": (0.01,), "ThresholdedRelu": (1.0,)}


def _close(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool(((one - other).abs() <= _CLOSE * (1 + other.abs())).all())


def _size(op: str, inputs: Sequence[Tensor]) -> int:
    """How many values an operator gives at most."""
    if op in ("MatMul", "Gemm"):
        a, b = inputs[:2]
        return a.numel() // max(min(a.shape, default=1), 1) * max(b.shape, default=1)
    if op == "Concat":
        return sum(one.numel() for one in inputs)
    if op == "Gather":
        return inputs[0].numel() * inputs[1].numel()
    if op in ("Add", "Div", "Mul", "Sub", "Sum"):
        sizes: torch.Size = torch.broadcast_shapes(*(one.shape for one in inputs))  # type: ignore[no-untyped-call]
        return sizes.numel()
    return inputs[0].numel()
