"""Frames of pandas, polars, pyarrow and others: in as a polars frame, and out as a frame of the same kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from holdfast.errors import DataError, MissingLibraryError

if TYPE_CHECKING:
    import polars


def is_frame(values: Any) -> bool:
    """Whether a value is a frame: a table with named columns that is not a mapping."""
    if isinstance(values, Mapping) or not hasattr(values, "shape"):  # a lazy frame has no shape
        return False
    return hasattr(values, "columns") or hasattr(values, "column_names")


def to_polars(frame: Any) -> polars.DataFrame:
    """A frame as a frame of polars.

    Args:
        frame: A frame of any library that narwhals knows; the index of pandas is not a column.

    Raises:
        DataError: It is lazy or not a frame that narwhals knows, or a column has values that polars does not know.
        MissingLibraryError: narwhals or polars is not installed.
    """
    nw, pl = _libraries()
    try:
        table = nw.from_native(frame, eager_only=True)
    except TypeError as error:
        raise DataError(
            f"A value of type {type(frame).__module__}.{type(frame).__name__} is not a frame in memory; expected a "
            "frame of pandas, polars or pyarrow. Collect a lazy frame first."
        ) from error
    if isinstance(table.to_native(), pl.DataFrame):
        return cast("polars.DataFrame", table.to_native())
    try:
        return cast("polars.DataFrame", pl.DataFrame([_column(table[name]) for name in table.columns]))
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(f"The frame cannot be used ({reason}); expected columns of numbers, times or text.") from error


def like(frame: polars.DataFrame, template: Any) -> Any:
    """A frame of polars as one of another kind.

    Args:
        frame: Columns of numbers, text, dates and datetimes.
        template: A frame of the library to use.

    Raises:
        MissingLibraryError: narwhals is not installed.
    """
    nw, pl = _libraries()
    wanted = nw.from_native(template, eager_only=True)
    if isinstance(wanted.to_native(), pl.DataFrame):
        return frame
    columns, zones = {}, {}
    for column in frame:
        if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone:
            zones[column.name] = column.dtype.time_zone
            column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        plain = column.dtype.is_numeric() or isinstance(column.dtype, pl.Datetime)
        columns[column.name] = column.to_numpy() if plain and not column.null_count() else column.to_list()
    table = nw.from_dict(columns, backend=wanted.implementation)
    zoned = [nw.col(name).dt.replace_time_zone("UTC").dt.convert_time_zone(zone) for name, zone in zones.items()]
    table = table.with_columns(*zoned) if zoned else table
    kinds = {name: wanted.schema[name] for name in table.columns if name in wanted.schema}
    times = [
        nw.col(name).cast(kind)
        for name, kind in kinds.items()
        if isinstance(kind, nw.Datetime | nw.Date) and table.schema[name] != kind
    ]
    return (table.with_columns(*times) if times else table).to_native()


def _column(column: Any) -> polars.Series:
    """A column of narwhals as one of polars."""
    nw, pl = _libraries()
    kind = column.dtype
    if isinstance(kind, nw.Datetime):
        zone = kind.time_zone
        column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zone else column
        values = pl.Series(column.name, column.cast(nw.Datetime("us")).to_numpy())
        values = values.dt.replace_time_zone("UTC").dt.convert_time_zone(zone) if zone else values
        return cast("polars.Series", values)
    if kind.is_float() or (kind.is_numeric() and not column.null_count()):
        return cast("polars.Series", pl.Series(column.name, column.to_numpy()))
    if isinstance(kind, nw.Categorical | nw.Enum):
        column = column.cast(nw.String)
    missing = column.is_null().to_list()
    values = [None if gap else value for value, gap in zip(column.to_list(), missing, strict=True)]
    return cast("polars.Series", pl.Series(column.name, values))


def _libraries() -> tuple[Any, Any]:
    try:
        import narwhals
        import polars
    except ImportError as error:
        raise MissingLibraryError(
            f"Frames need the library {error.name}, which is not installed: pip install 'holdfast[tables]'."
        ) from error
    return narwhals, polars
