"""Predicted numbers next to the true ones: as points, or over the steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from holdfast.errors import DataError, ShapeError
from holdfast.inspect.figures.canvas import BLUE, INK, MUTED, Numbers, axes_or_new, dress, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Interval = tuple[Numbers, Numbers, str]
"""The lower ends, the upper ends, and a name such as ``"quantiles 0.1 to 0.9"``."""
_MANY = 300
"""From this number of points on, they are small and transparent."""


def predicted_against_true(
    true: Numbers | None,
    predicted: Numbers,
    *,
    name: str = "value",
    interval: Interval | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws predictions over the true values, with the line on which both are equal.

    Args:
        true: The true values, [N], NaN for a missing one; None where they are not known: then the predictions are drawn
            in their order.
        predicted: The predictions, [N].
        name: What is predicted, with its unit.
        interval: A vertical line for each prediction: lower and upper ends [N] each, and what they are.
        ax: Where to draw; None for a new figure.

    Returns:
        The Axes.

    Raises:
        DataError: There are no predictions.
        ShapeError: The numbers of true and predicted values differ.
    """
    predicted = np.asarray(predicted, dtype=float)
    x = np.arange(len(predicted), dtype=float) if true is None else np.asarray(true, dtype=float)
    if not len(predicted):
        raise DataError("There are no predictions to draw; expected at least one.")
    if x.shape != predicted.shape:
        raise ShapeError(f"There are true values {x.shape} and predictions {predicted.shape}; expected [N] of both.")
    ax = axes_or_new(ax, height=4.2, width=4.8) if true is not None else axes_or_new(ax)
    if interval is not None:
        low, high, label = interval
        ax.vlines(x, low, high, color=MUTED, alpha=0.35, linewidth=0.9, zorder=1, label=label)
    many = len(predicted) > _MANY
    size, opacity = (9, 0.45) if many else (18, 0.85)
    ax.scatter(x, predicted, color=BLUE, s=size, alpha=opacity, linewidths=0, zorder=3, label="sequences")
    if true is None:
        return dress(ax, f"Predicted {name}", "sequence", f"predicted {name}")
    both = np.concatenate([x, predicted])
    ends = [float(np.nanmin(both)), float(np.nanmax(both))]
    ax.plot(ends, ends, color=INK, linestyle="--", linewidth=0.9, zorder=2, label="predicted = true")
    known = ~np.isnan(x)
    errors = predicted[known] - x[known]
    title = f"{known.sum():,} predictions"
    if known.any():
        title += f"; root mean squared error {np.sqrt(np.mean(errors**2)):.3g}"
    ax.set_aspect("equal", adjustable="datalim")
    legend(ax, loc="upper left")
    return dress(ax, title, f"true {name}", f"predicted {name}", grid="both")


def predicted_over_steps(
    true: Numbers | None,
    predicted: Numbers,
    *,
    name: str = "value",
    title: str = "",
    interval: Interval | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws predicted and true values over the steps of a sequence.

    Args:
        true: The true values, [T], NaN for a step without one; None where they are not known.
        predicted: The predictions, [T].
        name: What is predicted, with its unit.
        title: Above the Axes.
        interval: A band around the predictions: lower and upper ends [T] each, and what they are.
        ax: Where to draw; None for a new figure.

    Returns:
        The Axes.

    Raises:
        DataError: There are no steps.
    """
    predicted = np.asarray(predicted, dtype=float)
    if not len(predicted):
        raise DataError("There are no steps to draw; expected at least one.")
    ax = axes_or_new(ax, height=2.8)
    steps = np.arange(len(predicted))
    if interval is not None:
        low, high, label = interval
        ax.fill_between(steps, low, high, color=BLUE, alpha=0.16, linewidth=0, label=label)
    if true is not None:
        true = np.asarray(true, dtype=float)
        gaps = bool(np.isnan(true).any())
        ax.plot(steps, true, color=INK, linewidth=1.1, marker="." if gaps else "", markersize=4, label="true")
    ax.plot(steps, predicted, color=BLUE, linestyle="--", linewidth=1.7, label="predicted")
    ax.margins(x=0.01)
    dress(ax, title, "step", name)
    legend(ax, loc="lower right", bbox_to_anchor=(1.01, 1.0), ncols=4, borderaxespad=0.2)
    return ax
