"""Tables: CSV, TSV (plain or gzipped) and Parquet; a row a step under an id, or a row a sequence."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from holdfast.data.examples import Array, Examples
from holdfast.data.readers.compressed import opened
from holdfast.data.readers.table_bounds import check_json_lines, check_parquet, check_separated
from holdfast.errors import DataError, RecipeError, did_you_mean
from holdfast.recipes.classify import ClassifyData

if TYPE_CHECKING:
    import polars

SUFFIXES = (".csv", ".tsv", ".parquet", ".pq")
TEXT_SUFFIXES = (*SUFFIXES, ".jsonl", ".ndjson")
"""Of tables that hold texts."""


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
    found = labels(path, table, settings)
    if settings.id_column:
        return _long(path, table, features, found, settings)
    inputs = as_numbers(path, table, features)[:, :, None]
    return Examples(inputs, found, [f"{path}[{row}]" for row in range(table.height)])


def load(path: Path, text: Iterable[str], content: bytes | None = None) -> polars.DataFrame:
    """A file as a table.

    Args:
        path: The file; its ending says what kind of table it is.
        text: Columns that stay the text that they are in a CSV or TSV file.
        content: The bytes of the file, uncompressed, where it does not lie at the path; None to read them.

    Raises:
        DataError: The file cannot be parsed.
    """
    import polars

    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return _parquet(path, content)
        if content is None:
            with opened(path) as file:
                content = file.read()
        endings = "".join(path.suffixes[-2:]).lower()
        if ".jsonl" in endings or ".ndjson" in endings:
            check_json_lines(path, content)
            return polars.read_ndjson(content, infer_schema_length=None)
        columns = {name: polars.String for name in text if name}
        separator = "\t" if ".tsv" in endings else ","
        check_separated(path, content, separator)
        return polars.read_csv(content, separator=separator, schema_overrides=columns, infer_schema_length=None)
    # A damaged Parquet file makes polars panic, which is no PolarsError.
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise DataError(f"{path} cannot be read as a table: it is cut short or malformed ({reason}).") from error


def _parquet(path: Path, content: bytes | None) -> polars.DataFrame:
    """A Parquet file, after its claims were checked."""
    import polars

    size = path.stat().st_size if content is None else len(content)
    lazily = polars.scan_parquet(path if content is None else io.BytesIO(content), glob=False)
    rows = int(lazily.select(polars.len()).collect().item())
    check_parquet(path, rows, len(lazily.collect_schema()), size)
    return lazily.collect()


def texts(path: Path, table: polars.DataFrame, column: str) -> list[str]:
    """The text of every row.

    Raises:
        DataError: There is no such column, it holds no text, or a row has none.
    """
    import polars

    check_column(path, table, column, "text_column")
    if table[column].dtype.is_nested():
        raise DataError(f"{path}: the column {column!r} holds {table[column].dtype}; expected text.")
    found = table[column].cast(polars.String).to_list()
    if None in found:
        raise DataError(f"{path}[{found.index(None)}]: the column {column!r} is empty; expected a text.")
    if not found:
        raise DataError(f"{path} has column names but no rows; expected at least one.")
    return found


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


def labels(path: Path, table: polars.DataFrame, settings: ClassifyData) -> list[str] | None:
    """The label of every row as text, or its labels with the separator between them; None without a label column.

    Raises:
        DataError: A row has no label, unless there may be several; or it has a list of them and there may be but one.
    """
    import polars

    if settings.label_column not in table.columns:
        return None
    column = table[settings.label_column]
    if isinstance(column.dtype, polars.List):
        if not settings.label_separator:
            raise DataError(
                f"{path}: the column {settings.label_column!r} holds lists. "
                'Set data.label_separator, such as "|", to learn several labels a sequence.'
            )
        column = column.cast(polars.List(polars.String)).list.join(settings.label_separator)
    if settings.label_separator:
        column = column.cast(polars.String).fill_null("")
    found = column.cast(polars.String).to_list()
    if None in found:
        raise DataError(
            f"{path}[{found.index(None)}]: the column {settings.label_column!r} is empty; expected a label."
        )
    return found


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
    path: Path, table: polars.DataFrame, features: list[str], told: list[str] | None, settings: ClassifyData
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
    if told is not None:
        for name, rows in groups.items():
            found = sorted({told[row] for row in rows})
            if len(found) > 1:
                raise DataError(
                    f"{path}[id={name}] has the labels {', '.join(found)}; expected one in all of its rows."
                )
    return Examples(
        [numbers[rows] for rows in groups.values()],
        None if told is None else [told[rows[0]] for rows in groups.values()],
        [f"{path}[id={name}]" for name in groups],
    )
