"""Tables of sequences: CSV, TSV (plain or gzipped) and Parquet; a row is a step of an id, or a whole sequence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from holdfast.data.examples import Array, Examples
from holdfast.data.readers import values as cells
from holdfast.data.readers.table import SUFFIXES, Table, load
from holdfast.data.settings import ReadingSettings
from holdfast.data.targets import Targets
from holdfast.data.time_axis import TimeAxis
from holdfast.errors import DataError, RecipeError

__all__ = ["SUFFIXES", "read", "targets_of", "texts"]

_ADVICE = "Name the input columns in data.feature_columns, or the label's column in data.label_column."


def read(path: Path, settings: ReadingSettings, targets: Targets = "labels") -> Examples:
    """Reads a table whose first row names the columns.

    Args:
        path: The file.
        settings: ``id_column``, ``time_column``, ``target_names``, ``feature_columns`` and the fields of
            ``TableSettings`` are used. With an id column (long format) a row is a step, the feature columns are the
            channels, and the sequences come in the order in which their ids first occur. Without one, a row is a
            sequence and each feature column is a step of one channel; but with numbers for each step, or where they
            are detected and there is a time column, the table is one sequence in long format.
        targets: What the task learns: the label column or the target columns hold it.

    Returns:
        The sequences; without targets where the table has no label column.

    Raises:
        DataError: The file cannot be parsed, a named column is missing, a feature is not a number, a time is not a
            time, or the rows of one sequence differ in its target.
        RecipeError: A time column is set without an id column, and a row is not a step.
    """
    check_times(settings, targets)
    return of_table(load(path, settings), settings, targets)


def check_times(settings: ReadingSettings, targets: Targets) -> None:
    """Raises RecipeError where a time column is set without an id column, and a row is not a step."""
    if settings.time_column and not rows_are_steps(settings, targets):
        raise RecipeError("data.time_column needs data.id_column, which says which sequence a row belongs to.")


def rows_are_steps(settings: ReadingSettings, targets: Targets) -> bool:
    """Whether a row of a table is a step of a sequence, and not a whole sequence."""
    return bool(settings.id_column) or targets == "steps" or (targets == "detect" and bool(settings.time_column))


def by_id(settings: ReadingSettings, targets: Targets) -> bool:
    """Whether a table has many sequences, a row per step."""
    return bool(settings.id_column) and rows_are_steps(settings, targets)


def of_table(table: Table, settings: ReadingSettings, targets: Targets = "labels") -> Examples:
    """The sequences of a table that was read, or of whole sequences of it; see :func:`read`.

    Raises:
        DataError: As for :func:`read`.
    """
    path = table.path
    features = features_of(table, settings)
    if not table.frame.height:
        raise DataError(f"{path} has column names but no rows; expected at least one.")
    row_targets = targets_of(table, settings, targets)
    if rows_are_steps(settings, targets):
        return _long(table, features, row_targets, settings, per_step=targets in ("steps", "detect"))
    inputs = cells.numbers(table, features, settings, _ADVICE)[:, :, None]
    origins = [table.origin(row) for row in range(len(inputs))]
    return Examples(inputs, row_targets, origins, gaps=settings.missing != "error")


def texts(table: Table, column: str) -> list[str]:
    """The text of each row.

    Raises:
        DataError: There is no such column, it holds no text, or a row has none.
    """
    import polars

    table.check_column(column, "text_column")
    if table.frame[column].dtype.is_nested():
        raise DataError(f"{table.path}: the column {column!r} holds {table.frame[column].dtype}; expected text.")
    texts = table.frame[column].cast(polars.String).to_list()
    if None in texts:
        raise DataError(f"{table.where(texts.index(None))}: the column {column!r} is empty; expected a text.")
    if not texts:
        raise DataError(f"{table.path} has column names but no rows; expected at least one.")
    return texts


def features_of(table: Table, settings: ReadingSettings) -> list[str]:
    """The names of the input columns, in order.

    Raises:
        DataError: A column is missing, or there are none.
    """
    for setting, name in [("id_column", settings.id_column), ("time_column", settings.time_column)]:
        if name:
            table.check_column(name, setting)
    for name in settings.feature_columns:
        table.check_column(name, "feature_columns")
    named = [settings.id_column, settings.time_column, *settings.target_names]
    features = settings.feature_columns or table.others(named, "data.feature_columns or data.time_column")
    if not features:
        raise DataError(
            f"{table.path} has no columns besides {', '.join(table.columns)}; expected columns that hold inputs."
        )
    return features


def targets_of(table: Table, settings: ReadingSettings, targets: Targets) -> list[Any] | None:
    """The target of each row, as its label column or its target columns hold it; None without such a column.

    Args:
        table: The table.
        settings: ``target_names`` and ``label_separator`` are used, and for numbers ``decimal`` and ``missing``. A step
            may always lack its target.
        targets: What the task learns. Labels are text, several with the separator between them; others are numbers, or
            arrays of several numbers.

    Raises:
        DataError: A row has no label, unless it may have several; it has a list of labels and may have only one; a
            target is not a number; or the table has only some of the target columns.
    """
    names = settings.target_names
    if not any(name in table.columns for name in names):
        return None
    if targets == "labels":
        return _labels(table, settings)
    for name in names:
        table.check_column(name, "target_columns")
    if targets == "steps" or (targets == "detect" and (settings.id_column or settings.time_column)):
        settings = settings.model_copy(update={"missing": "mean"})
    advice = "Name the columns of the targets in data.target_columns."
    numbers = cells.numbers(table, names, settings, advice).astype(np.float64)
    return list(numbers) if len(names) > 1 else numbers[:, 0].tolist()


def _labels(table: Table, settings: ReadingSettings) -> list[str]:
    import polars

    column = table.frame[settings.label_column]
    if isinstance(column.dtype, polars.List):
        if not settings.label_separator:
            raise DataError(
                f"{table.path}: the column {settings.label_column!r} holds lists. "
                'Set data.label_separator, such as "|", to learn several labels per sequence.'
            )
        column = column.cast(polars.List(polars.String)).list.join(settings.label_separator)
    if column.dtype.is_nested() or column.dtype == polars.Binary:
        raise DataError(f"{table.path}: the column {settings.label_column!r} holds {column.dtype}; expected labels.")
    column = column.cast(polars.String)
    if settings.label_separator:
        column = column.fill_null("")
    labels = column.to_list()
    if None in labels:
        raise DataError(
            f"{table.where(labels.index(None))}: the column {settings.label_column!r} is empty; expected a label."
        )
    return labels


def _long(
    table: Table, features: list[str], row_targets: list[Any] | None, settings: ReadingSettings, *, per_step: bool
) -> Examples:
    """Groups the rows by id, in the order of first occurrence; sorts each group by time."""
    ids = ids_of(table, settings) if settings.id_column else [""] * table.frame.height
    values = cells.numbers(table, features, settings, _ADVICE)
    groups: dict[str, list[int]] = {name: [] for name in ids}
    for row in _order(table, settings).tolist():
        groups[ids[row]].append(row)
    targets: list[Any] | None = None
    if row_targets is not None and per_step:
        targets = [np.array([row_targets[row] for row in rows]) for rows in groups.values()]
    elif row_targets is not None:
        for name, rows in groups.items():
            different = sorted({str(np.asarray(row_targets[row]).tolist()) for row in rows})
            if len(different) > 1:
                kind = "labels" if isinstance(row_targets[0], str) else "targets"
                raise DataError(
                    f"{table.path}[id={name}] has the {kind} {', '.join(different)}; expected one in all of its rows."
                )
        targets = [row_targets[rows[0]] for rows in groups.values()]
    return Examples(
        [values[rows] for rows in groups.values()],
        targets,
        [f"{table.path}[id={name}]" if settings.id_column else str(table.path) for name in groups],
        gaps=settings.missing != "error",
        columns=tuple(features),
        per_step=per_step and targets is not None,
    )


def ids_of(table: Table, settings: ReadingSettings) -> list[str]:
    """The id of each row.

    Raises:
        DataError: A row has none.
    """
    import polars

    column = table.frame[settings.id_column]
    if column.dtype.is_nested():
        raise DataError(f"{table.path}: the column {settings.id_column!r} holds {column.dtype}; expected ids.")
    ids = column.cast(polars.String)
    if ids.null_count():
        row = ids.is_null().arg_max() or 0
        raise DataError(f"{table.where(row)}: the column {settings.id_column!r} is empty; expected an id.")
    return ids.to_list()


def _order(table: Table, settings: ReadingSettings) -> Array:
    """The rows sorted by their times; rows of one time, and all rows without times, keep the order of the file."""
    if not settings.time_column:
        return np.arange(table.frame.height)
    comma = cells.decimal_comma(table, [settings.time_column], settings)
    times = TimeAxis.from_column(table.frame[settings.time_column], settings, table.where, comma=comma)
    return times.instants.argsort(kind="stable")
