from __future__ import annotations

import json

import pytest
import torch

from holdfast.data import Records
from holdfast.data.vocabulary import PADDING, UNKNOWN
from holdfast.errors import DataError
from holdfast.tasks.tag.data import NO_TARGET, UNSEEN, SentenceBatch, SentenceEncoder
from holdfast.tasks.tag.settings import TagData

TRAIN = Records(
    [["The", "dog", "barks"], ["the", "<end>", "x<end>y", "don't"], ["Yes"]],
    [["DET", "NOUN", "VERB"], ["DET", "X", "X", "VERB"], ["INTJ"]],
    ["one", "two", "three"],
)


def fitted(**settings: object) -> SentenceEncoder:
    return SentenceEncoder.fit(TRAIN, TagData.model_validate(settings))


def whole(encoder: SentenceEncoder, sentences: Records[list[str], list[str]]) -> SentenceBatch:
    return encoder.encode(sentences).__getitems__(range(len(sentences)))


def test_words_are_looked_up_whole_and_spelled_letter_by_letter() -> None:
    encoder = fitted()
    batch = whole(encoder, TRAIN)
    assert batch.lengths is not None
    assert batch.lengths.tolist() == [3, 4, 1]
    tokens, letters = encoder.words.tokens, encoder.characters.tokens
    assert [tokens[k] for k in batch.inputs[0, :3].tolist()] == ["the", "dog", "barks"]
    assert batch.inputs[1].tolist()[2] == UNKNOWN  # it holds the name of a special token
    for row, words in enumerate(TRAIN.inputs):
        for step, word in enumerate(words):
            place = batch.places[row, step]
            spelled = batch.spellings[place, : batch.spelling_lengths[place]]
            if "<" not in word:
                assert "".join(letters[k] for k in spelled.tolist()) == word  # capitals kept
    assert batch.places[0, 0] != batch.places[1, 0]  # The and the
    assert len(batch.spellings) == 1 + 8  # each distinct word once, and what stands in the padding


def test_padding_has_no_word_no_characters_and_no_target() -> None:
    batch = whole(fitted(), TRAIN)
    assert batch.inputs[2, 1:].tolist() == [PADDING] * 3
    assert batch.known_targets[2, 1:].tolist() == [NO_TARGET] * 3
    assert batch.spelling_lengths[batch.places[2, 1:]].tolist() == [0, 0, 0]


def test_words_and_characters_that_training_never_saw_are_unknown() -> None:
    encoder = fitted(least=2)
    batch = whole(encoder, Records([["THE", "dog", "dÿg"]], None, ["x"]))
    assert batch.inputs.tolist() == [[encoder.words.tokens.index("the"), UNKNOWN, UNKNOWN]]
    assert batch.spellings[batch.places[0, 2], 1] == UNKNOWN
    assert batch.targets is None
    assert batch.lengths is None


def test_capitals_can_be_told_apart() -> None:
    encoder = fitted(lower=False)
    batch = whole(encoder, TRAIN)
    assert batch.inputs[0, 0] != batch.inputs[1, 0]


def test_sentences_without_words_are_batches_too() -> None:
    batch = whole(fitted(), Records([[], []], None, ["a", "b"]))
    assert batch.lengths is not None
    assert (batch.lengths.tolist(), batch.inputs.tolist()) == ([0, 0], [[PADDING], [PADDING]])
    assert fitted().answers(batch, torch.zeros(2, 1, dtype=torch.int64))[0] == {"words": [], "tags": [], "tagged": ""}


def test_a_tag_that_training_never_saw_is_marked() -> None:
    batch = whole(fitted(), Records([["The", "dog"]], [["DET", "SYM"]], ["here"]))
    assert batch.known_targets.tolist() == [[0, UNSEEN]]


def test_answers_name_tags_and_spans() -> None:
    names = Records([["Ada", "Lovelace", "sang"]], [["B-PER", "I-PER", "O"]], ["a"])
    encoder = SentenceEncoder.fit(names, TagData())
    batch = whole(encoder, names)
    assert encoder.answers(batch, batch.known_targets) == [
        {
            "words": ["Ada", "Lovelace", "sang"],
            "tags": ["B-PER", "I-PER", "O"],
            "spans": [{"label": "PER", "start": 0, "end": 2, "text": "Ada Lovelace"}],
            "tagged": "Ada/B-PER Lovelace/I-PER sang/O",
        }
    ]


def test_stored_and_read_back_it_encodes_the_same() -> None:
    encoder = fitted(least=2)
    again = SentenceEncoder.model_validate(json.loads(json.dumps(encoder.model_dump(mode="json"))))
    ours, theirs = whole(encoder, TRAIN), whole(again, TRAIN)
    assert torch.equal(ours.inputs, theirs.inputs)
    assert torch.equal(ours.spellings, theirs.spellings)
    assert torch.equal(ours.known_targets, theirs.known_targets)
    assert again.settings == encoder.settings


def test_what_cannot_be_trained_on() -> None:
    with pytest.raises(DataError) as error:
        SentenceEncoder.fit(TRAIN.subset([]), TagData())
    assert str(error.value) == "There are no sentences to train on; expected at least one."
    with pytest.raises(DataError) as error:
        SentenceEncoder.fit(TRAIN.unlabelled(), TagData())
    assert str(error.value) == (
        "one has no tags, like the other training sentences; expected a tag for each word: CoNLL-U, or lines of a word "
        "with its tag last."
    )
    with pytest.raises(DataError) as error:
        SentenceEncoder.fit(Records([["a", "b"]], [["X", "X"]], ["one"]), TagData())
    assert str(error.value) == (
        "All training examples have the label 'X'; expected at least two labels to tell apart. Check where the labels "
        "are, and whether data.limit leaves some out."
    )


def test_sentences_without_words_alone_are_encoded_as_they_are_beside_others() -> None:
    encoder = SentenceEncoder.fit(TRAIN, TagData())
    batch = encoder.encode(Records([[], []], None, ["a", "b"])).__getitems__([0, 1])
    assert batch.lengths is not None
    assert batch.lengths.tolist() == [0, 0]
    assert (batch.inputs.shape, batch.spellings.shape) == ((2, 1), (1, 1))
    assert batch.spelling_lengths.tolist() == [0]
