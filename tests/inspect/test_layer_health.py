"""Health: each figure on a layer that is made to have it, and the sentences about it."""

from __future__ import annotations

import math

import pytest
import torch

import holdfast
from holdfast.inspect import health
from holdfast.layers.kinds import LAYERS


def still(kind: str, **biases: float) -> holdfast.LSTM:
    """A layer of 4 units whose weights are 0, so that its gates are what the biases say."""
    layer = LAYERS[kind](2, 4, batch_first=True)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        for gate, bias in biases.items():
            place = layer.specs[0].gates.index(gate)
            layer.bias_ih_l0[4 * place : 4 * place + 4] = bias
    return layer


def test_saturation_is_the_share_of_values_at_the_ends() -> None:
    layer = still("lstm", i=-6.0, f=6.0, o=0.0, g=1.0)
    found = health(layer, torch.zeros(3, 5, 2)).layers["l0"]
    assert (found.gates["input"].low, found.gates["input"].high) == (1.0, 0.0)
    assert (found.gates["forget"].low, found.gates["forget"].high) == (0.0, 1.0)
    assert found.gates["output"].saturated == 0.0
    assert found.gates["input"].always_low == (0, 1, 2, 3)
    assert found.gates["output"].mean == 0.5
    assert found.gates["candidate"].mean == pytest.approx(math.tanh(1.0))


def test_half_of_the_units_saturated() -> None:
    layer = still("gru", r=0.0)
    with torch.no_grad():
        layer.bias_ih_l0[:2] = 9.0
    found = health(layer, torch.zeros(3, 5, 2)).layers["l0"].gates["reset"]
    assert (found.low, found.high, found.always_high) == (0.0, 0.5, (0, 1))


def test_padding_is_not_counted() -> None:
    layer = holdfast.GRU(2, 4, batch_first=True)
    x = torch.randn(2, 6, 2)
    alone = health(layer, x[:1, :3]).layers["l0"]
    padded = health(layer, x[:1], [3]).layers["l0"]
    assert padded.gates["update"].mean == pytest.approx(alone.gates["update"].mean)
    assert padded.steps == 3


def test_a_unit_that_never_changes_is_dead() -> None:
    layer = holdfast.RNN(2, 5, nonlinearity="relu", batch_first=True)
    with torch.no_grad():
        layer.bias_ih_l0[1] = -100.0
    found = health(layer, torch.randn(4, 9, 2))
    assert 1 in found.layers["l0"].dead
    assert "of 5 units of l0 keep the same value at every step of every row." in found.sentences[0]


def test_time_constants_follow_from_the_forget_gate() -> None:
    for forget, kind, letter in ((0.9, "lstm", "f"), (0.75, "gru", "z")):
        layer = still(kind, **{letter: math.log(forget / (1 - forget))})
        constants = health(layer, torch.zeros(2, 5, 2)).layers["l0"].time_constants
        assert constants is not None
        torch.testing.assert_close(constants, torch.full((4,), 1 / (1 - forget)), rtol=1e-4, atol=0)


def test_spectral_radii() -> None:
    layer = holdfast.RNN(2, 3, batch_first=True)
    with torch.no_grad():
        layer.weight_hh_l0.copy_(torch.diag(torch.tensor([0.5, -1.7, 0.1])))
    found = health(layer, torch.randn(2, 30, 2))
    assert found.layers["l0"].spectral_radius == {"candidate": pytest.approx(1.7)}
    assert "The recurrent matrix of l0 has the spectral radius 1.70, so gradients can grow by this" in str(found)
    projected = holdfast.LSTM(2, 4, proj_size=2, batch_first=True)
    radii = health(projected, torch.randn(2, 3, 2)).layers["l0"].spectral_radius
    whole = projected.weight_hh_l0[4:8] @ projected.weight_hr_l0
    assert radii["forget"] == pytest.approx(float(torch.linalg.eigvals(whole.detach()).abs().max()), rel=1e-4)


def test_a_short_memory_on_long_rows_is_named() -> None:
    x = torch.randn(2, 200, 2)
    short, long = (str(health(still("lstm", f=bias), x)) for bias in (0.0, 4.0))
    assert (
        "The units of l0 keep their state for 2.0 steps (the median; at their best steps 2.0 at most), and the rows"
        in short
    )
    assert "keep their state" not in long


def epochs(**columns: list[float]) -> list[dict[str, object]]:
    rows = zip(*columns.values(), strict=True)
    losses = (0.5**k for k in range(9))
    return [
        {"event": "epoch", "train": {"loss": loss}, **dict(zip(columns, row, strict=True))}
        for loss, row in zip(losses, rows, strict=False)
    ]


def test_sentences_about_training() -> None:
    layer, x = holdfast.GRU(2, 8, batch_first=True), torch.randn(4, 6, 2)
    often = health(layer, x, history=epochs(gradient_norm=[4.0, 6.0], clipped=[0.9, 0.7])).sentences
    assert often == [
        "The gradients were clipped in 80 % of the updates, and their mean norm was 5. The clipping sets the size of "
        "most updates: raise train.clip_norm, or lower the learning rate."
    ]
    jump = health(layer, x, history=epochs(gradient_norm=[1.0, 1.0, 40.0], clipped=[0.0, 0.0, 0.1])).sentences
    assert "more than ten times its median 1" in jump[0]
    broken = [{"event": "epoch", "train": {"loss": None}}, {"event": "log"}]
    assert "The training loss was not finite in 1 of 1 epochs." in health(layer, x, history=broken).sentences[0]
    stuck = [{"event": "epoch", "train": {"loss": loss}} for loss in (1.0, 0.99, 1.01)]
    assert (
        "The training loss hardly fell: it was 1 in the first of 3 epochs"
        in health(layer, x, history=stuck).sentences[0]
    )
    gone = health(layer, x, history=epochs(gradient_norm=[1e-3, 1e-9], clipped=[0.0, 0.0])).sentences
    assert "nothing is learned any more" in gone[0]


def test_a_healthy_layer_has_one_sentence_that_says_so() -> None:
    found = health(holdfast.LSTM(3, 8, batch_first=True), torch.randn(8, 10, 3), history=epochs(clipped=[0.1]))
    (sentence,) = found.sentences
    assert sentence.startswith("Nothing stands out: no unit is dead, no gate apart from forget and update gates ")
    assert sentence.endswith("10 % of the updates were clipped.")
    assert str(found) == sentence


def test_saturated_and_closed_gates_are_named() -> None:
    text = str(health(still("lstm", i=-6.0, g=1.0), torch.zeros(3, 5, 2)))
    assert "The input gate of l0 is saturated at 100 % of its values (100 % in the lowest tenth of its range" in text
    layer = still("gru", r=0.0, n=1.0)
    with torch.no_grad():
        layer.bias_ih_l0[:2] = -9.0
    assert "The reset gate of l0 is always closed in 2 of 4 units." in str(health(layer, torch.zeros(3, 5, 2)))
