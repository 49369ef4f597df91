from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import polars
import pytest

from holdfast.data.readers import texts
from holdfast.errors import DataError, MissingDataError, RecipeError
from holdfast.tasks.classify.settings import ClassifyData

PLAIN = ClassifyData(unit="words")
ROWS = {"text": ["ein Haus", "a house", "une maison"], "label": ["de", "en", "fr"]}


def made(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def zipped(path: Path, files: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def pairs(path: Path, settings: ClassifyData = PLAIN) -> list[tuple[str, str]]:
    found = texts.read([path], settings)
    assert found.targets is not None
    return list(zip(found.inputs, found.targets, strict=True))


def told(path: Path, settings: ClassifyData = PLAIN) -> str:
    with pytest.raises(DataError) as error:
        texts.read([path], settings)
    return str(error.value)


BY_FILE = {
    "shapes/round.txt": "a ball \r\n\r\n  the moon\n",
    "shapes/square.txt": "a box",
    "shapes/README.txt": "Mine.",
}
BY_FOLDER = {"mail/spam/1.txt": "Win\nnow!\n", "mail/spam/2.txt": " Free ", "mail/ham/1.txt": "See you"}


def test_a_folder_of_files_with_a_text_a_line(tmp_path: Path) -> None:
    root = made(tmp_path, BY_FILE) / "shapes"
    assert pairs(root) == [("a ball", "round"), ("the moon", "round"), ("a box", "square")]
    assert texts.read([root], PLAIN).origins == [
        f"{root}/round.txt[0]",
        f"{root}/round.txt[2]",
        f"{root}/square.txt[0]",
    ]


def test_a_folder_of_folders_with_a_text_a_file(tmp_path: Path) -> None:
    root = made(tmp_path, BY_FOLDER) / "mail"
    assert pairs(root) == [("See you", "ham"), ("Win\nnow!", "spam"), ("Free", "spam")]
    assert texts.read([root], PLAIN).origins[0] == f"{root}/ham/1.txt"


@pytest.mark.parametrize("files", [BY_FILE, BY_FOLDER])
def test_an_archive_is_read_as_the_folder_in_it(tmp_path: Path, files: dict[str, str | bytes]) -> None:
    [root] = {name.split("/")[0] for name in files}
    folder = pairs(made(tmp_path, files) / root)
    within = {**files, "__MACOSX/._x.txt": "no", f"{root}/.hidden.txt": "no"}
    assert pairs(zipped(tmp_path / "whole.zip", files)) == folder
    assert pairs(zipped(tmp_path / "bare.zip", {n.partition("/")[2]: c for n, c in files.items()})) == folder
    assert sorted(pairs(zipped(tmp_path / "mac.zip", {**within}))) == sorted(folder)


def test_one_file_alone_and_several_together(tmp_path: Path) -> None:
    root = made(tmp_path, BY_FILE) / "shapes"
    assert pairs(root / "square.txt") == [("a box", "square")]
    assert texts.read([root / "square.txt", root / "round.txt"], PLAIN).targets == ["square", "round", "round"]
    assert pairs(root / "README.txt") == [("Mine.", "README")], "a file that is named is meant"


def test_reviews_are_named_by_their_ending_and_keep_their_bytes(tmp_path: Path) -> None:
    # 0x85 ends a line for str.splitlines, and is a sign like any other in these files.
    files = {"set/r.pos": "caf\xe9 \x85 bon\nvif\n".encode("latin-1"), "set/r.neg": b"dull\n", "set/README.txt": b"x"}
    latin = ClassifyData(unit="words", encoding="latin-1")
    assert pairs(zipped(tmp_path / "r.zip", files), latin) == [
        ("dull", "neg"),
        ("caf\xe9 \x85 bon", "pos"),
        ("vif", "pos"),
    ]


def test_a_byte_order_mark_and_gzip_are_taken_off(tmp_path: Path) -> None:
    root = made(tmp_path, {"a.txt": b"\xef\xbb\xbfone\n", "b.txt.gz": gzip.compress(b"two\n")})
    assert pairs(root) == [("one", "a"), ("two", "b")]
    assert pairs(root / "b.txt.gz") == [("two", "b")]


def saved(path: Path, table: polars.DataFrame) -> Path:
    whole = io.BytesIO()
    if ".parquet" in path.name:
        table.write_parquet(whole)
    elif ".jsonl" in path.name or ".ndjson" in path.name:
        table.write_ndjson(whole)
    else:
        table.write_csv(whole, separator="\t" if ".tsv" in path.name else ",")
    path.write_bytes(gzip.compress(whole.getvalue()) if path.suffix == ".gz" else whole.getvalue())
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "a.jsonl", "a.ndjson", "a.jsonl.gz", "a.parquet"])
def test_tables(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path / name, polars.DataFrame(ROWS))
    assert pairs(path) == [("ein Haus", "de"), ("a house", "en"), ("une maison", "fr")]
    assert texts.read([path], PLAIN).origins == [f"{path}[{row}]" for row in range(3)]
    if not name.endswith(".gz"):
        assert pairs(zipped(tmp_path / "t.zip", {name: path.read_bytes()})) == pairs(path)


