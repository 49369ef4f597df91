"""Tables of series to begin with, on a page that asks a server for forecasts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from holdfast.data.series import Numbers, Series, Windows
from holdfast.tasks.forecast.data import context
from holdfast.tasks.forecast.encoder import SeriesEncoder
from holdfast.tasks.forecast.settings import ForecastData
from holdfast.tasks.served_parts import TableInput, TableSample

_MOST_TABLES = 12
_MOST_NUMBERS = 50_000
_START = datetime(2000, 1, 1)
_STEPS = (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1))


def table_input(
    encoder: SeriesEncoder, horizon: int, quantiles: tuple[float, ...], windows: Windows | None = None
) -> TableInput:
    """The input of a forecaster: tables as :func:`holdfast.tasks.forecast.values.from_values` takes them.

    Args:
        encoder: How series become what the network reads.
        horizon: Rows to forecast.
        quantiles: Of the forecast.
        windows: Places in series to begin with; None for none. Without any, the table is a sine in the scale of the
            targets.
    """
    settings = encoder.settings
    tables = tuple(_of(settings, windows, horizon)) if windows is not None else ()
    return TableInput(
        tuple(settings.target_columns),
        quantiles,
        settings.window,
        horizon,
        settings.time_column,
        settings.id_column,
        tables or (_made(encoder, horizon),),
    )


def _of(settings: ForecastData, windows: Windows, horizon: int) -> Iterator[TableSample]:
    """A few windows over all series: the rows that a forecast needs, and what is known of the rows ahead."""
    rows = context(settings)
    width = 1 + sum(map(len, (settings.target_columns, settings.past_columns, settings.known_columns)))
    most = max(1, min(_MOST_TABLES, _MOST_NUMBERS // ((rows + horizon) * width)))
    count = len(windows)
    for place in np.unique(np.linspace(0, count - 1, min(most, count)).astype(int)).tolist():
        number, start = windows.starts[place].tolist()
        yield _window(settings, windows.series[number], start, rows, horizon)


def _window(settings: ForecastData, series: Series, start: int, rows: int, horizon: int) -> TableSample:
    begin = max(0, start - rows)
    end = start + horizon if settings.known_columns else start
    count = end - begin
    times = [_plain(time) for time in series.times_with(max(0, end - len(series)))[begin:end].as_json()]
    columns: dict[str, list[Any]] = {settings.time_column: times} if settings.time_column else {}
    if settings.id_column:
        columns = {settings.id_column: [series.name] * count} | columns
    columns |= _named(settings.target_columns, series.targets[begin:start], count)
    columns |= _named(settings.past_columns, series.past[begin:start], count)
    columns |= _named(settings.known_columns, series.known[begin:end], count)
    columns |= {name: [value] * count for name, value in zip(settings.static_columns, series.static, strict=True)}
    actual = series.targets[start : start + horizon]
    name = " ".join(filter(None, [series.name, f"up to {times[start - begin - 1]}" if times else f"row {start}"]))
    return TableSample(name, columns, [_row(row) for row in actual.tolist()] if len(actual) == horizon else None)


def _named(names: Sequence[str], values: Numbers, count: int) -> dict[str, list[float | None]]:
    """Columns by name, with None after their last row."""
    rows = {name: _row(column) for name, column in zip(names, values.T.tolist(), strict=True)}
    return {name: column + [None] * (count - len(column)) for name, column in rows.items()}


def _made(encoder: SeriesEncoder, horizon: int) -> TableSample:
    """A sine of two periods around the mean of the targets, and the mean in all other columns."""
    settings = encoder.settings
    rows, count = context(settings), len(settings.target_columns)
    all_rows = rows + (horizon if settings.known_columns else 0)
    ahead = [None] * (all_rows - rows)
    wave = [math.sin(4 * math.pi * (step + 0.5) / rows) for step in range(rows)]
    scales = list(zip(encoder.scaling.mean, encoder.scaling.std, strict=True))
    columns: dict[str, list[Any]] = {}
    if settings.id_column:
        columns[settings.id_column] = ["made"] * all_rows
    if settings.time_column:
        columns[settings.time_column] = _made_times(settings, all_rows)
    for name, (mean, std) in zip(settings.target_columns, scales, strict=False):
        levels = [float(f"{value * std + mean:.6g}") for value in wave]
        columns[name] = [math.exp(level) for level in levels] if settings.log else levels
        columns[name] += ahead
    others = [*settings.past_columns, *settings.known_columns]
    for name, (mean, _) in zip(others, scales[count:], strict=True):
        columns[name] = [mean] * (all_rows if name in settings.known_columns else rows)
        columns[name] += [None] * (all_rows - len(columns[name]))
    for static in encoder.statics:
        columns[static.name] = [static.categories[0] if static.categories else "0"] * all_rows
    return TableSample("a sine in the scale of the training data", columns)


def _made_times(settings: ForecastData, count: int) -> list[Any]:
    """Ascending times as the model reads them: numbers, unless it needs dates or times of a form."""
    if not settings.time_format and not settings.calendar:
        return list(range(count))
    form = settings.time_format or ("%Y-%m-%dT%H:%M" if "hour" in settings.calendar else "%Y-%m-%d")
    texts: list[str] = []
    for step in _STEPS[1:] if "hour" in settings.calendar else _STEPS:
        texts = [(_START + place * step).strftime(form) for place in range(count)]
        if len(set(texts)) == count:
            break
    return texts


def _plain(value: Any) -> Any:
    """A time as JSON has it: text, or a number."""
    return value if isinstance(value, int | float) else str(value)


def _row(values: Sequence[float]) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values]
