"""Pieces of files: together they are what the readers give for the whole file, wherever the pieces are cut."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
from PIL import Image

from holdfast.data import Examples, readers
from holdfast.data.pieces import Source, arrays, delimited_rows, grouped, sequences, tables, text_lines, texts
from holdfast.data.pieces.lines import LinesSource
from holdfast.data.pieces.numbered_lines import numbered
from holdfast.data.readers import texts as text_readers
from holdfast.data.settings import NumbersSettings, ReadingSettings
from holdfast.data.targets import Targets
from holdfast.errors import DataError, HoldfastWarning

LABELLED = ReadingSettings(label_column="label")
LONG = ReadingSettings(id_column="id", time_column="t", label_column="label")
TEXTS = ReadingSettings(unit="words")
QUOTED = 'text,label\n"a, b\nand ""c""",x\n\nplain,y\n,z\n# no comment,x\n' + "more of it,x\n" * 30
TABLES = {
    "comma.csv": "a,b,label\n" + "".join(f"{k},{k / 7},{'xy'[k % 2]}\n" for k in range(60)),
    "comments.csv": "# made by hand\na,b,label\n1,2,x\n# not a row\n\n3,4,y\n",
    "semicolons.csv": "a;b;label\n" + "".join(f"{k};{k},5;x\n" for k in range(60)),
    "blanks.csv": "a b label\n" + "".join(f"{k}   {k}.5 x\n" for k in range(60)),
    "tabs.tsv": "a\tb\tlabel\n" + "".join(f"{k}\t{k}.5\tx\n" for k in range(60)),
    "excel.csv": "sep=;\na;b;label\n" + "".join(f"{k};{k}.5;x\n" for k in range(60)),
    "names-above.csv": "# a,b,label\n" + "".join(f"{k},{k}.5,{k % 2}\n" for k in range(60)),
    "quotes-at-the-end.csv": "a,b,label\n" + "1,2,x\n" * 60 + '3,4,"x, and\ny"\n',
    "no-line-break.csv": "a,b,label\n1,2,x\n3,4,y",
    "windows.csv": "a,b,label\r\n" + "1,2,x\r\n" * 40,
}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_lines, "_BLOCK", 50)
    monkeypatch.setattr(tables, "AT_ONCE", 7)
    monkeypatch.setattr(delimited_rows, "_HEAD", 20)


def read(sources: Sequence[Source], begin: int = 0, end: int | None = None) -> Any:
    """The examples of some sources, those from ``begin`` to before ``end`` of each."""
    parts = [
        piece.examples() for source in sources for piece in source.pieces(begin, len(source) if end is None else end)
    ]
    return type(parts[0]).join(parts)


def equal(found: Any, expected: Any) -> bool:
    """Whether examples have the same inputs and origins; NaN is equal to NaN."""
    assert found.origins == expected.origins
    assert found.targets is None
    same = [np.array_equal(a, b) for a, b in zip(found.inputs, expected.inputs, strict=True)]
    return all(same)


