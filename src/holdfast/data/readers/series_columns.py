"""The columns of a table of series: the use of each, and their values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from holdfast.data.readers import values as cells
from holdfast.data.readers.table import Table
from holdfast.data.series import Numbers
from holdfast.data.settings import SeriesSettings
from holdfast.errors import DataError, RecipeError

_ADVICE = "Name the columns to forecast in data.target_columns, and the column of times in data.time_column."
_USUAL = {"id_column": "unique_id", "time_column": "ds", "target_columns": ["y"]}
"""The names of Nixtla's libraries."""


def resolved(table: Table, settings: SeriesSettings) -> SeriesSettings:
    """The settings, with the usual names of a table that has them if the settings name none of these columns."""
    named = settings.id_column or settings.time_column or settings.target_columns
    usual = not named and {"unique_id", "ds", "y"} <= set(table.columns)
    return settings.model_copy(update=_USUAL) if usual else settings


def target_names(table: Table, settings: SeriesSettings) -> list[str]:
    """The names of the targets, after a check that all named columns exist and that each has one use.

    Raises:
        DataError: A column does not exist, or there is nothing to forecast.
        RecipeError: A column has two uses, or there are static columns without an id column.
    """
    parts = {
        "id_column": [settings.id_column] if settings.id_column else [],
        "time_column": [settings.time_column] if settings.time_column else [],
        "target_columns": settings.target_columns,
        "past_columns": settings.past_columns,
        "known_columns": settings.known_columns,
        "static_columns": settings.static_columns,
    }
    if settings.static_columns and not settings.id_column:
        raise RecipeError(
            f"data.static_columns is {settings.static_columns}, and there is no data.id_column; static columns tell "
            "series apart. Set data.id_column, or leave data.static_columns out."
        )
    taken: dict[str, str] = {}
    for setting, columns in parts.items():
        for name in columns:
            table.check_column(name, setting)
            if name in taken:
                raise RecipeError(
                    f"The column {name!r} is in data.{taken[name]} and in data.{setting}; expected one use for "
                    "each column."
                )
            taken[name] = setting
    targets = settings.target_columns or table.others(list(taken), "data.target_columns or data.time_column")
    if not targets:
        raise DataError(f"{table.path} has no columns besides {', '.join(table.columns)}; expected one to forecast.")
    return targets


def finite(table: Table, columns: Sequence[str], settings: SeriesSettings) -> Numbers:
    """Columns as numbers [T, C], NaN for a missing value if these are allowed.

    Raises:
        DataError: A value is not a finite number, or is missing and that is an error.
    """
    if not columns:
        return np.zeros((table.frame.height, 0))
    values = cells.numbers(table, columns, settings, _ADVICE).astype(np.float64)
    if np.isinf(values).any():
        row, column = (int(place) for place in np.argwhere(np.isinf(values))[0])
        raise DataError(
            f"{table.where(row)}: the column {columns[column]!r} holds {values[row, column]}; expected a finite "
            "number. Correct it or leave the row out."
        )
    return values
