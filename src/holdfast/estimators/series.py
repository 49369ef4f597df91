"""Series in memory: frames, columns and arrays in, forecasts as the same kind out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.data.frames import is_frame, like, to_polars
from holdfast.data.readers.series import from_table
from holdfast.data.readers.table import Table
from holdfast.data.series import Numbers, Series
from holdfast.data.time_axis import TimeAxis
from holdfast.errors import DataError
from holdfast.estimators.checking import plain
from holdfast.tasks.forecast.settings import ForecastData
from holdfast.tasks.forecast.values import frame_of
from holdfast.tasks.values import array_of

if TYPE_CHECKING:
    import polars

_EXPECTED = "a frame, a mapping of columns, an array [T] or [T, C], or a list of arrays, one for each series"


@dataclass(frozen=True, eq=False)
class SeriesInput:
    """Series and the form in which they came.

    Attributes:
        series: The series.
        frame: Their rows, if they came with names; None for arrays.
        template: A frame of the caller's library without rows; None for a mapping and for arrays.
        one: Whether a single array came, not a list of arrays.
        flat: Whether the arrays have one dimension.
    """

    series: tuple[Series, ...]
    frame: polars.DataFrame | None = None
    template: Any = None
    one: bool = False
    flat: bool = False

    def table(self, columns: Mapping[str, Any]) -> Any:
        """Columns in the form of the input: a frame of the same library, or a dict of arrays."""
        import polars

        frame = polars.DataFrame(dict(columns))
        if self.template is not None:
            return like(frame, self.template)
        return {name: frame[name].to_numpy() for name in frame.columns}

    def arrays(self, values: Numbers) -> Any:
        """Forecasts [K, h, C, ...] in the form of the input: one array or a list of arrays, without C if it had none.

        Args:
            values: The forecasts of the K series.
        """
        each = [rows[:, 0] if self.flat else rows for rows in values]
        return each[0] if self.one else each

    def keys(self, axes: Sequence[TimeAxis]) -> dict[str, polars.Series]:
        """The columns of ids, if the series have them, and of times.

        Args:
            axes: The times of some rows of each series.
        """
        id_column, time_column = self.series[0].keys
        columns = {id_column: self._ids([len(axis) for axis in axes])} if id_column else {}
        return {**columns, time_column or "time": self.times(axes)}

    def times(self, axes: Sequence[TimeAxis]) -> polars.Series:
        """Times of several series as one column, of the type of the column that came."""
        import polars

        keys = self.series[0].keys[1]
        kind = self.frame[keys].dtype if self.frame is not None and keys else None
        if not axes[0].dated or kind is None:
            plain_times = np.concatenate([axis.instants for axis in axes])
            return polars.Series(plain_times) if kind is None else polars.Series(plain_times).cast(kind)
        if isinstance(kind, polars.Datetime) and kind.time_zone:
            instants = polars.Series(np.concatenate([axis.instants for axis in axes]).astype("datetime64[us]"))
            return instants.dt.replace_time_zone("UTC").dt.convert_time_zone(kind.time_zone).cast(kind)
        if kind == polars.Date or isinstance(kind, polars.Datetime):
            return polars.Series(np.concatenate([axis.local for axis in axes]).astype("datetime64[us]")).cast(kind)
        texts = polars.Series([text for axis in axes for text in axis.as_json()])
        return texts.cast(kind) if kind.is_integer() else texts

    def _ids(self, counts: Sequence[int]) -> polars.Series:
        """The id of each series, repeated, of the type of the column that came."""
        import polars

        names = polars.Series([series.name for series in self.series]).gather(
            np.repeat(np.arange(len(self.series)), counts)
        )
        kind = None if self.frame is None else self.frame[self.series[0].keys[0]].dtype
        return names.cast(kind) if kind is not None and kind.is_integer() else names


def read_series(X: Any, settings: ForecastData) -> SeriesInput:
    """Reads series from memory.

    Args:
        X: A frame of pandas, polars or pyarrow; a mapping from names of columns to their values; an array [T] or
            [T, C]; or a list of such arrays, one for each series.
        settings: The use of each column, and what replaces missing values.

    Raises:
        DataError: A value does not fit.
        MissingLibraryError: polars is not installed, or narwhals for a frame.
    """
    if isinstance(X, SeriesInput):
        return X
    if is_frame(X):
        return of_frame(to_polars(X), settings, X[:0] if hasattr(X, "columns") else X.slice(0, 0))
    if isinstance(X, Mapping):
        return of_frame(frame_of("X", X), settings)
    if isinstance(X, str | bytes) or not np.iterable(plain(X)):
        raise DataError(f"X is of type {type(X).__name__}; expected {_EXPECTED}.")
    return _of_arrays(X, settings)


def of_frame(frame: polars.DataFrame, settings: ForecastData, template: Any = None) -> SeriesInput:
    """The series of a frame; see :func:`read_series`."""
    return SeriesInput(from_table(Table(Path("X"), frame), settings), frame, template)


def with_known(given: SeriesInput, X: Any, settings: ForecastData) -> SeriesInput:
    """Series with what is known of the rows after them.

    Args:
        given: The series.
        X: A frame or mapping with the columns of ids and times and the known columns, for these rows.
        settings: The use of each column.

    Raises:
        DataError: The series came as arrays, a column is missing, or the rows do not follow the series.
    """
    import polars

    if given.frame is None:
        raise DataError("X has columns that are known ahead, and the series are arrays; expected X=None for arrays.")
    future = to_polars(X) if is_frame(X) else frame_of("X", X)
    table = Table(Path("X"), future)
    needed = {"id_column": [settings.id_column], "time_column": [settings.time_column]}
    for setting, names in {**needed, "known_columns": settings.known_columns}.items():
        for name in names:
            if name:
                table.check_column(name, setting)
    keys = [name for name in (settings.id_column, settings.time_column) if name]
    static = [name for name in settings.static_columns if name in future.columns]
    try:
        rows = polars.concat(
            [given.frame, future.select([*keys, *settings.known_columns, *static])], how="diagonal_relaxed"
        )
    except polars.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(f"X does not fit the series ({reason}); expected columns of the same types.") from error
    return of_frame(rows, settings, given.template)


def _of_arrays(X: Any, settings: ForecastData) -> SeriesInput:
    named = {
        "id_column": settings.id_column,
        "time_column": settings.time_column,
        "past_columns": settings.past_columns,
        "known_columns": settings.known_columns,
        "static_columns": settings.static_columns,
        "calendar": settings.calendar,
    }
    for argument, value in named.items():
        if value:
            raise DataError(f"{argument} is {value!r}, and X has no names of columns; expected a frame or a mapping.")
    X = plain(X)
    several = isinstance(X, list | tuple) and len(X) > 0 and np.ndim(plain(X[0])) > 0
    parts = [plain(part) for part in X] if several else [X]
    arrays = [array_of(part, f"X[{k}]" if several else "X", "[T] or [T, C]") for k, part in enumerate(parts)]
    flat = arrays[0].ndim == 1
    series = []
    for k, array in enumerate(arrays):
        origin = f"X[{k}]" if several else "X"
        rows = array.astype(np.float64)
        rows = rows[:, None] if rows.ndim == 1 else rows
        _check(rows, origin, array.shape, arrays[0].shape[1:], settings)
        names = settings.target_columns or (["y"] if rows.shape[1] == 1 else [f"y{c}" for c in range(rows.shape[1])])
        if len(names) != rows.shape[1]:
            raise DataError(f"{origin} has {rows.shape[1]} columns; expected {len(names)}: {', '.join(names)}.")
        nothing = np.zeros((len(rows), 0))
        name = str(k) if several else ""
        series.append(Series(origin, TimeAxis(np.arange(len(rows))), rows, nothing, nothing, tuple(names), name=name))
    return SeriesInput(tuple(series), one=not several, flat=flat)


def _check(rows: Numbers, origin: str, shape: Sequence[int], columns: Sequence[int], settings: ForecastData) -> None:
    if rows.ndim != 2 or not rows.size or tuple(shape[1:]) != tuple(columns):
        raise DataError(f"{origin} has shape {tuple(shape)}; expected [T] or [T, C], the same C for each series.")
    wrong = np.isinf(rows) | (np.isnan(rows) & (settings.missing == "error"))
    if wrong.any():
        row, column = np.argwhere(wrong)[0].tolist()
        raise DataError(
            f"{origin} holds {rows[row, column]} at row {row}, column {column} (from 0); expected finite numbers. "
            "Correct it; NaN is a missing value if the argument missing is set."
        )
