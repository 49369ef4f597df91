"""Texts of unknown origin in a page: labels, file names and examples may hold anything."""

from __future__ import annotations

import unicodedata

LONGEST = 300
"""Characters of a name or a value that a page shows."""
_JOINERS = "\u200c\u200d"
"""Needed inside words of some scripts and inside emoji; every other invisible character is shown by its number."""
_INVISIBLE = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}
"""Unicode's categories of control, format (also those that turn the direction of the text), unassigned and private
characters, half surrogate pairs, and separators of lines and paragraphs."""


def plain(value: object, longest: int = LONGEST, *, lines: bool = False) -> str:
    r"""A value as a text that shows every character of it and cannot change the text around it.

    Args:
        value: The value.
        longest: Characters to keep; the number of those left out is added in words.
        lines: Whether line breaks and tabs stay as they are.

    Example:
        >>> plain("caf\x00é")
        'caf⟨U+0000⟩é'
    """
    text = str(value)
    left_out = len(text) - longest
    if left_out > 0:
        text = text[:longest]
    if not (text.isascii() and text.isprintable()):
        text = "".join(_visible(letter, lines) for letter in text)
    return f"{text} … ({left_out:,} characters more)" if left_out > 0 else text


def in_figure(value: object, longest: int = 24) -> str:
    """As :func:`plain`, for matplotlib: short, and ``$`` is a sign and not the beginning of a formula.

    Args:
        value: The value.
        longest: Characters of the result; a longer text ends in ``…``.
    """
    text = plain(str(value)[: longest + 1])
    if len(text) > longest:
        text = f"{text[: longest - 1]}…"
    return text.replace("$", r"\$")


def _visible(letter: str, lines: bool) -> str:
    if lines and letter in "\n\t":
        return letter
    if letter in _JOINERS or unicodedata.category(letter) not in _INVISIBLE:
        return letter
    return f"⟨U+{ord(letter):04X}⟩"
