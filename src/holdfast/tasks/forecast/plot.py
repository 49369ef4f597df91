"""A picture of series and their forecasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from holdfast.data.series import Series
from holdfast.errors import MissingLibraryError, OptionError


def draw(series: Sequence[Series], answers: Sequence[Mapping[str, Any]], path: Path, rows: int) -> None:
    """Draws history and forecast, one panel per target of each series.

    Args:
        series: The series.
        answers: The forecast of each series: ``times``, ``values`` and, if any, ``quantiles``.
        path: The file, such as ``out.png``; its suffix determines the format.
        rows: The number of rows to draw from the end of each series.

    Raises:
        MissingLibraryError: matplotlib is not installed.
        OptionError: The file cannot be written, or its suffix is not of a known format.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingLibraryError("--plot draws with matplotlib: pip install 'holdfast[plot]'.") from error

    panels = [(index, name) for index, each in enumerate(series) for name in each.names]
    figure = Figure(figsize=(10, 3.5 * len(panels)), layout="constrained")
    for (index, name), axes in zip(panels, np.atleast_1d(figure.subplots(len(panels))), strict=True):
        drawn, answer = series[index], answers[index]
        past = slice(max(0, len(drawn) - rows), len(drawn))
        local = drawn.times_with(len(answer["times"])).local
        times = local[len(drawn) :]
        axes.plot(local[past], drawn.targets[past, drawn.names.index(name)], color="black", label="history")
        axes.plot(times, answer["values"][name], color="tab:blue", label="forecast")
        levels = answer.get("quantiles", {}).get(name)
        if levels:
            low, high = min(levels, key=float), max(levels, key=float)
            axes.fill_between(times, levels[low], levels[high], alpha=0.3, label=f"quantiles {low} to {high}")
        axes.set_title(f"{name} of {Path(drawn.origin).name}")
        axes.legend()
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise OptionError(f"The picture {path} cannot be written: {error}. Choose another --plot.") from error
