from __future__ import annotations

import gzip
from pathlib import Path
from typing import Literal

import pytest

from holdfast.data.readers import tagged
from holdfast.errors import DataError
from holdfast.tasks.tag.settings import TagData

EXPECTED = "; expected a word first and its tag last, with tabs between."
COLUMNS = "Ada\tB-PER\nLovelace\tI-PER\nsang\tO\n\n\nRome\tB-LOC\n"


def test_two_columns(tmp_path: Path) -> None:
    path = tmp_path / "names.tsv"
    path.write_text("\n" + COLUMNS, encoding="utf-8")
    read = tagged.read([path], TagData())
    assert read.inputs == [["Ada", "Lovelace", "sang"], ["Rome"]]
    assert read.targets == [["B-PER", "I-PER", "O"], ["B-LOC"]]
    assert read.origins == [f"{path}, line 2", f"{path}, line 7"]


CONLL_2000 = "He PRP B-NP\nreckons VBZ B-VP\n. . O\n\nYes UH O\n"
CONLL_2003 = (
    "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n-DOCSTART- -X- -X- O\n\nPeter NNP B-NP B-PER\n"
)
TREEBANK = "The DT\ndog NN\nbarks VBZ\n. .\n\nIts PRP$\ncats NNS\nmiaow VBP\nat IN\n10\u00a0000 CD\nmen NNS\n"


@pytest.mark.parametrize(
    ("text", "columns", "words", "tags"),
    [
        (CONLL_2000, "", [["He", "reckons", "."], ["Yes"]], [["B-NP", "B-VP", "O"], ["O"]]),
        ("word pos chunk\n" + CONLL_2000, "", [["He", "reckons", "."], ["Yes"]], [["B-NP", "B-VP", "O"], ["O"]]),
        (CONLL_2003, "", [["EU", "rejects"], ["Peter"]], [["B-ORG", "O"], ["B-PER"]]),
        (CONLL_2003.replace(" ", "\t"), "", [["EU", "rejects"], ["Peter"]], [["B-ORG", "O"], ["B-PER"]]),
        (
            TREEBANK,
            "",
            [["The", "dog", "barks", "."], ["Its", "cats", "miaow", "at", "10\u00a0000", "men"]],
            [["DT", "NN", "VBZ", "."], ["PRP$", "NNS", "VBP", "IN", "CD", "NNS"]],
        ),
        ("the article\ndog noun\n", "blanks", [["the", "dog"]], [["article", "noun"]]),
        (
            "Ada S-PER\nin O\nNew B-LOC\nYork E-LOC\n",
            "",
            [["Ada", "in", "New", "York"]],
            [["S-PER", "O", "B-LOC", "E-LOC"]],
        ),
        ("token\ttag\nAda\tX\n", "", [["Ada"]], [["X"]]),
    ],
)
def test_columns_with_the_tag_last(
    tmp_path: Path, text: str, columns: Literal["", "blanks"], words: list[list[str]], tags: list[list[str]]
) -> None:
    path = tmp_path / "a.txt"
    path.write_text(text, encoding="utf-8")
    read = tagged.read([path], TagData(columns=columns))
    assert (read.inputs, read.targets) == (words, tags)


@pytest.mark.parametrize(
    "text",
    ["The dog barks .\nThe cat sleeps !\n" * 6 + "\n", "I LOVE YOU\n\nI LOVE NY\n", "yes\nno\n", "He went home\n"],
)
def test_sentences_of_as_many_words_are_no_columns(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(text, encoding="utf-8")
    read = tagged.read([path], TagData())
    assert read.targets is None
    assert read.inputs == [line.split() for line in text.splitlines() if line]


def test_plain_sentences_have_no_tags(tmp_path: Path) -> None:
    path = tmp_path / "plain.txt"
    path.write_text("The  dog barks .\n\n  Yes\n", encoding="utf-8")
    read = tagged.read([path], TagData())
    assert (read.inputs, read.targets) == ([["The", "dog", "barks", "."], ["Yes"]], None)
    assert read.origins == [f"{path}, line 1", f"{path}, line 3"]


def test_several_files_are_joined_and_conllu_is_known_by_its_ending(tmp_path: Path) -> None:
    first, second = tmp_path / "a.txt", tmp_path / "b.CONLLU.gz"
    first.write_text(COLUMNS, encoding="utf-8")
    second.write_bytes(gzip.compress(b"1\tgo\t_\tVERB\tVB\t_\t_\t_\t_\t_\n"))
    read = tagged.read([first, second], TagData(column="xpos"))
    assert read.targets == [["B-PER", "I-PER", "O"], ["B-LOC"], ["VB"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (COLUMNS + "alone\n", ", line 7 is 'alone'" + EXPECTED),
        (COLUMNS + "a\tb\tc\n", ", line 7 is 'a\\tb\\tc'" + EXPECTED),
        (COLUMNS + "\tO\n", ", line 7 is '\\tO'" + EXPECTED),
        (COLUMNS + "word\t \n", ", line 7 is 'word\\t '" + EXPECTED),
        (
            "a\tX\tO\nb\tO\n",
            ", line 2 is 'b\\tO'; expected 3 columns as above, a word first and its tag last, with tabs between.",
        ),
        (
            "-DOCSTART- O\n\na O\nb\n",
            ", line 4 is 'b'; expected a word first and its tag last, with blanks between.",
        ),
        (
            "1\tgo\t_\tVERB\tVB\t_\t_\t_\t_\t_\n",
            ", line 1 looks like CoNLL-U; expected a name that ends in .conllu. Rename the file.",
        ),
        ("-DOCSTART- O\n", " holds no sentences; expected one word and its tag per line."),
        (" \n", " holds no sentences; expected one sentence per line, or one word and its tag per line."),
    ],
)
def test_what_breaks_the_format_is_named_by_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "names.tsv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as error:
        tagged.read([path], TagData())
    assert str(error.value) == f"{path}{message}"


def test_no_file_at_all() -> None:
    with pytest.raises(DataError, match=r"^No files were given to read; expected at least one\.$"):
        tagged.read([], TagData())
