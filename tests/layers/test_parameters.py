"""Initial values, and how parameters reach an engine."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import holdfast
from holdfast.engines import Request

I, H = 7, 40  # noqa: E741 (the letters of the equations)
LAYERS = [(holdfast.LSTM, 4), (holdfast.GRU, 3), (holdfast.RNN, 1)]


@pytest.mark.parametrize(("kind", "gates"), LAYERS)
def test_input_weights_are_xavier_uniform_gate_by_gate(kind: Any, gates: int) -> None:
    layer = kind(I, H, 2, bidirectional=True)
    for suffix, size in (("_l0", I), ("_l0_reverse", I), ("_l1", 2 * H)):
        limit = (6 / (size + H)) ** 0.5
        for gate in layer.get_parameter(f"weight_ih{suffix}").detach().split(H):
            assert gate.abs().max() <= limit
            assert gate.abs().max() > 0.97 * limit
            assert abs(float(gate.mean())) < 0.1 * limit
            assert float(gate.std()) == pytest.approx(limit / 3**0.5, rel=0.1)
        assert len(layer.get_parameter(f"weight_ih{suffix}").split(H)) == gates


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize(("kind", "gates"), LAYERS)
def test_recurrent_weights_are_orthogonal_gate_by_gate(kind: Any, gates: int, dtype: torch.dtype) -> None:
    layer = kind(I, H, bidirectional=True, dtype=dtype)
    for weight in (layer.weight_hh_l0, layer.weight_hh_l0_reverse):
        assert weight.dtype == dtype
        parts = weight.detach().double().split(H)
        assert len(parts) == gates
        for gate in parts:
            difference = (gate @ gate.T - torch.eye(H)).abs().max()
            assert difference < 10 * torch.finfo(dtype).eps
        for k in range(1, gates):
            assert not torch.equal(parts[0], parts[k])


def test_recurrent_weights_of_a_projected_state_have_orthonormal_columns() -> None:
    layer = holdfast.LSTM(I, H, proj_size=6, dtype=torch.float64)
    for gate in layer.weight_hh_l0.detach().split(H):
        torch.testing.assert_close(gate.T @ gate, torch.eye(6, dtype=torch.float64))
    limit = (6 / (6 + H)) ** 0.5
    assert 0.9 * limit < layer.weight_hr_l0.abs().max() <= limit


def test_the_forget_bias_is_one_in_the_input_bias() -> None:
    layer = holdfast.LSTM(I, H, 2, bidirectional=True)
    for suffix in ("_l0", "_l0_reverse", "_l1", "_l1_reverse"):
        i, f, g, o = layer.get_parameter(f"bias_ih{suffix}").split(H)
        assert (f == 1).all()
        assert not any(gate.any() for gate in (i, g, o))
        assert not layer.get_parameter(f"bias_hh{suffix}").any()
    assert (holdfast.LSTM(I, H, forget_bias=2.5).bias_ih_l0.split(H)[1] == 2.5).all()
    assert not holdfast.LSTM(I, H, forget_bias=0).bias_ih_l0.any()
    assert (holdfast.LSTM(I, H, single_bias=True).bias_ih_l0.split(H)[1] == 1).all()


def test_with_coupled_gates_the_input_bias_is_its_negative() -> None:
    """f = 1 - σ(-1) = σ(1): the gate starts as open as it does alone."""
    i, g, o = holdfast.LSTM(I, H, coupled_gates=True).bias_ih_l0.split(H)
    assert (i == -1).all()
    assert not g.any()
    assert not o.any()


@pytest.mark.parametrize("kind", [holdfast.GRU, holdfast.RNN])
def test_other_biases_are_zero(kind: Any) -> None:
    layer = kind(I, H)
    assert not layer.bias_ih_l0.any()
    assert not layer.bias_hh_l0.any()


def test_a_cell_with_peepholes_starts_as_the_one_without() -> None:
    layer = holdfast.LSTM(I, H, peepholes=True, layer_norm=True)
    assert not layer.weight_peephole_l0.any()
    assert not layer.norm_c_bias_l0.any()
    for name in ("norm_ih_l0", "norm_hh_l0", "norm_c_l0"):
        assert (layer.get_parameter(name) == 1).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: holdfast.LSTM(3, 4, 2, bidirectional=True, proj_size=2),
        lambda: holdfast.GRU(3, 4),
        lambda: holdfast.RNN(3, 4),
        lambda: holdfast.LSTMCell(3, 4, peepholes=True),
        lambda: holdfast.GRUCell(3, 4),
        lambda: holdfast.RNNCell(3, 4),
    ],
)
def test_initial_values_follow_from_the_seed(make: Any) -> None:
    torch.manual_seed(1)
    first = make().state_dict()
    torch.manual_seed(1)
    layer = make()
    for name, value in layer.state_dict().items():
        assert torch.equal(value, first[name]), name
    torch.manual_seed(1)
    layer.reset_parameters()
    for name, value in layer.state_dict().items():
        assert torch.equal(value, first[name]), name
    layer.reset_parameters()
    assert not torch.equal(next(iter(layer.state_dict().values())), next(iter(first.values())))


TORCH: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "LSTM": ("LSTM", (3, 5, 2), {"bidirectional": True}),
    "LSTM, projected": ("LSTM", (3, 5), {"proj_size": 2}),
    "LSTM, half": ("LSTM", (3, 5), {"dtype": torch.float16}),
    "GRU": ("GRU", (3, 5, 3), {"bias": False}),
    "RNN": ("RNN", (3, 5), {"nonlinearity": "relu", "dtype": torch.float64}),
    "LSTMCell": ("LSTMCell", (3, 5), {}),
    "GRUCell": ("GRUCell", (3, 5), {"bias": False}),
    "RNNCell": ("RNNCell", (3, 5), {"dtype": torch.bfloat16}),
}


@pytest.mark.parametrize("case", TORCH)
def test_with_init_torch_the_numbers_are_those_of_torch(case: str) -> None:
    kind, sizes, options = TORCH[case]
    torch.manual_seed(7)
    theirs = getattr(torch.nn, kind)(*sizes, **options)
    following = torch.rand(1)
    torch.manual_seed(7)
    ours = getattr(holdfast, kind)(*sizes, **options, init="torch")
    assert torch.equal(torch.rand(1), following)
    assert [*ours.state_dict()] == [*theirs.state_dict()]
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.get_parameter(name), value), name
    for layer in (ours, theirs):
        torch.manual_seed(8)
        layer.reset_parameters()
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.get_parameter(name), value), name
    assert "init='torch'" in repr(ours)


def test_with_init_torch_what_torch_does_not_have_starts_as_always() -> None:
    layer = holdfast.LSTM(I, [H, 16], peepholes=True, layer_norm=True, single_bias=True, init="torch")
    for suffix, size in (("_l0", H), ("_l1", 16)):
        for name in ("weight_ih", "weight_hh", "bias_ih"):
            bound = size**-0.5
            assert 0.9 * bound < layer.get_parameter(name + suffix).abs().max() <= bound
        assert not layer.get_parameter(f"weight_peephole{suffix}").any()
        assert (layer.get_parameter(f"norm_ih{suffix}") == 1).all()


def test_parameters_reach_the_engine_as_they_are_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    from holdfast.engines.reference import ReferenceEngine

    seen: list[Request] = []
    run = ReferenceEngine.run
    monkeypatch.setattr(ReferenceEngine, "run", lambda self, request: (seen.append(request), run(self, request))[1])
    layer = holdfast.LSTM(3, 4, weight_dropout=0.5, engine="reference")
    layer(torch.zeros(2, 1, 3))
    layer.eval()(torch.zeros(2, 1, 3))
    training, evaluation = (request.parameters for request in seen)
    for name in ("weight_ih", "bias_ih", "bias_hh"):
        assert training[name] is evaluation[name] is layer.get_parameter(f"{name}_l0")
    assert evaluation["weight_hh"] is layer.weight_hh_l0
    dropped = training["weight_hh"]
    assert ((dropped == 0) | torch.isclose(dropped, 2 * layer.weight_hh_l0)).all()
