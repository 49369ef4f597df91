"""Forecasts with bands, and errors by horizon."""

from __future__ import annotations

import numpy as np
import pytest

from holdfast.errors import DataError
from holdfast.inspect.figures import error_by_horizon, forecast

HISTORY, VALUES = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0])


def test_history_forecast_truth_and_nested_bands() -> None:
    quantiles = {0.05: [1, 1], 0.25: [2, 2], 0.5: [4, 5], 0.75: [6, 6], 0.95: [7, 7]}
    ax = forecast(HISTORY, VALUES, quantiles=quantiles, truth=np.array([4.5, np.nan]), title="t", name="y", time="day")
    lines = {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}
    assert lines["history"].get_xydata().tolist() == [[-3, 1], [-2, 2], [-1, 3]]
    assert lines["forecast"].get_xydata().tolist() == [[0, 4], [1, 5]]
    assert lines["truth"].get_ydata()[0] == 4.5
    assert len({line.get_linestyle() for line in (lines["history"], lines["forecast"])}) == 2
    bands = [band.get_label() for band in ax.collections]
    assert bands == ["quantiles 0.05 to 0.95", "quantiles 0.25 to 0.75"]
    assert ax.collections[0].get_alpha() < ax.collections[1].get_alpha()
    assert (ax.get_title("left"), ax.get_xlabel(), ax.get_ylabel()) == ("t", "day", "y")


def test_dates_have_short_labels() -> None:
    days = np.datetime64("2024-01-30") + np.arange(5)
    ax = forecast(HISTORY, VALUES, before=days[:3], times=days[3:])
    ax.figure.draw_without_rendering()
    assert type(ax.xaxis.get_major_formatter()).__name__ == "ConciseDateFormatter"
    assert max(len(label.get_text()) for label in ax.get_xticklabels()) <= 5


def test_a_single_row_can_be_seen() -> None:
    ax = forecast(HISTORY, VALUES[:1])
    assert next(line for line in ax.lines if line.get_label() == "forecast").get_marker() == "."


def test_errors_of_the_model_and_of_naive_forecasts() -> None:
    ax = error_by_horizon({"model": np.array([1.0, 2.0]), "last value": np.array([1.5, 4.0])}, name="error (kW)")
    model, naive = ax.lines
    assert model.get_xydata().tolist() == [[1, 1.0], [2, 2.0]]
    assert model.get_linestyle() != naive.get_linestyle()
    assert [text.get_text() for text in ax.texts] == ["model", "last value"]
    assert ax.get_ylim()[0] == 0
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("rows ahead", "error (kW)")


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(DataError, match=r"^The forecast has no rows to draw; expected at least one.$"):
        forecast(HISTORY, [])
    with pytest.raises(DataError, match=r"^There are no errors to draw"):
        error_by_horizon({})
