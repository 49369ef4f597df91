"""Tables of many series."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import polars
import pytest

from holdfast.data.readers.series import read
from holdfast.data.series import Series
from holdfast.errors import DataError, HoldfastError, RecipeError
from holdfast.tasks.forecast.settings import ForecastData

STORES = ForecastData(id_column="store", time_column="t", target_columns=["y"])
NAN = float("nan")


def panel(folder: Path, content: str, settings: ForecastData = STORES, name: str = "a.csv") -> tuple[Series, ...]:
    (folder / name).write_text(content)
    return read([folder / name], settings)


def refusal(folder: Path, content: str, settings: ForecastData = STORES) -> str:
    with pytest.raises(HoldfastError) as error:
        panel(folder, content, settings)
    return str(error.value).replace(str(folder / "a.csv"), "a.csv")


ROWS = "".join(
    f"{store},2024-01-0{day},{10 * place + day}\n" for place, store in enumerate("ba") for day in range(1, 6)
)


@pytest.mark.parametrize("shuffled", [False, True])
def test_each_id_is_a_series_of_rows_in_order_of_time(tmp_path: Path, shuffled: bool) -> None:
    lines = ROWS.splitlines(keepends=True)
    if shuffled:
        random.Random(1).shuffle(lines)
    found = panel(tmp_path, "store,t,y\n" + "".join(lines))
    assert {series.name for series in found} == {"a", "b"}
    assert found[0].name == lines[0][0]
    by_name = {series.name: series for series in found}
    assert by_name["b"].targets[:, 0].tolist() == [1, 2, 3, 4, 5]
    assert by_name["a"].targets[:, 0].tolist() == [11, 12, 13, 14, 15]
    assert by_name["a"].times.as_json() == [f"2024-01-0{day}" for day in range(1, 6)]
    assert by_name["a"].origin == f"{tmp_path / 'a.csv'}[id=a]"
    assert by_name["a"].keys == ("store", "t")


def test_the_usual_names_need_no_settings(tmp_path: Path) -> None:
    content = "unique_id,ds,y,price\n1,2024-01-01,5,7\n1,2024-01-02,6,8\n2,2024-01-02,9,\n"
    one, two = panel(tmp_path, content, ForecastData())
    assert (one.name, two.name, one.names, one.keys) == ("1", "2", ("y",), ("unique_id", "ds"))
    assert two.times.as_json() == ["2024-01-02"]


def test_series_start_late_end_early_and_have_rows_ahead(tmp_path: Path) -> None:
    settings = STORES.model_copy(update={"known_columns": ["k"], "past_columns": ["p"]})
    content = (
        "store,t,y,p,k\na,1,1,1,0\nb,3,5,1,0\na,2,2,1,1\nb,4,6,2,1\na,3,,,1\nb,5,7,3,0\nb,6,,,0\nb,7,,,1\na,4,,,0\n"
    )
    a, b = panel(tmp_path, content, settings)
    assert (len(a), len(b)) == (2, 3)
    assert a.times.as_json() == [1, 2, 3, 4]
    assert b.times.as_json() == [3, 4, 5, 6, 7]
    assert b.known[:, 0].tolist() == [0, 1, 0, 0, 1]
    assert b.past[:, 0].tolist() == [1, 2, 3]


def test_missing_times_become_missing_rows(tmp_path: Path) -> None:
    settings = STORES.model_copy(update={"missing": "previous", "known_columns": ["k"]})
    content = "store,t,y,k\na,1,1,0\na,2,2,1\na,5,5,1\na,6,,0\na,8,,1\nb,1,4,0\nb,2,5,0\nb,3,6,1\n"
    a, b = panel(tmp_path, content, settings)
    assert np.array_equal(a.targets[:, 0], [1, 2, NAN, NAN, 5], equal_nan=True)
    assert np.array_equal(a.known[:, 0], [0, 1, NAN, NAN, 1, 0, NAN, 1], equal_nan=True)
    assert a.times.as_json() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert b.targets[:, 0].tolist() == [4, 5, 6]
    kept = panel(tmp_path, content, settings.model_copy(update={"gaps": "rows"}))[0]
    assert kept.targets[:, 0].tolist() == [1, 2, 5]


def test_a_single_series_may_be_completed_too(tmp_path: Path) -> None:
    settings = ForecastData(time_column="t", target_columns=["y"], missing="mean")
    content = "t,y\n2024-01-01,1\n2024-01-02,2\n2024-01-04,4\n"
    assert len(panel(tmp_path, content, settings)[0]) == 3
    assert len(panel(tmp_path, content, settings.model_copy(update={"gaps": "fill"}))[0]) == 4


def test_static_columns_are_one_text_per_series(tmp_path: Path) -> None:
    settings = STORES.model_copy(update={"static_columns": ["kind", "area"]})
    content = "store,t,y,kind,area\na,1,1,town,3\nb,1,1,city,2.5\na,2,2,,3\nb,2,2, city ,2.5\n"
    assert [series.static for series in panel(tmp_path, content, settings)] == [("town", "3"), ("city", "2.5")]


def test_a_typed_table_is_read_as_text_is(tmp_path: Path) -> None:
    settings = STORES.model_copy(update={"static_columns": ["kind"], "known_columns": ["k"]})
    frame = polars.DataFrame(
        {
            "store": [7, 7, 8, 8],
            "t": polars.Series(["2024-01-01", "2024-01-02"] * 2).str.to_date(),
            "y": [1.5, 2.5, 3.5, None],
            "k": [True, False, True, False],
            "kind": polars.Series(["x", "x", "y", "y"], dtype=polars.Categorical),
        }
    )
    frame.write_parquet(tmp_path / "a.parquet")
    frame.write_csv(tmp_path / "b.csv")
    for path in (tmp_path / "a.parquet", tmp_path / "b.csv"):
        seven, eight = read([path], settings)
        assert (seven.name, eight.name, eight.static) == ("7", "8", ("y",))
        assert (seven.targets[:, 0].tolist(), eight.targets[:, 0].tolist()) == ([1.5, 2.5], [3.5])
        assert eight.known[:, 0].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("content", "changes", "message"),
    [
        (
            "store,t,y\na,1,1\nb,1,2\na,1,3\n",
            {},
            "a.csv, line 4: the time 1 occurs twice in the series 'a'; expected one row per id and time.",
        ),
        ("store,t,y\na,1,1\n,1,2\n", {}, "a.csv, line 3: the column 'store' is empty; expected an id."),
        ("store,t,y\n", {}, "a.csv has column names but no rows; expected at least one."),
        (
            "store,t,y\nb,1,2\na,2,\na,1,3\n",
            {},
            "a.csv, line 3: the column 'y' is empty; expected a number. Fill it in, leave the row out, or set "
            "data.missing.",
        ),
        (
            "store,t,y\nb,1,2\na,later,2\n",
            {},
            "a.csv, line 3: the column 't' holds 'later'; expected a time such as 2016-07-01 00:15 in every row (with "
            "a zone in all or in none), or a number in every row; set data.time_format if times are written in another "
            "form.",
        ),
        (
            "store,t,y,k\na,1,1,0\nb,1,,0\n",
            {"known_columns": ["k"]},
            "a.csv: the series 'b' has no rows of targets; expected at least one.",
        ),
        (
            "store,t,y,s\na,1,1,x\na,2,1,y\n",
            {"static_columns": ["s"]},
            "a.csv: the static column 's' of the series 'a' has the values 'x' and 'y'; expected one value for each "
            "series. Correct it, or name it in data.past_columns or data.known_columns.",
        ),
        (
            "store,t,y,s\na,1,1,x\nb,2,1,NA\n",
            {"static_columns": ["s"]},
            "a.csv: the static column 's' of the series 'b' has no value; expected one value for each series. Correct "
            "it, or name it in data.past_columns or data.known_columns.",
        ),
        (
            "store,t,y\na,2024-01-01,1\na,2024-01-02,1\na,2024-01-05,1\na,2024-01-06,1\n",
            {},
            "a.csv[id=a] has no row at 2024-01-03, nor at 1 later times; expected a row for each step from 2024-01-01 "
            'to 2024-01-06. Add the rows, set data.missing to fill them in, or set data.gaps = "rows" to count each '
            "row as one step.",
        ),
        (
            "store,t,y\na,1,1\na,2,1\na,3.5,1\na,4,1\na,5,1\na,6,1\n",
            {"missing": "mean"},
            "a.csv[id=a]: the time 3.5 after 2.0 does not fit the most frequent step of the series; expected a regular "
            'series, in which times may be missing. Correct the times, or set data.gaps = "rows" to count each row as '
            "one step.",
        ),
        (
            "store,t,y\na,1,1\n",
            {"id_column": "", "static_columns": ["store"]},
            "data.static_columns is ['store'], and there is no data.id_column; static columns tell series apart. Set "
            "data.id_column, or leave data.static_columns out.",
        ),
        (
            "store,t,y\na,1,1\n",
            {"id_column": "shop"},
            "a.csv has no column 'shop' (data.id_column); known are store, t, y.",
        ),
        (
            "store,t,y\na,1,1\n",
            {"calendar": ["hour"]},
            "data.calendar needs dates, and the column 't' of a.csv holds numbers.",
        ),
    ],
)
def test_what_is_wrong_with_a_panel_is_said(tmp_path: Path, content: str, changes: dict[str, object], message: str):
    assert refusal(tmp_path, content, STORES.model_copy(update=changes)) == message


def test_a_series_is_in_one_file(tmp_path: Path) -> None:
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for path in paths:
        path.write_text("store,t,y\na,1,1\n")
    with pytest.raises(DataError) as error:
        read(paths, STORES)
    assert str(error.value) == (
        f"{paths[1]}[id=a] and {paths[0]}[id=a] are the same series in two files; expected each series in one file. "
        "Put its rows into one of them."
    )


def test_an_id_has_no_other_use(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"^The column 'store' is in data.id_column and in data.target_columns; "):
        panel(tmp_path, "store,t,y\na,1,1\n", STORES.model_copy(update={"target_columns": ["store"]}))
