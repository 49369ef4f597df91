"""A picture of series and their forecasts."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.data.series import Numbers, Series, Windows
from holdfast.errors import HoldfastWarning

if TYPE_CHECKING:
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


def window_drawings(windows: Windows, forecasts: Numbers, quantiles: Sequence[float], rows: int) -> list[Drawing]:
    """One panel per target of each window within a series: rows before it, the forecast, and the true values.

    Args:
        windows: N windows whose rows are known.
        forecasts: In the units of the targets, [N, H, C, Q].
        quantiles: The quantiles of the forecasts, ascending, with 0.5; one number for a point forecast.
        rows: The number of rows to draw before each window.
    """
    panels = []
    middle = list(quantiles).index(0.5)
    for (number, start), values in zip(windows.starts.tolist(), forecasts, strict=True):
        each = windows.series[number]
        past, ahead = slice(max(0, start - rows), start), slice(start, start + windows.horizon)
        for column, name in enumerate(each.names):
            levels = values[:, column].T if len(quantiles) > 1 else ()
            panels.append(
                Drawing(
                    title=f"{name} of {each.name or Path(each.origin).name}",
                    labels=(each.keys[1] or "row", name),
                    before=each.times.local[past],
                    history=each.targets[past, column],
                    times=each.times.local[ahead],
                    forecast=values[:, column, middle],
                    quantiles=dict(zip(quantiles, levels, strict=False)),
                    truth=each.targets[ahead, column],
                )
            )
    return panels


def figure(panels: Sequence[Drawing]) -> Figure:
    """A figure with one panel below the other."""
    from holdfast.inspect.figures.canvas import new_figure
    from holdfast.inspect.figures.forecasts import forecast

    if len(panels) > _MOST:
        warnings.warn(
            f"The picture has the first {_MOST} of {len(panels)} series. Draw fewer series to choose them.",
            HoldfastWarning,
            stacklevel=2,
        )
        panels = panels[:_MOST]
    picture = new_figure(height=2.7 * len(panels))
    for panel, row in zip(panels, picture.subplots(len(panels), squeeze=False), strict=True):
        forecast(
            panel.history,
            panel.forecast,
            before=panel.before,
            times=panel.times,
            quantiles=panel.quantiles,
            truth=panel.truth,
            title=panel.title,
            name=panel.labels[1],
            time=panel.labels[0],
            ax=row[0],
        )
    return picture
