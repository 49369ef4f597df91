"""The figure of :class:`holdfast.inspect.Live`: curves at the left, the task's own picture at the right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from holdfast.inspect.figures.canvas import INK, MUTED, dress
from holdfast.inspect.figures.learning_curves import learning_curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from holdfast.inspect.watching.watched import View
    from holdfast.training.state import Training

WIDTH, HEIGHT = 11.0, 4.8
"""Inches."""
_MOST_POINTS = 2000


class Curve:
    """The training loss between the drawings, which shows an epoch before it ends.

    Attributes:
        steps: The number of updates at each point.
        losses: The mean loss of the updates since the point before, or since the epoch began.
    """

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.losses: list[float] = []
        self._epoch, self._sum, self._sequences = 0, 0.0, 0

    def add(self, training: Training) -> None:
        """Adds a point, if there were updates since the last one."""
        training.read_losses()
        running = training.this_epoch
        if not running.sequences:
            return
        total = running.loss_sum
        if training.epoch != self._epoch:
            self._epoch, self._sum, self._sequences = training.epoch, 0.0, 0
        if running.sequences > self._sequences:
            self.steps.append(training.step)
            self.losses.append((total - self._sum) / (running.sequences - self._sequences))
        self._sum, self._sequences = total, running.sequences
        if len(self.steps) > _MOST_POINTS:  # keep every second point
            self.steps, self.losses = self.steps[::2], self.losses[::2]


def draw(figure: Figure, title: str, rows: Sequence[Mapping[str, Any]], curve: Curve, score: str, view: View) -> None:
    """Draws everything again.

    Args:
        figure: Cleared first.
        title: Above everything.
        rows: The rows of the history: its epochs.
        curve: The loss between the drawings.
        score: The metric that decides which epoch is best; it is drawn if it is another one than the loss.
        view: The task's own pictures.
    """
    figure.clear()
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)
    names = ["loss"]
    if score != "loss" and any(score in row["train"] for row in rows):
        names.append(score)
    parts = figure.subfigures(1, 2 if view.panels else 1, squeeze=False, wspace=0.04)[0]
    if view.panels:
        heights = [panel.height for panel in view.panels]
        places = parts[1].subplots(len(view.panels), squeeze=False, gridspec_kw={"height_ratios": heights})
        for panel, ax in zip(view.panels, places[:, 0], strict=True):
            panel.draw(ax)
    for name, ax in zip(names, parts[0].subplots(len(names), squeeze=False)[:, 0], strict=True):
        _curves(ax, rows, curve, name)


def _curves(ax: Axes, rows: Sequence[Mapping[str, Any]], curve: Curve, name: str) -> None:
    """A metric over training; before the first epoch ends, and for the loss, also between the drawings."""
    if name == "loss" and len(curve.steps) > 2 * len(rows):  # else the epochs show more
        marker = "." if len(curve.steps) == 1 else None
        ax.plot(
            curve.steps, curve.losses, color=MUTED, alpha=0.5 if rows else 1, linewidth=1.2, marker=marker, zorder=0
        )
    if rows:
        learning_curves(rows, name, ax=ax)
    else:
        dress(ax, "Training loss", "updates", name)
