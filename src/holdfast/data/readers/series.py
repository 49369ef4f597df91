"""Tables as series: a row a time, columns to forecast and columns to forecast from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from holdfast.data.readers import values as cells
from holdfast.data.readers.table import SUFFIXES, Table, load
from holdfast.data.series import Numbers, Series
from holdfast.data.settings import SeriesSettings
from holdfast.data.time_axis import TimeAxis
from holdfast.errors import DataError, MissingDataError, RecipeError

_HOUR = np.timedelta64(1, "h")
_ADVICE = "Name the columns to forecast in data.target_columns, and the column of times in data.time_column."


def read(paths: Sequence[Path], settings: SeriesSettings) -> tuple[Series, ...]:
    """Reads tables, each one series.

    Args:
        paths: CSV or TSV files (plain or gzipped) or Parquet files.
        settings: Which columns are what; see the fields of ``SeriesSettings``.

    Raises:
        MissingDataError: A path does not exist.
        DataError: A file is no table, a column is missing, a value is no number (or is missing, and that is an error),
            the times do not ascend, or the files differ in their targets.
        RecipeError: A column has two parts, or the calendar is asked for without dates.
    """
    if not paths:
        raise DataError("No files were given to read; expected at least one table with a row a time.")
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise MissingDataError(
            f"There is no file {', '.join(missing)}. Check the path; it was taken from {Path.cwd()}."
        )
    for path in paths:
        if not set(path.suffixes[-2:]) & set(SUFFIXES):
            raise DataError(f"{path} is no table; expected one of {', '.join(SUFFIXES)}.")
    found = tuple(_read(path, settings) for path in paths)
    for one in found:
        if one.names != found[0].names:
            raise DataError(
                f"{one.origin} has the columns {', '.join(one.names)} to forecast, and {found[0].origin} has "
                f"{', '.join(found[0].names)}; expected the same. Name them in data.target_columns."
            )
    return found


def _read(path: Path, settings: SeriesSettings) -> Series:
    return from_table(load(path, settings), settings)


def from_table(table: Table, settings: SeriesSettings) -> Series:
    """A table as one series.

    Raises:
        DataError: A column is missing, a value is no number, or the times do not ascend.
        RecipeError: A column has two parts, or the calendar is asked for without dates.
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
    """The names of the targets; the other columns that the recipe names are there, and each has one part."""
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
                    f"The column {name!r} is in data.{taken[name]} and in data.{setting}; expected one part for each."
                )
            taken[name] = setting
    targets = settings.target_columns or table.others(list(taken), "data.target_columns or data.time_column")
    if not targets:
        raise DataError(f"{table.path} has no columns besides {', '.join(table.columns)}; expected one to forecast.")
    return targets


def _rows_with_targets(table: Table, names: Sequence[str], settings: SeriesSettings) -> int:
    """The rows until the last one that says anything of targets and past; what comes after is known ahead of time."""
    gaps = settings.model_copy(update={"missing": "mean"})
    said = np.isfinite(_finite(table, [*names, *settings.past_columns], gaps)).any(1)
    return int(np.flatnonzero(said).max(initial=-1)) + 1


def _times(table: Table, settings: SeriesSettings) -> TimeAxis:
    """The times of the rows, which must ascend."""
    name = settings.time_column
    if not name:
        if settings.calendar:
            raise RecipeError("data.calendar needs data.time_column, which says what dates the rows have.")
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
            raise DataError(f"{table.where(row)}: the time {now} occurs twice; expected one row a time.{clocks}")
        raise DataError(
            f"{table.where(row)}: the time {now} comes after {before}; expected ascending times. Sort the rows.{clocks}"
        )
    return axis


def _finite(table: Table, columns: Sequence[str], settings: SeriesSettings) -> Numbers:
    """Columns as numbers [T, C], NaN for a missing value where that is allowed."""
    if not columns:
        return np.zeros((table.frame.height, 0))
    values = cells.read(table, columns, settings, _ADVICE).astype(np.float64)
    if np.isinf(values).any():
        row, column = (int(place) for place in np.argwhere(np.isinf(values))[0])
        raise DataError(
            f"{table.where(row)}: the column {columns[column]!r} holds {values[row, column]}; expected a finite "
            "number. Correct it or leave the row out."
        )
    return values
