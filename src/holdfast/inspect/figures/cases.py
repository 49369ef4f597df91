"""A single example of a task with the model's answer: curves, or an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from holdfast.inspect.figures.canvas import BLUE, COLORS, INK, MUTED, STYLES, axes_or_new, dress, label_dates, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Curves(Protocol):
    """The curves of an example, as :class:`holdfast.tasks.presentation.Curves` has them."""

    @property
    def lines(self) -> Sequence[Any]:
        """Each with ``name``, ``x``, ``y`` and ``kind``."""

    @property
    def axes(self) -> tuple[str, str]:
        """What goes to the right, and what goes up."""

    @property
    def band(self) -> tuple[Any, Any, Any] | None:
        """Steps, lower and upper ends."""


_MANY = 60
"""With more values than this, the truth has no markers."""


def curves(shown: Curves, *, title: str = "", ax: Axes | None = None) -> Axes:
    """Draws an example that is a series: what the model read in thin lines, the truth, and its answer.

    Args:
        shown: The example.
        title: Above the curves.
        ax: Where to draw; None for a new figure.

    Returns:
        The Axes.
    """
    ax = axes_or_new(ax, height=2.4)
    if shown.band is not None:
        x, low, high = shown.band
        ax.fill_between(x, low, high, color=BLUE, alpha=0.2, linewidth=0, label="expected range")
    inputs = [line for line in shown.lines if line.kind == "input"]
    for line in shown.lines:
        ax.plot(line.x, line.y, label=line.name, **_style(line, inputs))
    label_dates(ax, shown.lines[0].x)
    dress(ax, title, *shown.axes)
    ax.margins(x=0.01)
    if len(shown.lines) > 1:
        legend(ax, ncols=min(3, len(shown.lines) + 1), loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
    return ax


def _style(line: Any, inputs: list[Any]) -> dict[str, Any]:
    """Markers and dashes differ as well as colours, for print in grey."""
    alone = {"marker": "."} if len(line.x) == 1 else {}
    if line.kind == "truth":
        few = {"marker": "o", "markersize": 3.5, "markerfacecolor": "none", "markeredgewidth": 0.8}
        return {"color": INK, "linewidth": 0.9, **(few if len(line.x) <= _MANY else alone)}
    if line.kind == "answer":
        return {"color": BLUE, "linewidth": 1.8, "linestyle": "--", **alone}
    if len(inputs) == 1:
        return {"color": MUTED, "linewidth": 0.9, **alone}
    number = next(k for k, other in enumerate(inputs) if other is line)
    return {"color": COLORS[number % len(COLORS)], "linestyle": STYLES[number % len(STYLES)], "linewidth": 0.9, **alone}
