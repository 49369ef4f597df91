"""Tables as series: a row a time, columns to forecast and columns to forecast from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from holdfast.data.readers import tables
from holdfast.data.series import Numbers, Series
from holdfast.data.time_axis import Times, parsed
from holdfast.errors import DataError, MissingDataError, RecipeError
from holdfast.recipes.forecast import ForecastData

if TYPE_CHECKING:
    import polars

_ADVICE = "Name the columns to forecast in data.target_columns, and the column of times in data.time_column."


def read(paths: Sequence[Path], settings: ForecastData) -> tuple[Series, ...]:
    """Reads tables, each one series.

    Args:
        paths: CSV or TSV files (plain or gzipped) or Parquet files.
        settings: Which columns are what; see the fields of ``ForecastData``.

    Raises:
        MissingDataError: A path does not exist.
        DataError: A file is no table, a column is missing, a value is missing or no number, the times do not ascend, or
            the files differ in their targets.
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
        if not set(path.suffixes[-2:]) & set(tables.SUFFIXES):
            raise DataError(f"{path} is no table; expected one of {', '.join(tables.SUFFIXES)}.")
    found = tuple(_read(path, settings) for path in paths)
    for one in found:
        if one.names != found[0].names:
            raise DataError(
                f"{one.origin} has the columns {', '.join(one.names)} to forecast, and {found[0].origin} has "
                f"{', '.join(found[0].names)}; expected the same. Name them in data.target_columns."
            )
    return found


def _read(path: Path, settings: ForecastData) -> Series:
    table = tables.load(path, (settings.time_column,))
    names = _columns(path, table, settings)
    rows = _rows_with_targets(table, (*names, *settings.past_columns)) if settings.known_columns else table.height
    if not rows:
        raise DataError(f"{path} has no rows of targets; expected at least one.")
    now = table.head(rows)
    return Series(
        origin=str(path),
        times=_times(path, table, settings),
        targets=_finite(path, now, names),
        past=_finite(path, now, settings.past_columns),
        known=_finite(path, table, settings.known_columns),
        names=tuple(names),
    )


def _columns(path: Path, table: polars.DataFrame, settings: ForecastData) -> list[str]:
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
            tables.check_column(path, table, name, setting)
            if name in taken:
                raise RecipeError(
                    f"The column {name!r} is in data.{taken[name]} and in data.{setting}; expected one part for each."
                )
            taken[name] = setting
    targets = settings.target_columns or [name for name in table.columns if name not in taken]
    if not targets:
        raise DataError(f"{path} has no columns besides {', '.join(table.columns)}; expected one to forecast.")
    return targets


def _rows_with_targets(table: polars.DataFrame, columns: Sequence[str]) -> int:
    """The rows until the last one that says anything of these columns; what comes after is known ahead of time."""
    said = np.stack([table[name].is_not_null().to_numpy() for name in columns]).any(0)
    return int(np.flatnonzero(said).max(initial=-1)) + 1


def _times(path: Path, table: polars.DataFrame, settings: ForecastData) -> Times:
    """The times of the rows, which must ascend."""
    name = settings.time_column
    if not name:
        if settings.calendar:
            raise RecipeError("data.calendar needs data.time_column, which says what dates the rows have.")
        return np.arange(table.height)
    column = parsed(table[name])
    if column.null_count():
        row = column.is_null().arg_max() or 0
        found = table[name][row]
        what = "is empty" if found is None else f"holds {str(found)!r}"
        raise DataError(
            f"{path}[{row}]: the column {name!r} {what}; expected a time such as 2016-07-01 00:15 in every row, or a "
            "number in every row."
        )
    times: Times = column.to_numpy()
    if settings.calendar and times.dtype.kind != "M":
        raise RecipeError(f"data.calendar needs dates, and the column {name!r} of {path} holds numbers.")
    late = np.flatnonzero(times[1:] <= times[:-1])
    if len(late):
        row = int(late[0]) + 1
        before, now = (str(table[name][place]) for place in (row - 1, row))
        if times[row] == times[row - 1]:
            raise DataError(f"{path}[{row}]: the time {now} occurs twice; expected one row a time.")
        raise DataError(f"{path}[{row}]: the time {now} comes after {before}; expected ascending times. Sort the rows.")
    return times


def _finite(path: Path, table: polars.DataFrame, columns: Sequence[str]) -> Numbers:
    """Columns as finite numbers [T, C]."""
    if not columns:
        return np.zeros((table.height, 0))
    values = tables.as_numbers(path, table, columns, _ADVICE).astype(np.float64)
    if not np.isfinite(values).all():
        row, column = (int(place) for place in np.argwhere(~np.isfinite(values))[0])
        raise DataError(
            f"{path}[{row}]: the column {columns[column]!r} holds {values[row, column]}; expected a finite number. "
            "Fill it in or leave the row out."
        )
    return values
