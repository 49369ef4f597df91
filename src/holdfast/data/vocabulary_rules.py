"""How a vocabulary cuts texts, as plain data for programs that do not have the library tokenizers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from holdfast.data.vocabulary import Unit, Vocabulary
from holdfast.errors import OptionError


@dataclass(frozen=True)
class VocabularyRules:
    """The rules of a :class:`~holdfast.data.vocabulary.Vocabulary`, as its ``fit`` makes them.

    Attributes:
        unit: What an id stands for.
        lower: Whether texts become lower case.
        tokens: The token of each id.
        merges: With pieces, the pairs that are joined, the first one first; else empty.
    """

    unit: Unit
    lower: bool
    tokens: tuple[str, ...]
    merges: tuple[tuple[str, str], ...]


def rules(vocabulary: Vocabulary) -> VocabularyRules:
    """The rules of a vocabulary.

    Raises:
        OptionError: It has others than those that :meth:`Vocabulary.fit` makes.
        MissingLibraryError: tokenizers is not installed.
    """
    unit = vocabulary.unit
    document = json.loads(vocabulary.tokenizer.to_str())
    lower = document.get("normalizer") is not None
    usual = json.loads(Vocabulary.fit(["x"], unit, lower=lower).tokenizer.to_str())
    merges = [_pair(merge) for merge in document["model"].get("merges", ())]
    if _without_content(document) != _without_content(usual):
        raise OptionError(
            f"The vocabulary of {unit} cuts texts by other rules than those of Holdfast's own vocabularies; expected "
            "one that a training of Holdfast made."
        )
    return VocabularyRules(unit, lower, tuple(vocabulary.tokens), tuple(merges))


def _without_content(document: dict[str, Any]) -> dict[str, Any]:
    model = {name: value for name, value in document["model"].items() if name not in ("vocab", "merges")}
    return {**document, "model": model}


def _pair(merge: Any) -> tuple[str, str]:
    """Older versions of the library write a pair as one text."""
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right
