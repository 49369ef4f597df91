"""The confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from holdfast.errors import ShapeError
from holdfast.inspect.figures.canvas import INK, PAPER, Numbers, axes_or_new, bare, cells, dress

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_NUMBERS, _MOST_NAMES = 26, 60
"""Labels up to which each cell has its count, and up to which each row has its name."""


def confusion_matrix(counts: Numbers, labels: Sequence[str], *, ax: Axes | None = None) -> Axes:
    """Draws how often each label was predicted for each true label; the shade is the share of the row.

    Args:
        counts: [K, K], one row per true label, one column per predicted label, as
            ``sklearn.metrics.confusion_matrix`` and ``holdfast evaluate --json`` give them.
        labels: The K labels.
        ax: Where to draw; None for a new figure.

    Returns:
        The Axes.

    Raises:
        ShapeError: The counts are not [K, K].

    Example:
        >>> from sklearn import metrics
        >>> ax = confusion_matrix(metrics.confusion_matrix([0, 1, 1], [0, 1, 0]), ["no", "yes"])
    """
    counts = np.asarray(counts)
    size = len(labels)
    if counts.shape != (size, size):
        raise ShapeError(f"confusion_matrix got counts {counts.shape} and {size} labels; expected ({size}, {size}).")
    longest = max(map(len, labels), default=1)
    side = min(6.2, max(2.6, 0.34 * size)) + 0.07 * longest
    ax = axes_or_new(ax, height=min(7.5, side + 0.8), width=min(6.4, max(3.6, side + 0.8)))
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    cells(ax, shares)
    if size <= _MOST_NUMBERS:
        _write_counts(ax, counts, shares)
    every = -(-size // _MOST_NAMES)
    places = np.arange(0, size, every)
    names = [labels[place] for place in places.tolist()]
    ax.set_xticks(places + 0.5, names, parse_math=False)
    ax.set_yticks(places + 0.5, names, parse_math=False)
    right = np.trace(counts) / max(1, counts.sum())
    dress(ax, f"{right:.1%} of {int(counts.sum()):,} are right", "predicted label", "true label", grid="")
    small = 8.5 if size <= 20 else max(4.0, 8.5 * 20 / min(size, _MOST_NAMES))
    ax.tick_params(labelsize=small)
    if longest * size > 60 or longest > 6:
        ax.tick_params(axis="x", labelrotation=90)
    bare(ax)
    ax.set_aspect("equal")
    return ax


def _write_counts(ax: Axes, counts: Numbers, shares: Numbers) -> None:
    """The count in each cell that is not empty."""
    size = len(counts)
    digits = len(str(int(counts.max(initial=1))))
    cell = 24.0 if size <= 15 else 380 / size  # points, about
    font = min(9.0, cell / (0.7 * max(2, digits)))
    for row in range(size):
        for column in range(size):
            if counts[row, column]:
                color = PAPER if shares[row, column] > 0.55 else INK
                text = f"{int(counts[row, column])}"
                ax.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=font, color=color)
