"""Series from values in memory: frames, columns, rows and numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from holdfast.data.frames import is_frame, to_polars
from holdfast.data.readers.series import from_table
from holdfast.data.readers.table import Table
from holdfast.data.series import Windows
from holdfast.errors import DataError, MissingLibraryError
from holdfast.tasks.forecast.data import context
from holdfast.tasks.forecast.settings import ForecastData
from holdfast.tasks.values import array_of, examples_in, origins

if TYPE_CHECKING:
    import polars


def from_values(values: Any, settings: ForecastData, horizon: int) -> Windows:
    """Series from values in memory.

    Args:
        values: A frame of pandas, polars or pyarrow. Or one series: a mapping from the names of columns to their
            values, or a list of rows, each a mapping from names to values. Where the model reads neither times nor ids,
            also an array [T, C] or lists of numbers, or [T] for one column: the target, past and known columns, in this
            order. Or several series: a frame, a mapping or rows with the id column of the model, or a list of mappings
            from names to columns. None and NaN are missing values, where ``data.missing`` allows them.
        settings: The ``[data]`` table of the model.
        horizon: Rows to forecast.

    Raises:
        DataError: A value does not fit.
        MissingLibraryError: polars is not installed, or narwhals for a frame.
    """
    series = [
        one for origin, frame in _frames(values, settings) for one in from_table(Table(Path(origin), frame), settings)
    ]
    return Windows.of(series, context(settings), horizon, settings.stride)


def frame_of(origin: str, columns: Mapping[Any, Any]) -> polars.DataFrame:
    """Columns by name as a frame.

    Args:
        origin: What they are, for the message.
        columns: Lists, arrays or other iterables of one length.

    Raises:
        DataError: They have unequal lengths, or values of several kinds.
        MissingLibraryError: polars is not installed.
    """
    try:
        import polars
    except ImportError as error:
        raise MissingLibraryError(
            "A series needs the library polars, which is not installed: pip install 'holdfast[tables]'."
        ) from error
    try:
        return polars.DataFrame({str(name): polars.Series(_column(values)) for name, values in columns.items()})
    except (TypeError, ValueError, OverflowError, RuntimeError, polars.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(f"{origin} is no table ({reason}); expected columns of one length.") from error


def _frames(values: Any, settings: ForecastData) -> list[tuple[str, polars.DataFrame]]:
    """The tables in some values, each with a name."""
    if is_frame(values):
        return [("values", to_polars(values))]
    if isinstance(values, Mapping):
        return [("values", frame_of("values", values))]
    rows = examples_in(values, "a mapping of columns, a list of rows, or a list of such mappings")
    if not rows:
        raise DataError("The values are empty; expected a mapping of columns, or at least one row.")
    if not isinstance(rows[0], Mapping):
        return [("values", frame_of("values", _named_columns(rows, settings)))]
    for index, row in enumerate(rows):
        if not isinstance(row, Mapping) or row.keys() != rows[0].keys():
            raise DataError(f"values[{index}] does not have the columns of values[0]: {', '.join(map(str, rows[0]))}.")
    if not any(_is_column(value) for value in rows[0].values()):
        return [("values", frame_of("values", {name: [row[name] for row in rows] for name in rows[0]}))]
    return [(origin, frame_of(origin, row)) for origin, row in zip(origins(rows), rows, strict=True)]


def _named_columns(rows: list[Any], settings: ForecastData) -> dict[str, Any]:
    """Rows of numbers as the columns that a model without times reads."""
    names = [*settings.target_columns, *settings.past_columns, *settings.known_columns]
    expected = f"rows of {len(names)} numbers: {', '.join(names)}"
    for column, use in ((settings.id_column, "ids"), (settings.time_column, "times")):
        if column:
            raise DataError(
                f"The values have no names; expected a mapping of columns, since the model reads {use} from the column "
                f"{column!r}: {{{column!r}: [...], {names[0]!r}: [...]}}."
            )
    table = array_of(rows, "values", expected)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or table.shape[1] != len(names):
        raise DataError(f"The values have shape {table.shape}; expected {expected}.")
    return dict(zip(names, table.T, strict=True))


def _is_column(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | bytes) and getattr(value, "ndim", 1) > 0


def _column(values: Any) -> Any:
    """A column for polars, which knows arrays and Python's numbers, but no scalars of numpy's times or of torch."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        return values
    if isinstance(values, np.ma.MaskedArray | Tensor):
        return values.tolist()
    return list(values)
