"""Finds out which cell the body of a loop is, by computing the body.

The input of each activation is computed at zero and at the unit vectors; if it is linear, this gives its weights. Then
the equations of each cell are compared with what the body gives for random values. A body that fits no equation is no
cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any, NamedTuple

import torch
from torch import Tensor

from holdfast.errors import ConversionError
from holdfast.interop.onnx.loop_body import ACTIVATIONS, MAX_ELEMENTS, Body, BodyFunction, Gate, Linear, close

MAX_NODES = 200
"""The largest number of nodes of a body that is examined; a cell has about thirty."""
_FAILURES = (ConversionError, RuntimeError, IndexError, TypeError, ValueError)
"""What a body raises that does not take rows of a step and of a state; such a body is no cell."""


class Cell(NamedTuple):
    """A cell as a recurrent operator of ONNX.

    Attributes:
        op: ``"LSTM"``, ``"GRU"`` or ``"RNN"``.
        attributes: The attributes of the node.
        weights: W, R and B, with one direction.
        order: Which parts of the body's state are h and, for the LSTM, c.
    """

    op: str
    attributes: dict[str, Any]
    weights: tuple[Tensor, Tensor, Tensor]
    order: tuple[int, ...]


def identify(body: Body) -> Cell | None:
    """The cell that a body computes; None if it computes none."""
    work = (body.input_size + body.hidden_size + 1) * body.hidden_size * 4
    if work > MAX_ELEMENTS or len(body.nodes) > MAX_NODES or len(body.states) not in (1, 2):
        return None
    if body.hidden_size < 1 or body.input_size < 1:
        return None
    try:
        for order in permutations(range(len(body.states))):
            cell = _Fitting(BodyFunction(body, order), order).cell()
            if cell is not None:
                return cell
    except _FAILURES:
        return None
    return None


class _Fitting:
    """Compares the equations of cells with a body; each activation of the body must be one of the cell.

    Attributes:
        linear: The gates whose input is linear in x and h.
    """

    def __init__(self, function: BodyFunction, order: tuple[int, ...]) -> None:
        self._function, self._order, self._value = function, order, function.gate_value
        self._linear = [gate for gate in function.gates if gate.linear is not None]

    def cell(self) -> Cell | None:
        """The cell that fits; None if none does."""
        fits = {(2, 5): self._lstm, (1, 1): self._rnn, (1, 3): self._gru}
        fit = fits.get((len(self._order), len(self._function.gates)))
        return None if fit is None else fit()

    def _rnn(self) -> Cell | None:
        """H' = φ(W x + R h + b)."""
        for gate in self._linear:
            if close(self._value(gate), self._function.after()):
                return self._as_node("RNN", [gate], [gate.linear])
        return None

    def _lstm(self) -> Cell | None:
        """C' = f c + i g; h' = o ψ(c')."""
        c, c_after, h_after = self._function.samples[2], self._function.after(1), self._function.after()
        outer = self._function.activations_of(c_after)
        for i, f, g, o in permutations(self._linear, 4):
            if i.node.op != f.node.op or not close(self._value(f) * c + self._value(i) * self._value(g), c_after):
                continue
            for node in outer:
                if close(self._value(o) * self._function.values[node.outputs[0]], h_after) and o.node.op == i.node.op:
                    activations = [i, g, Gate(node, 0, None)]
                    return self._as_node("LSTM", activations, [gate.linear for gate in (i, o, f, g)])
        return None

    def _gru(self) -> Cell | None:
        """H' = z h + (1 - z) n, where n uses r before or after the product with h."""
        h, after = self._function.samples[1], self._function.after()
        for z, r in permutations(self._linear, 2):
            for n in self._function.gates:
                if n.linear is not None:
                    continue
                kept, new = self._value(z), self._value(n)
                if close(kept * h + (1 - kept) * new, after):
                    update = z.linear
                elif z.node.op == "Sigmoid" and close((1 - kept) * h + kept * new, after):
                    update = Linear(*(-part for part in z.linear or ()))
                else:
                    continue
                candidate = self._candidate(r, n)
                if candidate is not None and z.node.op == r.node.op:
                    reset_after, linear, second = candidate
                    attributes = {"linear_before_reset": int(reset_after)}
                    return self._as_node("GRU", [z, n], [update, r.linear, linear], second, **attributes)
        return None

    def _candidate(self, r: Gate, n: Gate) -> tuple[bool, Linear, Tensor] | None:
        """How n is computed from x, r and h.

        Returns:
            Whether r applies after the product with h; W, R and the bias beside W; and the bias beside R.
        """
        function, H = self._function, self._function.body.hidden_size
        steps, states = function.probes()
        closed, opened = (
            function.linear(function.input_with_reset(n, r, steps, states, torch.full((len(steps), H), value)))
            for value in (0.0, 1.0)
        )
        W, R, first, second = closed.W, opened.R, closed.bias, opened.bias - closed.bias
        generator = torch.Generator().manual_seed(1)
        x, h = function.samples[:2]
        reset = torch.rand(len(h), H, generator=generator, dtype=torch.float64)
        sampled = function.input_with_reset(n, r, x, h, reset)
        for reset_after, product in ((True, reset * (h @ R.T + second)), (False, (reset * h) @ R.T)):
            if close(x @ W.T + first + product, sampled):
                return reset_after, Linear(W, R, first), second
        return None

    def _as_node(
        self, op: str, functions: Sequence[Gate], gates: Sequence[Any], last: Tensor | None = None, **attributes: Any
    ) -> Cell:
        """The node of a cell.

        It has a function for each activation of the operator, and the linear functions of its gates in ONNX's order;
        ``last`` is the second bias of the last gate, the other second biases are zero.
        """
        W, R, bias = (torch.cat([gate[place] for gate in gates]).float() for place in range(3))
        second = torch.zeros_like(bias)
        if last is not None:
            second[-len(last) :] = last.float()
        attributes = {"hidden_size": self._function.body.hidden_size, **attributes}
        attributes["activations"] = [gate.node.op for gate in functions]
        for name in ("alpha", "beta"):
            values = [
                float(gate.node.attributes.get(name, ACTIVATIONS[gate.node.op][name]))
                for gate in functions
                if name in ACTIVATIONS[gate.node.op]
            ]
            attributes |= {f"activation_{name}": values} if values else {}
        return Cell(op, attributes, (W[None], R[None], torch.cat([bias, second])[None]), self._order)
