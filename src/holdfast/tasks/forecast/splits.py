"""Series in their splits: the earlier rows to train on, later ones to choose the best epoch by, the last to test on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from holdfast.data.readers.series import read
from holdfast.data.series import Series, Windows
from holdfast.data.sets.published import locate
from holdfast.data.sources import Splits
from holdfast.data.time_axis import TimeAxis
from holdfast.errors import DataError, RecipeError
from holdfast.tasks.forecast.settings import ForecastData

SINE_ROWS, SINE_STEP = 3000, 0.2
"""The made series: sin(0.2 t), whose period is no whole number of rows."""


def load(settings: ForecastData, data_dir: Path | None, horizon: int) -> Splits[Windows]:
    """Reads series and cuts them in time.

    A window is of the split that all rows of its horizon are of; the rows that are read before it may be of the split
    before. No row of the validation or the test is in the training windows.

    Args:
        settings: Which series, and how to read and cut them.
        data_dir: A folder with local files, as :func:`holdfast.data.sets.published.locate` takes it.
        horizon: Rows to forecast in the test.

    Raises:
        RecipeError: ``split`` does not say three numbers of rows or two times.
        MissingDataError: A file is nowhere to be found.
        DataError: A file cannot be read, or a split has too few rows for a window.
    """
    files, test_files = locate(settings, "forecast", data_dir, made=["sine"])
    series = (_sine(),) if settings.source == "sine" else read(files, settings)
    further = read(test_files, settings) if test_files else ()
    bounds = [_bounds(one, settings, held_out=not further) for one in series]
    cut, before = list(zip(series, bounds, strict=True)), context(settings)
    train = [one.part(0, end) for one, (end, _, _) in cut]
    validation = [one.part(max(0, begin - before), end) for one, (begin, end, _) in cut if begin < end]
    test = further or [one.part(max(0, begin - before), end) for one, (_, begin, end) in cut]
    return Splits(
        _windows("training", train, settings, settings.horizon),
        _windows("validation", validation, settings, settings.horizon) if validation else None,
        _windows("test", test, settings, horizon),
    )


def context(settings: ForecastData) -> int:
    """Rows that are needed before the first one that is forecast: the window, and a season for the naive forecast."""
    return max(settings.window, settings.season)


def _windows(name: str, parts: Sequence[Series], settings: ForecastData, horizon: int) -> Windows:
    found = Windows.of(parts, context(settings), horizon, settings.stride)
    if not len(found):
        before = context(settings)
        raise DataError(
            f"The {name} part of {parts[0].origin} is too short: with the rows before it, it has {len(parts[0])} rows; "
            f"expected at least {before + horizon}: {before} before it and the horizon of {horizon}. "
            "Give longer series, or lower data.window or data.horizon."
        )
    return found.subset(range(min(settings.limit or len(found), len(found))))


def _bounds(series: Series, settings: ForecastData, held_out: bool) -> tuple[int, int, int]:
    """Where training, validation and test end."""
    rows, split = len(series), settings.split
    if not split:
        tested = math.ceil(rows * settings.test_fraction) if held_out else 0
        before = rows - tested
        return before - math.ceil(before * settings.validation), before, rows
    counts = [count for count in split if isinstance(count, int)]
    if len(counts) == len(split) == 3 and min(counts) >= 0 and counts[0]:
        if sum(counts) > rows:
            raise DataError(
                f"{series.origin} has {rows} rows, and data.split = {split} needs {sum(counts)}. Lower the numbers, or "
                "use data.validation and data.test_fraction instead."
            )
        return counts[0], counts[0] + counts[1], sum(counts)
    found = [series.times.first_at(text, settings) for text in split if isinstance(text, str)]
    begins = [min(row, rows) for row in found if row is not None]
    if len(begins) != 2 or len(split) != 2:
        raise RecipeError(
            f"data.split is {split}; expected three numbers of rows, those of training, validation and test, or two "
            f"times such as those of {series.origin}, at which validation and test begin."
        )
    train, validated = begins
    if not 0 < train <= validated < rows:
        raise RecipeError(
            f"data.split is {split}, which leaves {train} rows of {series.origin} to train on, {validated - train} to "
            f"validate on and {rows - validated} to test on; expected ascending times within the series."
        )
    return train, validated, rows


def _sine() -> Series:
    rows = np.arange(SINE_ROWS)
    nothing = np.zeros((SINE_ROWS, 0))
    return Series("sine", TimeAxis(rows), np.sin(SINE_STEP * rows)[:, None], nothing, nothing, ("value",))
