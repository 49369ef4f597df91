"""Spans of words, such as the names in a sentence, marked by tags: a prefix, ``-`` and the label, or ``O``.

``O`` is outside of spans, ``B-`` begins a span, ``I-`` (or ``M-``) continues it, ``E-`` (or ``L-``) ends it, ``S-`` (or
``U-``) is a span of one word. The schemes IOB1, IOB2 (BIO), BIOES (IOBES, BILOU, BMES) and the output of a network are
all read by the rules of ``conlleval`` (Tjong Kim Sang & De Meulder 2003): an ``I-`` or ``E-`` without a span of its
label before it begins a span.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Span = tuple[str, int, int]
"""The label, the index of the first word, and the index after the last word."""

OUTSIDE = "O"
_CONTINUES = ("I-", "M-", "E-", "L-")
_ENDS = ("E-", "L-", "S-", "U-")
_PREFIXES = ("B-", "S-", "U-", *_CONTINUES)


def looks_like_spans(tags: Iterable[str]) -> bool:
    """Whether tags mark spans: each is ``O`` or a prefix and a label, and not all are ``O``."""
    names = set(tags) - {OUTSIDE}
    return bool(names) and all(name[:2] in _PREFIXES and name[2:] for name in names)


def spans(tags: Sequence[str]) -> list[Span]:
    """The spans that the tags of one sentence mark, in order."""
    marked: list[Span] = []
    label, begin = "", 0
    for k, tag in enumerate([*tags, OUTSIDE]):
        continues = tag[:2] in _CONTINUES and tag[2:] == label
        if label and not continues:
            marked.append((label, begin, k))
            label = ""
        if tag != OUTSIDE and not continues:
            label, begin = tag[2:], k
        if label and tag[:2] in _ENDS:
            marked.append((label, begin, k + 1))
            label = ""
    return marked
