"""Tables as series: one row per time (and id), columns to forecast and columns to forecast from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from holdfast.data.readers.panels import complete, panel, times_of
from holdfast.data.readers.paths import check_paths
from holdfast.data.readers.series_columns import finite, resolved, target_names
from holdfast.data.readers.table import SUFFIXES, Table, load
from holdfast.data.series import Series
from holdfast.data.settings import SeriesSettings
from holdfast.data.time_axis import TimeAxis
from holdfast.errors import DataError

_HOUR = np.timedelta64(1, "h")
_MANY = " If the table has many series, name the column that tells them apart in data.id_column."


def read(paths: Sequence[Path], settings: SeriesSettings) -> tuple[Series, ...]:
    """Reads tables, each one series, or one series per id.

    Args:
        paths: CSV or TSV files (plain or gzipped) or Parquet files.
        settings: The use of each column.

    Raises:
        MissingDataError: A path does not exist.
        DataError: A file is not a table, a column is missing, a value is not a number (or is missing, and that is an
            error), the times do not ascend, the files differ in their targets, or two files have a series of one id.
        RecipeError: A column has two uses, or ``calendar`` is set without dates.
    """
    check_tables(paths)
    all_series = tuple(series for path in paths for series in from_table(load(path, settings), settings))
    check_together(all_series)
    return all_series


def check_tables(paths: Sequence[Path]) -> None:
    """Checks that paths are those of tables.

    Raises:
        MissingDataError: A path does not exist.
        DataError: A file is not a table.
    """
    check_paths(paths, "at least one table with one row per time", "file")
    for path in paths:
        if not set(path.suffixes[-2:]) & set(SUFFIXES):
            raise DataError(f"{path} is not a table; expected one of {', '.join(SUFFIXES)}.")


def check_together(all_series: Sequence[Series]) -> None:
    """Checks that the series of several tables can be learned together.

    Raises:
        DataError: They differ in their targets, or two have one id.
    """
    origins: dict[str, str] = {}
    for series in all_series:
        if series.name and origins.setdefault(series.name, series.origin) != series.origin:
            raise DataError(
                f"{series.origin} and {origins[series.name]} are the same series in two files; expected each series in "
                "one file. Put its rows into one of them."
            )
        if series.names != all_series[0].names:
            raise DataError(
                f"{series.origin} has the columns {', '.join(series.names)} to forecast, and {all_series[0].origin} "
                f"has {', '.join(all_series[0].names)}; expected the same. Name them in data.target_columns."
            )


def from_table(table: Table, settings: SeriesSettings) -> tuple[Series, ...]:
    """A table as its series: one, or one per id.

    Raises:
        DataError: A column is missing, a value is not a number, the times of a single series do not ascend, a time
            occurs twice in a series, or a time is missing and that is an error.
        RecipeError: A column has two uses, or ``calendar`` is set without dates.
    """
    settings = resolved(table, settings)
    names = target_names(table, settings)
    all_series = panel(table, names, settings) if settings.id_column else (_single(table, names, settings),)
    filled = settings.gaps == "fill" or (not settings.gaps and bool(settings.id_column))
    return tuple(complete(series, settings) for series in all_series) if filled else all_series


def _single(table: Table, names: list[str], settings: SeriesSettings) -> Series:
    now = table.head(_rows_with_targets(table, names, settings)) if settings.known_columns else table
    if not now.frame.height:
        raise DataError(f"{table.path} has no rows of targets; expected at least one.")
    return Series(
        origin=str(table.path),
        times=_times(table, settings),
        targets=finite(now, names, settings),
        past=finite(now, settings.past_columns, settings),
        known=finite(table, settings.known_columns, settings),
        names=tuple(names),
        keys=("", settings.time_column),
    )


def _rows_with_targets(table: Table, names: Sequence[str], settings: SeriesSettings) -> int:
    """The number of rows up to the last value of a target or past column; later rows are known ahead of time."""
    gaps = settings.model_copy(update={"missing": "mean"})
    known = np.isfinite(finite(table, [*names, *settings.past_columns], gaps)).any(1)
    return int(np.flatnonzero(known).max(initial=-1)) + 1


def _times(table: Table, settings: SeriesSettings) -> TimeAxis:
    """The times of the rows, which must ascend."""
    axis = times_of(table, settings)
    name = settings.time_column
    if not name:
        return axis
    column = table.frame[name]
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
            raise DataError(
                f"{table.where(row)}: the time {now} occurs twice; expected one row per time.{clocks}{_MANY}"
            )
        raise DataError(
            f"{table.where(row)}: the time {now} comes after {before}; expected ascending times. Sort the rows."
            f"{clocks}{_MANY}"
        )
    return axis
