"""Forecasts of series in memory by a fitted model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch

from holdfast.data import Batches
from holdfast.data.series import Numbers, Series, Windows
from holdfast.errors import DataError, OptionError
from holdfast.estimators.series import SeriesInput
from holdfast.predictor import Predictor
from holdfast.tasks.forecast.data import context
from holdfast.tasks.forecast.task import ForecastTask
from holdfast.tasks.scored import quantile_column

_BATCH = 256


def forecasts(predictor: Predictor, series: Sequence[Series], h: int) -> Numbers:
    """The forecasts of the rows after the end of each series.

    Args:
        predictor: A model of the task ``forecast``.
        series: K series, with the rows ahead that known columns need.
        h: Rows to forecast.

    Returns:
        [K, h, C, Q], in the units of the series.

    Raises:
        DataError: A series is too short, or known columns have too few rows.
        OptionError: ``h`` is below 1, or above what the model forecasts at once.
    """
    task = cast(ForecastTask, predictor.task)
    horizon = task.encoder.settings.horizon
    direct = task.settings.method == "direct"
    if h < 1 or (direct and h > horizon):
        raise OptionError(
            f"h is {h}; expected 1 to {horizon}, the horizon of the model. Train with a larger horizon"
            f"{', or with method=' + repr('recursive') if direct else ''}."
        )
    for each in series:
        task.encoder.check_ahead(each, h)
    if direct:
        # A row of the horizon depends on the known columns of no other row, so later rows may have any.
        series = [_padded(each, horizon) for each in series]
    ahead = Windows.of(series, 0, 1).unlabelled()
    batches = Batches(task.encoder.encode(ahead, horizon if direct else h), _BATCH)
    parts = []
    for batch in batches.epoch(0):
        moved: Any = batch.to(predictor.device)
        with torch.inference_mode():
            scaled = predictor.model(moved.inputs, moved.future)
            parts.append(task.encoder.restored(scaled, moved.scale)[:, :h].cpu())
    return cast(Numbers, torch.cat(parts).numpy())


def before(series: Series, rows: int) -> Series:
    """A series as it was some rows before its end: these rows have known columns only."""
    kept = len(series) - rows
    return replace(series, targets=series.targets[:kept], past=series.past[:kept])


def value_columns(values: Numbers, names: Sequence[str], quantiles: Sequence[float]) -> dict[str, Numbers]:
    """Forecasts as columns: each target, then its other quantiles.

    Args:
        values: [K, h, C, Q].
        names: The targets, C.
        quantiles: Ascending, Q, with 0.5.

    Returns:
        The columns, [K * h] each, by name.
    """
    order = sorted(range(len(quantiles)), key=lambda place: quantiles[place] != 0.5)
    return {
        quantile_column(name, quantiles[place]): values[:, :, column, place].reshape(-1)
        for column, name in enumerate(names)
        for place in order
    }


def at_cutoffs(predictor: Predictor, given: SeriesInput, h: int, cutoffs: Sequence[int]) -> dict[str, Any]:
    """The columns of forecasts from some rows before the end of each series, next to the true values.

    Args:
        predictor: A model of the task ``forecast``.
        given: The series; those with too few rows before a cutoff are left out there.
        h: Rows to forecast from each cutoff.
        cutoffs: Rows from each cutoff to the end of a series, at least ``h``.

    Raises:
        DataError: No series has enough rows.
    """
    task = cast(ForecastTask, predictor.task)
    needed = max(context(task.encoder.settings), 2)  # the step between times needs two rows
    places = [(part, len(part) - rows) for part in given.series for rows in cutoffs if len(part) - rows >= needed]
    if not places:
        raise DataError(f"No series has {needed} rows before a cutoff. Lower h, windows, step, season or window.")
    values = forecasts(predictor, [before(part, len(part) - start) for part, start in places], h)
    shown = replace(given, series=tuple(part for part, _ in places))
    columns: dict[str, Any] = shown.keys([part.times[start : start + h] for part, start in places])
    last = shown.times([part.times[start - 1 : start] for part, start in places])
    columns["cutoff"] = last.gather(np.repeat(np.arange(len(last)), h))
    names = task.encoder.settings.target_columns
    actual = np.stack([part.targets[start : start + h] for part, start in places])
    for name, column in value_columns(values, names, task.quantiles).items():
        if name in names:
            columns[name] = actual[:, :, names.index(name)].reshape(-1)
        columns[f"{name}-forecast" if name in names else name] = column
    return columns


def answer_of(names: Sequence[str], quantiles: Sequence[float], values: Numbers) -> dict[str, Any]:
    """The forecast [h, C, Q] of a series as the task answers it, without times."""
    middle = quantiles.index(0.5)
    rest = {f"{quantile:g}": place for place, quantile in enumerate(quantiles)} if len(quantiles) > 1 else {}
    return {
        "times": range(len(values)),
        "values": {name: values[:, column, middle] for column, name in enumerate(names)},
        "quantiles": {
            name: {level: values[:, column, place] for level, place in rest.items()}
            for column, name in enumerate(names)
        },
    }


def _padded(series: Series, horizon: int) -> Series:
    """A series with known columns for the whole horizon; the last ones are repeated."""
    more = horizon - (len(series.times) - len(series))
    if more <= 0 or not series.known.shape[1]:
        return series
    known = np.concatenate([series.known, np.repeat(series.known[-1:], more, 0)])
    return replace(series, times=series.times_with(horizon), known=known)
