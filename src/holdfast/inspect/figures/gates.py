"""Gates and states over the steps of a sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.errors import DataError, OptionError, ShapeError
from holdfast.inspect.figures.canvas import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    PURPLE,
    SIGNED,
    STYLES,
    VERMILION,
    as_array,
    axes_or_new,
    dress,
    label_ends,
    label_steps,
    shades,
    whole_numbers,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLORS = {
    "input": BLUE,
    "forget": VERMILION,
    "output": GREEN,
    "candidate": PURPLE,
    "reset": BLUE,
    "update": VERMILION,
}
_STYLES = {"input": "-", "forget": "--", "output": "-.", "candidate": ":", "reset": "-", "update": "--"}
_PARTS = (25, 75)
"""The percentiles of the units between which the bands are."""


def gates_over_time(
    gates: Mapping[str, Any],
    *,
    unit: int | None = None,
    steps: Sequence[str] | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draws how open the gates of a layer are at every step of a sequence.

    Of all units, the lines are the medians and the bands have the middle half of the units; the candidate, which is not
    a gate, is left out. Of one unit, the lines are its own gates and candidate.

    Args:
        gates: The gates by name, [T, H] each: of one row of a :class:`holdfast.inspect.LayerRecording`.
        unit: The unit, from 0; None for all.
        steps: The token of each step, T; None to number the steps.
        title: Above the Axes; empty for one that says which units are drawn.
        ax: Where to draw; None for a new figure.

    Returns:
        The Axes.

    Raises:
        DataError: There are no gates, as for the RNN.
        OptionError: There is no such unit.

    Example:
        >>> import holdfast, torch
        >>> layer = holdfast.inspect.record(holdfast.LSTM(3, 4), torch.randn(7, 1, 3))["l0"]
        >>> ax = gates_over_time({name: gate[0] for name, gate in layer.gates.items()})
    """
    drawn = {name: as_array(values) for name, values in gates.items() if unit is not None or name != "candidate"}
    if not drawn:
        raise DataError("The layer has no gates; an RNN has none. Draw its states.")
    count, units = next(iter(drawn.values())).shape
    if unit is not None and not 0 <= unit < units:
        raise OptionError(f"There is no unit {unit}; the layer has the units 0 to {units - 1}.")
    ax, ends = axes_or_new(ax, height=3.0), []
    places = np.arange(count)
    marker = "o" if count <= 12 else None
    for number, (name, values) in enumerate(drawn.items()):
        color = _COLORS.get(name, (BLUE, VERMILION, GREEN, PURPLE)[number % 4])
        style = _STYLES.get(name, STYLES[number % len(STYLES)])
        if unit is None:
            low, line, high = np.percentile(values, (_PARTS[0], 50, _PARTS[1]), axis=1)
            ax.fill_between(places, low, high, color=color, alpha=0.13, linewidth=0)
        else:
            line = values[:, unit]
        ax.plot(places, line, color=color, linestyle=style, linewidth=1.7, marker=marker, markersize=3.5, label=name)
        ends.append((float(line[-1]), name, color))
    signed = any(float(values.min()) < 0 for values in drawn.values()) and unit is not None
    ax.set_ylim(-1.03 if signed else -0.02, 1.02)
    ax.set_xlim(0, max(count - 1, 1))
    label = label_steps(ax, steps, count)
    whose = f"unit {unit}" if unit is not None else f"{units} units: medians, and bands with the middle half"
    dress(ax, title or f"Gates over time, {whose}", label, "activation")
    label_ends(ax, ends)
    return ax


def state_heat_map(
    states: Any,
    *,
    name: str = "hidden state",
    steps: Sequence[str] | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draws the state, or a gate, of every unit at every step as an image.

    The units are in the order of their means, so that units that stay on are together. Values with signs have the same
    scale on both sides of 0; gates, which are from 0 to 1, have shades of one colour.

    Args:
        states: The values of one sequence, [T, H]: of one row of a
            :class:`holdfast.inspect.LayerRecording`.
        name: What the values are.
        steps: The token of each step, T; None to number the steps.
        title: Above the Axes; empty for one with the name.
        ax: Where to draw; None for a new figure.

    Returns:
        The Axes; its figure has a second one with the scale of the colours.

    Raises:
        ShapeError: The states are not [T, H].
        DataError: They have no steps.
    """
    states = as_array(states)
    if states.ndim != 2:
        raise ShapeError(f"state_heat_map got states {states.shape}; expected [T, H], those of one sequence.")
    if not states.size:
        raise DataError("The sequence has no steps to draw; expected at least one.")
    count, units = states.shape
    ax = axes_or_new(ax, height=3.2)
    ordered = states[:, np.argsort(-states.mean(0), kind="stable")].T
    signed = float(states.min()) < 0
    most = float(np.abs(states).max()) or 1.0
    if signed:
        look: dict[str, Any] = {"cmap": SIGNED, "vmin": -most, "vmax": most}
    else:
        look = {"cmap": shades(), "vmin": 0, "vmax": max(1.0, most) if most <= 1 else most}
    image = ax.imshow(ordered, aspect="auto", interpolation="none", extent=(-0.5, count - 0.5, units, 0), **look)
    label = label_steps(ax, steps, count)
    dress(ax, title or f"{name[0].upper()}{name[1:]} over time", label, "units, by their mean", grid="")
    whole_numbers(ax.yaxis)
    scale = ax.figure.colorbar(image, ax=ax, pad=0.015, aspect=24)
    scale.outline.set_visible(False)
    scale.ax.tick_params(width=0.6, length=3, color=MUTED, labelcolor=INK, labelsize=8.5)
    scale.set_label(name, fontsize=9.5, color=INK)
    return ax
