from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.data.readers import conllu
from holdfast.errors import DataError, MissingDataError

WHOLE = """\
# sent_id = 1
# text = Don't go.
1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\tVBP\t_\t3\taux\t_\t_
2\tn't\tnot\tPART\tRB\t_\t3\tadvmod\t_\t_
2.1\tyou\tyou\tPRON\t_\t_\t_\t_\t_\t_
3\tgo\tgo\tVERB\tVB\t_\t0\troot\t_\tSpaceAfter=No
4\t.\t.\tPUNCT\t.\t_\t3\tpunct\t_\t_


# text = 10 000 élans
1\t10 000\t10000\tNUM\tCD\t_\t2\tnummod\t_\t_
2\télans\télan\tNOUN\tNNS\t_\t0\troot\t_\t_
"""


def save(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "toy.conllu"
    path.write_text(text, encoding="utf-8")
    return path


def word(number: object, form: str = "go", upos: str = "VERB") -> str:
    return f"{number}\t{form}\t_\t{upos}\t_\t_\t_\t_\t_\t_\n"


def test_words_and_tags_without_ranges_and_empty_nodes(tmp_path: Path) -> None:
    path = save(tmp_path, WHOLE)
    read = conllu.read(path, "upos")
    assert read.inputs == [["Do", "n't", "go", "."], ["10 000", "élans"]]
    assert read.targets == [["AUX", "PART", "VERB", "PUNCT"], ["NUM", "NOUN"]]
    assert read.origins == [f"{path}, line 4", f"{path}, line 12"]
    assert conllu.read(path, "xpos").targets == [["VBP", "RB", "VB", "."], ["CD", "NNS"]]


def test_gzipped_with_other_line_breaks_and_no_last_one(tmp_path: Path) -> None:
    path = tmp_path / "toy.conllu.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + WHOLE.strip().replace("\n", "\r\n").encode()))
    assert conllu.read(path, "upos").inputs == conllu.read(save(tmp_path, WHOLE), "upos").inputs


def test_a_column_without_any_tag_is_no_target(tmp_path: Path) -> None:
    read = conllu.read(save(tmp_path, word(1) + "\n" + word(1, "on", "ADP") + word(2)), "xpos")
    assert (read.inputs, read.targets) == ([["go"], ["on", "go"]], None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (word(1) + "2\tgo\n", ", line 2 has 2 columns; expected the 10 columns of CoNLL-U, separated by tabs."),
        (
            word(1) + word(3),
            ", line 2 has the id '3'; expected 2, the next word of the sentence. A blank line ends a sentence.",
        ),
        (
            word(1) + word(1),
            ", line 2 has the id '1'; expected 2, the next word of the sentence. A blank line ends a sentence.",
        ),
        (
            word("x"),
            ", line 1 has the id 'x'; expected 1, the next word of the sentence. A blank line ends a sentence.",
        ),
        (word(1, ""), ", line 1 has an empty form; expected text, or _."),
        ("\n" + word(1, upos=""), ", line 2 has an empty upos; expected text, or _."),
        (
            word(1) + word(2, upos="_") + word(3, upos="_"),
            ", line 2 has no upos, but other words of the file have one; expected all or none of them to be tagged.",
        ),
        ("# nothing\n\n", " holds no sentences; expected CoNLL-U, one line of ten columns per word."),
    ],
)
def test_what_breaks_the_format_is_named_by_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = save(tmp_path, text)
    with pytest.raises(DataError) as error:
        conllu.read(path, "upos")
    assert str(error.value) == f"{path}{message}"


def test_bytes_that_are_no_text_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "toy.conllu"
    path.write_bytes(word(1).encode() + b"2\t\xe9lan")
    with pytest.raises(DataError) as error:
        conllu.read(path, "upos")
    assert str(error.value) == (
        f"{path}, line 2, is not UTF-8 text (invalid continuation byte). Save the file in UTF-8."
    )
    with pytest.raises(MissingDataError) as missing:
        conllu.read(tmp_path / "absent.conllu", "upos")
    assert str(missing.value) == (
        f"There is no file {tmp_path / 'absent.conllu'}. Check the path; relative paths start at {Path.cwd()}."
    )


def test_the_test_split_of_english_ewt(real_data: Callable[[str], Path]) -> None:
    read = conllu.read(real_data("ud-english-ewt") / "en_ewt-ud-test.conllu.gz", "upos")
    assert read.targets is not None
    assert (len(read), sum(map(len, read.inputs))) == (2077, 25094)
    assert len({tag for tags in read.targets for tag in tags}) == 17
