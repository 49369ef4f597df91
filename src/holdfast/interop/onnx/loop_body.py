"""The body of a loop as a function of a step and a state, computed node by node in float64."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from holdfast.errors import ConversionError
from holdfast.interop.onnx.arguments import arguments
from holdfast.interop.onnx.graph import OnnxNode
from holdfast.interop.onnx.operators import OPERATORS

MAX_ELEMENTS = 2**24
"""The largest size of a value in a body that is examined; a larger body stays a loop."""
ACTIVATIONS: dict[str, dict[str, float]] = {
    "Elu": {"alpha": 1.0},
    "HardSigmoid": {"alpha": 0.2, "beta": 0.5},
    "LeakyRelu": {"alpha": 0.01},
    "Relu": {},
    "Sigmoid": {},
    "Softplus": {},
    "Softsign": {},
    "Tanh": {},
    "ThresholdedRelu": {"alpha": 1.0},
}
"""The activations that ONNX's recurrent operators know, and the defaults of their parameters."""
_SMOOTH = frozenset(
    {"Add", "Cast", "Concat", "Div", "Flatten", "Gather", "Gemm", "Identity", "MatMul", "Mul"}
    | {"Neg", "Reshape", "Slice", "Split", "Squeeze", "Sub", "Sum", "Transpose", "Unsqueeze"}
)
"""Operators that may lie between activations: what holds for random values of these holds for all values."""
_ROWS = 24
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Body:
    """The body of a loop over steps.

    Attributes:
        nodes: The nodes in the order in which they run.
        constants: The values that are known, by name.
        version: The version of the operators.
        step: The name of the step x, [B, input_size].
        input_size: The number of values per step.
        states: The names of each part of the state before and after a step, [B, hidden_size] each.
        hidden_size: The number of values per part of the state.
    """

    nodes: tuple[OnnxNode, ...]
    constants: Mapping[str, Tensor]
    version: int
    step: str
    input_size: int
    states: tuple[tuple[str, str], ...]
    hidden_size: int


class Linear(NamedTuple):
    """The function W x + R h + bias: W [H, I], R [H, H] and bias [H]."""

    W: Tensor
    R: Tensor
    bias: Tensor


class Gate(NamedTuple):
    """The H values of an activation from ``start`` on.

    Attributes:
        node: The node of the activation.
        start: The first of the values.
        linear: The input of the activation as a function of x and h; None if it is not linear.
    """

    node: OnnxNode
    start: int
    linear: Linear | None


