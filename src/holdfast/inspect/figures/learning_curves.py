"""Curves of a metric over training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from holdfast.errors import OptionError, did_you_mean
from holdfast.inspect.figures.canvas import STYLES, axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Rows = Sequence[Mapping[str, Any]]


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
        MissingLibraryError: matplotlib is not installed.

    Example:
        >>> ax = learning_curves(estimator.history_)
        >>> ax.figure.savefig("loss.png")
    """
    named = histories if isinstance(histories, Mapping) else {"": histories}
    ax, kept = axes_or_new(ax), False
    for number, (name, rows) in enumerate(named.items()):
        rows = [row for row in rows if row["event"] == "epoch"]
        known = dict.fromkeys(key for row in rows for key in row["train"])
        if metric not in known:
            whose = f"history of {name}" if name else "history"
            raise OptionError(f"The {whose} has no metric {metric!r}: {did_you_mean(metric, known)}")
        color, style = f"C{number % 10}", STYLES[number % len(STYLES)]
        _curve(ax, rows, "train", metric, f"{name} training".strip(), color=color, linestyle=style, linewidth=0.8)
        if any("validation" in row for row in rows):
            label = f"{name} validation".strip()
            _curve(ax, rows, "validation", metric, label, color=color, linestyle=style, linewidth=2.0)
            best = [row for row in rows if row.get("best")][-1:]
            ax.plot([row["step"] for row in best], [row["validation"][metric] for row in best], "o", color=color)
            kept = kept or bool(best)
    ax.set_xlabel("updates")
    ax.set_ylabel(metric.replace("_", " "))
    title = f"{metric.replace('_', ' ').capitalize()} over training"
    ax.set_title(f"{title} (dot: the epoch that was kept)" if kept else title)
    ax.grid(alpha=0.3)
    ax.legend()
    return ax


def _curve(ax: Axes, rows: Rows, part: str, metric: str, label: str, **style: Any) -> None:
    """One line; a value that is not finite (null in the file) is a gap."""
    points = [(row["step"], row[part].get(metric)) for row in rows if part in row]
    values = [float("nan") if value is None else value for _, value in points]
    ax.plot([step for step, _ in points], values, label=label, marker="." if len(points) == 1 else None, **style)
