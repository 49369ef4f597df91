"""Frames of other libraries as frames of polars, and back."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import numpy as np
import polars
import pytest

from holdfast.data.frames import is_frame, like, to_polars
from holdfast.errors import DataError

pytest.importorskip("narwhals")
BASE = polars.DataFrame(
    {
        "id": ["a", "a", "b"],
        "t": [datetime(2024, 1, 1), datetime(2024, 1, 2), datetime(2024, 3, 31, 1)],
        "day": [date(2024, 1, 1)] * 3,
        "y": [1.5, None, 3.0],
        "n": [1, 2, 3],
        "text": ["x", None, "z"],
        "flag": [True, False, None],
    }
).with_columns(zoned=polars.col("t").dt.replace_time_zone("Europe/Berlin"))


def of(library: str) -> Any:
    if library == "polars":
        return BASE
    pytest.importorskip("pyarrow")
    if library == "pyarrow":
        return BASE.to_arrow()
    pytest.importorskip("pandas")
    return BASE.to_pandas()


@pytest.mark.parametrize("library", ["polars", "pandas", "pyarrow"])
def test_a_frame_comes_in_and_goes_out_as_its_kind(library: str) -> None:
    frame = of(library)
    assert is_frame(frame)
    read = to_polars(frame)
    assert read.columns == BASE.columns
    for name in ("id", "t", "n", "text", "flag", "zoned"):
        assert read[name].to_list() == BASE[name].to_list(), name
    assert read["day"].cast(polars.Date).to_list() == BASE["day"].to_list()
    assert read["y"].fill_nan(None).to_list() == BASE["y"].to_list()
    back = like(read.select("zoned", "n", "id", "t", "y"), frame)
    assert type(back) is type(frame)
    assert to_polars(back)["zoned"].dtype == polars.Datetime("us", "Europe/Berlin")
    again = to_polars(back)
    assert again["zoned"].to_list() == BASE["zoned"].to_list()
    assert again["t"].to_list() == BASE["t"].to_list()
    assert again["id"].to_list() == BASE["id"].to_list()


def test_columns_that_only_pandas_has() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "id": pandas.Categorical(["b", "a", "b"]),
            "n": pandas.array([1, None, 3], dtype="Int64"),
            "mixed": np.array(["x", None, "z"], object),
        },
        index=[7, 8, 9],
    )
    read = to_polars(frame)
    assert read.to_dict(as_series=False) == {"id": ["b", "a", "b"], "n": [1, None, 3], "mixed": ["x", None, "z"]}
    with pytest.raises(
        DataError, match=r"^The frame cannot be used \(.*\); expected columns of numbers, times or text.$"
    ):
        to_polars(pandas.DataFrame({"a": np.array(["x", 1.5, date(2024, 1, 1)], object)}))


def test_what_is_not_a_frame() -> None:
    assert not any(map(is_frame, ([1, 2], np.zeros(3), {"a": [1]}, "text", None, BASE.lazy())))
    with pytest.raises(DataError) as error:
        to_polars(BASE.lazy())
    assert str(error.value) == (
        "A value of type polars.lazyframe.frame.LazyFrame is not a frame in memory; expected a frame of pandas, polars "
        "or pyarrow. Collect a lazy frame first."
    )
