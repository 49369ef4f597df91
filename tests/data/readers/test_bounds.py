"""Files that unpack to gigabytes, or whose tables would: refused before."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

from holdfast.data import read
from holdfast.data.readers import documents, pairs, tagged, texts, transcripts, vectors
from holdfast.data.settings import AudioSettings
from holdfast.errors import DataError
from holdfast.tasks.classify.settings import ClassifyData
from holdfast.tasks.tag.settings import TagData

MEGABYTE = 2**20
WORDS = ClassifyData(unit="words", label_column="label")


def fault(call: Callable[[], Any]) -> str:
    with pytest.raises(DataError) as error:
        call()
    return str(error.value)


def packed(path: Path, start: bytes, block: bytes) -> Path:
    """A gzip file of twenty megabytes."""
    once = gzip.compress(block * (MEGABYTE // len(block)))
    path.write_bytes(gzip.compress(start) + once * 20)
    return path


@pytest.mark.parametrize(
    ("name", "start", "block", "call"),
    [
        ("a.csv.gz", b"", b",", lambda path: read([path], ClassifyData())),
        ("a.csv.gz", b"t0\n", b"1\n", lambda path: read([path], ClassifyData())),
        ("a.ts.gz", b"@classLabel false\n@data\n", b"1,", lambda path: read([path], ClassifyData())),
        ("a.gz", struct.pack(">4B3I", 0, 0, 8, 3, 20, 1024, 1024), b"\0", lambda path: read([path], ClassifyData())),
        ("a.txt.gz", b"", b"a", lambda path: documents.whole([path])),
        ("a.txt.gz", b"", b"\n", lambda path: pairs.read([path])),
        ("a.conllu.gz", b"", b"\n", lambda path: tagged.read([path], TagData())),
        ("a.txt.gz", b"", b"a", lambda path: vectors.read(path, ["a"])),
        ("a.txt.gz", b"", b"a", lambda path: texts.read([path], WORDS)),
    ],
)
def test_gzip_that_unpacks_to_absurdly_much(
    tmp_path: Path, name: str, start: bytes, block: bytes, call: Callable[[Path], Any]
) -> None:
    path = packed(tmp_path / name, start, block)
    message = fault(lambda: call(path))
    assert message.startswith(f"{path} unpacks to ")
    assert message.endswith(
        "; expected at most 200 times as many, as real data hardly ever shrink so far. If they do, unpack the file "
        "first."
    )


def test_small_files_may_shrink_as_far_as_they_like(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"a" * MEGABYTE))
    assert documents.whole([path]).inputs == ["a" * MEGABYTE]


def test_zip_archives_that_unpack_to_absurdly_much(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", b"a" * 2 * MEGABYTE)
    assert fault(lambda: texts.read([path], WORDS)).startswith(
        f"{path}: a.txt unpacks to 2,097,152 bytes or more from "
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.txt", b"text")
    assert fault(lambda: texts.read([path], WORDS)) == (
        f"{path}: a.txt in it is packed in an unusual way; expected deflate, the usual way."
    )


def test_zip_archives_whose_members_are_the_same_bytes(tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a.txt", b"text" * 100)
        archive.filelist.extend([archive.filelist[0]] * 9)
    path = tmp_path / "a.zip"
    path.write_bytes(content.getvalue())
    assert fault(lambda: texts.read([path], WORDS)) == (
        f"{path} is a damaged zip archive: its members claim more bytes than the file has. Copy it again."
    )


def test_npz_that_unpacks_to_absurdly_much(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, inputs=np.zeros((70, 1024, 1024), np.uint8))
    assert fault(lambda: read([path], ClassifyData())).startswith(f"{path}: inputs.npy unpacks to 73,400,")


def table(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_tables_of_empty_cells(tmp_path: Path) -> None:
    header = b",".join(b"c%d" % number for number in range(5000))
    csv = table(tmp_path / "a.csv", header + b"\n" + b"1\n" * 5000)
    expected = (
        "has 5,000 rows and 5,000 columns, with nearly all cells empty or equal; expected at most 8,544,168 "
        "cells in a file of its size. It is damaged, or most columns can be left out."
    )
    assert fault(lambda: read([csv], ClassifyData())) == f"{csv} {expected}"
    assert "with nearly all cells empty" in fault(lambda: transcripts.read([csv], AudioSettings()))
    lines = table(tmp_path / "a.jsonl", b"".join(b'{"text": "a", "k%d": 1}\n' % number for number in range(5000)))
    assert "has 5,001 rows and 5,001 columns" in fault(lambda: texts.read([lines], WORDS))
    assert "has 5,001 rows and 5,001 columns" in fault(lambda: transcripts.read([lines], AudioSettings()))


def test_tables_of_too_many_columns(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", b"," * 100_000 + b"\n")
    assert fault(lambda: read([path], ClassifyData())) == (
        f"{path} has 100,001 columns; expected at most 100,000. Is it a table?"
    )


@pytest.mark.parametrize("nest", [(b'{"a": ', b"}"), (b"[", b"]")])
def test_json_that_is_nested_deep(tmp_path: Path, nest: tuple[bytes, bytes]) -> None:
    deep = nest[0] * 500 + b"1" + nest[1] * 500
    path = table(tmp_path / "a.jsonl", b'{"text": "a"}\n{"text": "a", "b": ' + deep + b"}\n")
    message = f"{path}, line 2, is nested more than 16 deep; expected one object per line."
    assert fault(lambda: texts.read([path], WORDS)) == message
    assert fault(lambda: transcripts.read([path], AudioSettings())) == message


def test_brackets_within_texts_nest_nothing(tmp_path: Path) -> None:
    path = table(tmp_path / "a.jsonl", b'{"text": "a \\" [[[[[[[[[[[[[[[[[[[[{{{{ film", "label": "b"}\n' * 2)
    assert len(texts.read([path], WORDS)) == 2


def test_parquet_that_claims_rows_without_end(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    polars.DataFrame({"t0": polars.repeat(1.5, 10_000_000, eager=True)}).write_parquet(path)
    size = path.stat().st_size
    assert fault(lambda: read([path], ClassifyData())) == (
        f"{path} has 10,000,000 rows and 1 columns, with nearly all cells empty or equal; expected at most "
        f"{2**23 + 25 * size:,} cells in a file of its size. It is damaged, or most columns can be left out."
    )
