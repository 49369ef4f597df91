"""Texts that a model wrote or answered."""

import pytest

from holdfast.errors import DataError

pytest.importorskip("matplotlib")

from holdfast.inspect.figures.canvas import new_figure
from holdfast.inspect.figures.samples import COLUMNS, Passage, passages


def texts_of(ax):
    return [text.get_text() for text in ax.texts]


def test_names_and_texts_are_lines_and_mistakes_have_a_cross():
    ax = passages([Passage("1 + 2", "input"), Passage("4", "answer", wrong=True)], title="Sums")
    assert texts_of(ax) == ["input", "1 + 2", "answer ✗", "4"]
    assert ax.get_title("left") == "Sums"


def test_long_lines_are_wrapped_and_line_breaks_kept():
    ax = passages([Passage("a b " * COLUMNS + "\n\nend $x$")])
    lines = texts_of(ax)[1::2]
    assert all(len(line) <= COLUMNS for line in lines)
    assert lines[-2:] == ["", "end $x$"]
    assert " ".join(lines[:-2]) == ("a b " * COLUMNS).strip()
    assert not any(text.get_parse_math() for text in ax.texts)


def test_a_long_text_with_a_name_is_cut():
    ax = passages([Passage("word " * 200, "input"), Passage("x", "answer")])
    lines = texts_of(ax)[1::2]
    assert len(lines) == 5
    assert lines[3].endswith(" ...")
    assert all(len(line) <= COLUMNS for line in lines)


def test_only_as_many_lines_as_fit_are_drawn_on_given_axes():
    figure = new_figure(5, 2)
    ax = passages([Passage("\n".join(map(str, range(100))))], ax=figure.subplots())
    lines = texts_of(ax)[1::2]
    assert 5 <= len(lines) <= 11
    assert lines[-1] == "..."
    assert lines[:-1] == [str(k) for k in range(len(lines) - 1)]


def test_no_texts_are_an_error():
    with pytest.raises(DataError, match="There are no texts to draw"):
        passages([])
