"""How good probabilities are: the reliability diagram, ROC and precision-recall curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from holdfast.errors import DataError, ShapeError
from holdfast.inspect.figures.canvas import (
    BLUE,
    FAINT,
    MUTED,
    VERMILION,
    Numbers,
    axes_or_new,
    dress,
    legend,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SQUARE = {"height": 4.0, "width": 4.6}
_GRID = np.linspace(0, 1, 401)


def reliability_diagram(correct: Numbers, confidence: Numbers, *, bins: int = 10, ax: Axes | None = None) -> Axes:
    """Draws how often predictions are right over how sure the model is; on the diagonal both agree.

    The bars below show how many predictions are in each bin. The title has the expected calibration error: the mean
    distance from the diagonal, weighted by these numbers (Guo et al. 2017, "On calibration of modern neural networks").

    Args:
        correct: Whether each prediction is right, [N].
        confidence: The probability of each predicted label, [N], from 0 to 1.
        bins: Equal parts of 0 to 1.
        ax: Where to draw; None for a new figure.

    Returns:
        The Axes.

    Raises:
        DataError: There are no predictions.
    """
    from sklearn.calibration import calibration_curve

    correct, confidence = np.asarray(correct, dtype=int), np.asarray(confidence, dtype=float)
    if not len(correct):
        raise DataError("There are no predictions to draw; expected at least one.")
    accuracies, confidences = calibration_curve(correct, confidence, n_bins=bins, pos_label=1)
    edges = np.linspace(0, 1, bins + 1)
    # scikit-learn puts a value on an edge into the bin below it, as this does.
    places = np.clip(np.searchsorted(edges[1:-1], confidence), 0, bins - 1)
    counts = np.bincount(places, minlength=bins)
    shares = counts[counts > 0] / len(correct)
    error = float(np.abs(accuracies - confidences) @ shares)
    ax = axes_or_new(ax, **_SQUARE)
    bars = 0.25 * counts / counts.max()
    centres = (edges[:-1] + edges[1:]) / 2
    ax.bar(centres, bars, width=0.92 / bins, color=FAINT, zorder=1)
    for centre, bar, count in zip(centres, bars, counts, strict=True):
        if count:
            ax.text(centre, bar + 0.008, f"{count:,}", fontsize=7, color=MUTED, ha="center", va="bottom")
    ax.plot([0, 1], [0, 1], color=MUTED, linewidth=0.9, linestyle="--", zorder=2)
    ax.plot(confidences, accuracies, color=BLUE, linewidth=1.2, zorder=3)
    ax.scatter(confidences, accuracies, s=12 + 60 * np.sqrt(shares), color=BLUE, linewidths=0, zorder=3)
    ax.text(0.03, 1.0, "dashed: as sure as right", fontsize=8, color=MUTED, va="top")
    ax.set(xlim=(0, 1.01), ylim=(0, 1.03))
    return dress(
        ax,
        f"Reliability; expected calibration error {error:.3f}",
        "probability of the label (bars: number of predictions)",
        "share that is right",
        grid="",
    )


class _Curve(NamedTuple):
    """The curve of one label: x ascending, y, and its area."""

    x: Numbers
    y: Numbers
    area: float


def roc_curves(true: Numbers, probabilities: Numbers, labels: Sequence[str], *, ax: Axes | None = None) -> Axes:
    """Draws the receiver operating characteristic.

    Of two labels it is the curve of the second; of more labels, there is a curve of each against the rest. Of several
    labels, the thick line is the mean of all, and the worst one has its name.

    Args:
        true: The number of the label of each example, [N]; or with several labels per example [N, K], 0 or 1.
        probabilities: The probability of each label, [N, K].
        labels: The K labels.
        ax: Where to draw; None for a new figure.

    Returns:
        The Axes.

    Raises:
        ShapeError: The arrays do not fit each other.
        DataError: No label occurs in some examples and not in others.
    """
    from sklearn.metrics import auc, roc_curve

    def curve(occurs: Numbers, scores: Numbers) -> _Curve:
        false, hits, _ = roc_curve(occurs, scores)
        return _Curve(false, hits, float(auc(false, hits)))

    curves = _curves(true, probabilities, labels, curve)
    ax = axes_or_new(ax, **_SQUARE)
    ax.plot([0, 1], [0, 1], color=MUTED, linewidth=0.9, linestyle=":")
    ax.text(0.52, 0.49, "chance", fontsize=8, color=MUTED, va="top")
    _draw(ax, curves, "AUC", inside=True)
    ax.set(xlim=(-0.01, 1), ylim=(0, 1.01))
    return dress(ax, _title("ROC", curves, labels), "false positive rate", "true positive rate", grid="")


def precision_recall_curves(
    true: Numbers, probabilities: Numbers, labels: Sequence[str], *, ax: Axes | None = None
) -> Axes:
    """Draws precision over recall.

    Curves, results and errors are those of :func:`roc_curves`.

    Args:
        true: As in :func:`roc_curves`, like all arguments: [N] or [N, K].
        probabilities: [N, K].
        labels: The K labels.
        ax: Where to draw; None for a new figure.
    """
    from sklearn.metrics import average_precision_score, precision_recall_curve

    def curve(occurs: Numbers, scores: Numbers) -> _Curve:
        precision, recall, _ = precision_recall_curve(occurs, scores)
        return _Curve(recall[::-1], precision[::-1], float(average_precision_score(occurs, scores)))

    curves = _curves(true, probabilities, labels, curve)
    ax = axes_or_new(ax, **_SQUARE)
    _draw(ax, curves, "average precision", inside=False)
    ax.set(xlim=(0, 1.01), ylim=(0, 1.03))
    return dress(ax, _title("Precision and recall", curves, labels), "recall", "precision", grid="both")


def _curves(
    true: Numbers, probabilities: Numbers, labels: Sequence[str], curve: Callable[[Numbers, Numbers], _Curve]
) -> dict[str, _Curve]:
    """The curve of each label that occurs in some examples and not in others."""
    true, probabilities = np.asarray(true), np.asarray(probabilities)
    count = len(labels)
    if probabilities.shape != (len(true), count) or true.shape not in ((len(true),), probabilities.shape):
        raise ShapeError(
            f"There are true labels {true.shape}, probabilities {probabilities.shape} and {count} labels; expected "
            "[N] or [N, K], [N, K] and K."
        )
    several = true.ndim == 2
    occurs = true.astype(bool) if several else true[:, None] == np.arange(count)
    chosen = range(1, 2) if count == 2 and not several else range(count)
    known = [k for k in chosen if occurs[:, k].any() and not occurs[:, k].all()]
    if not known:
        raise DataError("All examples have the same label; expected at least two labels to draw a curve.")
    return {labels[k]: curve(occurs[:, k], probabilities[:, k]) for k in known}


def _draw(ax: Axes, curves: dict[str, _Curve], measure: str, *, inside: bool) -> None:
    place: dict[str, Any] = {"loc": "lower right"} if inside else {"loc": "upper left", "bbox_to_anchor": (0, -0.15)}
    if len(curves) == 1:
        ((name, curve),) = curves.items()
        ax.plot(curve.x, curve.y, color=BLUE, linewidth=2.0, label=f"{name}: {measure} {curve.area:.3f}")
        legend(ax, **place)
        return
    worst = min(curves, key=lambda name: curves[name].area)
    for name, curve in curves.items():
        if name != worst:
            ax.plot(curve.x, curve.y, color=MUTED, linewidth=0.7, alpha=0.55)
    mean = np.mean([np.interp(_GRID, curve.x, curve.y) for curve in curves.values()], 0)
    area = float(np.mean([curve.area for curve in curves.values()]))
    ax.plot(_GRID, mean, color=BLUE, linewidth=2.2, label=f"mean of {len(curves)} labels: {measure} {area:.3f}")
    label = f"worst, {worst}: {measure} {curves[worst].area:.3f}"
    ax.plot(curves[worst].x, curves[worst].y, color=VERMILION, linewidth=1.4, linestyle="--", label=label)
    ax.plot([], [], color=MUTED, linewidth=0.7, label="each other label")
    legend(ax, **place)


def _title(name: str, curves: dict[str, _Curve], labels: Sequence[str]) -> str:
    if len(curves) > 1:
        return f"{name}, each label against the rest"
    (one,) = curves
    return f"{name} of {one} against {labels[0]}" if len(labels) == 2 else f"{name} of {one} against the rest"
