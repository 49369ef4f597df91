"""The columns of a table as numbers: what is a number, with which decimal sign, and what is missing."""

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
"""How a missing value is written, in small letters."""
_COMMA = r"^[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?$"
_POINT = r"^[+-]?[0-9]*\.[0-9]*(?:[eE][+-]?[0-9]+)?$"
_THOUSANDS = r"^[+-]?[1-9][0-9]{0,2},[0-9]{3}$"


def read(table: Table, columns: Sequence[str], settings: TableSettings, advice: str) -> Array:
    """Columns as numbers.

    A cell may have blanks around it, and ``true`` and ``false`` are 1 and 0. The decimal sign, unless the settings name
    it, is a comma where numbers have one and none has a point; where such a comma may as well separate thousands, it is
    an error.

    Args:
        table: The table.
        columns: Their names.
        settings: ``decimal`` and ``missing`` are used.
        advice: What to do about a column that holds no numbers.

    Returns:
        [rows, columns]; NaN for a missing value, unless that is an error.

    Raises:
        DataError: A cell is no number, or is missing and that is an error.
    """
    import polars

    if table.separator == ";" and not settings.decimal:
        _check_points(table, columns)
    found = {name: _numbers(table, name, settings, advice) for name in columns}
    texts = {name: _plain(table, name) for name, column in found.items() if column is None}
    comma = bool(texts) and decimal_comma(table, columns, settings)
    parsed = [
        _parsed(table, name, texts[name], settings, advice, comma=comma) if column is None else column
        for name, column in found.items()
    ]
    for name, column in zip(columns, parsed, strict=True):
        gaps = column.is_null() | (column.is_nan() if column.dtype.is_float() else False)
        if settings.missing == "error" and gaps.any():
            row = gaps.arg_max() or 0
            found = table.frame[name][row]
            what = "is empty" if found is None or not str(found).strip() else f"holds {str(found).strip()!r}"
            raise DataError(
                f"{table.where(row)}: the column {name!r} {what}; expected a number. Fill it in, leave the row out, or "
                "set data.missing."
            )
    values = polars.DataFrame(parsed).to_numpy()
    return values.astype(np.uint8) if values.dtype == np.bool_ else np.asarray(values)


def decimal_comma(table: Table, columns: Sequence[str], settings: TableSettings) -> bool:
    """Whether the decimal sign of some columns is a comma, as :func:`read` tells it.

    Raises:
        DataError: The comma may be a decimal sign or separate thousands.
    """
    import polars

    if settings.decimal:
        return settings.decimal == ","
    texts = {name: _plain(table, name) for name in columns if table.frame[name].dtype == polars.String}
    if not any(text.str.contains(",", literal=True).any() for text in texts.values()):
        return False
    if any(text.str.contains(_POINT).any() for text in texts.values()):
        return False  # what has a comma as well is no number
    doubtful: tuple[str, int] | None = None
    for name, text in texts.items():
        commas = text.str.contains(_COMMA).fill_null(False)
        thousands = text.str.contains(_THOUSANDS).fill_null(False)
        if (commas & ~thousands).any():
            return True
        # Between semicolons, numbers that all have three decimals are decimals; thousands are not all so long.
        if thousands.any() and not (table.separator == ";" and bool((thousands | text.is_null()).all())):
            doubtful = doubtful or (name, thousands.arg_max() or 0)
    if doubtful:
        name, row = doubtful
        raise DataError(
            f"{table.where(row)}: the column {name!r} holds {texts[name][row]!r}, where the comma may be a decimal "
            'sign or separate thousands. Set data.decimal = "," if it is a decimal sign; else leave it out.'
        )
    return any(text.str.contains(_THOUSANDS).any() for text in texts.values())


def _check_points(table: Table, columns: Sequence[str]) -> None:
    """Sees that points are decimal signs, in a table whose separator leaves the comma to be one.

    Raises:
        DataError: A column has whole numbers, and points before three digits alone.
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
    """A column that holds numbers, or text that is nothing but numbers; None for other text."""
    import polars

    column = table.frame[name]
    if column.dtype.is_decimal() or column.dtype == polars.Null:
        return column.cast(polars.Float64)
    if column.dtype.is_numeric() or column.dtype == polars.Boolean:
        return column
    if column.dtype not in (polars.String, polars.Categorical, polars.Enum):
        raise DataError(f"{table.path}: the column {name!r} holds {column.dtype}; expected numbers. {advice}")
    numbers = column.cast(polars.String).cast(polars.Float64, strict=False)
    plain = settings.decimal != "," and numbers.null_count() == column.null_count() and not numbers.is_nan().any()
    return numbers if plain else None


def _plain(table: Table, name: str) -> polars.Series:
    """A column of text without blanks around it, and null for what is missing."""
    import polars

    text = table.frame[name].cast(polars.String).str.strip_chars()
    return text.set(text.str.to_lowercase().is_in(MISSING), None)


def _parsed(
    table: Table, name: str, text: polars.Series, settings: TableSettings, advice: str, *, comma: bool
) -> polars.Series:
    """Text as numbers; null stays null."""
    import polars

    plain = text.str.to_lowercase().replace({"true": "1", "false": "0"})
    if comma:  # a point then separates thousands, and what has one is no number
        plain = plain.set(plain.str.contains(".", literal=True), "?").str.replace(",", ".", literal=True)
    numbers = plain.cast(polars.Float64, strict=False)
    wrong = numbers.is_null() & text.is_not_null()
    if wrong.any():
        row = wrong.arg_max() or 0
        found = text[row]
        sign = "," if comma else "."
        if re.fullmatch(r"[+-]?[0-9]{1,3}(?:[.,' \u00a0\u202f][0-9]{3})+(?:[.,][0-9]*)?|[+-]?[0-9]+,[0-9]+", found):
            raise DataError(
                f"{table.where(row)}: the column {name!r} holds {found!r}; expected a number with {sign!r} as its "
                "decimal sign, and nothing that separates thousands. Write it without, or set data.decimal."
            )
        raise DataError(f"{table.where(row)}: the column {name!r} holds {found!r}; expected a number. {advice}")
    return numbers
