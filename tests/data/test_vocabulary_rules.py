"""A vocabulary as plain rules."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast.data.vocabulary import SPECIAL, Vocabulary
from holdfast.data.vocabulary_rules import rules
from holdfast.errors import OptionError


@pytest.mark.parametrize("unit", ["words", "characters", "pieces", "tokens"])
@pytest.mark.parametrize("lower", [False, True])
def test_the_rules_of_each_unit(unit: Any, lower: bool) -> None:
    vocabulary = Vocabulary.fit(["The cat and the cap"], unit, size=100, lower=lower)
    found = rules(vocabulary)
    assert (found.unit, found.lower) == (unit, lower)
    assert list(found.tokens) == vocabulary.tokens
    assert list(found.tokens[: len(SPECIAL)]) == SPECIAL
    assert bool(found.merges) == (unit == "pieces")
    assert all(left + right in found.tokens for left, right in found.merges)


@pytest.mark.parametrize(
    ("part", "value"),
    [("pre_tokenizer", {"type": "WhitespaceSplit"}), ("normalizer", {"type": "NFC"}), ("decoder", {"type": "Fuse"})],
    ids=lambda value: value if isinstance(value, str) else value["type"],
)
def test_other_rules_are_refused(part: str, value: Any) -> None:
    document = json.loads(Vocabulary.fit(["a b"], "words").tokenizer.to_str())
    other = Vocabulary(unit="words", tokenizer=json.dumps({**document, part: value}))
    with pytest.raises(OptionError) as error:
        rules(other)
    assert str(error.value) == (
        "The vocabulary of words cuts texts by other rules than those of Holdfast's own vocabularies; expected one "
        "that a training of Holdfast made."
    )
