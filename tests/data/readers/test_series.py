from __future__ import annotations

import gzip
from datetime import datetime
from pathlib import Path

import numpy as np
import polars
import pytest

from holdfast.data.readers.series import read
from holdfast.data.series import Series
from holdfast.errors import DataError, HoldfastError, MissingDataError, RecipeError
from holdfast.tasks.forecast.settings import ForecastData

NO_TIME = (
    "expected a time such as 2016-07-01 00:15 in every row (with a zone in all or in none), or a number in every row; "
    "set data.time_format if times are written in another form."
)
MANY = " If the table has many series, name the column that tells them apart in data.id_column."
TIMED = ForecastData(time_column="t", target_columns=["y"])


def one(tmp_path: Path, content: str, settings: ForecastData = TIMED) -> Series:
    path = tmp_path / "a.csv"
    path.write_text(content)
    [found] = read([path], settings)
    return found


def told(tmp_path: Path, content: str, settings: ForecastData = TIMED) -> str:
    with pytest.raises(HoldfastError) as error:
        one(tmp_path, content, settings)
    return str(error.value).replace(str(tmp_path / "a.csv"), "a.csv")


def test_every_other_column_is_a_target(tmp_path: Path) -> None:
    found = one(tmp_path, "t,a,b\n2020-01-01,1,2\n2020-01-02,3,4\n", ForecastData(time_column="t"))
    assert (found.names, found.targets.tolist()) == (("a", "b"), [[1, 2], [3, 4]])
    assert found.times.as_json() == ["2020-01-01", "2020-01-02"]
    assert (found.past.shape, found.known.shape) == ((2, 0), (2, 0))


def test_without_times_the_rows_are_numbered(tmp_path: Path) -> None:
    assert one(tmp_path, "y\n5\n6\n", ForecastData()).times.as_json() == [0, 1]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv", "a.parquet"])
def test_every_kind_of_table(tmp_path: Path, name: str) -> None:
    table = polars.DataFrame({"t": [datetime(2020, 1, day) for day in (1, 2, 3)], "y": [1, 2, 3]})
    path = tmp_path / name
    if name == "a.parquet":
        table.write_parquet(path)
    else:
        text = table.write_csv(separator="\t" if name == "a.tsv" else ",").encode()
        path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    [found] = read([path], TIMED)
    assert found.targets[:, 0].tolist() == [1, 2, 3]
    assert np.diff(found.times.instants).tolist() == [np.timedelta64(1, "D").astype("timedelta64[us]").item()] * 2


def test_rows_that_have_known_columns_alone_are_ahead(tmp_path: Path) -> None:
    settings = ForecastData(time_column="t", target_columns=["y"], past_columns=["p"], known_columns=["k"])
    found = one(tmp_path, "t,y,p,k\n1,5,7,0\n2,6,8,1\n3,,,0\n4,,,1\n", settings)
    assert len(found) == 2
    assert found.targets.tolist() == [[5], [6]]
    assert found.past.tolist() == [[7], [8]]
    assert found.known[:, 0].tolist() == [0, 1, 0, 1]
    assert found.times.as_json() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "t,y\n2020-01-01,1\n2020-01-02,\n",
            "a.csv, line 3: the column 'y' is empty; expected a number. Fill it in, leave the row out, or set "
            "data.missing.",
        ),
        (
            "t,y\n1,1.5\n2,NaN\n",
            "a.csv, line 3: the column 'y' holds 'NaN'; expected a number. Fill it in, leave the row out, or set "
            "data.missing.",
        ),
        (
            "t,y\n1,1\n2,high\n",
            "a.csv, line 3: the column 'y' holds 'high'; expected a number. Name the columns to forecast in "
            "data.target_columns, and the column of times in data.time_column.",
        ),
        (
            "t,y\n2020-01-02,1\n2020-01-01,2\n",
            "a.csv, line 3: the time 2020-01-01 comes after 2020-01-02; expected ascending times. Sort the rows."
            f"{MANY}",
        ),
        ("t,y\n1,1\n2,2\n2,3\n", "a.csv, line 4: the time 2 occurs twice; expected one row per time." + MANY),
        (
            "t,y\n2024-10-27 02:00,1\n2024-10-27 02:00,2\n",
            "a.csv, line 3: the time 2024-10-27 02:00 occurs twice; expected one row per time. If a clock was set back "
            "there, set data.time_zone." + MANY,
        ),
        (
            "t,y\n2020-01-01,1\nlater,2\n",
            "a.csv, line 3: the column 't' holds 'later'; " + NO_TIME,
        ),
        (
            "t,y\n2020-01-01,1\n,2\n",
            "a.csv, line 3: the column 't' is empty; " + NO_TIME,
        ),
        ("time,y\n1,1\n", "a.csv has no column 't' (data.time_column); known are time, y."),
        ("t,x\n1,1\n", "a.csv has no column 'y' (data.target_columns); known are t, x."),
        ("t,y\n", "a.csv has no rows of targets; expected at least one."),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, content: str, message: str) -> None:
    assert told(tmp_path, content) == message


def test_a_gap_is_missing_even_where_rows_may_lie_ahead(tmp_path: Path) -> None:
    settings = ForecastData(time_column="t", target_columns=["y"], known_columns=["k"])
    message = (
        "a.csv, line 3: the column 'y' is empty; expected a number. Fill it in, leave the row out, or set data.missing."
    )
    assert told(tmp_path, "t,y,k\n1,5,0\n2,,1\n3,6,0\n4,,1\n", settings) == message


def test_what_is_wrong_with_the_settings_is_said(tmp_path: Path) -> None:
    twice = ForecastData(time_column="t", target_columns=["y"], known_columns=["y"])
    assert told(tmp_path, "t,y\n1,1\n", twice) == (
        "The column 'y' is in data.target_columns and in data.known_columns; expected one use for each column."
    )
    assert told(tmp_path, "t,y\n1,1\n", TIMED.model_copy(update={"calendar": ["hour"]})) == (
        "data.calendar needs dates, and the column 't' of a.csv holds numbers."
    )
    with pytest.raises(RecipeError, match=r"^data.calendar needs data.time_column, the dates of the rows.$"):
        one(tmp_path, "y\n1\n", ForecastData(calendar=["hour"]))
    nothing = ForecastData(time_column="t")
    assert told(tmp_path, "t\n1\n", nothing) == "a.csv has no columns besides t; expected one to forecast."


def test_files_of_other_columns_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t,x,y\n1,1,2\n")
    (tmp_path / "b.csv").write_text("t,y,x\n1,1,2\n")
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    with pytest.raises(DataError) as error:
        read(paths, ForecastData(time_column="t"))
    assert str(error.value) == (
        f"{paths[1]} has the columns y, x to forecast, and {paths[0]} has x, y; expected the same. Name them in "
        "data.target_columns."
    )
    first, second = read(paths, ForecastData(time_column="t", target_columns=["x", "y"]))
    assert (first.targets.tolist(), second.targets.tolist()) == ([[1, 2]], [[2, 1]])


def test_files_that_are_not_there_or_no_tables(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"^No files were given to read; expected at least one table with one row per time.$"
    ):
        read([], TIMED)
    with pytest.raises(
        MissingDataError, match=r"^There is no file .*none.csv. Check the path; relative paths start at "
    ):
        read([tmp_path / "none.csv"], TIMED)
    (tmp_path / "a.txt").write_text("1\n")
    with pytest.raises(DataError, match=r"a.txt is not a table; expected one of .csv, .tsv, .parquet, .pq.$"):
        read([tmp_path / "a.txt"], TIMED)
