import json
import sys

import pytest
from pydantic import ValidationError

from holdfast.data.vocabulary import BEGIN, END, PADDING, SPECIAL, UNKNOWN, Vocabulary
from holdfast.errors import DataError, MissingLibraryError

TEXTS = ["The cat sat.", "The dog sat on the cat.", "Don't sit\nthere, élan!"]


@pytest.mark.parametrize("unit", ["characters", "pieces"])
@pytest.mark.parametrize("text", [*TEXTS[:2], "the cats tie, DoTh"])
def test_characters_and_pieces_give_a_text_back(unit, text):
    vocabulary = Vocabulary.fit(TEXTS * 3, unit, size=60)
    (ids,) = vocabulary.encode([text])
    assert UNKNOWN not in ids
    assert vocabulary.decode(ids) == text


def test_pieces_without_a_size_are_not_rare():
    texts = ["seen often"] * 10 + ["seldom"] * 9
    tokens = Vocabulary.fit(texts, "pieces").tokens
    assert "▁often" in tokens
    assert "▁seldom" not in tokens
    assert set("▁seldom") <= set(tokens)  # letter by letter
    assert "▁seldom" in Vocabulary.fit(texts, "pieces", size=100).tokens


def test_characters_are_one_id_each_line_breaks_included():
    vocabulary = Vocabulary.fit(TEXTS, "characters")
    assert len(vocabulary) == len(set("".join(TEXTS))) + len(SPECIAL)
    (ids,) = vocabulary.encode([TEXTS[2]])
    assert [vocabulary.tokens[k] for k in ids] == list(TEXTS[2])
    assert vocabulary.decode(ids) == TEXTS[2]


def test_words_are_parted_from_signs_and_joined_by_spaces():
    vocabulary = Vocabulary.fit(TEXTS, "words")
    (ids,) = vocabulary.encode(["Don't sat."])
    assert vocabulary.decode(ids) == "Don ' t sat ."


def test_tokens_are_not_cut():
    vocabulary = Vocabulary.fit(["don't", "a b", "A b", "a b"], "tokens", lower=True)
    assert sorted(vocabulary.tokens[len(SPECIAL) :]) == ["a b", "don't"]
    assert vocabulary.encode(["A B", "don't", "don"]) == [[4], [5], [UNKNOWN]]


def test_capitals_are_kept_unless_told_otherwise():
    kept, lowered = (Vocabulary.fit(TEXTS, "words", lower=lower) for lower in (False, True))
    assert kept.encode(["The"]) != kept.encode(["the"])
    assert lowered.encode(["The"]) == lowered.encode(["the"])


def test_the_rare_and_the_unseen_are_unknown():
    vocabulary = Vocabulary.fit(TEXTS, "words", least=2)
    (ids,) = vocabulary.encode(["The dog sat, zebra"])
    assert [k == UNKNOWN for k in ids] == [False, True, False, True, True]
    assert len(Vocabulary.fit(TEXTS, "words", size=6)) == 6


def test_special_ids_come_first_and_leave_no_trace_in_a_text():
    vocabulary = Vocabulary.fit(TEXTS, "characters")
    assert vocabulary.tokens[:4] == SPECIAL
    assert (PADDING, UNKNOWN, BEGIN, END) == (0, 1, 2, 3)
    (ids,) = vocabulary.encode(["cat"])
    assert vocabulary.decode([BEGIN, *ids, END, PADDING]) == "cat"
    assert vocabulary.decode([UNKNOWN]) == "<unknown>"


@pytest.mark.parametrize("unit", ["words", "characters", "pieces"])
def test_a_vocabulary_survives_the_way_through_json(unit):
    vocabulary = Vocabulary.fit(TEXTS, unit, size=50, lower=True)
    back = Vocabulary.model_validate(json.loads(json.dumps(vocabulary.model_dump(mode="json"))))
    assert back.unit == unit
    assert back.encode(TEXTS) == vocabulary.encode(TEXTS)
    assert back.tokens == vocabulary.tokens
    assert back.model_dump() == vocabulary.model_dump()


def test_fitting_twice_gives_the_same_ids():
    for unit in ("words", "characters", "pieces"):
        assert Vocabulary.fit(TEXTS, unit).tokens == Vocabulary.fit(TEXTS, unit).tokens


def test_empty_texts_and_damaged_vocabularies_are_errors():
    with pytest.raises(DataError, match="The texts to build a vocabulary of words from are empty; expected"):
        Vocabulary.fit(["", " "], "words")
    with pytest.raises(ValidationError, match="Value error, the library tokenizers cannot read it"):
        Vocabulary.model_validate({"unit": "words", "tokenizer": "{}"})
    with pytest.raises(ValidationError, match="tokenizer\n  Field required"):
        Vocabulary.model_validate({"unit": "words"})
    with pytest.raises(ValidationError, match="Input should be 'words', 'characters', 'pieces' or 'tokens'"):
        Vocabulary.model_validate({**Vocabulary.fit(TEXTS, "words").model_dump(mode="json"), "unit": "letters"})


def test_without_the_library(monkeypatch):
    saved = Vocabulary.fit(TEXTS, "words").model_dump(mode="json")
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    for use in (lambda: Vocabulary.fit(TEXTS, "words"), lambda: Vocabulary.model_validate(saved)):
        with pytest.raises(MissingLibraryError) as error:
            use()
        assert str(error.value) == (
            "Texts need the library tokenizers, which is not installed: pip install 'holdfast[text]'."
        )
