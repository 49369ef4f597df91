"""The forms of a forecaster for other software: all rows at once, or a window and then row by row."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from holdfast.errors import ConversionError
from holdfast.layers.forms import Form, Input, check_streams, parts_of, state_inputs, state_of, states_after
from holdfast.layers.recurrent_layer import RecurrentLayer
from holdfast.tasks.forecast.network import Forecaster

_MOST_ROWS = 50


def exports(model: Forecaster, channels: tuple[int, int, int], horizon: int, streaming: bool) -> dict[str, Form]:
    """The forms of a forecaster.

    Args:
        model: The forecaster.
        channels: C, P and F, as the encoder has them.
        horizon: Rows to forecast.
        streaming: Two forms, ``window`` and ``row``, in place of one.

    Raises:
        ConversionError: It is to stream and cannot, or its rows are too many to be written one by one.
    """
    window = {"inputs": Input(("batch", "time", sum(channels)))}
    if streaming:
        return _by_rows(model, window)
    if model.recursive and horizon > _MOST_ROWS:
        raise ConversionError(
            f"The forecaster says {horizon} rows one by one, and an ONNX model of it holds each of them; at most "
            f"{_MOST_ROWS} are written. Write the streaming form, which goes row by row."
        )
    known = {"future": Input(("batch", horizon, channels[-1]))} if channels[-1] else {}
    return {"": Form(_Forecast(model, horizon), {**window, **known}, ("forecast",))}


def _by_rows(model: Forecaster, window: dict[str, Input]) -> dict[str, Form]:
    if not model.recursive:
        raise ConversionError(
            "The forecaster says all rows of its horizon at once; only one with model.method = 'recursive' has a "
            "streaming form. Write the whole model instead."
        )
    layer = cast(RecurrentLayer, model.recurrent)  # a model with a cell of your own is refused before
    check_streams(layer)
    states = state_inputs(layer)
    after = states_after(states)
    scale = {name: Input(("batch", 1, model.targets)) for name in ("centre", "spread")}
    return {
        "window": Form(_Window(model), window, ("forecast", *scale, *after)),
        "row": Form(_Rows(model), {**window, **scale, **states}, ("forecast", *after)),
    }


class _Forecast(nn.Module):
    """A window and, where something is known of them, the rows that follow it in; the forecast of these rows out."""

    def __init__(self, model: Forecaster, horizon: int) -> None:
        super().__init__()
        self.model, self.horizon = model, horizon

    def forward(self, inputs: Tensor, *future: Tensor) -> Tensor:
        known = future[0] if future else inputs.new_zeros(inputs.shape[0], self.horizon, 0)
        forecast: Tensor = self.model(inputs, known)
        return forecast


class _Window(nn.Module):
    """A window in; the row after it, the state, and what the window is scaled by out."""

    def __init__(self, model: Forecaster) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        scale = self.model.statistics(inputs[..., : self.model.targets])
        row, state = self.model.follow(inputs, scale)
        return (row, *scale, *parts_of(state))


class _Rows(nn.Module):
    """The rows since then in; the row after them and the state out."""

    def __init__(self, model: Forecaster) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor, centre: Tensor, spread: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        row, after = self.model.follow(
            inputs, (centre, spread), state_of(cast(RecurrentLayer, self.model.recurrent), state)
        )
        return (row, *parts_of(after))