def test_other_columns_numbers_as_text_and_no_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('id,words,stars\n1,"good, cheap",05\n2,1984,1\n')
    settings = ClassifyData(unit="words", text_column="words", label_column="stars")
    assert pairs(path, settings) == [("good, cheap", "05"), ("1984", "1")]
    assert texts.read([path], ClassifyData(unit="words", text_column="words")).targets is None


def test_a_table_in_another_encoding(tmp_path: Path) -> None:
    path = made(tmp_path, {"a.csv": "text,label\ncaf\xe9,fran\xe7ais\n".encode("latin-1")}) / "a.csv"
    assert pairs(path, ClassifyData(unit="words", encoding="latin-1")) == [("caf\xe9", "fran\xe7ais")]
    assert told(path).startswith(f"{path}, line 2, is not utf-8: byte 0xe9. Convert the file, or set data.encoding")


def test_labels_that_are_numbers_in_json(tmp_path: Path) -> None:
    path = made(tmp_path, {"a.jsonl": '{"text": "x", "label": 1}\n{"text": "y", "label": 0}\n'}) / "a.jsonl"
    assert pairs(path) == [("x", "1"), ("y", "0")]


SEVERAL = ClassifyData(unit="words", label_separator="|")


def test_several_labels_in_one_column_or_as_a_list(tmp_path: Path) -> None:
    path = made(tmp_path, {"a.csv": "text,label\nx,red|round\ny,\n"}) / "a.csv"
    assert pairs(path, SEVERAL) == [("x", "red|round"), ("y", "")]
    rows = [{"text": "x", "label": ["red", "round"]}, {"text": "y", "label": []}]
    listed = made(tmp_path, {"a.jsonl": "\n".join(map(json.dumps, rows))}) / "a.jsonl"
    assert pairs(listed, SEVERAL) == [("x", "red|round"), ("y", "")]
    assert told(listed) == (
        f"{listed}: the column 'label' holds lists. "
        'Set data.label_separator, such as "|", to learn several labels per sequence.'
    )
    assert texts.read([listed], SEVERAL).labels is None, "a split keeps no proportions of combinations"
    assert texts.read([path], PLAIN.model_copy(update={"label_column": "text"})).labels == ["x", "y"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"r/a.txt": "", "r/b.txt": "x"}, "{root}/r/a.txt is empty; expected one text per line."),
        ({"r/x/a.txt": "\n"}, "{root}/r/x/a.txt is empty; expected a text."),
        (
            {"r/x/a.csv": "text\na"},
            "{root}/r/x/a.csv lies in a subfolder; expected LABEL/NAME.txt there, one text per file.",
        ),
        (
            {"r/a.txt": "x", "r/b/c.txt": "y"},
            "{root}/r holds texts both directly (a.txt) and in subfolders (b/c.txt); expected LABEL.txt, one text per "
            "line, or LABEL/NAME.txt, one text per file.",
        ),
        ({"r/a.png": "x"}, "{root}/r holds no texts; expected " + texts._KINDS + "."),
        ({"r/a/b/c.txt": "x"}, "{root}/r holds a/b/c.txt; expected " + texts._KINDS + "."),
        (
            {"r/a.txt": b"ok\nna\xefve\n"},
            "{root}/r/a.txt, line 2, is not utf-8: byte 0xef. Convert the file, or set data.encoding to its encoding, "
            "such as latin-1.",
        ),
        ({"r/a.csv": "label,text\na,\n"}, "{root}/r/a.csv, line 2: the column 'text' is empty; expected a text."),
        ({"r/a.csv": "label,text\n,b\n"}, "{root}/r/a.csv, line 2: the column 'label' is empty; expected a label."),
        ({"r/a.csv": "label,text\n"}, "{root}/r/a.csv has column names but no rows; expected at least one."),
        (
            {"r/a.csv": "label,test\na,b\n"},
            "{root}/r/a.csv has no column 'text' (data.text_column); did you mean 'test'? Known: label, test.",
        ),
        ({"r/a.jsonl": '{"text": ["x"]}'}, "{root}/r/a.jsonl: the column 'text' holds List(String); expected text."),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, files: dict[str, str | bytes], message: str) -> None:
    made(tmp_path, files)
    assert told(tmp_path / "r") == message.replace("{root}", str(tmp_path))


