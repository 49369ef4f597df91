"""Spans of words, such as the names in a sentence, as tags mark them: ``B-`` begins one, ``I-`` goes on, ``O`` is out.

The schemes IOB1, IOB2 (BIO) and, as the first two, whatever a network makes of them are read as ``conlleval`` does
(Tjong Kim Sang & De Meulder 2003): an ``I-`` that has nothing of its label to go on with begins a span.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Span = tuple[str, int, int]
"""Its label, the word it starts at, and the word after its last."""

OUTSIDE = "O"


def looks_like_spans(tags: Iterable[str]) -> bool:
    """Whether tags mark spans: each is ``O``, ``B-label`` or ``I-label``, and not all are ``O``."""
    names = set(tags) - {OUTSIDE}
    return bool(names) and all(name[:2] in ("B-", "I-") and name[2:] for name in names)


def spans(tags: Sequence[str]) -> list[Span]:
    """The spans that the tags of one sentence mark, in their order."""
    found: list[Span] = []
    label, begin = "", 0
    for k, tag in enumerate([*tags, OUTSIDE]):
        goes_on = tag.startswith("I-") and tag[2:] == label
        if label and not goes_on:
            found.append((label, begin, k))
            label = ""
        if tag != OUTSIDE and not goes_on:
            label, begin = tag[2:], k
    return found
