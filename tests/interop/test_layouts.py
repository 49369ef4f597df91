"""The tables of foreign weight layouts: what goes out comes back, and what comes in computes what its equations say."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor

from holdfast.cells import CellSpec
from holdfast.cells.spec import Kind
from holdfast.errors import ConversionError
from holdfast.interop.layouts import KERAS, LAYOUTS, ONNX, TF1, Layout, Weights, reordered, with_forget_bias
from holdfast.layers import GRU, LSTM

SIZES = {"input_size": 3, "hidden_size": 2}
SPECS = [
    CellSpec(kind=kind, **SIZES, **biases)
    for kind in ("lstm", "gru", "rnn")
    for biases in ({}, {"single_bias": True}, {"bias": False})
]


def parameters(spec: CellSpec) -> dict[str, Tensor]:
    return {name: torch.randn(shape) for name, shape in spec.parameter_shapes().items()}


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_weights_go_out_and_come_back_bit_for_bit(layout: Layout, spec: CellSpec) -> None:
    before = parameters(spec)
    after = layout.inward(spec, layout.outward(spec, before), "layer")
    assert after.keys() == before.keys()
    for name, value in before.items():
        assert torch.equal(after[name], value), name


@pytest.mark.parametrize("layout", [ONNX, TF1], ids=lambda layout: layout.name)
def test_peepholes_go_out_and_come_back(layout: Layout) -> None:
    spec = CellSpec(kind="lstm", peepholes=True, **SIZES)
    before = parameters(spec)
    weights = layout.outward(spec, before)
    assert weights.peephole is not None
    i, f, o = before["weight_peephole"]
    expected = {"iof": (i, o, f), "ifo": (i, f, o)}[layout.peepholes]
    assert torch.equal(weights.peephole, torch.stack(expected))
    assert torch.equal(layout.inward(spec, weights, "layer")["weight_peephole"], before["weight_peephole"])


def test_coupled_gates_leave_the_forget_gate_out_and_give_zeros_for_it() -> None:
    spec = CellSpec(kind="lstm", coupled_gates=True, peepholes=True, **SIZES)
    before = parameters(spec)
    weights = ONNX.outward(spec, before)
    assert weights.input.shape == (8, 3)
    assert weights.input[4:6].count_nonzero() == 0  # i, o, f, g
    assert weights.input[:4].count_nonzero() == 12
    after = ONNX.inward(spec, weights, "layer")
    for name, value in before.items():
        assert torch.equal(after[name], value), name


@pytest.mark.parametrize(("kind", "letters"), [("lstm", "ifgo"), ("gru", "zrn")])
def test_the_gates_of_keras_stand_where_keras_says(kind: Kind, letters: str) -> None:
    spec = CellSpec(kind=kind, input_size=1, hidden_size=1, single_bias=True)
    row = {gate: float(number) for number, gate in enumerate(spec.gates)}
    weight = torch.tensor([[row[gate]] for gate in spec.gates])
    weights = KERAS.outward(spec, {"weight_ih": weight, "weight_hh": weight, "bias_ih": weight[:, 0]})
    assert weights.input.tolist() == [[row[gate] for gate in letters]]
    assert weights.bias is not None
    assert weights.bias.tolist() == [row[gate] for gate in letters]


def test_a_keras_lstm_computes_the_equations_of_keras() -> None:
    """One step by hand: z = x W + h U + b, and the gates i, f, c, o are its quarters."""
    torch.manual_seed(0)
    x, h, c = torch.randn(1, 3), torch.randn(1, 2), torch.randn(1, 2)
    kernel, recurrent, bias = torch.randn(3, 8), torch.randn(2, 8), torch.randn(8)
    i, f, g, o = (x @ kernel + h @ recurrent + bias).chunk(4, 1)
    cell = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    layer = LSTM(3, 2, single_bias=True)
    found = KERAS.inward(layer.specs[0], Weights(kernel, recurrent, bias), "lstm")
    layer.load_state_dict({f"{name}_l0": value for name, value in found.items()})
    _, (last, state) = layer(x[None], (h[None], c[None]))
    torch.testing.assert_close(state[0], cell)
    torch.testing.assert_close(last[0], torch.sigmoid(o) * torch.tanh(cell))


@pytest.mark.parametrize("reset_after", [True, False])
def test_an_onnx_gru_computes_the_equations_of_onnx(reset_after: bool) -> None:
    """One step by hand, with ``linear_before_reset`` and without: gates z, r, h."""
    torch.manual_seed(0)
    x, h = torch.randn(1, 3), torch.randn(1, 2)
    W, R, Wb, Rb = torch.randn(6, 3), torch.randn(6, 2), torch.randn(6), torch.randn(6)
    of_x, of_h = (x @ W.T + Wb).chunk(3, 1), (h @ R.T + Rb).chunk(3, 1)
    z, r = torch.sigmoid(of_x[0] + of_h[0]), torch.sigmoid(of_x[1] + of_h[1])
    candidate = of_x[2] + (r * of_h[2] if reset_after else (r * h) @ R[4:].T + Rb[4:])
    expected = (1 - z) * torch.tanh(candidate) + z * h
    layer = GRU(3, 2, reset_after=reset_after)
    found = ONNX.inward(layer.specs[0], Weights(W, R, Wb, Rb), "gru")
    layer.load_state_dict({f"{name}_l0": value for name, value in found.items()})
    torch.testing.assert_close(layer(x[None], h[None])[1][0], expected)


def test_the_forget_bias_is_added_to_the_forget_gate_alone() -> None:
    spec = CellSpec(kind="lstm", single_bias=True, **SIZES)
    before = parameters(spec)
    after = with_forget_bias(spec, before, 1.5)
    difference = after["bias_ih"] - before["bias_ih"]
    torch.testing.assert_close(difference, torch.tensor([0, 0, 1.5, 1.5, 0, 0, 0, 0]))
    assert after["weight_ih"] is before["weight_ih"]


def test_the_order_of_rows() -> None:
    rows = torch.arange(6.0)
    assert reordered(rows, "abc", "cab").tolist() == [4, 5, 0, 1, 2, 3]
    assert reordered(rows, "abc", "adb").tolist() == [0, 1, 0, 0, 2, 3]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            Weights(torch.zeros(3, 7), torch.zeros(2, 8), torch.zeros(8)),
            "layer 'a' has (3, 7) as input weights; expected (3, 8) for the LSTM of 3 inputs and 2 units in its "
            "settings (Keras layout). Its weights and its settings are not from the same model.",
        ),
        (
            Weights(torch.zeros(3, 8), torch.zeros(2, 8)),
            "layer 'a' has no bias weights; expected (8,) for the LSTM of 3 inputs and 2 units in its settings "
            "(Keras layout). Its weights and its settings are not from the same model.",
        ),
        (
            Weights(torch.zeros(3, 8), torch.zeros(2, 8), torch.zeros(8), torch.zeros(8)),
            "layer 'a' has (8,) as recurrent bias weights; expected none for the LSTM of 3 inputs and 2 units in its "
            "settings (Keras layout). Its weights and its settings are not from the same model.",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_refused(weights: Weights, message: str) -> None:
    spec = CellSpec(kind="lstm", single_bias=True, **SIZES)
    with pytest.raises(ConversionError, match=f"^{re.escape(message)}$"):
        KERAS.inward(spec, weights, "layer 'a'")
