"""A picture of series and their forecasts."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.data.series import Series
from holdfast.errors import HoldfastWarning, MissingLibraryError, OptionError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST = 12
"""Panels in a picture."""


@dataclass(frozen=True, eq=False)
class Drawing:
    """One panel.

    Attributes:
        title: Above it.
        labels: What is along the axes: times, values.
        before: The times of the history.
        history: The values until the forecast; NaN for a missing one.
        times: The times of the forecast.
        forecast: The forecast, one number per time.
        quantiles: Further numbers per time, by quantile.
        truth: The values at the times of the forecast; None if they are not known.
    """

    title: str
    labels: tuple[str, str]
    before: Any
    history: Any
    times: Any
    forecast: Sequence[float]
    quantiles: Mapping[float, Sequence[float]]
    truth: Any = None


def drawings(series: Sequence[Series], answers: Sequence[Mapping[str, Any]], rows: int) -> list[Drawing]:
    """One panel per target of each series: its last rows and the forecast after them.

    Args:
        series: The series.
        answers: The forecast of each series: ``times``, ``values`` and, if any, ``quantiles``.
        rows: The number of rows to draw from the end of each series.
    """
    panels = []
    for each, answer in zip(series, answers, strict=True):
        past = slice(max(0, len(each) - rows), len(each))
        local = each.times_with(len(answer["times"])).local
        for column, name in enumerate(each.names):
            levels = answer.get("quantiles", {}).get(name, {})
            panels.append(
                Drawing(
                    title=f"{name} of {each.name or Path(each.origin).name}",
                    labels=(each.keys[1] or "row", name),
                    before=local[past],
                    history=each.targets[past, column],
                    times=local[len(each) :],
                    forecast=answer["values"][name],
                    quantiles={float(level): values for level, values in levels.items()},
                )
            )
    return panels


def figure(panels: Sequence[Drawing]) -> Figure:
    """A figure with one panel below the other.

    Raises:
        MissingLibraryError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingLibraryError("A forecast is drawn with matplotlib: pip install 'holdfast[plot]'.") from error

    if len(panels) > _MOST:
        warnings.warn(
            f"The picture has the first {_MOST} of {len(panels)} series. Draw fewer series to choose them.",
            HoldfastWarning,
            stacklevel=2,
        )
        panels = panels[:_MOST]
    picture = Figure(figsize=(10, 3.5 * len(panels)), layout="constrained")
    for panel, row in zip(panels, picture.subplots(len(panels), squeeze=False), strict=True):
        _draw(row[0], panel)
    return picture


def save(picture: Figure, path: Path) -> None:
    """Writes a figure; the suffix of the file determines the format.

    Raises:
        OptionError: The file cannot be written, or its suffix is not of a known format.
    """
    try:
        picture.savefig(path)
    except (OSError, ValueError) as error:
        raise OptionError(f"The picture {path} cannot be written: {error}. Choose another --plot.") from error


def _draw(axes: Axes, panel: Drawing) -> None:
    """Line styles and shades of grey differ as well as colours, for print in grey."""
    levels = sorted(panel.quantiles)
    pairs = [(low, high) for low, high in zip(levels, reversed(levels), strict=True) if low < high]
    for place, (low, high) in enumerate(pairs):
        axes.fill_between(
            panel.times,
            panel.quantiles[low],
            panel.quantiles[high],
            color=str(0.82 - 0.25 * place / len(pairs)),
            linewidth=0,
            label=f"quantiles {low:g} to {high:g}",
        )
    axes.plot(panel.before, panel.history, color="black", linewidth=1, label="history")
    if panel.truth is not None:
        axes.plot(panel.times, panel.truth, "o", color="black", markersize=3.5, mfc="white", label="truth")
    marker = "." if len(panel.times) == 1 else ""
    axes.plot(panel.times, panel.forecast, "--", marker=marker, color="tab:blue", linewidth=1.8, label="forecast")
    axes.set_title(panel.title, loc="left")
    axes.set_xlabel(panel.labels[0])
    axes.set_ylabel(panel.labels[1])
    axes.grid(color="0.9", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=5, frameon=False, fontsize="small")
