from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from holdfast.data.readers import vectors
from holdfast.errors import DataError, MissingDataError

GLOVE = "the 0.5 -1 2e-1\nna\u00efve 1 2 3\n. . . 4 5 6\nthe 9 9 9\nhouse 0 0 1\n"


def saved(tmp_path: Path, content: str | bytes, name: str = "v.txt") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def told(path: Path) -> str:
    with pytest.raises(DataError) as error:
        vectors.read(path, ["the"])
    return str(error.value)


@pytest.mark.parametrize("packed", [False, True])
def test_the_words_that_are_asked_for(tmp_path: Path, packed: bool) -> None:
    content = GLOVE.encode()
    found = vectors.read(
        saved(tmp_path, gzip.compress(content) if packed else content), ["the", "na\u00efve", "absent"]
    )
    assert {word: vector.tolist() for word, vector in found.items()} == {
        "the": pytest.approx([0.5, -1, 0.2]),
        "na\u00efve": [1, 2, 3],
    }
    assert all(vector.dtype == np.float32 for vector in found.values())


def test_the_first_line_of_other_programs_is_passed_over(tmp_path: Path) -> None:
    assert vectors.read(saved(tmp_path, "2 3\n" + GLOVE), ["house"])["house"].tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a 1 2\nthe 1\n", "line 2, has 1 values after its word; expected 2, as in the lines before."),
        ("a 1 2\nb 1 2 3\n", "line 2, has 3 values after its word; expected 2, as in the lines before."),
        ("the\n", "line 1, has 0 values after its word; expected at least one."),
    ],
)
def test_unequal_lengths(tmp_path: Path, content: str, message: str) -> None:
    path = saved(tmp_path, content)
    end = " The file is cut short or of another format: expected `word v1 ... vn` per line."
    assert told(path) == f"{path}, {message}{end}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("the 1 x\n", "{path}, line 1, holds 'x'; expected a finite number."),
        ("the 1 nan\n", "{path}, line 1, holds 'nan'; expected a finite number."),
        ("the 1 1e99\n", "{path}, line 1, holds '1e99'; expected a finite number."),
        (b"the 1 2\ncaf\xe9 1 2\n", "{path}, line 2, is not UTF-8 text. Convert the file first."),
        ("", "{path} is empty; expected `word v1 ... vn` per line."),
    ],
)
def test_what_is_wrong_with_a_line_is_said(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = saved(tmp_path, content)
    assert told(path) == message.format(path=path)


def test_a_file_cut_short_and_one_that_is_not_there(tmp_path: Path) -> None:
    path = saved(tmp_path, gzip.compress(GLOVE.encode())[:-12], "v.txt.gz")
    assert told(path) == f"{path} is cut short: its gzip stream has no end. Copy or download it again."
    with pytest.raises(
        MissingDataError, match=r"There is no file of word vectors .*absent\. Check model\.embedding_file"
    ):
        vectors.read(tmp_path / "absent", [])
