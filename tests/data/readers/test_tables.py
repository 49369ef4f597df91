from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import polars
import pytest

from holdfast.data import Encoder, read
from holdfast.errors import DataError, RecipeError
from holdfast.tasks.classify.settings import ClassifyData

LONG = ClassifyData(id_column="run", time_column="t")
STEPS = polars.DataFrame(
    {
        "run": ["b", "a", "b", "a", "b"],
        "t": [2, 1, 0, 0, 1],
        "x": [1.5, 2.0, 3.0, 4.0, 5.0],
        "y": [10, 20, 30, 40, 50],
        "label": ["up", "down", "up", "down", "up"],
    }
)


def save(path: Path, table: polars.DataFrame) -> Path:
    if path.suffix == ".parquet":
        table.write_parquet(path)
    else:
        table.write_csv(path, separator="\t" if path.suffix == ".tsv" else ",")
    return path


def text(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "a.csv"
    path.write_text(content)
    return path


def told(path: Path, settings: ClassifyData | None = None) -> str:
    with pytest.raises(DataError) as error:
        read([path], settings or ClassifyData())
    return str(error.value)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_long_format_round_trips(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a{suffix}", STEPS)
    examples = read([path], LONG)
    assert np.array_equal(examples.inputs[0], [[3, 30], [5, 50], [1.5, 10]])
    assert np.array_equal(examples.inputs[1], [[4, 40], [2, 20]])
    assert examples.labels == ["up", "down"]
    assert examples.origins == [f"{path}[id=b]", f"{path}[id=a]"]


def test_without_a_time_column_the_order_of_the_file_stands(tmp_path: Path) -> None:
    path = save(tmp_path / "a.csv", STEPS.drop("t"))
    examples = read([path], ClassifyData(id_column="run", feature_columns=["y"]))
    assert [sequence[:, 0].tolist() for sequence in examples.inputs] == [[10, 30, 50], [20, 40]]


def test_equal_times_keep_the_order_of_the_file(tmp_path: Path) -> None:
    rows = "".join(f"a,{index // 50},{index}\n" for index in range(100))
    examples = read([text(tmp_path, "run,t,x\n" + rows)], LONG)
    assert examples.inputs[0][:, 0].tolist() == list(range(100))


@pytest.mark.parametrize(
    ("times", "settings"),
    [
        (["8:59", "9:00", "10:00", "10:01"], {}),
        (["8:59 AM", "11:00 AM", "12:30 PM", "1:00 PM"], {}),
        ([" 9", "10", " 11", "100 "], {}),
        (["9.5", "10", "10.25", "100"], {}),
        (["-2", "-1", "0", "1e3"], {}),
        (["2024-09-30", "2024-10-01", "2024-10-02", "2024-11-01"], {}),
        (["2024-1-9 9:00", "2024-1-9 10:00", "2024-1-10 8:00", "2024-1-10 12:00"], {}),
        # Moments, and not what a clock shows.
        (["2024-07-04 09:00+02:00", "2024-07-04 08:00Z", "2024-07-04 15:00+05:30", "2024-07-04 06:00-06:00"], {}),
        (["30.01.2024", "31.01.2024", "01.02.2024", "02.02.2024"], {"time_format": "%d.%m.%Y"}),
    ],
)
def test_rows_are_sorted_by_time_and_not_by_letters(tmp_path: Path, times: list[str], settings: dict[str, str]) -> None:
    order = [2, 0, 3, 1]
    for separator in ";\t":
        content = separator.join(("run", "t", "x")) + "\n"
        path = text(tmp_path, content + "".join(separator.join(("a", times[k], str(k))) + "\n" for k in order))
        found = read([path], LONG.model_copy(update=settings))
        assert found.inputs[0][:, 0].tolist() == [0, 1, 2, 3]


def test_times_with_a_decimal_comma(tmp_path: Path) -> None:
    path = text(tmp_path, "run;t;x\na;10,5;3\na;9,5;1\na;10,25;2\n")
    assert read([path], LONG).inputs[0][:, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("times", "row", "found"),
    [
        (["8:59", "late"], 3, "'late'"),
        (["9", "8:59"], 3, "'8:59'"),
        (["2024-01-01", "01.02.2024"], 3, "'01.02.2024'"),
        (["2024-01-01 00:00Z", "2024-01-01 01:00"], 3, "'2024-01-01 01:00'"),
        (["first", "second"], 2, "'first'"),
    ],
)
def test_what_is_no_time_is_refused(tmp_path: Path, times: list[str], row: int, found: str) -> None:
    path = text(tmp_path, "run,t,x\n" + "".join(f"a,{one},1\n" for one in times))
    assert told(path, LONG).startswith(f"{path}, line {row}: the column 't' holds {found}; expected a time such as ")


def test_times_may_be_text_or_dates(tmp_path: Path) -> None:
    path = text(tmp_path, "run,t,x\na,2020-02-01,2\na,2020-01-01,1\n")
    assert read([path], LONG).inputs[0][:, 0].tolist() == [1, 2]
    dated = save(tmp_path / "a.parquet", polars.read_csv(path, try_parse_dates=True))
    assert read([dated], LONG).inputs[0][:, 0].tolist() == [1, 2]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_row_a_sequence_round_trips(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a{suffix}", polars.DataFrame({"kind": [7, 10], "p0": [1, 2], "p1": [3, 4], "p2": [5, 6]}))
    examples = read([path], ClassifyData(label_column="kind"))
    assert np.array_equal(examples.inputs, [[[1], [3], [5]], [[2], [4], [6]]])
    assert (examples.labels, examples.origins) == (["7", "10"], [f"{path}[0]", f"{path}[1]"])


def test_feature_columns_are_taken_in_their_order(tmp_path: Path) -> None:
    path = text(tmp_path, "a,b,c,label\n1,2,3,x\n")
    examples = read([path], ClassifyData(feature_columns=["c", "a"]))
    assert examples.inputs[0][:, 0].tolist() == [3, 1]


def test_labels_and_ids_of_a_csv_stay_text(tmp_path: Path) -> None:
    path = text(tmp_path, "run,t,x,label\n007,0,1,01\n7,0,2,1\n")
    examples = read([path], LONG)
    assert (examples.labels, examples.origins) == (["01", "1"], [f"{path}[id=007]", f"{path}[id=7]"])


def test_a_table_without_a_label_column_has_no_labels(tmp_path: Path) -> None:
    assert read([text(tmp_path, "a,b\n1,2\n")], ClassifyData()).labels is None


def test_spaces_around_numbers_do_no_harm(tmp_path: Path) -> None:
    assert np.array_equal(read([text(tmp_path, "a,b\n1, 2\n 3,4 \n")], ClassifyData()).inputs, [[[1], [2]], [[3], [4]]])


def test_a_gzipped_table(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(gzip.compress(b"a\tb\n1\t2\n"))
    assert np.array_equal(read([path], ClassifyData()).inputs, [[[1], [2]]])
    path.write_bytes(path.read_bytes()[:-3])
    assert told(path) == f"{path} is cut short: its gzip stream has no end. Copy or download it again."


@pytest.mark.parametrize(
    ("content", "settings", "message"),
    [
        (
            "a,label\n1,x\n,y\n",
            ClassifyData(),
            ", line 3: the column 'a' is empty; expected a number. Fill it in, leave the row out, or set data.missing.",
        ),
        (
            "a,label\n1,x\noops,y\n",
            ClassifyData(),
            ", line 3: the column 'a' holds 'oops'; expected a number. "
            "Name the input columns in data.feature_columns, or the label's column in data.label_column.",
        ),
        ("a,label\n1,x\n2,\n", ClassifyData(), ", line 3: the column 'label' is empty; expected a label."),
        (
            "run,t,x\na,0,1\n",
            ClassifyData(id_column="rnu"),
            " has no column 'rnu' (data.id_column); did you mean 'run'? Known: run, t, x.",
        ),
        (
            "run,t,x\na,0,1\n",
            ClassifyData(id_column="run", time_column="z"),
            " has no column 'z' (data.time_column); known are run, t, x.",
        ),
        (
            "run,t,x\na,0,1\n",
            ClassifyData(feature_columns=["x", "z"]),
            " has no column 'z' (data.feature_columns); known are run, t, x.",
        ),
        ("run,t,x\n,0,1\n", LONG, ", line 2: the column 'run' is empty; expected an id."),
        (
            "run,t,x\na,,1\n",
            LONG,
            ", line 2: the column 't' is empty; expected a time such as 2016-07-01 00:15 in every row (with a zone in "
            "all or in none), or a number in every row; set data.time_format if times are written in "
            "another form.",
        ),
        ("run,t,x,label\na,0,1,p\na,1,1,q\n", LONG, "[id=a] has the labels p, q; expected one in all of its rows."),
        ("label\nx\n", ClassifyData(), " has no columns besides label; expected columns that hold inputs."),
        ("a,label\n", ClassifyData(), " has column names but no rows; expected at least one."),
        (
            "a,label\n1,x\nNaN,y\n",
            ClassifyData(),
            ", line 3: the column 'a' holds 'NaN'; expected a number. Fill it in, leave the row out, or set "
            "data.missing.",
        ),
    ],
)
def test_tables_that_do_not_fit(tmp_path: Path, content: str, settings: ClassifyData, message: str) -> None:
    path = text(tmp_path, content)
    assert told(path, settings) == f"{path}{message}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", " is empty; expected one line with the names of the columns, and one line per row."),
        ("\n# nothing\n", " is empty; expected one line with the names of the columns, and one line per row."),
        (
            "a,b\n\n1,2,3\n",
            ", line 3, has 3 values, and there are 2 columns: a, b. Correct the line, or set data.separator if ',' is "
            "not the separator of values.",
        ),
        ('a,b\n1,2\n"3,4\n', ", line 3, opens a quote that is never closed. The file may be cut short."),
        (
            "a,b\n1,\0\n",
            ", line 2, holds a NUL character; expected text. If the file is in UTF-16, set data.encoding to "
            "utf-16-le or utf-16-be.",
        ),
    ],
)
def test_a_malformed_csv(tmp_path: Path, content: str, message: str) -> None:
    path = text(tmp_path, content)
    assert told(path) == f"{path}{message}"


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,label\n1,\xff\xfe\n")
    assert told(path) == (
        f"{path}, line 2, is not utf-8: byte 0xff. Convert the file, or set data.encoding to its encoding, such as "
        "latin-1."
    )


def test_a_parquet_file_cut_short_anywhere(tmp_path: Path) -> None:
    path = save(tmp_path / "a.parquet", STEPS)
    content = path.read_bytes()
    for length in range(0, len(content), max(1, len(content) // 40)):
        path.write_bytes(content[:length])
        assert told(path, LONG).startswith(f"{path} cannot be read as a table: it is cut short or malformed (")


def test_a_time_column_needs_an_id_column(tmp_path: Path) -> None:
    path = text(tmp_path, "t,x\n0,1\n")
    with pytest.raises(RecipeError) as error:
        read([path], ClassifyData(time_column="t"))
    assert str(error.value) == "data.time_column needs data.id_column, which says which sequence a row belongs to."


def test_a_packed_file_that_is_no_text_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(bytes(1 << 26), 1))
    tracemalloc.start()
    assert told(path).startswith(f"{path}, line 1, holds a NUL character; expected text.")
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()


def test_further_files_are_read_by_the_names_of_the_first(tmp_path: Path) -> None:
    first, turned = (
        save(tmp_path / "a.csv", STEPS),
        save(tmp_path / "b.parquet", STEPS.select("y", "label", "x", "run", "t")),
    )
    settings = LONG.model_copy(update={"scaling": "standard"})
    whole = read([first, turned], settings)
    assert whole.columns == ("x", "y")
    assert [one.tolist() for one in whole.inputs[:2]] == [one.tolist() for one in whole.inputs[2:]]
    train = read([first], settings)
    encoder = Encoder.fit(train, settings)
    expected = [encoder.encode(train)[row].inputs.tolist() for row in range(2)]
    tested = encoder.encode(read([turned], settings))
    assert [tested[row].inputs.tolist() for row in range(2)] == expected
    more = save(tmp_path / "c.csv", STEPS.with_columns(z=1.0).select("z", "y", "x", "run", "t"))
    predicted = Encoder.model_validate(encoder.model_dump(mode="json"))
    new = predicted.encode(read([more], predicted.settings))
    assert [new[row].inputs.tolist() for row in range(2)] == expected


def test_files_with_other_names_are_told_apart(tmp_path: Path) -> None:
    first = save(tmp_path / "a.csv", STEPS)
    other = save(tmp_path / "b.csv", STEPS.rename({"x": "z"}))
    message = (
        f"{other}[id=b] has the columns z, y; expected those of the sequences before it: x, y. Name the columns that "
        "all files have in data.feature_columns."
    )
    encoder = Encoder.fit(read([first], LONG), LONG)
    for attempt in (lambda: read([first, other], LONG), lambda: encoder.encode(read([other], LONG))):
        with pytest.raises(DataError) as error:
            attempt()
        assert str(error.value) == message
    with pytest.raises(DataError, match="has no column 'x'"):
        read([other], encoder.settings)
