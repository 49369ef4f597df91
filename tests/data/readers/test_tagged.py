from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from holdfast.data.readers import tagged
from holdfast.errors import DataError

COLUMNS = "Ada\tB-PER\nLovelace\tI-PER\nsang\tO\n\n\nRome\tB-LOC\n"


def test_two_columns(tmp_path: Path) -> None:
    path = tmp_path / "names.tsv"
    path.write_text("\n" + COLUMNS, encoding="utf-8")
    read = tagged.read([path], "upos")
    assert read.inputs == [["Ada", "Lovelace", "sang"], ["Rome"]]
    assert read.targets == [["B-PER", "I-PER", "O"], ["B-LOC"]]
    assert read.origins == [f"{path}, line 2", f"{path}, line 7"]


def test_plain_sentences_have_no_tags(tmp_path: Path) -> None:
    path = tmp_path / "plain.txt"
    path.write_text("The  dog barks .\n\n  Yes\n", encoding="utf-8")
    read = tagged.read([path], "upos")
    assert (read.inputs, read.targets) == ([["The", "dog", "barks", "."], ["Yes"]], None)
    assert read.origins == [f"{path}, line 1", f"{path}, line 3"]


def test_several_files_are_joined_and_conllu_is_known_by_its_ending(tmp_path: Path) -> None:
    first, second = tmp_path / "a.txt", tmp_path / "b.CONLLU.gz"
    first.write_text(COLUMNS, encoding="utf-8")
    second.write_bytes(gzip.compress(b"1\tgo\t_\tVERB\tVB\t_\t_\t_\t_\t_\n"))
    read = tagged.read([first, second], "xpos")
    assert read.targets == [["B-PER", "I-PER", "O"], ["B-LOC"], ["VB"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (COLUMNS + "alone\n", ", line 7 is 'alone'; expected a word, a tab and its tag."),
        (COLUMNS + "a\tb\tc\n", ", line 7 is 'a\\tb\\tc'; expected a word, a tab and its tag."),
        (COLUMNS + "\tO\n", ", line 7 is '\\tO'; expected a word, a tab and its tag."),
        (COLUMNS + "word\t \n", ", line 7 is 'word\\t '; expected a word, a tab and its tag."),
        (" \n", " holds no sentences; expected a sentence a line, or a word, a tab and its tag a line."),
    ],
)
def test_what_breaks_the_format_is_named_by_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "names.tsv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as error:
        tagged.read([path], "upos")
    assert str(error.value) == f"{path}{message}"


def test_no_file_at_all() -> None:
    with pytest.raises(DataError, match=r"^No files were given to read; expected at least one\.$"):
        tagged.read([], "upos")
