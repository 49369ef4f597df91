"""What is drawn: the panels, their labels and their lines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from tests.tasks.regress.regressors import answers, examples, network, task

from holdfast.errors import DataError

QUANTILES = {"loss": "quantile"}


def plot(*, known: bool = True, per_step: bool = False, **model: Any) -> tuple[Figure, Any, Any]:
    given = examples(targets=2, per_step=per_step, unequal=True)
    of = task(given, **model)
    rows = answers(of, network(of), given)
    return of.plot(given if known else given.unlabelled(), rows), given, rows


@pytest.mark.parametrize("known", [True, False])
def test_points_for_targets_of_sequences(known: bool) -> None:
    figure, given, rows = plot(known=known, **QUANTILES)
    for k, axes in enumerate(figure.axes):
        name = f"target {k}"
        assert axes.get_ylabel() == f"predicted {name}"
        assert axes.get_xlabel() == (f"true {name}" if known else "sequence")
        points = axes.collections[1].get_offsets().data
        np.testing.assert_allclose(points[:, 1], [row["values"][name] for row in rows])
        x = [target[k] for target in given.targets] if known else np.arange(12)
        np.testing.assert_allclose(points[:, 0], x)
        assert axes.collections[0].get_label() == "quantiles 0.1 to 0.9"
        assert bool(axes.lines) == known  # the line on which both are equal


@pytest.mark.parametrize("known", [True, False])
def test_curves_for_targets_of_steps(known: bool) -> None:
    figure, given, rows = plot(known=known, per_step=True, **QUANTILES)
    assert len(figure.axes) == 12
    axes = figure.axes[3]  # the second target of the second sequence
    assert (axes.get_title("left"), axes.get_xlabel(), axes.get_ylabel()) == ("row 1", "step", "target 1")
    lines = {line.get_label(): line.get_ydata() for line in axes.get_lines()}
    assert list(lines) == (["true", "predicted"] if known else ["predicted"])
    np.testing.assert_allclose(lines["predicted"], rows[1]["values"]["target 1"])
    if known:
        np.testing.assert_allclose(lines["true"], given.targets[1][:, 1])


def test_what_cannot_be_drawn() -> None:
    of = task(examples())
    with pytest.raises(DataError, match=r"^There are no sequences to draw; expected at least one.$"):
        of.plot(examples(), [])
