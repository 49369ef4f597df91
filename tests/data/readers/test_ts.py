from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from holdfast.data import read
from holdfast.errors import DataError
from holdfast.tasks.classify.settings import ClassifyData

HEADER = "#a comment\n@problemName Toy\n@timeStamps false\n@univariate false\n@classLabel true a b\n\n@data\n"


def save(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "toy.ts"
    path.write_text(text, encoding="utf-8")
    return path


def told(path: Path) -> str:
    with pytest.raises(DataError) as error:
        read([path], ClassifyData())
    return str(error.value)


def test_unequal_lengths_and_several_dimensions(tmp_path: Path) -> None:
    path = save(tmp_path, HEADER + "1,2,3:4, 5 ,6:a\n# between\n7:8e1: b \n")
    examples = read([path], ClassifyData())
    assert np.array_equal(examples.inputs[0], [[1, 4], [2, 5], [3, 6]])
    assert np.array_equal(examples.inputs[1], [[7, 80]])
    assert (examples.labels, examples.origins) == (["a", "b"], [f"{path}[0]", f"{path}[1]"])


def test_one_dimension_of_equal_length_without_labels(tmp_path: Path) -> None:
    header = "@univariate true\n@equalLength true\n@seriesLength 2\n@classLabel false\n@data\n"
    examples = read([save(tmp_path, header + "1,2\n3,4\n")], ClassifyData())
    assert np.array_equal(examples.inputs, [[[1], [2]], [[3], [4]]])
    assert examples.labels is None


def test_comments_need_not_be_utf8_and_the_file_may_be_gzipped(tmp_path: Path) -> None:
    path = tmp_path / "toy.ts.gz"
    path.write_bytes(gzip.compress(b"# caf\xe9\r\n" + HEADER.replace("\n", "\r\n").encode() + b"1:2:a\r\n"))
    assert len(read([path], ClassifyData())) == 1


def test_missing_values_where_they_are_allowed(tmp_path: Path) -> None:
    path = save(tmp_path, HEADER + "1,?:2,3:a\nNaN,1:1,1:b\n")
    found = read([path], ClassifyData(missing="mean"))
    assert found.gaps
    assert np.array_equal(found.inputs, [[[1, 2], [np.nan, 3]], [[np.nan, 1], [1, 1]]], equal_nan=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            HEADER + "1,?:2,3:a\n",
            ", line 8, dimension 0 (from 0) has a missing value. Fill it in, leave the sequence out, or set "
            "data.missing.",
        ),
        (
            HEADER + "1:NaN:a\n",
            ", line 8, dimension 1 (from 0) has a missing value. Fill it in, leave the sequence out, or set "
            "data.missing.",
        ),
        (HEADER + "1:2:c\n", ", line 8 ends in 'c'; expected one of a, b after the last ':'."),
        (HEADER + "1:2:a\n1:a\n", ", line 9 has 1 dimensions; expected 2."),
        (HEADER + "1,2:2:a\n", ", line 8 has dimensions of 1 to 2 values; expected the same number in each."),
        (
            HEADER + "1:x:a\n",
            ", line 8, dimension 1 (from 0): could not convert string to float: 'x'; expected numbers separated "
            "by ','.",
        ),
        ("@dimensions 3\n" + HEADER + "1:2:a\n", ", line 9 has 2 dimensions; expected 3."),
        (
            "@equalLength true\n@seriesLength 2\n@data\n1,2,3\n",
            ", line 4 has 3 steps; @seriesLength and @equalLength say 2.",
        ),
        ("@timeStamps true\n", ", line 1: time stamps cannot be read; expected @timeStamps false and values alone."),
        (
            "@targetLabel true\n",
            ", line 1: the file is for regression, each sequence has a number as its target; expected labels, "
            "with @classLabel true.",
        ),
        ("@classLabel maybe\n", ", line 1: @classLabel is maybe; expected true or false."),
        ("@dimensions\n", ", line 1: @dimensions is empty; expected a number from 1."),
        ("1,2,3\n", ", line 1 comes before @data and is not an @ tag; expected a .ts header first."),
        ("@classLabel true\n", " holds no sequences: it has no @data line."),
        ("@classLabel true\n@data\n", " holds no sequences."),
    ],
)
def test_what_breaks_the_format_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = save(tmp_path, text)
    assert told(path) == f"{path}{message}"


def test_an_unknown_tag_has_a_suggestion(tmp_path: Path) -> None:
    path = save(tmp_path, "@clasLabel true a b\n")
    assert told(path).startswith(f"{path}, line 1 has the unknown tag @clasLabel; did you mean 'classlabel'? Known: ")


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "toy.ts"
    path.write_bytes(b"\xff\xfe\x00")
    assert told(path).startswith(f"{path}, line 1 is not UTF-8 text (")


def test_japanese_vowels(real_data: Callable[[str], Path]) -> None:
    examples = read([real_data("JapaneseVowels") / "JapaneseVowels_TRAIN.ts"], ClassifyData())
    assert (len(examples), examples.channels) == (270, 12)
    assert (examples.lengths.min(), examples.lengths.max()) == (7, 26)
    assert examples.inputs[0][0, 0] == 1.860936
    assert examples.inputs[0][0, 1] == -0.207383