@pytest.mark.parametrize("name", TABLES)
def test_rows_of_a_table(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(TABLES[name].encode())
    expected = readers.read([path], LABELLED)
    (source,) = sequences.sources([path], LABELLED)
    assert len(source) == len(expected)
    assert equal(read([source]), expected)
    for begin, end in ((0, 1), (1, len(expected)), (len(expected) // 2, len(expected) // 2 + 1)):
        assert equal(read([source], begin, end), expected.subset(range(begin, end)))
    assert source.columns == ["a", "b", "label"]


def test_a_gzipped_table_and_parquet(tmp_path: Path) -> None:
    frame = polars.DataFrame({"a": np.arange(50, dtype=np.uint8), "b": np.arange(50.0), "label": ["x"] * 50})
    frame.write_parquet(tmp_path / "x.parquet", row_group_size=9)
    with gzip.open(tmp_path / "x.csv.gz", "wt") as file:
        file.write(TABLES["comma.csv"])
    for path in (tmp_path / "x.parquet", tmp_path / "x.csv.gz"):
        found = sequences.sources([path], LABELLED)
        assert equal(read(found), readers.read([path], LABELLED))
        assert equal(read(found, 11, 30), readers.read([path], LABELLED).subset(range(11, 30)))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
def test_encodings(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(("text,label\n" + "é ü,x\n" * 40).encode(encoding))
    settings = TEXTS.model_copy(update={"encoding": encoding})
    expected = text_readers.read([tmp_path / "x.csv"], settings)
    assert equal(read(texts.sources([tmp_path / "x.csv"], settings)), expected)


def test_bytes_that_are_not_text(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"text,label\n" + b"a,x\n" * 40 + b"\xff,x\n")
    with pytest.raises(DataError, match=r"x\.csv, line 42, is not utf-8: byte 0xff"):
        texts.sources([tmp_path / "x.csv"], TEXTS)
    (tmp_path / "x.csv").write_bytes(b"text,label\n" + b"a,x\n" * 40 + b"\0,x\n")
    with pytest.raises(DataError, match=r"x\.csv, line 42, holds a NUL character"):
        texts.sources([tmp_path / "x.csv"], TEXTS)


def test_a_bad_row_is_named_as_in_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    for bad, message in (("1,b?,x", r"line 41: the column 'b' holds 'b\?'"), ("1,2,x,4", "line 41, has 4 values")):
        path.write_text("a,b,label\n" + "1,2,x\n" * 39 + bad + "\n" + "1,2,x\n" * 9)
        (source,) = sequences.sources([path], LABELLED)
        assert len(read([source], 0, 39)) == 39
        with pytest.raises(DataError, match=message):
            readers.read([path], LABELLED)
        with pytest.raises(DataError, match=message):
            read([source])


def test_the_decimal_sign_of_the_first_rows_counts_for_all(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a;b;label\n" + "1,5;2;x\n" * 30 + "1.5;2;x\n")
    (source,) = sequences.sources([path], LABELLED)
    assert read([source], 3, 4).inputs[0, 0, 0] == 1.5
    with pytest.raises(DataError, match=r"line 32: the column 'a' holds '1\.5'; expected a number"):
        read([source], 30, 31)


def long_table(scattered: bool) -> str:
    rows = [(f"id{k}", step, 10 * k + step) for k in range(12) for step in range(1 + k % 4)]
    rows = sorted(rows, key=lambda row: row[1]) if scattered else rows
    return "id,t,value,label\n" + "".join(f"{name},{9 - step},{value},x\n" for name, step, value in rows)


def test_rows_of_an_id(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(long_table(scattered=False))
    polars.read_csv(path).write_parquet(tmp_path / "x.parquet")
    for file in (path, tmp_path / "x.parquet"):
        expected = readers.read([file], LONG)
        (source,) = sequences.sources([file], LONG)
        assert isinstance(source, grouped.GroupedSource)
        assert equal(read([source]), expected)
        assert equal(read([source], 3, 9), expected.subset(range(3, 9)))
        for begin in range(12):
            assert equal(read([source], begin, 12), expected.subset(range(begin, 12)))
        pieces = list(source.pieces(2, 12))
        assert [name for piece in pieces for name in piece.columns(["id"])["id"]] == [f"id{k}" for k in range(2, 12)]
        assert pieces[0].origin == f"{file}[id=id2]"


def test_scattered_ids_are_read_whole(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(long_table(scattered=True))
    with pytest.warns(HoldfastWarning, match="do not follow one another, so the file is read whole.*sort it by 'id'"):
        (source,) = sequences.sources([tmp_path / "x.csv"], LONG)
    assert equal(read([source], 1, 5), readers.read([tmp_path / "x.csv"], LONG).subset(range(1, 5)))


def test_arrays(tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(40, 5, 2))
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", np.arange(40))
    np.savez(tmp_path / "x.npz", inputs=X[:3])
    paths = [tmp_path / "X.npy", tmp_path / "y.npy", tmp_path / "x.npz"]
    first, second = sequences.sources(paths, LABELLED)
    assert equal(read([first], 7, 9), readers.read(paths[:2], LABELLED).subset(range(7, 9)))
    assert equal(read([second]), readers.read(paths[2:], LABELLED))
    np.save(tmp_path / "X.npy", X[:, :, :, None])
    with pytest.raises(DataError, match=r"inputs has shape \(40, 5, 2, 1\)"):
        sequences.sources(paths, LABELLED)


def test_images(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / "all" / label).mkdir(parents=True)
        for k in range(4):
            Image.fromarray(np.full((3, 5), 20 * k, np.uint8)).save(tmp_path / "all" / label / f"{k}.png")
    folder, single = tmp_path / "all", tmp_path / "all" / "a" / "2.png"
    found = sequences.sources([folder, single], LABELLED)
    assert [len(source) for source in found] == [8, 1]
    whole = readers.read([folder], LABELLED)
    assert equal(read(found[:1], 3, 6), whole.subset(range(3, 6)))
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(folder / "b" / "3.png")
    with pytest.raises(DataError, match=r"3\.png is 5x4 pixels; .*0\.png is 5x3"):
        read(sequences.sources([folder], LABELLED), 7, 8)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("good.txt", "one\n\n  two  \nthree\n" * 20),
        ("first.label", "x one\ny two\n" * 20),
        ("fast.text", "__label__x one\n__label__y two\n" * 20),
        ("rows.jsonl", '{"text": "one", "label": "x"}\n\n{"text": "two"}\n' * 20),
    ],
)
def test_files_of_texts(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    settings = TEXTS.model_copy(update={"label_column": "other"})
    expected = text_readers.read([tmp_path / name], settings).unlabelled()
    (source,) = texts.sources([tmp_path / name], settings)
    assert equal(read([source]), expected)
    assert equal(read([source], 5, 9), expected.subset(range(5, 9)))


def test_a_table_of_texts_with_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(QUOTED)
    with pytest.raises(DataError, match=r"x\.csv, line 6: the column 'text' is empty"):
        text_readers.read([tmp_path / "x.csv"], TEXTS)
    (source,) = texts.sources([tmp_path / "x.csv"], TEXTS)
    assert read([source], 0, 2).inputs == ['a, b\nand "c"', "plain"]
    assert read([source], 3, 4).inputs == ["# no comment"]
    with pytest.raises(DataError, match=r"x\.csv, line 6: the column 'text' is empty"):
        read([source], 2, 3)


def test_a_folder_of_texts(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / "nested" / label).mkdir(parents=True)
        (tmp_path / "nested" / label / "1.txt").write_text(f"text of {label}\n")
        (tmp_path / f"{label}.txt").write_text(f"one {label}\ntwo {label}\n")
    assert equal(read(texts.sources([tmp_path / "nested"], TEXTS)), text_readers.read([tmp_path / "nested"], TEXTS))
    (tmp_path / "flat").mkdir()
    for label in "ab":
        (tmp_path / f"{label}.txt").rename(tmp_path / "flat" / f"{label}.txt")
    assert equal(read(texts.sources([tmp_path / "flat"], TEXTS)), text_readers.read([tmp_path / "flat"], TEXTS))


def test_columns_that_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("user,a,b,label\n" + "".join(f"u{k},{k},2,x\n" for k in range(40)))
    (source,) = sequences.sources([path], LABELLED, aside=["user"])
    pieces = list(source.pieces(10, 40))
    users = [name for piece in pieces for name in piece.columns(["user"])["user"]]
    assert users == [f"u{k}" for k in range(10, 40)]
    assert read([source]).inputs.shape == (40, 2, 1)
    with pytest.raises(DataError, match="the column 'user' holds 'u0'"):
        read(sequences.sources([path], LABELLED))


def test_steps_of_one_sequence_are_read_whole(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,target\n1,2\n3,4\n")
    settings = NumbersSettings(label_column="target", per="step")
    (source,) = sequences.sources([tmp_path / "x.csv"], settings, "steps")
    assert len(source) == 1
    assert read([source]).inputs[0].tolist() == [[1.0], [3.0]]


def test_a_quote_that_is_never_closed(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("text,label\na,x\n" + '"b,x\n' + "c,x\n" * 50)
    with pytest.raises(DataError, match="line 3, opens a quote that is never closed"):
        texts.sources([tmp_path / "x.csv"], TEXTS)


def test_plain_lines_may_have_any_character(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("one\n\ntwo\0more\n" + "three\n" * 20)
    source = LinesSource(path, lambda lines, _: list(lines), plain=True)
    assert [text for piece in source.pieces(0, 3) for text in piece.examples()] == ["one", "two\0more", "three"]
    with pytest.raises(DataError, match="line 3, holds a NUL character"):
        len(LinesSource(path, lambda lines, _: list(lines)))
    path.write_bytes(b"one\n" * 30 + b"\xfftwo\n")
    with pytest.raises(DataError, match=r"line 31, is not UTF-8 text \(invalid start byte\)"):
        len(LinesSource(path, lambda lines, _: list(lines), plain=True))


def test_the_last_ending_of_a_name_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv.txt"
    path.write_text("one, two\nthree\n")
    assert equal(read(texts.sources([path], TEXTS)), text_readers.read([path], TEXTS).unlabelled())


def test_numbered_lines_are_those_of_every_other_reading(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes("\ufeffone\r\ntwo\rthree\n\nfour\n".encode())
    assert list(numbered(path)) == list(enumerate(["one", "two", "three", "", "four"], 1))
    path.write_bytes(b"")
    assert not list(numbered(path))


@pytest.mark.parametrize(
    ("labels", "targets"),
    [
        (np.eye(3, dtype=np.int64)[np.arange(40) % 3], "labels"),
        (np.array(["a", "bc"] * 20), "labels"),
        (np.arange(40) / 7, "numbers"),
        (np.arange(200.0).reshape(40, 5), "steps"),
        (np.arange(400.0).reshape(40, 5, 2), "detect"),
    ],
)
def test_arrays_with_targets(labels: Any, targets: Targets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "_AT_ONCE", 7)
    paths = [tmp_path / "X.npy", tmp_path / "y.npy"]
    np.save(paths[0], np.asfortranarray(np.random.default_rng(0).normal(size=(40, 5, 2))))
    np.save(paths[1], labels)
    whole = readers.read(paths, ReadingSettings(), targets=targets)
    pieces = list(arrays.array_pieces(*paths, targets, None, gaps=False))
    assert [after and after["row"] for _, after in pieces] == [7, 14, 21, 28, 35, None]
    later = [part for part, _ in arrays.array_pieces(*paths, targets, pieces[2][1], gaps=False)]
    joined = Examples.join([*(part for part, _ in pieces[:3]), *later])
    assert joined.origins == whole.origins
    assert joined.per_step == whole.per_step
    assert np.array_equal(joined.inputs, whole.inputs)
    assert list(map(np.ndarray.tolist, map(np.asarray, joined.targets or []))) == list(
        map(np.ndarray.tolist, map(np.asarray, whole.targets or []))
    )