def test_damaged_and_missing_files(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.txt": "one\n" * 100})
    whole = path.read_bytes()
    path.write_bytes(whole[:40] + b"!" + whole[41:])
    assert told(path).startswith(f"{path} cannot be unpacked: a.txt in it is damaged or locked (")
    path.write_bytes(whole[:-30])
    assert told(path).startswith(f"{path} is not a zip archive, or a damaged one (")
    broken = made(tmp_path, {"a.jsonl": '{"text": "x"\n'}) / "a.jsonl"
    assert told(broken).startswith(f"{broken} cannot be read as a table: it is cut short or malformed (")
    with pytest.raises(MissingDataError, match=r"There is no file or folder .*absent\.txt\. Check the path; "):
        texts.read([tmp_path / "absent.txt"], PLAIN)


@pytest.mark.parametrize("encoding", ["utf-9", "rot13"])
def test_an_unknown_encoding(tmp_path: Path, encoding: str) -> None:
    path = made(tmp_path, {"a.txt": "x"}) / "a.txt"
    with pytest.raises(RecipeError) as error:
        texts.read([path], ClassifyData(unit="words", encoding=encoding))
    assert str(error.value) == (
        f"data.encoding is '{encoding}', which Python does not know; expected utf-8, latin-1, cp1252, ..."
    )


@pytest.mark.parametrize(
    ("name", "content", "settings", "expected"),
    [
        (
            "a.train",
            "__label__spam Win a prize\n\n__label__ham See you\n",
            {},
            [("Win a prize", "spam"), ("See you", "ham")],
        ),
        ("a.txt", "__label__spam Win a prize\n", {}, [("Win a prize", "spam")]),
        (
            "a.ft",
            "__label__a __label__b one two\nthree\nfour __label__a\n",
            {"label_separator": "|"},
            [("one two", "a|b"), ("three", ""), ("four", "a")],
        ),
        (
            "TREC_10.label",
            "NUM:dist How far ?\nLOC:city What city ?\n",
            {},
            [("How far ?", "NUM:dist"), ("What city ?", "LOC:city")],
        ),
        (
            "a.txt",
            "spam  Win  a prize\nham\tSee you\n",
            {"label_first": True},
            [("Win  a prize", "spam"), ("See you", "ham")],
        ),
    ],
)
def test_a_label_in_each_line(
    tmp_path: Path, name: str, content: str, settings: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    path = made(tmp_path, {name: content}) / name
    assert pairs(path, ClassifyData(unit="words", **settings)) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("__label__a one\ntwo\n", "[1] has 0 labels; expected a label and a text in each line."),
        ("__label__a one\n__label__b\n", "[1] has no text; expected a label and a text in each line."),
        (
            "__label__a __label__b one\n",
            '[0] has 2 labels; expected a label and a text in each line. Set data.label_separator, such as "|", to '
            "learn several labels per text.",
        ),
    ],
)
def test_lines_that_lack_a_label_or_a_text(tmp_path: Path, content: str, message: str) -> None:
    path = made(tmp_path, {"a.train": content}) / "a.train"
    assert told(path) == f"{path}{message}"


def test_a_zip_with_a_damaged_directory(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "one")
    content = path.read_bytes()
    place = content.index(b"PK\1\2")
    for offset, value in ((6, 255), (42, 9), (45, 255), (28, 0)):
        path.write_bytes(content[: place + offset] + bytes([value]) + content[place + offset + 1 :])
        assert str(path) in told(path)
