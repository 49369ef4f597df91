"""Texts of unknown origin: every character is shown, and none changes the text around it."""

import sys

import pytest

from holdfast.inspect.report.text import in_figure, plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("naïve 数字 😀", "naïve 数字 😀"),
        ("a\x00b\x1b[31m", "a⟨U+0000⟩b⟨U+001B⟩[31m"),
        ("x\u202egnp.exe", "x⟨U+202E⟩gnp.exe"),
        ("\u2066\u200f\ufeff", "⟨U+2066⟩⟨U+200F⟩⟨U+FEFF⟩"),
        ("\udc80", "⟨U+DC80⟩"),
        ("a\u2028b", "a⟨U+2028⟩b"),
        ("a\nb\tc", "a⟨U+000A⟩b⟨U+0009⟩c"),
        ("نمی\u200cخواهم", "نمی\u200cخواهم"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        (7, "7"),
    ],
)
def test_invisible_characters_are_shown_by_their_numbers(text, shown):
    assert plain(text) == shown


def test_lines_stay_where_they_are_wanted():
    assert plain("a\nb\tc\r", lines=True) == "a\nb\tc⟨U+000D⟩"


def test_a_long_text_says_how_much_is_left_out():
    assert plain("x" * 1305, 5) == "xxxxx … (1,300 characters more)"
    assert plain("x" * 5, 5) == "xxxxx"


def test_every_character_gives_utf_8_without_controls():
    shown = plain("".join(map(chr, range(0x3000))) + chr(sys.maxunicode), 1 << 20)
    shown.encode()
    assert not {chr(k) for k in (*range(32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A))} & set(
        shown
    )


def test_texts_of_figures_are_short_and_without_formulas():
    assert in_figure("a $x$ b") == r"a \$x\$ b"
    assert in_figure("x" * 25) == "x" * 23 + "…"
    assert in_figure("x" * 24) == "x" * 24
    assert in_figure("\x00" * 9, 10) == "⟨U+0000⟩⟨…"
