"""Which tokens of a source a decoder attends to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.errors import ShapeError
from holdfast.inspect.figures.canvas import as_array, axes_or_new, bare, cells, dress, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def attention_map(
    weights: Any, sources: Sequence[str], targets: Sequence[str], *, title: str = "", ax: Axes | None = None
) -> Axes:
    """Draws the weights of an attention as a grid: one row per target token, one column per source token.

    Args:
        weights: [T, S], each row with the sum 1, as :class:`holdfast.layers.attention.Attention` gives them.
        sources: The S tokens of the source.
        targets: The T tokens of the target.
        title: Above the Axes.
        ax: Where to draw; None for a new figure.

    Returns:
        The Axes.

    Raises:
        ShapeError: The weights are not [T, S].
    """
    weights = as_array(weights)
    rows, columns = len(targets), len(sources)
    if weights.shape != (rows, columns):
        raise ShapeError(
            f"There are weights {weights.shape}, {rows} target tokens and {columns} source tokens; expected "
            f"({rows}, {columns})."
        )
    longest = max((len(shown(token)) for token in targets), default=1)
    across = max((len(shown(token)) for token in sources), default=1)
    width = min(6.4, max(3.0, 0.30 * columns + 0.08 * longest + 0.8))
    side = (width - 0.08 * longest - 0.8) / max(columns, 1)
    ax = axes_or_new(ax, width=width, height=min(8.0, side * rows + 0.08 * across + 1.0))
    cells(ax, weights, most=max(1e-9, float(weights.max(initial=0.0))))
    ax.set_xticks(np.arange(columns) + 0.5, [shown(token) for token in sources], parse_math=False)
    ax.set_yticks(np.arange(rows) + 0.5, [shown(token) for token in targets], parse_math=False)
    bare(dress(ax, title or "Attention", "", "", grid=""))
    ax.xaxis.tick_top()
    if across > 1:
        ax.tick_params(axis="x", labelrotation=90)
    size = 9.5 if max(rows, columns) <= 24 else 7.0
    ax.tick_params(labelsize=size, length=0)
    ax.set_aspect("equal")
    return ax
