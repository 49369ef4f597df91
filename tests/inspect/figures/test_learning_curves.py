"""Curves of a metric over training."""

import pytest

from holdfast.errors import OptionError

pytest.importorskip("matplotlib")

from holdfast.inspect.figures import learning_curves

ROWS = [
    {"event": "epoch", "step": 10, "train": {"loss": 2.0}, "validation": {"loss": 1.8}, "best": True},
    {"event": "log", "step": 15, "train": {"loss": 1.5}},
    {"event": "epoch", "step": 20, "train": {"loss": 1.0}, "validation": {"loss": 1.9}, "best": False},
]


def test_both_curves_and_the_epoch_that_was_kept():
    ax = learning_curves(ROWS)
    training, validation, kept = ax.lines
    assert training.get_xydata().tolist() == [[10, 2.0], [20, 1.0]]
    assert validation.get_xydata().tolist() == [[10, 1.8], [20, 1.9]]
    assert kept.get_xydata().tolist() == [[10, 1.8]]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("updates", "loss")
    assert ax.get_title() == "Loss over training (dot: the epoch that was kept)"


def test_runs_without_validation_have_one_curve_each_and_differ_in_line_style():
    bare = [{key: value for key, value in row.items() if key not in ("validation", "best")} for row in ROWS]
    ax = learning_curves({"a": bare, "b": bare})
    assert [line.get_label() for line in ax.lines] == ["a training", "b training"]
    assert len({line.get_linestyle() for line in ax.lines}) == 2
    assert ax.get_title() == "Loss over training"


def test_it_draws_where_it_is_told():
    own = learning_curves(ROWS)
    own.clear()
    assert learning_curves(ROWS, ax=own) is own


def test_a_value_that_was_not_finite_is_a_gap():
    rows = [*ROWS, {"event": "epoch", "step": 30, "train": {"loss": None}}]
    assert str(learning_curves(rows).lines[0].get_ydata()[-1]) == "nan"


def test_an_unknown_metric_is_an_error_with_the_nearest_one():
    with pytest.raises(OptionError, match="The history of x has no metric 'los': did you mean 'loss'"):
        learning_curves({"x": ROWS}, "los")
