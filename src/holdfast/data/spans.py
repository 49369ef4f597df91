"""Spans of words, such as the names in a sentence, as tags mark them: a prefix, ``-`` and the label, or ``O``.

``O`` is outside of spans, ``B-`` begins a span, ``I-`` (or ``M-``) goes on with it, ``E-`` (or ``L-``) ends it,
``S-`` (or ``U-``) is a span of one word. So the schemes IOB1, IOB2 (BIO), BIOES (IOBES, BILOU, BMES) and whatever a
network makes of them are read alike, by the rules of ``conlleval`` (Tjong Kim Sang & De Meulder 2003): an ``I-`` or
``E-`` that has nothing of its label to go on with begins a span.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Span = tuple[str, int, int]
"""Its label, the word it starts at, and the word after its last."""

OUTSIDE = "O"
_GOES_ON = ("I-", "M-", "E-", "L-")
_ENDS = ("E-", "L-", "S-", "U-")
_PREFIXES = ("B-", "S-", "U-", *_GOES_ON)


def looks_like_spans(tags: Iterable[str]) -> bool:
    """Whether tags mark spans: each is ``O`` or a prefix and a label, and not all are ``O``."""
    names = set(tags) - {OUTSIDE}
    return bool(names) and all(name[:2] in _PREFIXES and name[2:] for name in names)


def spans(tags: Sequence[str]) -> list[Span]:
    """The spans that the tags of one sentence mark, in their order."""
    found: list[Span] = []
    label, begin = "", 0
    for k, tag in enumerate([*tags, OUTSIDE]):
        goes_on = tag[:2] in _GOES_ON and tag[2:] == label
        if label and not goes_on:
            found.append((label, begin, k))
            label = ""
        if tag != OUTSIDE and not goes_on:
            label, begin = tag[2:], k
        if label and tag[:2] in _ENDS:
            found.append((label, begin, k + 1))
            label = ""
    return found
