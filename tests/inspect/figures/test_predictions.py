"""Predicted numbers next to the true ones."""

from __future__ import annotations

import numpy as np
import pytest

from holdfast.errors import DataError, ShapeError
from holdfast.inspect.figures import predicted_against_true, predicted_over_steps

TRUE, PREDICTED = np.array([1.0, 2.0, np.nan, 4.0]), np.array([1.5, 1.5, 3.0, 4.0])
INTERVAL = (PREDICTED - 1, PREDICTED + 1, "quantiles 0.1 to 0.9")


def test_points_line_and_intervals() -> None:
    ax = predicted_against_true(TRUE, PREDICTED, name="wear (mm)", interval=INTERVAL)
    bars, points = ax.collections
    np.testing.assert_array_equal(points.get_offsets().data[:, 1], PREDICTED)
    np.testing.assert_array_equal(bars.get_segments()[1], [[2, 0.5], [2, 2.5]])
    assert ax.lines[0].get_xydata().tolist() == [[1, 1], [4, 4]]
    error = np.sqrt((0.25 + 0.25 + 0) / 3)
    assert ax.get_title("left") == f"3 predictions; root mean squared error {error:.3g}"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("true wear (mm)", "predicted wear (mm)")
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["quantiles 0.1 to 0.9", "sequences", "predicted = true"]


def test_without_true_values_in_their_order() -> None:
    ax = predicted_against_true(None, PREDICTED)
    np.testing.assert_array_equal(ax.collections[0].get_offsets().data[:, 0], range(4))
    assert ax.get_xlabel() == "sequence"


def test_curves_over_the_steps() -> None:
    ax = predicted_over_steps(TRUE, PREDICTED, name="y", title="row 1", interval=INTERVAL)
    lines = {line.get_label(): line for line in ax.lines}
    np.testing.assert_array_equal(lines["true"].get_ydata(), TRUE)
    np.testing.assert_array_equal(lines["predicted"].get_ydata(), PREDICTED)
    assert lines["true"].get_marker() == "."  # single steps between gaps can be seen
    assert lines["true"].get_linestyle() != lines["predicted"].get_linestyle()
    assert (ax.get_title("left"), ax.get_xlabel(), ax.get_ylabel()) == ("row 1", "step", "y")
    assert len(ax.collections) == 1
    assert [line.get_label() for line in predicted_over_steps(None, PREDICTED).lines] == ["predicted"]


def test_what_cannot_be_drawn() -> None:
    for draw in (predicted_against_true, predicted_over_steps):
        with pytest.raises(DataError, match=r"to draw; expected at least one.$"):
            draw(None, np.zeros(0))
    with pytest.raises(
        ShapeError, match=r"^There are true values \(3,\) and predictions \(4,\); expected \[N\] of both"
    ):
        predicted_against_true(TRUE[:3], PREDICTED)
