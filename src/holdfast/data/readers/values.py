"""The columns of a table as numbers: the decimal sign, and missing values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from holdfast.data.examples import Array
from holdfast.data.readers.table import Table
from holdfast.data.settings import TableSettings
from holdfast.errors import DataError

if TYPE_CHECKING:
    import polars

MISSING = ("", "na", "n/a", "#n/a", "#na", "<na>", "nan", "-nan", "null", "none", "-", "--", "?")
"""Missing values, in lower case."""
_COMMA = r"^[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?$"
POINT = r"^[+-]?[0-9]*\.[0-9]*(?:[eE][+-]?[0-9]+)?$"
_THOUSANDS = r"^[+-]?[1-9][0-9]{0,2},[0-9]{3}$"


def numbers(table: Table, columns: Sequence[str], settings: TableSettings, advice: str) -> Array:
    """Columns as numbers.

    A cell may have blanks around it; ``true`` and ``false`` are 1 and 0. Unless the settings name the decimal sign, it
    is a comma if numbers have commas and none has a point. If such a comma may as well separate thousands, it is an
    error.

    Args:
        table: The table.
        columns: The names of the columns.
        settings: ``decimal`` and ``missing`` are used.
        advice: What to do about a column that does not hold numbers, for the message.

    Returns:
        [rows, columns]; NaN for a missing value, unless that is an error.

    Raises:
        DataError: A cell is not a number, or is missing and that is an error.
    """
    import polars

    if table.separator == ";" and not settings.decimal:
        check_points(table, columns)
    numeric = {name: _numbers(table, name, settings, advice) for name in columns}
    texts = {name: _stripped(table, name) for name, column in numeric.items() if column is None}
    comma = bool(texts) and decimal_comma(table, columns, settings)
    parsed = [
        _parsed(table, name, texts[name], settings, advice, comma=comma) if column is None else column
        for name, column in numeric.items()
    ]
    for name, column in zip(columns, parsed, strict=True):
        gaps = column.is_null() | (column.is_nan() if column.dtype.is_float() else False)
        if settings.missing == "error" and gaps.any():
            row = gaps.arg_max() or 0
            raise missing_value(table, name, row)
    values = polars.DataFrame(parsed).to_numpy()
    return values.astype(np.uint8) if values.dtype == np.bool_ else np.asarray(values)


def missing_value(table: Table, name: str, row: int) -> DataError:
    """The error for a value that is missing, where none may be."""
    value = table.frame[name][row]
    got = "is empty" if value is None or not str(value).strip() else f"holds {str(value).strip()!r}"
    return DataError(
        f"{table.where(row)}: the column {name!r} {got}; expected a number. Fill it in, leave the row out, or set "
        "data.missing."
    )


def decimal_comma(table: Table, columns: Sequence[str], settings: TableSettings) -> bool:
    """Whether the decimal sign of some columns is a comma, by the rules of :func:`numbers`.

    Raises:
        DataError: The comma may be a decimal sign or separate thousands.
    """
    import polars

    if settings.decimal:
        return settings.decimal == ","
    texts = {name: _stripped(table, name) for name in columns if table.frame[name].dtype == polars.String}
    if not any(text.str.contains(",", literal=True).any() for text in texts.values()):
        return False
    if any(text.str.contains(POINT).any() for text in texts.values()):
        return False  # a value that also has a comma is not a number
    doubtful: tuple[str, int] | None = None
    for name, text in texts.items():
        commas = text.str.contains(_COMMA).fill_null(False)
        thousands = text.str.contains(_THOUSANDS).fill_null(False)
        if (commas & ~thousands).any():
            return True
        # Between semicolons, values that all have three digits after the comma are decimals, not thousands.
        if thousands.any() and not (table.separator == ";" and bool((thousands | text.is_null()).all())):
            doubtful = doubtful or (name, thousands.arg_max() or 0)
    if doubtful:
        name, row = doubtful
        raise DataError(
            f"{table.where(row)}: the column {name!r} holds {texts[name][row]!r}, where the comma may be a decimal "
            'sign or separate thousands. Set data.decimal = "," if it is a decimal sign; else leave it out.'
        )
    return any(text.str.contains(_THOUSANDS).any() for text in texts.values())


def check_points(table: Table, columns: Sequence[str]) -> None:
    """Checks that points are decimal signs, in a table whose separator allows decimal commas.

    Raises:
        DataError: A column has whole numbers, and points only before three digits.
    """
    for name in columns:
        text = table.frame[name].str.strip_chars()
        groups = text.str.contains(r"^[+-]?[1-9][0-9]{0,2}\.[0-9]{3}$").fill_null(False)
        if not groups.any() or (text.str.contains(".", literal=True).fill_null(False) & ~groups).any():
            continue
        if text.str.contains(r"^[+-]?[0-9]+$").any():
            row = groups.arg_max() or 0
            raise DataError(
                f"{table.where(row)}: the column {name!r} holds {text[row]!r}, where the point may be a decimal sign "
                'or separate thousands. Set data.decimal = "." if it is a decimal sign; else leave it out.'
            )


def _numbers(table: Table, name: str, settings: TableSettings, advice: str) -> polars.Series | None:
    """A column of numbers, or of text that holds only numbers; None for other text."""
    import polars

    column = table.frame[name]
    if column.dtype.is_decimal() or column.dtype == polars.Null or str(column.dtype) in ("Int128", "UInt128"):
        return column.cast(polars.Float64)
    if column.dtype.is_numeric() or column.dtype == polars.Boolean:
        return column
    if column.dtype not in (polars.String, polars.Categorical, polars.Enum):
        raise DataError(f"{table.path}: the column {name!r} holds {column.dtype}; expected numbers. {advice}")
    numbers = column.cast(polars.String).cast(polars.Float64, strict=False)
    plain = settings.decimal != "," and numbers.null_count() == column.null_count() and not numbers.is_nan().any()
    return numbers if plain else None


def _stripped(table: Table, name: str) -> polars.Series:
    """A column of text, stripped of blanks, with null for missing values."""
    import polars

    text = table.frame[name].cast(polars.String).str.strip_chars()
    return text.set(text.str.to_lowercase().is_in(MISSING), None)


def _parsed(
    table: Table, name: str, text: polars.Series, settings: TableSettings, advice: str, *, comma: bool
) -> polars.Series:
    """Text as numbers; null stays null."""
    import polars

    plain = text.str.to_lowercase().replace({"true": "1", "false": "0"})
    if comma:  # a point then separates thousands, and a value with one is not a number
        plain = plain.set(plain.str.contains(".", literal=True), "?").str.replace(",", ".", literal=True)
    numbers = plain.cast(polars.Float64, strict=False)
    wrong = numbers.is_null() & text.is_not_null()
    if wrong.any():
        row = wrong.arg_max() or 0
        value = text[row]
        sign = "," if comma else "."
        if re.fullmatch(r"[+-]?[0-9]{1,3}(?:[.,' \u00a0\u202f][0-9]{3})+(?:[.,][0-9]*)?|[+-]?[0-9]+,[0-9]+", value):
            raise DataError(
                f"{table.where(row)}: the column {name!r} holds {value!r}; expected a number with {sign!r} as its "
                "decimal sign, and nothing that separates thousands. Write it without, or set data.decimal."
            )
        raise DataError(f"{table.where(row)}: the column {name!r} holds {value!r}; expected a number. {advice}")
    return numbers
