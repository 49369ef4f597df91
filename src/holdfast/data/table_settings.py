"""What a recipe may say about tables, for the tasks that read sequences or series from them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from holdfast.settings import DataSettings

Missing = Literal["error", "interpolate", "previous", "mean", "mask"]

_SEPARATORS = {"\\t": "\t", "tab": "\t"}


class TableSettings(DataSettings):
    """``[data]``: how tables are written, and what becomes of missing values."""

    separator: str = Field("", max_length=1)
    """Tables as text: what stands between two values, such as ``;``; ``tab`` for a tab, a blank for any number of
    blanks. Empty: told from the file."""
    decimal: Literal["", ".", ","] = ""
    """Tables as text: the decimal sign. Empty: told from the file. A thousands separator is always an error."""
    encoding: str = "utf-8"
    """How the characters of a text file are written, by Python's name: ``utf-8``, ``latin-1``, ``cp1252``, ... A file
    that starts with a byte order mark (UTF-8, UTF-16, UTF-32) says so itself."""
    comment: str = "#"
    """Tables as text: lines that start with this are comments, in tables of texts only those above the column names.
    Empty: there are none."""
    time_format: str = ""
    """How the time column is written, as Python's ``strptime`` says it: ``%d.%m.%Y %H:%M``. Empty: numbers, dates and
    times as in ISO 8601, or times of day."""
    time_zone: str = ""
    """The time zone of the time column, such as ``Europe/Berlin``. Times that name a zone or an offset are converted to
    it; others are read as times in it. Empty: as the file says."""
    missing: Missing = "error"
    """What a missing value (an empty cell, ``NA``, ``N/A``, ``NaN``, ``null``, ``None``, ``-``, ``?``) becomes.
    ``error``: nothing, it is refused. ``interpolate``: the value on the line between the known values before and after
    it in the sequence or window, at its ends the nearest. ``previous``: the known value before it, at the start the one
    after it. ``mean``: the column's mean over the training split. ``mask``: the same, and each column with missing
    values in the training split gets a further channel: 1 where its value is missing, else 0. A column without any
    value in a sequence or window has the mean. In forecasts, missing targets are neither trained on nor measured."""

    @field_validator("separator", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        return _SEPARATORS.get(value, value) if isinstance(value, str) else value
