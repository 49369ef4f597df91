"""The rows of the recursive method by a stream: the forecasts of the layers, and when the layers compute them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from holdfast.tasks.forecast import network as module
from holdfast.tasks.forecast.network import Forecaster
from holdfast.tasks.forecast.settings import ForecastModel

pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")


def forecaster(known: int = 0, **model: Any) -> Forecaster:
    torch.manual_seed(0)
    settings = ForecastModel.model_validate({"method": "recursive", "hidden_size": 8, **model})
    return Forecaster(2, 0, known, 12, settings).eval()


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What :func:`one_step` returned, call by call."""
    returned: list[Any] = []
    original = module.one_step
    monkeypatch.setattr(module, "one_step", lambda *a, **n: returned.append(original(*a, **n)) or returned[-1])
    return returned


@pytest.mark.parametrize("known", [0, 3])
@pytest.mark.parametrize("rows", [1, 5, 64])
@pytest.mark.parametrize(
    "model",
    [
        {},
        {"cell": "gru", "num_layers": 2, "residual": True, "dropout": 0.5},
        {"cell": "rnn", "window_scaling": "last"},
        {"hidden_size": [7, 5], "window_scaling": "standard"},
    ],
    ids=str,
)
def test_the_forecast_is_that_of_the_layers(known: int, rows: int, model: Any, streams: list[Any]) -> None:
    net = forecaster(known, **model)
    window, future = torch.randn(rows, 6, 2 + known), torch.randn(rows, 12, known)
    expected = net(window, future)
    with torch.inference_mode():
        found = net(window, future)
    assert [stream is None for stream in streams] == [True, False]  # first with gradients, then without
    torch.testing.assert_close(found, expected)


def test_the_layers_forecast_with_gradients_and_what_a_stream_does_not_compute(streams: list[Any]) -> None:
    window, future = torch.randn(2, 6, 2, requires_grad=True), torch.zeros(2, 12, 0)
    forecaster()(window, future).sum().backward()
    assert window.grad is not None
    with torch.no_grad():
        forecaster(engine="reference")(window, future)
        forecaster(options={"activation": "mish"}, cell="rnn")(window, future)
        forecaster()(window, future[:, :3])  # so few rows are not worth a stream
        net = forecaster(dropout=0.5).train()
        assert not torch.equal(net(window, future), net(window, future))  # dropout is drawn in training
    assert streams == [None] * 6


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch recommends torch.export
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@torch.no_grad()
def test_a_trace_records_the_layers_for_any_number_of_windows(streams: list[Any]) -> None:
    net = forecaster()
    traced = torch.jit.trace(net, (torch.randn(3, 6, 2), torch.zeros(3, 12, 0)), check_trace=False)
    assert streams == [None]
    window, future = torch.randn(70, 6, 2), torch.zeros(70, 12, 0)
    torch.testing.assert_close(traced(window, future), net(window, future))
