"""Tables in pieces are the tables that are read as a whole, with the same errors at the same places."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

from holdfast.data import Examples, readers
from holdfast.data.disk import sequences, tables
from holdfast.data.disk.files import Entry, kept
from holdfast.data.pieces import text_lines
from holdfast.data.readers.table import Table, load
from holdfast.data.settings import ReadingSettings, TableSettings
from holdfast.errors import DataError, HoldfastWarning


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "PIECE_BYTES", 64)
    monkeypatch.setattr(text_lines, "_BLOCK", 64)


def of_pieces(path: Path, settings: TableSettings, *, texts: bool = False) -> list[Table]:
    """The pieces of a file, each read again from the position before it."""
    rows = tables.rows_of(path, settings, texts=texts)
    straight = list(tables.table_pieces(rows, None))
    again: list[Any] = []
    position = None
    while True:
        table, position = next(tables.table_pieces(rows, position), (None, None))
        again += [] if table is None else [table]
        if position is None:
            break
    assert [piece.frame.to_dict(as_series=False) for piece, _ in straight] == [
        piece.frame.to_dict(as_series=False) for piece in again
    ]
    return again


TABLES = {
    "plain": "a,b\n" + "".join(f"{row},{row * row}\n" for row in range(50)),
    "windows": "a;b\r\n" + "".join(f"{row},5;x{row}\r\n" for row in range(50)),
    "comments": "# first\n\n#a,b\n0,1\n" + "".join(f"{row},2\n# between\n\n" for row in range(30)),
    "quotes": 'a,b\n1,2\n3,4\n5,6\n7,8\n9,10\n11,12\n13,14\n15,16\n17,18\n"x\ny, ""z""\n",1\n' * 1 + '"q","r"\n' * 20,
    "blanks": "a  b c\n" + "".join(f"{row}   {row + 1}  3\n" for row in range(30)),
    "no end": "a,b\n" + "".join(f"{row},1\n" for row in range(40)) + "99,100",
    "sep": "sep=;\na;b\n" + "1;2\n" * 40,
    "long row": "a,b\n" + f"{'1' * 300},2\n" * 3,
}


@pytest.mark.parametrize("name", list(TABLES))
@pytest.mark.parametrize("packed", [False, True])
def test_pieces_are_the_table(tmp_path: Path, name: str, packed: bool) -> None:
    path = tmp_path / ("table.csv.gz" if packed else "table.csv")
    content = TABLES[name].encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    settings = TableSettings()
    whole, parts = load(path, settings), of_pieces(path, settings)
    assert len(parts) > 1
    assert polars.concat([part.frame for part in parts]).equals(whole.frame)
    assert [line for part in parts for line in part.lines or []] == list(whole.lines or [])
    assert [part.first for part in parts] == np.cumsum([0, *(len(part.frame) for part in parts)])[:-1].tolist()
    assert {part.separator for part in parts} == {whole.separator}


def test_text_in_utf_16_is_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(TABLES["windows"].encode("utf-16"))
    parts = of_pieces(path, TableSettings())
    assert len(parts) > 1
    assert polars.concat([part.frame for part in parts]).equals(load(path, TableSettings()).frame)


def test_a_comment_like_a_row_is_warned_about_wherever_it_is(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,b\n" + "1,2\n" * 1200 + "#3,4\n5,6\n")
    rows = tables.rows_of(path, TableSettings())
    with pytest.warns(HoldfastWarning, match="line 1202, starts with '#' and has as many values"):
        assert sum(len(part.frame) for part, _ in tables.table_pieces(rows, None)) == 1201


def examples(path: Path, settings: ReadingSettings) -> Examples:
    (entry,) = sequences._entries([path], settings, "test", "labels")
    assert isinstance(entry, Entry)
    parts = [part for part, _ in entry.read(None)]
    assert all(isinstance(part, Examples) for part in parts)
    return Examples.join(parts)  # type: ignore[arg-type]


def test_errors_name_the_line_of_the_file(tmp_path: Path) -> None:
    path, settings = tmp_path / "table.csv", ReadingSettings()
    for wrong, message in [("1,b,x", "line 41: the column 'b' holds 'b'"), ("1,2,3,4", "line 41, has 4 values")]:
        path.write_text("a,b,label\n" + "1,2,x\n" * 39 + f"{wrong}\n" + "1,2,x\n" * 30)
        for read in (lambda: readers.read([path], settings), lambda: examples(path, settings)):
            with pytest.raises(DataError, match=message):
                read()
    path.write_bytes(b"a,label\n" + b"1,x\n" * 39 + b"\xff,x\n")
    with pytest.raises(DataError, match="line 41, is not utf-8"):
        examples(path, settings)
    path.write_text("a,label\n")
    with pytest.raises(DataError, match="has column names but no rows"):
        examples(path, settings)


def test_the_decimal_sign_of_the_first_piece_is_that_of_the_file(tmp_path: Path) -> None:
    path, settings = tmp_path / "table.csv", ReadingSettings()
    path.write_text("a;b;label\n" + "1,5;2;x\n" * 60)
    np.testing.assert_array_equal(examples(path, settings).inputs, readers.read([path], settings).inputs)
    path.write_text("a;b;label\n" + "1,5;2;x\n" * 30 + "1.5;2;x\n" * 30)
    with pytest.raises(DataError, match=r"holds '1\.5'; expected a number with ',' as its decimal sign|holds '1\.5'"):
        examples(path, settings)


def test_the_whole_file_says_whether_quotes_enclose_values(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text('a,b\n5"" pipe,1\n' + "x,2\n" * 30 + '"y, z",3\n' + "x,4\n" * 30)
    parts = of_pieces(path, TableSettings())
    assert polars.concat([part.frame for part in parts]).equals(load(path, TableSettings()).frame)
    path.write_text('a,b\n5" pipe,1\n' + "x,2\n" * 30 + '"y, z",3\n' + "x,4\n" * 30)
    for read in (load, of_pieces):
        with pytest.raises(DataError, match="line 2, opens a quote that is never closed"):
            read(path, TableSettings())


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_rows_of_an_id_are_read_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    lengths = [1, 40, 3, 2, 7, 1, 1, 9]
    rows = [(f"s{place}", float(rng.normal()), "xy"[place % 2]) for place, n in enumerate(lengths) for _ in range(n)]
    frame = polars.DataFrame(rows, schema=["id", "v", "label"], orient="row")
    path = tmp_path / f"table.{ending}"
    settings = ReadingSettings(id_column="id")

    def write(frame: polars.DataFrame) -> None:
        frame.write_csv(path) if ending == "csv" else frame.write_parquet(path, row_group_size=5)

    write(frame)
    whole, parts = readers.read([path], settings), examples(path, settings)
    assert list(map(len, parts.inputs)) == lengths
    assert parts.origins == whole.origins
    for one, other in zip(whole.inputs, parts.inputs, strict=True):
        np.testing.assert_array_equal(one, other)
    write(polars.concat([frame[:1], frame[1:3], frame[:1]]))
    with pytest.raises(DataError, match=r"rows of the id 's0' follow after rows of other ids; .* Sort the file"):
        kept(sequences.source([path], settings))


def test_an_id_of_two_pieces_is_found_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "table.csv"
    rows = [f"s{row // 2},{row},x" for row in range(40)]
    path.write_text("\n".join(["id,v,label", *rows, "s3,1,x", "s99,1,x", ""]))
    with pytest.raises(DataError, match=r"\[id=s3\]: rows of the id 's3' follow after rows of other ids"):
        kept(sequences.source([path], ReadingSettings(id_column="id")))
