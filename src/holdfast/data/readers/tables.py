"""Tables: CSV, TSV (plain or gzipped) and Parquet; a row a step under an id, or a row a sequence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from holdfast.data.examples import Array, Examples
from holdfast.data.readers.compressed import opened
from holdfast.errors import DataError, RecipeError, did_you_mean
from holdfast.recipes.classify import ClassifyData

if TYPE_CHECKING:
    import polars

SUFFIXES = (".csv", ".tsv", ".parquet", ".pq")


def read(path: Path, settings: ClassifyData) -> Examples:
    """Read a table whose first row names the columns.

    Args:
        path: The file.
        settings: ``id_column``, ``time_column``, ``label_column`` and ``feature_columns`` are used. With an id
            column (long format) a row is a step, the feature columns are the channels, and the sequences come in
            the order in which their ids first occur. Without one, a row is a sequence and each feature column is a
            step of one channel.

    Returns:
        The sequences; without labels where the table has no label column.

    Raises:
        DataError: The file cannot be parsed, a named column is missing, a feature is empty or no number, or the rows of
            one sequence disagree on its label.
        RecipeError: A time column is set without an id column.
    """
    if settings.time_column and not settings.id_column:
        raise RecipeError("data.time_column needs data.id_column, which says which sequence a row belongs to.")
    table = load(path, (settings.id_column, settings.label_column))
    features = _features(path, table, settings)
    if not table.height:
        raise DataError(f"{path} has column names but no rows; expected at least one.")
    labels = _labels(path, table, settings)
    if settings.id_column:
        return _long(path, table, features, labels, settings)
    inputs = as_numbers(path, table, features)[:, :, None]
    return Examples(inputs, labels, [f"{path}[{row}]" for row in range(table.height)])


def load(path: Path, text: Iterable[str]) -> polars.DataFrame:
    """A file as a table.

    Args:
        path: The file; its ending says what kind of table it is.
        text: Columns that stay the text that they are in a CSV or TSV file.

    Raises:
        DataError: The file cannot be parsed.
    """
    import polars

    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return polars.read_parquet(path, glob=False)
        with opened(path) as file:
            content = file.read()
        columns = {name: polars.String for name in text if name}
        separator = "\t" if ".tsv" in "".join(path.suffixes[-2:]).lower() else ","
        return polars.read_csv(content, separator=separator, schema_overrides=columns, infer_schema_length=None)
    # A damaged Parquet file makes polars panic, which is no PolarsError.
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise DataError(f"{path} cannot be read as a table: it is cut short or malformed ({reason}).") from error


def _features(path: Path, table: polars.DataFrame, settings: ClassifyData) -> list[str]:
    """The names of the input columns, in order."""
    for setting, name in [("id_column", settings.id_column), ("time_column", settings.time_column)]:
        if name:
            check_column(path, table, name, setting)
    for name in settings.feature_columns:
        check_column(path, table, name, "feature_columns")
    kept = {settings.id_column, settings.time_column, settings.label_column}
    features = settings.feature_columns or [name for name in table.columns if name not in kept]
    if not features:
        raise DataError(f"{path} has no columns besides {', '.join(table.columns)}; expected columns that hold inputs.")
    return features


def check_column(path: Path, table: polars.DataFrame, name: str, setting: str) -> None:
    """Sees that a table has the column that ``data.SETTING`` names.

    Raises:
        DataError: It has not.
    """
    if name not in table.columns:
        raise DataError(f"{path} has no column {name!r} (data.{setting}); {did_you_mean(name, table.columns)}")


def _labels(path: Path, table: polars.DataFrame, settings: ClassifyData) -> list[str] | None:
    """The label of every row as text; None where the table has no label column."""
    import polars

    if settings.label_column not in table.columns:
        return None
    labels = table[settings.label_column].cast(polars.String).to_list()
    if None in labels:
        raise DataError(
            f"{path}[{labels.index(None)}]: the column {settings.label_column!r} is empty; expected a label."
        )
    return labels


def as_numbers(
    path: Path,
    table: polars.DataFrame,
    columns: Sequence[str],
    advice: str = "Name the input columns in data.feature_columns, or the label's column in data.label_column.",
) -> Array:
    """Columns as numbers [rows, columns].

    Args:
        path: Where the table is from, for the message.
        table: The table.
        columns: Their names.
        advice: What to do about a column that holds no numbers.

    Raises:
        DataError: A cell is empty or holds no number.
    """
    import polars

    for name in columns:
        column = table[name]
        if column.null_count():
            row = column.is_null().arg_max()
            raise DataError(
                f"{path}[{row}]: the column {name!r} is empty; expected a number. Fill it in or leave the row out."
            )
        if column.dtype.is_numeric() or column.dtype == polars.Boolean:
            continue
        parsed = polars.Series(name, [None] * len(column), dtype=polars.Float64)
        if column.dtype == polars.String:  # numbers with spaces around them, or a NaN among integers
            parsed = column.str.strip_chars().cast(polars.Float64, strict=False)
        if parsed.null_count():
            row = parsed.is_null().arg_max() or 0
            raise DataError(
                f"{path}[{row}]: the column {name!r} holds {str(column[row])!r}; expected a number. " + advice
            )
        table = table.with_columns(parsed)
    numbers = table.select(columns).to_numpy()
    return numbers.astype(np.uint8) if numbers.dtype == np.bool_ else np.asarray(numbers)


def _long(
    path: Path, table: polars.DataFrame, features: list[str], labels: list[str] | None, settings: ClassifyData
) -> Examples:
    """Group the rows by id, in the order of first occurrence, each group sorted by time."""
    import polars

    ids = table[settings.id_column].cast(polars.String)
    if ids.null_count():
        raise DataError(
            f"{path}[{ids.is_null().arg_max()}]: the column {settings.id_column!r} is empty; expected an id."
        )
    if settings.time_column and table[settings.time_column].null_count():
        row = table[settings.time_column].is_null().arg_max()
        raise DataError(f"{path}[{row}]: the column {settings.time_column!r} is empty; expected a time.")
    numbers = as_numbers(path, table, features)
    order = np.arange(table.height)
    if settings.time_column:
        order = table[settings.time_column].to_numpy().argsort(kind="stable")
    groups: dict[str, list[int]] = {name: [] for name in ids.unique(maintain_order=True)}
    names = ids.to_list()
    for row in order.tolist():
        groups[names[row]].append(row)
    if labels is not None:
        for name, rows in groups.items():
            found = sorted({labels[row] for row in rows})
            if len(found) > 1:
                raise DataError(
                    f"{path}[id={name}] has the labels {', '.join(found)}; expected one in all of its rows."
                )
    return Examples(
        [numbers[rows] for rows in groups.values()],
        None if labels is None else [labels[rows[0]] for rows in groups.values()],
        [f"{path}[id={name}]" for name in groups],
    )
