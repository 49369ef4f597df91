"""Reliability, ROC and precision-recall, against scikit-learn's own figures."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from holdfast.errors import DataError, ShapeError
from holdfast.inspect.figures import precision_recall_curves, reliability_diagram, roc_curves

GENERATOR = np.random.default_rng(3)
TRUE = GENERATOR.integers(0, 3, 200)
SCORES = GENERATOR.random((200, 3)) + 0.6 * np.eye(3)[TRUE]
PROBABILITIES = SCORES / SCORES.sum(1, keepdims=True)
LABELS = ["a", "b", "c"]


def labels_of(ax) -> list[str]:  # type: ignore[no-untyped-def]  # matplotlib is optional
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_reliability_by_hand() -> None:
    confidence = np.array([0.55, 0.58, 0.95, 0.97, 0.99, 0.92])
    correct = np.array([1, 0, 1, 1, 0, 1])
    ax = reliability_diagram(correct, confidence)
    points = ax.lines[1].get_xydata()
    np.testing.assert_allclose(points, [[0.565, 0.5], [0.9575, 0.75]])
    error = (2 * abs(0.5 - 0.565) + 4 * abs(0.75 - 0.9575)) / 6
    assert ax.get_title("left") == f"Reliability; expected calibration error {error:.3f}"
    assert [text.get_text() for text in ax.texts] == ["2", "4", "dashed: as sure as right"]
    heights = [bar.get_height() for bar in ax.patches]
    assert heights[5] == pytest.approx(0.125)
    assert heights[9] == pytest.approx(0.25)
    assert sum(height > 0 for height in heights) == 2


def test_the_roc_of_two_labels_is_that_of_the_second() -> None:
    true = (TRUE > 0).astype(int)
    probabilities = np.stack([PROBABILITIES[:, 0], 1 - PROBABILITIES[:, 0]], 1)
    ax = roc_curves(true, probabilities, ["no", "yes"])
    false, hits, _ = metrics.roc_curve(true, probabilities[:, 1])
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), np.stack([false, hits], 1))
    assert labels_of(ax) == [f"yes: AUC {metrics.roc_auc_score(true, probabilities[:, 1]):.3f}"]
    assert ax.get_title("left") == "ROC of yes against no"


def test_the_roc_of_several_labels_names_the_mean_and_the_worst() -> None:
    ax = roc_curves(TRUE, PROBABILITIES, LABELS)
    areas = {name: metrics.roc_auc_score(k == TRUE, PROBABILITIES[:, k]) for k, name in enumerate(LABELS)}
    worst = min(areas, key=lambda name: areas[name])
    mean, bad, others = labels_of(ax)
    assert mean == f"mean of 3 labels: AUC {np.mean(list(areas.values())):.3f}"
    assert bad == f"worst, {worst}: AUC {areas[worst]:.3f}"
    assert others == "each other label"
    assert {line.get_linestyle() for line in ax.lines} >= {"-", "--", ":"}


def test_precision_and_recall() -> None:
    ax = precision_recall_curves(TRUE, PROBABILITIES, LABELS)
    areas = [metrics.average_precision_score(k == TRUE, PROBABILITIES[:, k]) for k in range(3)]
    assert labels_of(ax)[0] == f"mean of 3 labels: average precision {np.mean(areas):.3f}"
    assert ax.get_title("left") == "Precision and recall, each label against the rest"
    thick = next(line for line in ax.lines if line.get_linewidth() > 2)
    x = thick.get_xdata()
    assert x[0] == 0
    assert x[-1] == 1


def test_several_labels_per_example() -> None:
    ax = roc_curves(np.stack([TRUE == 0, TRUE > 0], 1), PROBABILITIES[:, :2], ["a", "b"])
    assert labels_of(ax)[0].startswith("mean of 2 labels")


def test_a_label_that_never_occurs_has_no_curve() -> None:
    ax = roc_curves(np.minimum(TRUE, 1), PROBABILITIES, LABELS)
    assert labels_of(ax)[0].startswith("mean of 2 labels")


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(DataError, match=r"^All examples have the same label; expected at least two labels"):
        roc_curves(np.zeros(4, int), np.full((4, 2), 0.5), ["a", "b"])
    with pytest.raises(ShapeError, match=r"^There are true labels \(4,\), probabilities \(4, 2\) and 3 labels"):
        roc_curves(np.zeros(4, int), np.full((4, 2), 0.5), LABELS)
    with pytest.raises(DataError, match=r"^There are no predictions to draw; expected at least one.$"):
        reliability_diagram([], [])
