"""Series and how they go on, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from holdfast.data.series import Series
from holdfast.errors import MissingLibraryError, OptionError


def draw(series: Sequence[Series], answers: Sequence[Mapping[str, Any]], path: Path, rows: int) -> None:
    """Draws history and forecast, a panel for each target of each series.

    Args:
        series: The series until now.
        answers: How each goes on: ``times``, ``values`` and, where there are some, ``quantiles``.
        path: The file, such as ``out.png``; its ending says the format.
        rows: The last rows of each series that are drawn.

    Raises:
        MissingLibraryError: matplotlib is not installed.
        OptionError: The file cannot be written, or its ending names no known format.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingLibraryError("--plot draws with matplotlib: pip install 'holdfast[plot]'.") from error

    panels = [(k, name) for k, one in enumerate(series) for name in one.names]
    figure = Figure(figsize=(10, 3.5 * len(panels)), layout="constrained")
    for (k, name), axes in zip(panels, np.atleast_1d(figure.subplots(len(panels))), strict=True):
        one, answer = series[k], answers[k]
        past = slice(max(0, len(one) - rows), len(one))
        local = one.times_with(len(answer["times"])).local
        times = local[len(one) :]
        axes.plot(local[past], one.targets[past, one.names.index(name)], color="black", label="history")
        axes.plot(times, answer["values"][name], color="tab:blue", label="forecast")
        levels = answer.get("quantiles", {}).get(name)
        if levels:
            low, high = min(levels, key=float), max(levels, key=float)
            axes.fill_between(times, levels[low], levels[high], alpha=0.3, label=f"quantiles {low} to {high}")
        axes.set_title(f"{name} of {Path(one.origin).name}")
        axes.legend()
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise OptionError(f"The picture {path} cannot be written: {error}. Choose another --plot.") from error
