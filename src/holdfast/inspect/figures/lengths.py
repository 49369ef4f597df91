"""How quality changes with the length of the sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.errors import DataError, ShapeError
from holdfast.inspect.figures.canvas import BLUE, MUTED, as_array, axes_or_new, dress

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GROUPS = 8


def accuracy_by_length(
    lengths: Any, scores: Any, *, name: str = "accuracy", unit: str = "steps", ax: Axes | None = None
) -> Axes:
    """Draws the mean score of sequences in groups of similar length, with its 95 % interval.

    The interval is 1.96 standard errors of the mean to each side. The groups have about the same number of sequences,
    which is written below.

    Args:
        lengths: The length of each sequence, [N].
        scores: How good each answer is, [N], such as 1 for a right one and 0 for a wrong one.
        name: What the scores are.
        unit: What the lengths count.
        ax: Where to draw; None for a new figure.

    Returns:
        The Axes.

    Raises:
        DataError: There are no sequences.
        ShapeError: The numbers of lengths and scores differ.
    """
    lengths, scores = as_array(lengths), as_array(scores).astype(float)
    if not len(lengths):
        raise DataError("There are no sequences to draw; expected at least one.")
    if lengths.shape != scores.shape:
        raise ShapeError(f"There are lengths {lengths.shape} and scores {scores.shape}; expected [N] of both.")
    edges = np.unique(lengths)  # the longest of each group
    if len(edges) > _GROUPS:
        edges = np.unique(np.quantile(lengths, np.linspace(0, 1, _GROUPS + 1)[1:], method="inverted_cdf"))
    group = np.searchsorted(edges, lengths, side="left")
    numbers = np.unique(group)
    members = [group == number for number in numbers]
    counts = np.array([inside.sum() for inside in members])
    means = np.array([scores[inside].mean() for inside in members])
    spread = np.array([scores[inside].std(ddof=1) if inside.sum() > 1 else 0.0 for inside in members])
    interval = 1.96 * spread / np.sqrt(counts)
    ax = axes_or_new(ax, height=3.0)
    places = np.arange(len(numbers))
    ax.errorbar(
        places,
        means,
        interval,
        color=BLUE,
        ecolor=MUTED,
        elinewidth=1.0,
        capsize=2.5,
        linewidth=1.6,
        marker="o",
        markersize=5,
    )
    ranges = [(int(lengths[inside].min()), int(lengths[inside].max())) for inside in members]
    names = [str(low) if low == high else f"{low}-{high}" for low, high in ranges]
    ax.set_xticks(places, [f"{span}\n{count:,}" for span, count in zip(names, counts, strict=True)])
    ax.set_xlim(-0.5, len(numbers) - 0.5)
    if scores.min() >= 0:
        ax.set_ylim(bottom=0)
    if scores.max() <= 1:
        ax.set_ylim(top=1.03)
    whole = f"{name[0].upper()}{name[1:]}" if name.partition(" ")[0].islower() else name
    mean = f"{scores.mean():.3f}" if scores.max() <= 1 else f"{scores.mean():.1f}"
    return dress(ax, f"{whole} by length; mean {mean}", f"{unit}, and the number of sequences below", name)
