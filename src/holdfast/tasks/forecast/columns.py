"""Forecasts as the columns of a table, and as text."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.tasks.scored import by_target


def columns_of(answers: Sequence[Mapping[str, Any]], keys: tuple[str, str]) -> dict[str, list[Any]]:
    """Answers as columns: the id, the times, and each target and quantile; lists of one value per time.

    Args:
        answers: The forecasts of series, as :meth:`ForecastTask.answers` gives them.
        keys: As for :func:`as_csv`.
    """
    names, times = keys
    columns = {names: [answer["id"] for answer in answers]} if names else {}
    columns[times or "time"] = [answer["times"] for answer in answers]
    return columns | by_target(answers)


def as_csv(answer: Mapping[str, Any], keys: tuple[str, str], *, header: bool = True) -> str:
    """An answer as CSV: one row per time, one column per target and quantile.

    Args:
        answer: The forecast of a series, as :meth:`ForecastTask.answers` gives it.
        keys: The names of the id column and of the time column; the first is empty for a single series.
        header: Whether the first line has the names of the columns.
    """
    columns: dict[str, Sequence[Any]] = {name: values for name, (values,) in columns_of([answer], keys).items()}
    if keys[0]:
        columns[keys[0]] = [answer["id"]] * len(answer["times"])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue().removesuffix("\n")
