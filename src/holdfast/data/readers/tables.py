"""Tables of sequences: CSV, TSV (plain or gzipped) and Parquet; a row a step under an id, or a row a sequence."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from holdfast.data.examples import Array, Examples
from holdfast.data.readers import values as cells
from holdfast.data.readers.table import SUFFIXES, Table, load
from holdfast.data.settings import ReadingSettings
from holdfast.data.time_axis import TimeAxis
from holdfast.errors import DataError, RecipeError

__all__ = ["SUFFIXES", "labels", "read", "texts"]

_ADVICE = "Name the input columns in data.feature_columns, or the label's column in data.label_column."


def read(path: Path, settings: ReadingSettings) -> Examples:
    """Read a table whose first row names the columns.

    Args:
        path: The file.
        settings: ``id_column``, ``time_column``, ``label_column``, ``feature_columns`` and what is said of tables are
            used. With an id column (long format) a row is a step, the feature columns are the channels, and the
            sequences come in the order in which their ids first occur. Without one, a row is a sequence and each
            feature column is a step of one channel.

    Returns:
        The sequences; without labels where the table has no label column.

    Raises:
        DataError: The file cannot be parsed, a named column is missing, a feature is no number, a time is none, or the
            rows of one sequence disagree on its label.
        RecipeError: A time column is set without an id column.
    """
    if settings.time_column and not settings.id_column:
        raise RecipeError("data.time_column needs data.id_column, which says which sequence a row belongs to.")
    table = load(path, settings)
    features = _features(table, settings)
    if not table.frame.height:
        raise DataError(f"{path} has column names but no rows; expected at least one.")
    told = labels(table, settings)
    if settings.id_column:
        return _long(table, features, told, settings)
    inputs = cells.read(table, features, settings, _ADVICE)[:, :, None]
    origins = [f"{path}[{row}]" for row in range(len(inputs))]
    return Examples(inputs, told, origins, gaps=settings.missing != "error")


def texts(table: Table, column: str) -> list[str]:
    """The text of every row.

    Raises:
        DataError: There is no such column, it holds no text, or a row has none.
    """
    import polars

    table.check_column(column, "text_column")
    if table.frame[column].dtype.is_nested():
        raise DataError(f"{table.path}: the column {column!r} holds {table.frame[column].dtype}; expected text.")
    found = table.frame[column].cast(polars.String).to_list()
    if None in found:
        raise DataError(f"{table.where(found.index(None))}: the column {column!r} is empty; expected a text.")
    if not found:
        raise DataError(f"{table.path} has column names but no rows; expected at least one.")
    return found


def _features(table: Table, settings: ReadingSettings) -> list[str]:
    """The names of the input columns, in order."""
    for setting, name in [("id_column", settings.id_column), ("time_column", settings.time_column)]:
        if name:
            table.check_column(name, setting)
    for name in settings.feature_columns:
        table.check_column(name, "feature_columns")
    named = [settings.id_column, settings.time_column, settings.label_column]
    features = settings.feature_columns or table.others(named, "data.feature_columns or data.time_column")
    if not features:
        raise DataError(
            f"{table.path} has no columns besides {', '.join(table.columns)}; expected columns that hold inputs."
        )
    return features


def labels(table: Table, settings: ReadingSettings) -> list[str] | None:
    """The label of every row as text, or its labels with the separator between them; None without a label column.

    Raises:
        DataError: A row has no label, unless there may be several; or it has a list of them and there may be but one.
    """
    import polars

    if settings.label_column not in table.columns:
        return None
    column = table.frame[settings.label_column]
    if isinstance(column.dtype, polars.List):
        if not settings.label_separator:
            raise DataError(
                f"{table.path}: the column {settings.label_column!r} holds lists. "
                'Set data.label_separator, such as "|", to learn several labels a sequence.'
            )
        column = column.cast(polars.List(polars.String)).list.join(settings.label_separator)
    if column.dtype.is_nested() or column.dtype == polars.Binary:
        raise DataError(f"{table.path}: the column {settings.label_column!r} holds {column.dtype}; expected labels.")
    column = column.cast(polars.String)
    if settings.label_separator:
        column = column.fill_null("")
    found = column.to_list()
    if None in found:
        raise DataError(
            f"{table.where(found.index(None))}: the column {settings.label_column!r} is empty; expected a label."
        )
    return found


def _long(table: Table, features: list[str], told: list[str] | None, settings: ReadingSettings) -> Examples:
    """Group the rows by id, in the order of first occurrence, each group sorted by time."""
    import polars

    column = table.frame[settings.id_column]
    if column.dtype.is_nested():
        raise DataError(f"{table.path}: the column {settings.id_column!r} holds {column.dtype}; expected ids.")
    ids = column.cast(polars.String)
    if ids.null_count():
        row = ids.is_null().arg_max() or 0
        raise DataError(f"{table.where(row)}: the column {settings.id_column!r} is empty; expected an id.")
    values = cells.read(table, features, settings, _ADVICE)
    groups: dict[str, list[int]] = {name: [] for name in ids.unique(maintain_order=True)}
    names = ids.to_list()
    for row in _order(table, settings).tolist():
        groups[names[row]].append(row)
    if told is not None:
        for name, rows in groups.items():
            found = sorted({told[row] for row in rows})
            if len(found) > 1:
                raise DataError(
                    f"{table.path}[id={name}] has the labels {', '.join(found)}; expected one in all of its rows."
                )
    return Examples(
        [values[rows] for rows in groups.values()],
        None if told is None else [told[rows[0]] for rows in groups.values()],
        [f"{table.path}[id={name}]" for name in groups],
        gaps=settings.missing != "error",
        columns=tuple(features),
    )


def _order(table: Table, settings: ReadingSettings) -> Array:
    """The rows by their times; those of one time, and all of them without times, in the order of the file."""
    if not settings.time_column:
        return np.arange(table.frame.height)
    comma = cells.decimal_comma(table, [settings.time_column], settings)
    times = TimeAxis.read(table.frame[settings.time_column], settings, table.where, comma=comma)
    return times.instants.argsort(kind="stable")
