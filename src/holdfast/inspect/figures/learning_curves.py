"""Curves of training: a metric, the learning rate, and the norms of the gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from holdfast.errors import OptionError, did_you_mean
from holdfast.inspect.figures.canvas import (
    BLUE,
    COLORS,
    MUTED,
    STYLES,
    axes_or_new,
    dress,
    label_ends,
    legend,
    logarithmic,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Rows = Sequence[Mapping[str, Any]]
_WIDE = 30
"""From this ratio of the largest to the smallest norm on, their axis is logarithmic."""


def learning_curves(histories: Rows | Mapping[str, Rows], metric: str = "loss", *, ax: Axes | None = None) -> Axes:
    """Draws a metric over the updates: thin on the training batches, thick on the validation sequences.

    The best epoch, whose weights were kept, has a dot.

    Args:
        histories: The rows of a history (:mod:`holdfast.training.history`), or those of several runs by name.
        metric: ``"loss"`` or another metric in the rows.
        ax: Where to draw; None for a new figure.

    Returns:
        The Axes; ``ax.figure`` is the figure.

    Raises:
        OptionError: A history has no such metric, or no rows.

    Example:
        >>> import numpy as np
        >>> from holdfast import SequenceClassifier
        >>> X = np.random.default_rng(0).normal(size=(20, 5, 2))
        >>> ax = learning_curves(SequenceClassifier(epochs=2).fit(X, X[:, 0, 0] > 0).history_)
        >>> ax.figure.savefig("loss.png")
    """
    named = histories if isinstance(histories, Mapping) else {"": histories}
    ax, kept, ends = axes_or_new(ax), False, []
    for number, (name, rows) in enumerate(named.items()):
        rows = [row for row in rows if row["event"] == "epoch"]
        known = dict.fromkeys(key for row in rows for key in row["train"])
        if metric not in known:
            whose = f"history of {name}" if name else "history"
            raise OptionError(f"The {whose} has no metric {metric!r}: {did_you_mean(metric, known)}")
        color, style = COLORS[number % len(COLORS)], STYLES[number % len(STYLES)]
        alone = not any("validation" in row for row in rows)
        thin, width = (MUTED if len(named) == 1 and not alone else color), 1.6 if alone else 0.9
        training = f"{name} training".strip()
        ends.append(
            (
                _curve(ax, rows, "train", metric, training, color=thin, linestyle=style, linewidth=width),
                "training",
                thin,
            )
        )
        if not alone:
            label = f"{name} validation".strip()
            last = _curve(ax, rows, "validation", metric, label, color=color, linestyle=style, linewidth=2.0)
            ends.append((last, "validation", color))
            best = [row for row in rows if row.get("best")][-1:]
            ax.plot([row["step"] for row in best], [row["validation"][metric] for row in best], "o", color=color)
            kept = kept or bool(best)
    title = f"{metric.replace('_', ' ').capitalize()} over training"
    dress(ax, f"{title} (dot: the epoch that was kept)" if kept else title, "updates", metric.replace("_", " "))
    ax.margins(x=0.02)
    if len(named) > 1:
        legend(ax)
    else:
        label_ends(ax, ends)
    return ax


def _curve(ax: Axes, rows: Rows, part: str, metric: str, label: str, **style: Any) -> float:
    """One line; a value that is not finite (null in the file) is a gap. Returns its last value."""
    points = [(row["step"], row[part].get(metric)) for row in rows if part in row]
    values = [float("nan") if value is None else float(value) for _, value in points]
    ax.plot([step for step, _ in points], values, label=label, marker="." if len(points) == 1 else None, **style)
    return values[-1]


def learning_rate(rows: Rows, *, ax: Axes | None = None) -> Axes:
    """Draws the learning rate over the updates.

    Args:
        rows: The rows of a history; those of ``train.log_every``, if there are any, are closer to one another.
        ax: Where to draw; None for a new figure.

    Returns:
        The Axes.

    Raises:
        OptionError: The history has no rows.
    """
    steps, rates = _over_updates(rows, "learning_rate")
    ax = axes_or_new(ax, height=2.4)
    ax.plot(steps, rates, color=BLUE, linewidth=1.6, marker="." if len(steps) < 3 else None)
    ax.set_ylim(bottom=0)
    ax.margins(x=0.02)
    ax.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3), useMathText=True)
    ax.yaxis.get_offset_text().set_fontsize(8.5)
    return dress(ax, "Learning rate", "updates", "learning rate")


def gradient_norm(rows: Rows, *, ax: Axes | None = None) -> Axes:
    """Draws the norms of the gradients over the updates, before they were clipped, and how often they were clipped.

    Args:
        rows: The rows of a history, as for :func:`learning_rate`.
        ax: Where to draw; None for a new figure.

    Returns:
        The Axes.

    Raises:
        OptionError: The history has no rows with norms, as without ``train.clip_norm``.
    """
    steps, norms = _over_updates(rows, "gradient_norm")
    _, largest = _over_updates(rows, "largest_gradient_norm")
    _, clipped = _over_updates(rows, "clipped")
    ax = axes_or_new(ax, height=2.4)
    marker = "." if len(steps) < 3 else None
    ax.plot(steps, largest, color=MUTED, linewidth=0.9, linestyle="--", marker=marker)
    ax.plot(steps, norms, color=BLUE, linewidth=1.8, marker=marker)
    if min(norms) > 0 and max(largest) > _WIDE * min(norms):
        logarithmic(ax)
    else:
        ax.set_ylim(bottom=0)
    ax.margins(x=0.02)
    share = sum(clipped) / len(clipped)
    dress(ax, f"Norm of the gradients; {share:.0%} of the updates were clipped", "updates", "norm before clipping")
    label_ends(ax, [(largest[-1], "largest", MUTED), (norms[-1], "mean", BLUE)], least_gap=0.11)
    return ax


def _over_updates(rows: Rows, key: str) -> tuple[list[int], list[float]]:
    """The updates and the values of a key of the rows, of the kind of row that is written most often."""
    logged = [row for row in rows if row["event"] == "log"]
    kept = [row for row in (logged or rows) if row.get(key) is not None]
    if not kept:
        reason = "set train.clip_norm" if rows and key != "learning_rate" else "train for an epoch"
        raise OptionError(f"The history has no {key.replace('_', ' ')}: {reason} to have one.")
    return [row["step"] for row in kept], [float(row[key]) for row in kept]
