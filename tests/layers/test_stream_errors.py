"""What a stream refuses: models, inputs, states and rows that do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import holdfast
from holdfast.errors import EngineError, OptionError, ShapeError


def test_models_that_are_refused() -> None:
    with pytest.raises(OptionError) as error:
        holdfast.Stream(torch.nn.LSTM(2, 3))
    assert str(error.value) == (
        "Stream got a torch.nn.modules.rnn.LSTM; expected a layer or a cell of Holdfast, a classifier, or the path of "
        "a saved model. A layer of torch.nn: load its state_dict into Holdfast's."
    )
    with pytest.raises(OptionError) as error:
        holdfast.Stream(holdfast.LSTM(2, 3, dtype=torch.bfloat16))
    assert str(error.value) == (
        "The parameter 'weight_ih_l0' is torch.bfloat16; a stream computes in float32 or in float64: convert the model "
        "by .float()."
    )
    with pytest.raises(OptionError, match=r"The parameter 'weight_ih_l0' is on meta and has no values: load them"):
        holdfast.Stream(holdfast.GRU(2, 3, device="meta"))
    part = holdfast.LSTM(2, 3)
    part.weight_hh_l0.data = part.weight_hh_l0.data.double()
    with pytest.raises(OptionError, match=r"The array 'weight_hh_l0' is float64; a stream computes in"):
        holdfast.Stream(part)
    with pytest.raises(OptionError, match=r"batch is 0; expected a whole number of sequences from 1 on\."):
        holdfast.Stream(holdfast.LSTM(2, 3), 0)
    with pytest.raises(OptionError, match=r"There is no engine 'nativ': did you mean 'native'\?"):
        holdfast.Stream(holdfast.LSTM(2, 3), engine="nativ")
    with pytest.raises(EngineError) as failed:
        holdfast.Stream(holdfast.LSTM(2, 3, activation=torch.sin), engine="native")
    assert str(failed.value).startswith("The engine 'native' cannot run this stream: ")
    assert str(failed.value).endswith(" Use engine='auto'.")


@pytest.mark.parametrize(
    ("batch", "method", "x", "message"),
    [
        (1, "step", torch.zeros(4), "shape (4,); expected (batch, input_size) or (input_size,) with batch = 1 and"),
        (1, "step", torch.zeros(2, 3), "shape (2, 3); expected (batch, input_size) or (input_size,) with batch = 1"),
        (2, "step", torch.zeros(3), "shape (3,); expected (batch, input_size) with batch = 2 and input_size = 3."),
        (1, "step", torch.zeros(1, 1, 3), "shape (1, 1, 3); expected (batch, input_size) or (input_size,) with"),
        (1, "step", np.zeros((), np.float32), "shape (); expected"),
        (1, "run", torch.zeros(3), "shape (3,); expected (batch, time, input_size) or (time, input_size) with batch"),
        (2, "run", torch.zeros(5, 3), "shape (5, 3); expected (batch, time, input_size) with batch = 2 and"),
        (2, "run", torch.zeros(3, 5, 3), "shape (3, 5, 3); expected (batch, time, input_size) with batch = 2 and"),
        (1, "step", np.zeros(3), "is float64; expected float32, as the model: convert it by .astype('float32')."),
        (1, "run", np.zeros((2, 3), ">f4"), "is >f4; expected float32, as the model"),
        (1, "step", [0.0, 0.0, 0.0], "is a list; expected a NumPy array."),
        (1, "step", torch.zeros(3, dtype=torch.bfloat16), "The stream's tensor is torch.bfloat16 on cpu; expected"),
        (1, "step", torch.zeros(3, device="meta"), "The stream's tensor is torch.float32 on meta; expected one on the"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_inputs_that_are_refused(batch: int, method: str, x: Any, message: str, engine: Any) -> None:
    stream = holdfast.Stream(holdfast.LSTM(3, 2), batch, engine=engine)
    with pytest.raises(ShapeError) as error:
        getattr(stream, method)(x)
    assert message in str(error.value)
    assert not any(bool(part.any()) for part in stream.state)


@pytest.mark.parametrize(
    ("units", "state", "message"),
    [
        (2, torch.zeros(1, 1, 2), "The stream's state is not a pair; expected (h, c)."),
        (2, (torch.zeros(1, 1, 2),), "The stream's state is not a pair; expected (h, c)."),
        (
            2,
            (torch.ones(1, 1, 2), torch.zeros(1, 2, 2)),
            "The stream's state c is float32 of shape (1, 2, 2); expected float32 of shape (1, 1, 2).",
        ),
        (
            2,
            (torch.ones(1, 1, 2, dtype=torch.float64), torch.zeros(1, 1, 2)),
            "The stream's state h is float64 of shape (1, 1, 2); expected float32 of shape (1, 1, 2).",
        ),
        (2, ([0], [0]), "The stream's state h is a list; expected float32 of shape (1, 1, 2)."),
        (
            [2, 3],
            (torch.zeros(2, 1, 2), torch.zeros(2, 1, 2)),
            "The stream's state h is not a sequence of 2 arrays; the layers have different sizes: give one of shape "
            "(1, batch, size) a layer.",
        ),
    ],
)
def test_states_that_are_refused(units: Any, state: Any, message: str) -> None:
    stream = holdfast.Stream(holdfast.LSTM(3, units))
    with pytest.raises(ShapeError) as error:
        stream.state = state
    assert message in str(error.value)
    stream.reset()
    flat = stream.state if isinstance(units, int) else [part for column in stream.state for part in column]
    assert not any(bool(part.any()) for part in flat)


def test_rows_that_are_not_there() -> None:
    stream = holdfast.Stream(holdfast.RNN(3, 2), 2)
    with pytest.raises(ShapeError, match=r"rows is \[2\]; expected numbers of rows of a batch of 2\."):
        stream.reset([2])
