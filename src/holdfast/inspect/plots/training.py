"""Figures of how a run learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.inspect.figures.canvas import new_figure
from holdfast.inspect.figures.learning_curves import gradient_norm, learning_curves, learning_rate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from holdfast.inspect.plots.subject import Subject


def curves(subject: Subject) -> Figure:
    """The loss over training, and the task's score if that is another metric."""
    rows = subject.rows or []
    score = subject.task.score
    measured = any(score in row["train"] for row in rows)
    names = ["loss", score] if score != "loss" and measured else ["loss"]
    figure = new_figure(height=2.9 * len(names))
    for name, axes in zip(names, figure.subplots(len(names), squeeze=False)[:, 0], strict=True):
        learning_curves(rows, name, ax=axes)
    return figure


def rates(subject: Subject) -> Figure:
    """The learning rate over training, and the norms of the gradients where the history has them."""
    rows = subject.rows or []
    drawn = [learning_rate]
    if any(row.get("gradient_norm") is not None for row in rows):
        drawn.append(gradient_norm)
    figure = new_figure(height=2.6 * len(drawn))
    for draw, axes in zip(drawn, figure.subplots(len(drawn), squeeze=False)[:, 0], strict=True):
        draw(rows, ax=axes)
    return figure
