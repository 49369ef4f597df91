"""How other software lays out the weights of a cell: tables of gate orders, transposition and biases.

Holdfast's layout is torch.nn's: ``weight_ih`` [G, I] and ``weight_hh`` [G, O] with G rows, H per gate in the order
i, f, g, o (LSTM) or r, z, n (GRU), and two biases. A :class:`Layout` says how another layout differs. All foreign
weights are read with :meth:`Layout.inward` and written with :meth:`Layout.outward`. These only move numbers, so a
round trip gives the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from holdfast.cells import NAMES, CellSpec, Kind
from holdfast.errors import ConversionError


class Weights(NamedTuple):
    """The arrays of one cell in a foreign layout, with K gates.

    Attributes:
        input: The weights of the input: [K * H, I], or [I, K * H] in a transposed layout.
        recurrent: The weights of the state: [K * H, O], or [O, K * H].
        bias: [K * H]; None if there is none.
        recurrent_bias: A second bias [K * H]; None if there is one bias or none.
        peephole: The weights from the cell state to the gates that see it, a row of H per gate; None if there are
            none.
    """

    input: Tensor
    recurrent: Tensor
    bias: Tensor | None = None
    recurrent_bias: Tensor | None = None
    peephole: Tensor | None = None


@dataclass(frozen=True)
class Layout:
    """How a format lays out a cell.

    Attributes:
        name: The format's name in errors and tables.
        gates: The order of the gates of each kind of cell, in the letters of :attr:`CellSpec.gates`: i the input gate,
            f the forget gate, g the candidate, o the output gate; r the reset gate, z the update gate, n the candidate.
        transposed: Whether weights are [inputs, rows] instead of [rows, inputs].
        peepholes: The order of the peephole rows; empty if the format has none.
    """

    name: str
    gates: Mapping[Kind, str]
    transposed: bool = False
    peepholes: str = ""

    def inward(self, spec: CellSpec, weights: Weights, label: str) -> dict[str, Tensor]:
        """Converts foreign arrays to the parameters of a cell, as in :meth:`CellSpec.parameter_shapes`.

        Gates that the cell does not have (the forget gate of coupled gates) are left out.

        Args:
            spec: The cell. Its number of biases must be that in ``weights``.
            weights: The arrays.
            label: The layer's name, for the message.

        Raises:
            ConversionError: An array is missing or unexpected, or does not have the cell's shape.
        """
        foreign_order = self.gates[spec.kind]
        count = len(foreign_order) * spec.hidden_size
        of_rows = [(count, spec.input_size), (count, spec.output_size)]
        expected = {
            "input": of_rows[0][::-1] if self.transposed else of_rows[0],
            "recurrent": of_rows[1][::-1] if self.transposed else of_rows[1],
            "bias": (count,) if spec.bias else None,
            "recurrent_bias": (count,) if spec.bias and not spec.single_bias else None,
            "peephole": (len(self.peepholes), spec.hidden_size) if spec.peepholes else None,
        }
        for name, shape in expected.items():
            array = getattr(weights, name)
            if (None if array is None else tuple(array.shape)) != shape:
                got = "no" if array is None else f"{tuple(array.shape)} as"
                wanted = "none" if shape is None else f"{shape}"
                raise ConversionError(
                    f"{label} has {got} {name.replace('_', ' ')} weights; expected {wanted} for the "
                    f"{NAMES[spec.kind]} of {spec.input_size} inputs and {spec.hidden_size} units in its "
                    f"settings ({self.name} layout). Its weights and its settings are not from the same model."
                )
        arrays = {
            "weight_ih": weights.input.T if self.transposed else weights.input,
            "weight_hh": weights.recurrent.T if self.transposed else weights.recurrent,
        }
        if weights.bias is not None:
            arrays["bias_ih"] = weights.bias
        if weights.recurrent_bias is not None:
            arrays["bias_hh"] = weights.recurrent_bias
        result = {name: reordered(array, foreign_order, "".join(spec.gates)) for name, array in arrays.items()}
        if weights.peephole is not None:
            result["weight_peephole"] = reordered(weights.peephole, self.peepholes, _peephole_gates(spec))
        return result

    def outward(self, spec: CellSpec, parameters: Mapping[str, Tensor]) -> Weights:
        """Converts the parameters of a cell to the format's arrays; a gate that the cell does not have gets zeros."""
        order, own_order = self.gates[spec.kind], "".join(spec.gates)
        arrays = {name: reordered(parameters[name], own_order, order) for name in ("weight_ih", "weight_hh")}
        arrays |= {n: reordered(parameters[n], own_order, order) for n in ("bias_ih", "bias_hh") if n in parameters}
        peephole = parameters.get("weight_peephole")
        return Weights(
            arrays["weight_ih"].T.contiguous() if self.transposed else arrays["weight_ih"],
            arrays["weight_hh"].T.contiguous() if self.transposed else arrays["weight_hh"],
            arrays.get("bias_ih"),
            arrays.get("bias_hh"),
            None if peephole is None else reordered(peephole, _peephole_gates(spec), self.peepholes),
        )


def reordered(array: Tensor, have: str, want: str) -> Tensor:
    """Reorders the rows of an array by gate; each gate has the same number of rows.

    Args:
        array: [rows, ...], in the gate order ``have``.
        have: The gates, one letter each.
        want: The new order; a gate that is not in ``have`` gets zeros.
    """
    if have == want:
        return array.contiguous()
    blocks = dict(zip(have, torch.chunk(array, len(have)), strict=True))
    for gate in set(want) - set(have):
        blocks[gate] = torch.zeros_like(blocks[have[0]])
    return torch.cat([blocks[gate] for gate in want])


def _peephole_gates(spec: CellSpec) -> str:
    """The gates that see the cell state, in the order of ``weight_peephole``."""
    return "".join(gate for gate in spec.gates if gate != "g")


_RNN = "h"
PYTORCH = Layout("PyTorch", {"lstm": "ifgo", "gru": "rzn", "rnn": _RNN})
KERAS = Layout("Keras", {"lstm": "ifgo", "gru": "zrn", "rnn": _RNN}, transposed=True)
"""Keras 2 and 3. The GRU with ``reset_after`` has its two biases as the rows of one array."""
KERAS1 = Layout("Keras 1", {"lstm": "igfo", "gru": "zrn", "rnn": _RNN}, transposed=True)
"""One array per gate, in this order; the reader concatenates them."""
ONNX = Layout("ONNX", {"lstm": "iofg", "gru": "zrn", "rnn": _RNN}, peepholes="iof")
"""W and R of one direction. B is the two biases, concatenated."""
TF1 = Layout("TensorFlow 1", {"lstm": "igfo", "gru": "rzn", "rnn": _RNN}, transposed=True, peepholes="ifo")
"""The rows of a kernel are those of the inputs, then those of the state. The GRU's candidate has its own kernel. The
forget bias of an LSTM is added at run time: see :func:`with_forget_bias`."""

LAYOUTS = (PYTORCH, KERAS, KERAS1, ONNX, TF1)


def with_forget_bias(spec: CellSpec, parameters: Mapping[str, Tensor], amount: float) -> dict[str, Tensor]:
    """Adds to ``bias_ih`` of an LSTM the forget bias that TensorFlow 1 adds at run time.

    Args:
        spec: The LSTM, with biases.
        parameters: The result of :meth:`Layout.inward`.
        amount: The number to add to the bias of the forget gate.
    """
    bias, H = parameters["bias_ih"].clone(), spec.hidden_size
    start = spec.gates.index("f") * H
    bias[start : start + H] += amount
    return {**parameters, "bias_ih": bias}