class BodyFunction:
    """A body with its parts of the state in some order: h, then c.

    Attributes:
        body: The body.
        samples: Random rows of x, h and, if there are two parts, c.
        values: All values of the body at the samples.
        gates: All activations, H values at a time.

    Raises:
        ConversionError: The body has operators or sizes that no cell has.
    """

    def __init__(self, body: Body, order: Sequence[int]) -> None:
        self.body = body
        self._states = [body.states[place] for place in order]
        needed, nodes = {after for _, after in self._states}, []
        for node in reversed(body.nodes):
            if needed & set(node.outputs) and body.step not in node.outputs:
                needed.update(node.inputs)
                nodes.append(node)
        if not {node.op for node in nodes} <= _SMOOTH | set(ACTIVATIONS):
            raise ConversionError("A body with other operators is no cell.")
        self._nodes = nodes[::-1]
        self._constants = {
            name: tensor.double() if tensor.is_floating_point() else tensor
            for name, tensor in body.constants.items()
            if name in needed
        }
        generator = torch.Generator().manual_seed(0)
        sizes = (body.input_size, *[body.hidden_size] * len(self._states))
        self.samples = [torch.randn(_ROWS, size, generator=generator, dtype=torch.float64) for size in sizes]
        self.values = self._compute(*self.samples)
        self.gates = list(self._find_gates())

    def gate_value(self, gate: Gate) -> Tensor:
        """The values of a gate at the samples."""
        return self.values[gate.node.outputs[0]][:, gate.start : gate.start + self.body.hidden_size]

    def after(self, part: int = 0) -> Tensor:
        """A part of the state after the step, at the samples."""
        return self.values[self._states[part][1]]

    def activations_of(self, tensor: Tensor) -> list[OnnxNode]:
        """The activations whose input, at the samples, is the tensor."""
        activations = (node for node in self._nodes if node.op in ACTIVATIONS)
        return [node for node in activations if close(self.values[node.inputs[0]], tensor)]

    def input_with_reset(self, n: Gate, r: Gate, x: Tensor, h: Tensor, reset: Tensor) -> Tensor:
        """The input of the activation n, computed with ``reset`` as the values of the gate r."""
        name, H = r.node.outputs[0], self.body.hidden_size
        gate = self._compute(x, h)[name].clone()
        gate[:, r.start : r.start + H] = reset
        return self._compute(x, h, fixed={name: gate})[n.node.inputs[0]][:, n.start : n.start + H]

    def probes(self) -> tuple[Tensor, Tensor]:
        """Rows of x and h that give the weights of a linear function: zeros, then every unit vector."""
        inputs, H = self.body.input_size, self.body.hidden_size
        units = torch.eye(inputs + H, dtype=torch.float64)
        rows = torch.cat([units.new_zeros(1, inputs + H), units])
        return rows[:, :inputs].contiguous(), rows[:, inputs:].contiguous()

    def linear(self, at_probes: Tensor) -> Linear:
        """The linear function with these values at the probes."""
        change, inputs = (at_probes[1:] - at_probes[0]).T, self.body.input_size
        return Linear(change[:, :inputs], change[:, inputs:], at_probes[0])

    def _compute(self, x: Tensor, *state: Tensor, fixed: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Computes all values of the body, except those in ``fixed``."""
        fixed = fixed or {}
        values = {**self._constants, self.body.step: x, **fixed}
        values |= {before: part for (before, _), part in zip(self._states, state, strict=False)}
        for node in self._nodes:
            if set(node.outputs) <= set(fixed):
                continue
            inputs = [values[name] if name else None for name in node.inputs]
            to_float = node.op == "Cast" and inputs[0] is not None and inputs[0].is_floating_point()
            op, attributes = ("Identity", {}) if to_float else (node.op, arguments(node, self.body.version))
            if _max_size(op, [tensor for tensor in inputs if tensor is not None]) > MAX_ELEMENTS:
                raise ConversionError("A body with values of this size is no cell.")
            result = OPERATORS[op](*inputs, **attributes)
            outputs = result if isinstance(result, tuple) else (result,)
            values |= {name: value for name, value in zip(node.outputs, outputs, strict=False) if name not in fixed}
        return values

    def _find_gates(self) -> Iterator[Gate]:
        H, (steps, states) = self.body.hidden_size, self.probes()
        others = [torch.zeros_like(states)] * (len(self._states) - 1)
        at_probes = self._compute(steps, states, *others)
        for node in self._nodes:
            if node.op not in ACTIVATIONS:
                continue
            probed, sampled = at_probes[node.inputs[0]], self.values[node.inputs[0]]
            if probed.ndim != 2 or len(probed) != len(steps) or probed.shape[1] % H:
                raise ConversionError("A body with activations of other sizes is no cell.")
            for start in range(0, probed.shape[1], H):
                W, R, bias = linear = self.linear(probed[:, start : start + H])
                expected = self.samples[0] @ W.T + self.samples[1] @ R.T + bias
                yield Gate(node, start, linear if close(expected, sampled[:, start : start + H]) else None)


def close(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors have the same shape and nearly the same values."""
    return a.shape == b.shape and bool(((a - b).abs() <= _TOLERANCE * (1 + b.abs())).all())


def _max_size(op: str, inputs: Sequence[Tensor]) -> int:
    """An upper bound for the number of values that an operator gives."""
    if op in ("MatMul", "Gemm"):
        a, b = inputs[:2]
        return a.numel() // max(min(a.shape, default=1), 1) * max(b.shape, default=1)
    if op == "Concat":
        return sum(tensor.numel() for tensor in inputs)
    if op == "Gather":
        return inputs[0].numel() * inputs[1].numel()
    if op in ("Add", "Div", "Mul", "Sub", "Sum"):
        sizes: torch.Size = torch.broadcast_shapes(*(tensor.shape for tensor in inputs))  # type: ignore[no-untyped-call]
        return sizes.numel()
    return inputs[0].numel()
