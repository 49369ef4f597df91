import dataclasses

import pytest
import torch

from holdfast.errors import DataError
from holdfast.tasks.forecast.metrics import ForecastMetrics
from holdfast.tasks.forecast.windows import ForecastBatch


def forecast_batch(actual, history):
    """One target; ``actual [B, H]`` after ``history [B, S]``."""
    actual, history = (torch.tensor(values, dtype=torch.float64)[..., None] for values in (actual, history))
    inputs = torch.zeros(len(actual), 1, 1)
    return ForecastBatch(inputs, None, actual.float(), torch.zeros(len(actual), 1, 0), history, actual)


def test_forecast_errors_by_hand():
    metrics = ForecastMetrics([2.0], [0.5], season=2)
    batch = forecast_batch([[1.0, 2.0, 3.0], [5.0, 5.0, 5.0]], [[0.0, 1.0], [4.0, 6.0]])
    forecasts = torch.tensor([[1.0, 2.0, 6.0], [5.0, 4.0, 5.0]], dtype=torch.float64)[..., None, None]
    metrics.update(forecasts, batch)
    found = metrics.compute()
    # The model's errors are 3 and -1; the last values are 1 and 6; a season before: 0, 1, 0 and 4, 6, 4.
    assert found == {
        "mae": pytest.approx(4 / 6),
        "rmse": pytest.approx((10 / 6) ** 0.5),
        "mase": pytest.approx(4 / 6 / 0.5),
        "mse_scaled": pytest.approx(10 / 6 / 4),
        "repeat_last_mae": pytest.approx((0 + 1 + 2 + 1 + 1 + 1) / 6),
        "repeat_last_rmse": pytest.approx(((0 + 1 + 4 + 1 + 1 + 1) / 6) ** 0.5),
        "repeat_last_mase": pytest.approx(1 / 0.5),
        "repeat_last_mse_scaled": pytest.approx(8 / 6 / 4),
        "seasonal_naive_mae": pytest.approx((1 + 1 + 3 + 1 + 1 + 1) / 6),
        "seasonal_naive_rmse": pytest.approx(((1 + 1 + 9 + 1 + 1 + 1) / 6) ** 0.5),
        "seasonal_naive_mase": pytest.approx(8 / 6 / 0.5),
        "seasonal_naive_mse_scaled": pytest.approx(14 / 6 / 4),
    }
    assert [line.split()[:2] for line in metrics.table().splitlines()] == [
        ["mae", "rmse"],
        ["model", "0.66667"],
        ["repeat", "last"],
        ["seasonal", "naive"],
    ]


def test_forecast_errors_of_several_targets_are_averaged():
    metrics = ForecastMetrics([1.0, 10.0], [1.0, 5.0], season=1)
    actual = torch.tensor([[[1.0, 10.0]]], dtype=torch.float64)
    batch = ForecastBatch(torch.zeros(1, 1, 2), None, actual.float(), torch.zeros(1, 1, 0), actual * 0, actual)
    metrics.update(torch.tensor([[[2.0, 20.0]]], dtype=torch.float64)[..., None], batch)
    found = metrics.compute()
    assert found["mae"] == pytest.approx((1 + 10) / 2)
    assert found["rmse"] == pytest.approx(((1 + 100) / 2) ** 0.5)
    assert found["mase"] == pytest.approx((1 / 1 + 10 / 5) / 2)
    assert found["mse_scaled"] == pytest.approx((1 / 1 + 100 / 100) / 2)
    assert "seasonal_naive_mae" not in found


def test_the_median_is_the_point_forecast_and_the_outer_quantiles_cover():
    metrics = ForecastMetrics([1.0], [0.0], season=1, quantiles=[0.1, 0.5, 0.9])
    batch = forecast_batch([[1.0, 2.0, 3.0, 4.0]], [[0.0]])
    forecasts = torch.tensor([[[0, 1, 2], [0, 1, 1.5], [2, 3, 4], [5, 6, 7]]], dtype=torch.float64)[:, :, None]
    metrics.update(forecasts, batch)
    found = metrics.compute()
    assert found["coverage"] == 0.5
    assert found["mae"] == pytest.approx((0 + 1 + 0 + 2) / 4)
    assert "mase" not in found  # the naive forecast makes no error in the training part


def test_forecast_errors_go_on_from_a_stored_state():
    batches = [forecast_batch(torch.randn(3, 4).tolist(), torch.randn(3, 2).tolist()) for _ in range(2)]
    forecasts = [torch.randn(3, 4, 1, 1).double() for _ in range(2)]
    whole, first, second = (ForecastMetrics([2.0], [0.5], season=2) for _ in range(3))
    for one, batch in zip(forecasts, batches, strict=True):
        whole.update(one, batch)
    first.update(forecasts[0], batches[0])
    kept = first.state_dict()
    first.update(forecasts[1], batches[1])
    second.load_state_dict(kept)
    second.update(forecasts[1], batches[1])
    assert first.compute() == second.compute() == whole.compute()
    assert first.figures() == second.figures() == whole.figures()


def test_errors_by_row_are_those_of_the_rows_and_older_states_are_read():
    metrics = ForecastMetrics([2.0], [0.5], season=2)
    batch = forecast_batch([[1.0, 5.0]], [[0.0, 2.0]])
    metrics.update(torch.tensor([[1.0, 4.0]], dtype=torch.float64)[..., None, None], batch)
    figures = metrics.figures()
    assert figures == {"mae_by_row": {"model": [0.0, 1.0], "repeat_last": [1.0, 3.0], "seasonal_naive": [1.0, 3.0]}}
    older = {name: values for name, values in metrics.state_dict().items() if name != "errors_by_row"}
    again = ForecastMetrics([2.0], [0.5], season=2)
    again.load_state_dict(older)
    assert again.compute() == metrics.compute()
    again.update(torch.tensor([[2.0, 2.0]], dtype=torch.float64)[..., None, None], batch)


def test_forecasts_of_what_is_not_known_cannot_be_measured():
    batch = dataclasses.replace(forecast_batch([[1.0]], [[1.0]]), actual=None)
    with pytest.raises(DataError) as error:
        ForecastMetrics([1.0], [1.0], season=1).update(torch.zeros(1, 1, 1, 1), batch)
    assert str(error.value) == ("The rows that follow the windows are not known; expected them, to measure a forecast.")
