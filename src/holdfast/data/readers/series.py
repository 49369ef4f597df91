"""Tables as series: one row per time, columns to forecast and columns to forecast from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from holdfast.data.readers import values as cells
from holdfast.data.readers.paths import check_paths
from holdfast.data.readers.table import SUFFIXES, Table, load
from holdfast.data.series import Numbers, Series
from holdfast.data.settings import SeriesSettings
from holdfast.data.time_axis import TimeAxis
from holdfast.errors import DataError, RecipeError

_HOUR = np.timedelta64(1, "h")
_ADVICE = "Name the columns to forecast in data.target_columns, and the column of times in data.time_column."


def read(paths: Sequence[Path], settings: SeriesSettings) -> tuple[Series, ...]:
    """Reads tables, each one series.

    Args:
        paths: CSV or TSV files (plain or gzipped) or Parquet files.
        settings: The use of each column.

    Raises:
        MissingDataError: A path does not exist.
        DataError: A file is not a table, a column is missing, a value is not a number (or is missing, and that is an
            error), the times do not ascend, or the files differ in their targets.
        RecipeError: A column has two uses, or ``calendar`` is set without dates.
    """
    check_paths(paths, "at least one table with one row per time", "file")
    for path in paths:
        if not set(path.suffixes[-2:]) & set(SUFFIXES):
            raise DataError(f"{path} is not a table; expected one of {', '.join(SUFFIXES)}.")
    all_series = tuple(from_table(load(path, settings), settings) for path in paths)
    for series in all_series:
        if series.names != all_series[0].names:
            raise DataError(
                f"{series.origin} has the columns {', '.join(series.names)} to forecast, and {all_series[0].origin} "
                f"has {', '.join(all_series[0].names)}; expected the same. Name them in data.target_columns."
            )
    return all_series


def from_table(table: Table, settings: SeriesSettings) -> Series:
    """A table as one series.

    Raises:
        DataError: A column is missing, a value is not a number, or the times do not ascend.
        RecipeError: A column has two uses, or ``calendar`` is set without dates.
    """
    names = _columns(table, settings)
    now = table.head(_rows_with_targets(table, names, settings)) if settings.known_columns else table
    if not now.frame.height:
        raise DataError(f"{table.path} has no rows of targets; expected at least one.")
    return Series(
        origin=str(table.path),
        times=_times(table, settings),
        targets=_finite(now, names, settings),
        past=_finite(now, settings.past_columns, settings),
        known=_finite(table, settings.known_columns, settings),
        names=tuple(names),
    )


def _columns(table: Table, settings: SeriesSettings) -> list[str]:
    """The names of the targets, after a check that all named columns exist and that each has one use."""
    parts = {
        "time_column": [settings.time_column] if settings.time_column else [],
        "target_columns": settings.target_columns,
        "past_columns": settings.past_columns,
        "known_columns": settings.known_columns,
    }
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


def _rows_with_targets(table: Table, names: Sequence[str], settings: SeriesSettings) -> int:
    """The number of rows up to the last value of a target or past column; later rows are known ahead of time."""
    gaps = settings.model_copy(update={"missing": "mean"})
    known = np.isfinite(_finite(table, [*names, *settings.past_columns], gaps)).any(1)
    return int(np.flatnonzero(known).max(initial=-1)) + 1


def _times(table: Table, settings: SeriesSettings) -> TimeAxis:
    """The times of the rows, which must ascend."""
    name = settings.time_column
    if not name:
        if settings.calendar:
            raise RecipeError("data.calendar needs data.time_column, the dates of the rows.")
        return TimeAxis(np.arange(table.frame.height))
    column = table.frame[name]
    comma = cells.decimal_comma(table, [name], settings)
    axis = TimeAxis.from_column(column, settings, table.where, comma=comma, in_order=True)
    if settings.calendar and not axis.dated:
        raise RecipeError(f"data.calendar needs dates, and the column {name!r} of {table.path} holds numbers.")
    times = axis.instants
    late = np.flatnonzero(times[1:] <= times[:-1])
    if len(late):
        row = int(late[0]) + 1
        before, now = (str(column[place]).strip() for place in (row - 1, row))
        clocks = ""
        if axis.dated and axis.offsets is None and times[row - 1] - times[row] <= _HOUR:
            whole_days = (times == times.astype("datetime64[D]")).all()
            clocks = "" if whole_days else " If a clock was set back there, set data.time_zone."
        if times[row] == times[row - 1]:
            raise DataError(f"{table.where(row)}: the time {now} occurs twice; expected one row per time.{clocks}")
        raise DataError(
            f"{table.where(row)}: the time {now} comes after {before}; expected ascending times. Sort the rows.{clocks}"
        )
    return axis


def _finite(table: Table, columns: Sequence[str], settings: SeriesSettings) -> Numbers:
    """Columns as numbers [T, C], NaN for a missing value if these are allowed."""
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
