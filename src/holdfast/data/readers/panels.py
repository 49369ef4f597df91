"""Tables of many series: the series of each id, and rows for times that are missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from holdfast.data.readers import values as cells
from holdfast.data.readers.series_columns import finite
from holdfast.data.readers.table import Table
from holdfast.data.series import Numbers, Series
from holdfast.data.settings import SeriesSettings
from holdfast.data.time_axis import TimeAxis
from holdfast.errors import DataError, RecipeError

Indices = npt.NDArray[np.int64]


def panel(table: Table, names: Sequence[str], settings: SeriesSettings) -> tuple[Series, ...]:
    """The series of a table, in the order in which their ids first occur; the rows of each are sorted by time.

    Args:
        table: One row per id and time, in any order.
        names: The columns to forecast.
        settings: ``id_column`` and the use of each other column.

    Raises:
        DataError: There are no rows, a row has no id, a value is not a number, a time occurs twice in a series, a
            series has no targets, or a static column has two values in a series.
        RecipeError: ``calendar`` is set without dates.
    """
    if not table.frame.height:
        raise DataError(f"{table.path} has column names but no rows; expected at least one.")
    ids, codes = _ids(table, settings.id_column)
    order, axis = _order(table, settings, ids, codes)
    count = len(names)
    gaps = settings.model_copy(update={"missing": "mean"})
    now = finite(table, [*names, *settings.past_columns], gaps)[order]
    known = finite(table, settings.known_columns, settings)[order]
    begins = np.searchsorted(codes[order], np.arange(len(ids)))
    ends = np.append(begins[1:], len(order))
    last = _last_rows(now, codes[order], begins, ends) if settings.known_columns else ends
    _check_rows(table, ids, begins, last)
    if settings.missing == "error":
        _check_known(table, [*names, *settings.past_columns], now, order, codes[order], last)
    statics = _statics(table, settings, ids, order, begins)
    keys = (settings.id_column, settings.time_column)
    return tuple(
        Series(
            origin=f"{table.path}[id={name}]",
            times=TimeAxis(np.arange(end - begin)) if axis is None else axis[begin:end],
            targets=now[begin:stop, :count],
            past=now[begin:stop, count:],
            known=known[begin:end],
            names=tuple(names),
            name=name,
            static=static,
            keys=keys,
        )
        for name, begin, stop, end, static in zip(
            ids, begins.tolist(), last.tolist(), ends.tolist(), statics, strict=True
        )
    )


def times_of(table: Table, settings: SeriesSettings, rows: Indices | None = None) -> TimeAxis:
    """The times of some rows of a table, or of all; without a time column the rows are numbered.

    Args:
        table: The table.
        settings: ``time_column``, ``time_format``, ``time_zone`` and ``calendar`` are used.
        rows: The rows, in order of time; None for all.

    Raises:
        DataError: A value is not a time.
        RecipeError: ``calendar`` is set without dates.
    """
    name = settings.time_column
    if not name:
        if settings.calendar:
            raise RecipeError("data.calendar needs data.time_column, the dates of the rows.")
        return TimeAxis(np.arange(table.frame.height))
    comma = cells.decimal_comma(table, [name], settings)
    column = table.frame[name] if rows is None else table.frame[name].gather(rows)

    def where(row: int) -> str:
        return table.where(row if rows is None else int(rows[row]))

    axis = TimeAxis.from_column(column, settings, where, comma=comma, in_order=True)
    if settings.calendar and not axis.dated:
        raise RecipeError(f"data.calendar needs dates, and the column {name!r} of {table.path} holds numbers.")
    return axis


def complete(series: Series, settings: SeriesSettings) -> Series:
    """A series with a row for each time from its first to its last row, by its step; new rows are missing values.

    Args:
        series: A series whose times ascend.
        settings: ``missing`` is used.

    Raises:
        DataError: A time is between two steps of the series, or missing values are an error.
    """
    times, rows = series.times.completed()
    if (rows < 0).any():
        row = int((rows < 0).argmax())
        before, now = series.times[row - 1 : row + 1].as_json()
        raise DataError(
            f"{series.origin}: the time {now} after {before} does not fit the most frequent step of the series; "
            'expected a regular series, in which times may be missing. Correct the times, or set data.gaps = "rows" '
            "to count each row as one step."
        )
    if len(times) == len(series.times):
        return series
    if settings.missing == "error":
        absent = int(np.flatnonzero(np.isin(np.arange(len(times)), rows, invert=True))[0])
        more = len(times) - len(series.times) - 1
        first, at, last = (times[place : place + 1].as_json()[0] for place in (0, absent, len(times) - 1))
        raise DataError(
            f"{series.origin} has no row at {at}{f', nor at {more} later times' if more else ''}; expected a row for "
            f"each step from {first} to {last}. Add the rows, set data.missing to fill them in, or set data.gaps = "
            '"rows" to count each row as one step.'
        )
    past = int(rows[len(series) - 1]) + 1

    def spread(values: Numbers, size: int) -> Numbers:
        filled = np.full((size, values.shape[1]), np.nan)
        filled[rows[: len(values)]] = values
        return filled

    return replace(
        series,
        times=times,
        targets=spread(series.targets, past),
        past=spread(series.past, past),
        known=spread(series.known, len(times)),
    )


def _ids(table: Table, column_name: str) -> tuple[list[str], Indices]:
    """The ids in the order of their first rows, and the number of the id of each row."""
    import polars

    column = table.frame[column_name]
    if column.dtype.is_nested():
        raise DataError(f"{table.path}: the column {column_name!r} holds {column.dtype}; expected ids.")
    ids = column.cast(polars.String).str.strip_chars()
    empty = ids.is_null() | (ids == "")
    if empty.any():
        raise DataError(f"{table.where(empty.arg_max() or 0)}: the column {column_name!r} is empty; expected an id.")
    names = ids.unique(maintain_order=True)
    numbers = polars.Series(np.arange(len(names)))
    return names.to_list(), ids.replace_strict(names, numbers, return_dtype=polars.Int64).to_numpy()


def _order(
    table: Table, settings: SeriesSettings, ids: Sequence[str], codes: Indices
) -> tuple[Indices, TimeAxis | None]:
    """The rows by id, then by time, and their times; None for numbers from 0 in each series."""
    by_id = np.argsort(codes, kind="stable")
    axis = times_of(table, settings, by_id)
    if not settings.time_column:
        return by_id, None
    by_time = np.lexsort((axis.instants, codes[by_id]))
    order = by_id[by_time]
    offsets = None if axis.offsets is None else axis.offsets[by_time]
    axis = TimeAxis(axis.instants[by_time], offsets, axis.form)
    twice = (axis.instants[1:] == axis.instants[:-1]) & (codes[order][1:] == codes[order][:-1])
    if twice.any():
        row = int(order[int(twice.argmax()) + 1])
        raise DataError(
            f"{table.where(row)}: the time {str(table.frame[settings.time_column][row]).strip()} occurs twice in the "
            f"series {ids[codes[row]]!r}; expected one row per id and time."
        )
    return order, axis


def _last_rows(values: Numbers, codes: Indices, begins: Indices, ends: Indices) -> Indices:
    """For each series, the row after the last one with a target or past value; later rows are known ahead of time."""
    rows = np.flatnonzero(np.isfinite(values).any(1))
    last = begins.copy()
    np.maximum.at(last, codes[rows], rows + 1)
    return np.minimum(last, ends)


def _check_rows(table: Table, ids: Sequence[str], begins: Indices, last: Indices) -> None:
    empty = np.flatnonzero(last == begins)
    if len(empty):
        raise DataError(
            f"{table.path}: the series {ids[int(empty[0])]!r} has no rows of targets; expected at least one."
        )


def _check_known(
    table: Table, names: Sequence[str], values: Numbers, order: Indices, codes: Indices, last: Indices
) -> None:
    """Checks that no value is missing in the rows up to the last one of each series."""
    missing = np.isnan(values) & (np.arange(len(values)) < last[codes])[:, None]
    if missing.any():
        row, column = divmod(int(missing.argmax()), missing.shape[1])
        raise cells.missing_value(table, names[column], int(order[row]))


def _statics(
    table: Table, settings: SeriesSettings, ids: Sequence[str], order: Indices, begins: Indices
) -> list[tuple[str, ...]]:
    """The values of the static columns for each series, as text; a series may have its value in some rows only."""
    import polars

    columns = []
    for name in settings.static_columns:
        column = table.frame[name]
        if column.dtype.is_nested():
            raise DataError(f"{table.path}: the column {name!r} holds {column.dtype}; expected numbers or categories.")
        texts = column.cast(polars.String).str.strip_chars()
        texts = texts.set(texts.str.to_lowercase().is_in(cells.MISSING), None)
        if cells.decimal_comma(table, [name], settings):
            texts = texts.str.replace(",", ".", literal=True)
        values = texts.drop_nulls().unique(maintain_order=True)
        numbers = polars.Series(np.arange(len(values)))
        found = texts.replace_strict(values, numbers, default=-1, return_dtype=polars.Int64)
        codes = found.fill_null(-1).to_numpy()[order]
        most = np.maximum.reduceat(codes, begins)
        least = np.minimum.reduceat(np.where(codes < 0, len(values), codes), begins)
        wrong = np.flatnonzero(most != least)
        if len(wrong):
            place = int(wrong[0])
            got = "no value"
            if most[place] >= 0:
                got = f"the values {values[int(least[place])]!r} and {values[int(most[place])]!r}"
            raise DataError(
                f"{table.path}: the static column {name!r} of the series {ids[place]!r} has {got}; expected one value "
                "for each series. Correct it, or name it in data.past_columns or data.known_columns."
            )
        columns.append(values.gather(most).to_list())
    return list(zip(*columns, strict=True)) if columns else [()] * len(ids)
