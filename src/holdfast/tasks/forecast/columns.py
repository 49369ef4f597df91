"""Forecasts as the columns of a table: the names of quantiles, and text."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any


def quantile_column(name: str, quantile: float) -> str:
    """The column of a quantile: ``NAME-lo-80`` and ``NAME-hi-80`` for 0.1 and 0.9, the ends of the 80 % interval.

    Args:
        name: The target.
        quantile: Above 0 and below 1; 0.5 is the forecast itself, the column ``NAME``.
    """
    level = round(100 * abs(2 * quantile - 1), 6)
    return name if not level else f"{name}-{'lo' if quantile < 0.5 else 'hi'}-{level:g}"


def as_csv(answer: Mapping[str, Any], keys: tuple[str, str], *, header: bool = True) -> str:
    """An answer as CSV: one row per time, one column per target and quantile.

    Args:
        answer: The forecast of a series, as :meth:`ForecastTask.answers` gives it.
        keys: The names of the id column and of the time column; the first is empty for a single series.
        header: Whether the first line has the names of the columns.
    """
    names, times = keys
    columns: dict[str, Sequence[Any]] = {names: [answer["id"]] * len(answer["times"])} if names else {}
    columns[times or "time"] = answer["times"]
    for name, values in answer["values"].items():
        columns[name] = values
        for level, quantile in answer.get("quantiles", {}).get(name, {}).items():
            if float(level) != 0.5:
                columns[quantile_column(name, float(level))] = quantile
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue().removesuffix("\n")
