"""Curves of training."""

import pytest

from holdfast.errors import OptionError
from holdfast.inspect.figures import gradient_norm, learning_curves, learning_rate

ROWS = [
    {"event": "epoch", "step": 10, "train": {"loss": 2.0}, "validation": {"loss": 1.8}, "best": True},
    {"event": "log", "step": 15, "train": {"loss": 1.5}},
    {"event": "epoch", "step": 20, "train": {"loss": 1.0}, "validation": {"loss": 1.9}, "best": False},
]
NORMS = [
    {
        "event": "epoch",
        "step": 10,
        "learning_rate": 0.1,
        "gradient_norm": 2.0,
        "largest_gradient_norm": 9.0,
        "clipped": 1.0,
    },
    {
        "event": "epoch",
        "step": 20,
        "learning_rate": 0.05,
        "gradient_norm": 1.0,
        "largest_gradient_norm": 3.0,
        "clipped": 0.5,
    },
]


def test_both_curves_and_the_epoch_that_was_kept():
    ax = learning_curves(ROWS)
    training, validation, kept = ax.lines
    assert training.get_xydata().tolist() == [[10, 2.0], [20, 1.0]]
    assert validation.get_xydata().tolist() == [[10, 1.8], [20, 1.9]]
    assert kept.get_xydata().tolist() == [[10, 1.8]]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("updates", "loss")
    assert ax.get_title("left") == "Loss over training (dot: the epoch that was kept)"
    assert [text.get_text() for text in ax.texts] == ["training", "validation"]  # at the ends, in their order
    assert ax.get_legend() is None


def test_runs_without_validation_have_one_curve_each_and_differ_in_line_style():
    bare = [{key: value for key, value in row.items() if key not in ("validation", "best")} for row in ROWS]
    ax = learning_curves({"a": bare, "b": bare})
    assert [line.get_label() for line in ax.lines] == ["a training", "b training"]
    assert len({line.get_linestyle() for line in ax.lines}) == 2
    assert ax.get_title("left") == "Loss over training"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a training", "b training"]


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


def test_the_learning_rate_of_each_row():
    ax = learning_rate(NORMS)
    assert ax.lines[0].get_xydata().tolist() == [[10, 0.1], [20, 0.05]]
    assert ax.get_ylim()[0] == 0


def test_rows_of_log_every_are_preferred():
    logged = [{**row, "event": "log", "step": row["step"] // 2, "learning_rate": 1.0} for row in NORMS]
    assert learning_rate([*NORMS, *logged]).lines[0].get_xydata().tolist() == [[5, 1.0], [10, 1.0]]


def test_the_norms_of_the_gradients_and_the_share_that_was_clipped():
    ax = gradient_norm(NORMS)
    largest, mean = ax.lines
    assert mean.get_xydata().tolist() == [[10, 2.0], [20, 1.0]]
    assert largest.get_xydata().tolist() == [[10, 9.0], [20, 3.0]]
    assert ax.get_title("left") == "Norm of the gradients; 75% of the updates were clipped"
    assert ax.get_yscale() == "linear"
    assert gradient_norm([{**NORMS[0], "largest_gradient_norm": 90.0}]).get_yscale() == "log"


def test_a_history_without_norms():
    with pytest.raises(OptionError, match=r"^The history has no gradient norm: set train.clip_norm to have one.$"):
        gradient_norm(ROWS)
    with pytest.raises(OptionError, match=r"^The history has no learning rate: train for an epoch to have one.$"):
        learning_rate([])
