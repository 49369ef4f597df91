"""Tables as people have them: other separators, decimal signs and encodings, comments, blank lines, an index."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

from holdfast.data import read
from holdfast.data.readers import series, texts
from holdfast.errors import DataError, HoldfastWarning, RecipeError
from holdfast.tasks.classify.settings import ClassifyData
from holdfast.tasks.forecast.settings import ForecastData

INDEX = (
    "{path}: the column {name!r} is not used: it numbers the rows or has no name, like the index that pandas writes. "
    "To use it, name it in data.feature_columns or data.time_column."
)


def made(folder: Path, content: str | bytes, name: str = "a.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def values(path: Path, **settings: Any) -> list[list[float]]:
    found = read([path], ClassifyData(**settings))
    assert found.labels == ["x", "y"]
    return [sequence[:, 0].tolist() for sequence in found.inputs]


def told(path: Path, **settings: Any) -> str:
    with pytest.raises((DataError, RecipeError)) as error:
        read([path], ClassifyData(**settings))
    return str(error.value).replace(str(path), "a.csv")


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("a,b,label\n1.5,2,x\n3,4.25,y\n", "a.csv"),
        ("a;b;label\n1.5;2;x\n3;4.25;y\n", "a.csv"),
        ("a;b;label\n1,5;2;x\n3;4,25;y\n", "a.csv"),
        ("a;b;label;\n1,5;2;x;\n3;4,25;y;\n", "a.csv"),
        ("a\tb\tlabel\n1.5\t2\tx\n3\t4.25\ty\n", "a.csv"),
        ("a\tb\tlabel\n1,5\t2\tx\n3\t4,25\ty\n", "a.tsv"),
        ("a,b,label\n1.5,2,x\n3,4.25,y\n", "a.tsv"),
        ("a|b|label\n1.5|2|x\n3|4.25|y\n", "a.csv"),
        ("a b label\n1.5  2 x\n3 4.25   y\n", "a.csv"),
        ("sep=;\na;b;label\n1,5;2;x\n3;4,25;y\n", "a.csv"),
        ('"a","b","label"\n"1.5","2","x"\n"3","4.25","y"\n', "a.csv"),
        ('a,b,label\n"1,5",2,x\n3,"4,25",y\n', "a.csv"),
        ('"a, in \u00b0C";"b";"label"\n1,5;2;x\n3;4,25;y\n', "a.csv"),
        ("a , b,label\n 1.5 , 2 ,x\n3,4.25,y\n", "a.csv"),
        ("# from a logger\n#\na,b,label\n1.5,2,x\n# a pause\n3,4.25,y\n# the end\n", "a.csv"),
        ("# a,b,label\n1.5,2,x\n3,4.25,y\n", "a.csv"),
        ("\n\na,b,label\n\n1.5,2,x\n   \n\n3,4.25,y\n\n", "a.csv"),
        ("a,b,label\r\n1.5,2,x\r\n3,4.25,y\r\n", "a.csv"),
        ("a,b,label\r1.5,2,x\r3,4.25,y", "a.csv"),
        ("a,b,label\n15e-1,+2,x\n3.,4.25,y\n", "a.csv"),
    ],
)
def test_separator_and_decimal_sign_are_told_from_the_file(tmp_path: Path, content: str, name: str) -> None:
    assert values(made(tmp_path, content, name)) == [[1.5, 2], [3, 4.25]]


@pytest.mark.parametrize(
    ("encoding", "settings"),
    [
        ("utf-8-sig", {}),
        ("utf-16", {}),
        ("utf-32", {}),
        ("utf-16-le", {"encoding": "utf-16-le"}),
        ("latin-1", {"encoding": "latin-1"}),
        ("cp1252", {"encoding": "cp1252"}),
    ],
)
def test_encodings(tmp_path: Path, encoding: str, settings: dict[str, str]) -> None:
    path = made(tmp_path, "gr\u00f6\u00dfe;b;label\n1,5;2;x\n3;4,25;y\n", encoding=encoding)
    assert values(path, feature_columns=["gr\u00f6\u00dfe"], **settings) == [[1.5], [3]]


@pytest.mark.parametrize(
    ("content", "settings"),
    [
        ("a:b:label\n1.5:2:x\n3:4.25:y\n", {"separator": ":"}),
        ("a b label\n1.5  2 x\n3 4.25   y\n", {"separator": " "}),
        ("a\tb\tlabel\n1.5\t2\tx\n3\t4.25\ty\n", {"separator": "tab"}),
        ("% made\na;b;label\n1,5;2;x\n3;4,25;y\n", {"comment": "%", "decimal": ","}),
        ("#a,b,label\n1.5,2,x\n3,4.25,y\n", {"comment": "", "feature_columns": ["#a", "b"]}),
    ],
)
def test_what_the_file_does_not_tell_is_set(tmp_path: Path, content: str, settings: dict[str, Any]) -> None:
    assert values(made(tmp_path, content), **settings) == [[1.5, 2], [3, 4.25]]


DOUBT = (
    "a.csv, line 2: the column 'a' holds '1,234', where the comma may be a decimal sign or separate thousands. Set "
    'data.decimal = "," if it is a decimal sign; else leave it out.'
)
POINT_DOUBT = (
    "a.csv, line 2: the column 'a' holds '1.234', where the point may be a decimal sign or separate thousands. Set "
    'data.decimal = "." if it is a decimal sign; else leave it out.'
)
THOUSANDS = (
    "; expected a number with '.' as its decimal sign, and nothing that separates thousands. Write it without, or set "
    "data.decimal."
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('a,label\n"1,234",x\n2,y\n', DOUBT),
        ("a;label\n1,234;x\n100;y\n", DOUBT),
        ("a\tlabel\n1,234\tx\n2,345\ty\n", DOUBT),
        ("a;label\n1.234;x\n\n980;y\n", POINT_DOUBT),
        ('a,label\n"1,234,567",x\n', "a.csv, line 2: the column 'a' holds '1,234,567'" + THOUSANDS),
        ('a,label\n"1,234.5",x\n', "a.csv, line 2: the column 'a' holds '1,234.5'" + THOUSANDS),
        ("a;label\n1.234,5;x\n", "a.csv, line 2: the column 'a' holds '1.234,5'" + THOUSANDS),
        ("a;label\n1 234;x\n", "a.csv, line 2: the column 'a' holds '1 234'" + THOUSANDS),
        ("a;label\n1'234;x\n", "a.csv, line 2: the column 'a' holds \"1'234\"" + THOUSANDS),
        ("a;label\n2.5;x\n\n1,5;y\n", "a.csv, line 4: the column 'a' holds '1,5'" + THOUSANDS),
    ],
)
def test_thousands_are_refused(tmp_path: Path, content: str, message: str) -> None:
    assert told(made(tmp_path, content)) == message


def test_three_decimals_are_decimals_where_nothing_else_is_meant(tmp_path: Path) -> None:
    assert values(made(tmp_path, "a;label\n1,234;x\n2,345;y\n")) == [[1.234], [2.345]]
    assert values(made(tmp_path, "a;label\n1,234;x\n0,345;y\n")) == [[1.234], [0.345]]
    assert values(made(tmp_path, "a;label\n1.234;x\n2.345;y\n")) == [[1.234], [2.345]]
    assert values(made(tmp_path, "a;label\n1.234;x\n2.5;y\n")) == [[1.234], [2.5]]
    assert values(made(tmp_path, "a;label\n1.234;x\n980;y\n"), decimal=".") == [[1.234], [980]]
    assert values(made(tmp_path, 'a,label\n"1,234",x\n2,y\n'), decimal=",") == [[1.234], [2]]


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    content = '# made\n\na,b,label\n\n1,"2\n",x\n\n3,oops,y\n'
    assert told(made(tmp_path, content)).startswith("a.csv, line 8: the column 'b' holds 'oops'; expected a number.")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"encoding": "utf-99"},
            "data.encoding is 'utf-99', which Python does not know; expected utf-8, latin-1, cp1252, ...",
        ),
        (
            {"encoding": "a\0b"},
            r"data.encoding is 'a\x00b', which Python does not know; expected utf-8, latin-1, cp1252, ...",
        ),
        ({"separator": "x"}, "data.separator is 'x'; expected a sign such as ',', ';', '|', a tab or a blank."),
    ],
)
def test_settings_that_are_wrong(tmp_path: Path, settings: dict[str, str], message: str) -> None:
    assert told(made(tmp_path, "a,label\n1,x\n"), **settings) == message


@pytest.mark.parametrize("column", ["", "Unnamed: 0", "__index_level_0__"])
def test_an_index_is_no_channel_unless_it_is_named(tmp_path: Path, column: str) -> None:
    path = made(tmp_path, f"{column},a,label\n7,1.5,x\n8,3,y\n")
    name = column or "Unnamed: 0"
    with pytest.warns(HoldfastWarning) as warned:
        assert values(path) == [[1.5], [3]]
    assert str(warned[0].message) == INDEX.format(path=path, name=name)
    assert values(path, feature_columns=[name, "a"]) == [[7, 1.5], [8, 3]]


@pytest.mark.parametrize("told_by", ["name", "pandas"])
def test_an_index_of_a_parquet_file(tmp_path: Path, told_by: str) -> None:
    name = "__index_level_0__" if told_by == "name" else "key"
    path = tmp_path / "a.parquet"
    pandas = json.dumps({"index_columns": [name, {"kind": "range", "start": 0}]})
    table = polars.DataFrame({"a": [1.5, 3], "label": ["x", "y"], name: [7, 8]})
    table.write_parquet(path, metadata={"pandas": pandas} if told_by == "pandas" else {})
    with pytest.warns(HoldfastWarning) as warned:
        assert values(path) == [[1.5], [3]]
    assert str(warned[0].message) == INDEX.format(path=path, name=name)
    for damaged in ("{", "[]", '{"index_columns": 3}', "[" * 100_000):
        table.write_parquet(path, metadata={"pandas": damaged})
        if told_by == "pandas":
            assert values(path) == [[1.5, 7], [3, 8]]


def test_an_index_is_no_target_and_may_be_the_times(tmp_path: Path) -> None:
    path = made(tmp_path, ",y\n2024-01-01,1\n2024-01-02,2\n")
    with pytest.warns(HoldfastWarning, match="the column 'Unnamed: 0' is not used"):
        [found] = series.read([path], ForecastData())
    assert found.names == ("y",)
    [found] = series.read([path], ForecastData(time_column="Unnamed: 0"))
    assert (found.names, found.times.as_json()) == (("y",), ["2024-01-01", "2024-01-02"])


def test_numbers_of_every_type_in_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = polars.DataFrame(
        {
            "a": [Decimal("1.5"), Decimal("3")],
            "b": polars.Series(["2", "4.25"], dtype=polars.Categorical),
            "c": [True, False],
            "d": polars.Series([1, 2], dtype=polars.UInt8),
            "label": ["x", "y"],
        }
    )
    table.write_parquet(path)
    assert values(path) == [[1.5, 2, 1, 1], [3, 4.25, 0, 2]]
    table.with_columns(d=polars.Series([[1], [2]])).write_parquet(path)
    assert told(path) == (
        "a.csv: the column 'd' holds List(Int64); expected numbers. Name the input columns in data.feature_columns, or "
        "the label's column in data.label_column."
    )


def test_texts_with_signs_of_every_kind(tmp_path: Path) -> None:
    settings = ClassifyData(unit="words")
    path = made(tmp_path, 'text;label\n#one, two|three;x\n"a ""quote""; here";y\n', encoding="utf-16")
    found = texts.read([path], settings)
    assert (found.inputs, found.targets) == (["#one, two|three", 'a "quote"; here'], ["x", "y"])
    path = made(tmp_path, 'text\tlabel\n"Never," she said.\tx\na 5" pipe\ty\n', "a.tsv")
    assert texts.read([path], settings).inputs == ['"Never," she said.', 'a 5" pipe']


@pytest.mark.parametrize("text", ["", "NA", "n/a", "NaN", "null", "NULL", "None", "-", "?", " ", "<NA>"])
def test_missing_values_as_people_write_them(tmp_path: Path, text: str) -> None:
    path = made(tmp_path, f"a;b;label\n1,5;{text};x\n3;4,25;y\n")
    what = f"holds {text!r}" if text.strip() else "is empty"
    assert told(path) == (
        f"a.csv, line 2: the column 'b' {what}; expected a number. Fill it in, leave the row out, or set data.missing."
    )
    found = read([path], ClassifyData(missing="mean"))
    assert np.array_equal(found.inputs, [[[1.5], [np.nan]], [[3], [4.25]]], equal_nan=True)


@pytest.mark.parametrize("names", ["2,0.5,0.6", "112", "1;0,5;0,6", "-1,-1.5"])
def test_names_that_are_numbers_are_warned_of(tmp_path: Path, names: str) -> None:
    row = names.replace("2", "3")
    with pytest.warns(HoldfastWarning, match="line 1, holds only numbers, and is read as the names of the columns"):
        read([made(tmp_path, f"{names}\n{row}\n{row}\n")], ClassifyData())


@pytest.mark.parametrize("names", ["0,1,2", "0", "2019,2020,2021", "400.1,401.7", "0,1,label", "t0,1"])
def test_names_that_count_the_columns_are_not(tmp_path: Path, names: str) -> None:
    row = ",".join("5" for _ in names.split(","))
    assert len(read([made(tmp_path, f"{names}\n{row}\n")], ClassifyData())) == 1


def test_comments_that_look_like_rows_are_warned_of(tmp_path: Path) -> None:
    path = made(tmp_path, "# a, b\nrun,x,label\n#1,2,a\n#2,3,b\n# and so on\n3,4,a\n")
    message = "line 3, starts with '#' and has as many values as there are columns, and so have 1 more"
    with pytest.warns(HoldfastWarning, match=message):
        assert read([path], ClassifyData(id_column="run")).origins == [f"{path}[id=3]"]
    rows = made(tmp_path, "run,x,label\n#1,2,x\n#2,3,y\n")
    assert values(rows, id_column="run", comment="") == [[2.0], [3.0]]
