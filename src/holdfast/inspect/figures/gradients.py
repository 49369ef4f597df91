"""How far back gradients reach."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.errors import DataError
from holdfast.inspect.figures.canvas import COLORS, STYLES, as_array, axes_or_new, dress, label_ends, logarithmic

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEAST = 1e-12
"""A norm below this share of the largest one is not drawn: it is rounding, or an exact zero."""


def gradient_through_time(
    norms: Mapping[str, Any], *, memory: Mapping[str, int] | None = None, title: str = "", ax: Axes | None = None
) -> Axes:
    """Draws the norm of the gradient at each number of steps back from the loss.

    Args:
        norms: The norm at each lag, [T], with the lag 0 first, by the name of the curve: ``hidden`` and ``cell`` of
            :func:`holdfast.inspect.gradient_through_time`, or one curve per model.
        memory: The effective memory length of some curves, in steps: a dot there.
        title: Above the Axes.
        ax: Where to draw; None for a new figure.

    Returns:
        The Axes.

    Raises:
        DataError: All norms are 0.

    Example:
        >>> ax = gradient_through_time({"RNN": [1.0, 0.5, 0.25], "LSTM": [1.0, 0.9, 0.8]})
    """
    curves = {name: as_array(values).astype(float) for name, values in norms.items()}
    most = max((float(np.nanmax(values)) for values in curves.values() if len(values)), default=0.0)
    if not most > 0:
        raise DataError(
            "All gradients are 0, so there is nothing to draw. Choose an output that depends on the inputs."
        )
    ax, ends = axes_or_new(ax, height=3.2), []
    longest = max(map(len, curves.values()))
    for number, (name, values) in enumerate(curves.items()):
        color, style = COLORS[number % len(COLORS)], STYLES[number % len(STYLES)]
        visible = np.where(values >= _LEAST * most, values, np.nan)
        ax.plot(np.arange(len(values)), visible, color=color, linestyle=style, linewidth=1.9, label=name)
        known = np.flatnonzero(~np.isnan(visible))
        label = name
        if memory is not None and name in memory:
            lag = min(memory[name], len(values) - 1)
            ax.plot([lag], [visible[lag]], "o", color=color, markersize=5.5)
            label = f"{name}\n90 % within {memory[name]}"
        if len(known):
            ends.append((float(visible[known[-1]]), label, color))
    ax.margins(y=0.06)
    logarithmic(ax)
    ax.set_xlim(0, max(longest - 1, 1))
    dress(ax, title or "Gradient through time", "steps back from the loss", "norm of the gradient")
    label_ends(ax, ends, least_gap=0.15 if memory else 0.075)
    return ax
