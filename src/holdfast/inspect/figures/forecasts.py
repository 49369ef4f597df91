"""Forecasts with their bands, and how the error grows with the horizon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.errors import DataError
from holdfast.inspect.figures.canvas import (
    BLUE,
    INK,
    MUTED,
    PAPER,
    STYLES,
    VERMILION,
    Numbers,
    axes_or_new,
    dress,
    label_dates,
    label_ends,
    legend,
    whole_numbers,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NAIVE = (MUTED, VERMILION)


def forecast(
    history: Numbers,
    values: Sequence[float] | Numbers,
    *,
    before: Any = None,
    times: Any = None,
    quantiles: Mapping[float, Sequence[float] | Numbers] | None = None,
    truth: Numbers | None = None,
    title: str = "",
    name: str = "value",
    time: str = "row",
    ax: Axes | None = None,
) -> Axes:
    """Draws the last values of a series and the forecast after them.

    Args:
        history: The values until the forecast, [T], NaN for a missing one.
        values: The forecast, [H].
        before: The times of the history, [T], numbers or dates; None to number the rows, with 0 as the first forecast.
        times: The times of the forecast, [H]; None as before.
        quantiles: Further forecasts [H] by quantile; a pair such as 0.1 and 0.9 is a band.
        truth: The true values at the times of the forecast, [H]; None if they are not known.
        title: Above the Axes.
        name: What is forecast, with its unit.
        time: What the times are.
        ax: Where to draw; None for a new figure.

    Returns:
        The Axes.

    Raises:
        DataError: The forecast has no rows.
    """
    if not len(values):
        raise DataError("The forecast has no rows to draw; expected at least one.")
    ax = axes_or_new(ax, height=3.2)
    before = np.arange(-len(history), 0) if before is None else before
    times = np.arange(len(values)) if times is None else times
    bands = dict(quantiles or {})
    levels = sorted(bands)
    pairs = [(low, high) for low, high in zip(levels, reversed(levels), strict=True) if low < high]
    for place, (low, high) in enumerate(pairs):
        shade = 0.14 + 0.16 * place / len(pairs)
        label = f"quantiles {low:g} to {high:g}"
        ax.fill_between(times, bands[low], bands[high], color=BLUE, alpha=shade, linewidth=0, label=label)
    ax.plot(before, history, color=INK, linewidth=1.1, label="history")
    if truth is not None:
        ax.plot(times, truth, "o-", color=INK, linewidth=0.8, markersize=3.2, mfc=PAPER, mew=0.8, label="truth")
    marker_of_one = "." if len(times) == 1 else ""
    ax.plot(times, values, "--", marker=marker_of_one, color=BLUE, linewidth=1.9, label="forecast")
    if len(np.asarray(before)):
        ax.axvline(before[-1], color=MUTED, linewidth=0.6, linestyle=":")
    label_dates(ax, times)
    ax.margins(x=0.01)
    dress(ax, title, time, name)
    legend(ax, loc="lower right", bbox_to_anchor=(1.01, 1.0), ncols=5, borderaxespad=0.2, columnspacing=1.2)
    return ax


def error_by_horizon(
    errors: Mapping[str, Numbers], *, name: str = "mean absolute error", ax: Axes | None = None
) -> Axes:
    """Draws errors over the number of rows ahead: of the model, and of forecasts without a model.

    Args:
        errors: The error of each row of the horizon, [H], by the name of what forecast it; the model first.
        name: What the error is, with its unit.
        ax: Where to draw; None for a new figure.

    Returns:
        The Axes.

    Raises:
        DataError: There are no errors.
    """
    if not errors:
        raise DataError("There are no errors to draw; expected those of at least one forecast.")
    ax = axes_or_new(ax, height=3.2)
    ends = []
    for number, (who, values) in enumerate(errors.items()):
        values = np.asarray(values, dtype=float)
        color = BLUE if not number else _NAIVE[(number - 1) % len(_NAIVE)]
        marker = "." if len(values) == 1 else None
        style, width = STYLES[number % len(STYLES)], 1.3 if number else 2.2
        rows = np.arange(1, len(values) + 1)
        ax.plot(rows, values, color=color, linestyle=style, linewidth=width, marker=marker, label=who)
        ends.append((float(values[-1]), who, color))
    ax.set_ylim(bottom=0)
    ax.margins(x=0.02)
    whole_numbers(ax.xaxis)
    dress(ax, f"{name[0].upper()}{name[1:]} by rows ahead", "rows ahead", name)
    label_ends(ax, ends)
    return ax
