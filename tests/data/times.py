"""Columns of times, for the tests of time."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars
import pytest

from holdfast.data.settings import TableSettings
from holdfast.data.time_axis import TimeAxis
from holdfast.errors import DataError, RecipeError


def read(values: list[Any] | polars.Series, **settings: str) -> TimeAxis:
    column = values if isinstance(values, polars.Series) else polars.Series("t", values)
    return TimeAxis.from_column(column, TableSettings(**settings), lambda row: f"row {row}")


def refusal(values: list[Any], **settings: str) -> str:
    with pytest.raises((DataError, RecipeError)) as error:
        read(values, **settings)
    return str(error.value)


def of(*texts: str) -> TimeAxis:
    return TimeAxis(np.array(texts, "datetime64[us]"))
