"""The state of a stream: read and set, begun anew in some rows, saved and loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.layers.stream_models import LAYERS, STEPS, made

import holdfast
from holdfast import runtime
from holdfast.errors import ModelFileError


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("units", [5, [5, 4]], ids=["equal", "unequal"])
def test_the_state_goes_to_and_fro(kind: str, units: Any) -> None:
    layer = made(kind, 3, units, **({} if isinstance(units, list) else {"num_layers": 2}))
    stream = holdfast.Stream(layer, 2)
    x = torch.randn(2, STEPS, 3, dtype=torch.float64)
    with torch.no_grad():
        expected, final = layer(x)
        begun, state = layer(x[:, :4])
    stream.state = state
    torch.testing.assert_close(stream.run(x[:, 4:]), expected[:, 4:])
    torch.testing.assert_close(stream.state, final)
    stream.reset()
    torch.testing.assert_close(stream.run(x[:, :4]), begun)
    with torch.no_grad():
        torch.testing.assert_close(layer(x[:, 4:], stream.state)[0], expected[:, 4:])


@pytest.mark.parametrize("rows", [[1, 2], [False, True, True], torch.tensor([2, 1]), -1, []], ids=repr)
def test_some_rows_begin_anew(rows: Any) -> None:
    layer = made("lstm", 3, 5, num_layers=2)
    stream, fresh = holdfast.Stream(layer, 3), holdfast.Stream(layer, 3)
    x = torch.randn(3, STEPS, 3, dtype=torch.float64)
    stream.run(x[:, :4])
    h, c = stream.state
    stream.reset(rows)
    h[:, rows], c[:, rows] = 0, 0
    assert all(torch.equal(*pair) for pair in zip(stream.state, (h, c), strict=True))
    with torch.no_grad():
        torch.testing.assert_close(stream.run(x[:, 4:]), layer(x[:, 4:], (h, c))[0])
    fresh.reset(rows)
    assert not any(bool(part.any()) for part in fresh.state)


def test_a_saved_state_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    layer = made("lstm", 3, [5, 4], torch.float32)
    stream, x = holdfast.Stream(layer, 2), torch.randn(2, STEPS, 3)
    stream.run(x[:, :4])
    stream.save(tmp_path / "state")
    expected = stream.run(x[:, 4:])
    other = holdfast.Stream(layer, 2)
    other.load(tmp_path / "state")
    assert torch.equal(other.run(x[:, 4:]), expected)


def test_a_state_of_another_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state"
    stream = holdfast.Stream(made("lstm", 3, 5), 2)
    stream.step(torch.ones(2, 3, dtype=torch.float64))
    stream.save(path)
    before = stream.state

    def refused(model: Any, batch: int) -> str:
        with pytest.raises(ModelFileError) as error:
            holdfast.Stream(model, batch).load(path)
        return str(error.value).removeprefix(str(path))

    assert refused(made("gru", 3, 4), 2) == (
        " is the state of another model (LSTM(3, 5)); this is GRU(3, 4). Load the model that it was saved with."
    )
    assert refused(made("lstm", 3, 5), 2) == (
        " is the state of another model (the same layers with other weights or options); this is LSTM(3, 5). Load the "
        "model that it was saved with."
    )
    with pytest.raises(ModelFileError) as error:
        runtime.Stream(stream.network, 3).load(path)
    assert str(error.value) == (
        f"{path} has shape (2, 5) for 'h_l0'; expected (3, 5): make the stream with the batch that it was saved with, "
        "or give as many rows."
    )
    stream.export(path)
    with pytest.raises(ModelFileError) as error:
        stream.load(path)
    assert str(error.value) == f"{path} is a model; expected a stream state. Give the path of the stream state."
    assert all(torch.equal(*pair) for pair in zip(stream.state, before, strict=True))
