"""Histories of series to begin with, on a page that forecasts."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np
from torch import Tensor

from holdfast.data.series import Series, Windows
from holdfast.tasks.forecast.encoder import SeriesEncoder
from holdfast.tasks.forecast.windows import ForecastBatch
from holdfast.tasks.interface import SeriesWindow

_MOST_WINDOWS = 24
_MOST_NUMBERS = 100_000


def histories(encoder: SeriesEncoder, horizon: int, windows: Windows | None) -> Iterator[SeriesWindow]:
    """A few windows, and the one at the end of each of the last series; a sine in the scale of the targets without any.

    Args:
        encoder: How series become what the network reads.
        horizon: Rows to forecast.
        windows: Windows with enough rows ahead; None for none.
    """
    if windows is None:
        yield _made(encoder, horizon)
        return
    rows = encoder.settings.window + horizon
    most = max(1, min(_MOST_WINDOWS, _MOST_NUMBERS // (rows * sum(encoder.channels))))
    if len(windows):
        chosen = np.unique(np.linspace(0, len(windows) - 1, min(most, len(windows))).astype(int))
        yield from _of(encoder, windows.subset(chosen.tolist()), horizon)
    ends = windows.unlabelled()
    open_ends = [place for place, series in enumerate(ends.series) if _is_open(encoder, series, horizon)]
    if open_ends:
        yield from _of(encoder, ends.subset(open_ends[-(most // 2) - 1 :]), horizon)


def _is_open(encoder: SeriesEncoder, series: Series, horizon: int) -> bool:
    """Whether the rows after the end of a series can be forecast: what is known ahead is there."""
    return not encoder.settings.known_columns or len(series.times) - len(series) >= horizon


def _of(encoder: SeriesEncoder, windows: Windows, horizon: int) -> Iterator[SeriesWindow]:
    """Each window."""
    dataset = encoder.encode(windows, horizon)
    for place in range(len(windows)):
        yield _window(encoder, windows, place, dataset.__getitems__(np.array([place])))


def _window(encoder: SeriesEncoder, windows: Windows, place: int, batch: ForecastBatch) -> SeriesWindow:
    """One window of a batch of one."""
    number, start = windows.starts[place].tolist()
    series, count = windows.series[number], len(encoder.settings.target_columns)
    begin, ahead = start - encoder.settings.window, batch.future.shape[1]
    history = series.targets[begin:start]
    mean, std = _scale(encoder, batch.scale)
    gaps = [column for column in range(count) if np.isnan(history[:, column]).any()]
    actual = None if batch.actual is None else [_row(row) for row in batch.actual[0].tolist()]
    times = series.times_with(max(0, start + ahead - len(series)))
    return SeriesWindow(
        name=series.name or re.split(r"[/\\]", windows.origins[place])[-1],  # no folder of this machine on a page
        mean=mean,
        std=std,
        inputs=_numbers(batch.inputs[0]),
        future=_numbers(batch.future[0]) if batch.future.shape[2] else [],
        history=[_row(row) for row in history.tolist()],
        actual=actual,
        times=[str(time) for time in times[begin : start + ahead].as_json()],
        fixed=gaps if encoder.filling.kind in ("interpolate", "previous") else [],
    )


def _made(encoder: SeriesEncoder, horizon: int) -> SeriesWindow:
    """A sine of two periods around the mean of the targets, and zeros in all other columns."""
    window, data = encoder.settings.window, encoder.settings
    targets, past, known = encoder.channels
    mean, std = _scale(encoder, None)
    wave = [math.sin(4 * math.pi * step / window) for step in range(window)]
    levels = [[value * deviation + centre for centre, deviation in zip(mean, std, strict=True)] for value in wave]
    return SeriesWindow(
        name="a sine in the scale of the training data",
        mean=mean,
        std=std,
        inputs=[[float(f"{value:.9g}")] * targets + [0.0] * (past + known) for value in wave],
        future=[[0.0] * known for _ in range(horizon)] if known else [],
        history=[[math.exp(level) if data.log else level for level in row] for row in levels],
        actual=None,
        times=[str(row) for row in range(1, window + horizon + 1)],
        fixed=[],
    )


def _scale(encoder: SeriesEncoder, scale: Tensor | None) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of the targets."""
    count = len(encoder.settings.target_columns)
    if scale is None:
        return list(encoder.scaling.mean[:count]), list(encoder.scaling.std[:count])
    mean, std = scale[0].tolist()
    return mean, std


def _row(values: list[float]) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values]


def _numbers(values: Tensor) -> list[list[float]]:
    """Values with the digits that float32 needs."""
    return [[float(f"{value:.9g}") for value in row] for row in values.tolist()]
