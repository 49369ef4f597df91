from __future__ import annotations

import json

import pytest
import torch
from pydantic import ValidationError

from holdfast.data import Records, TextEncoder
from holdfast.data.vocabulary import PADDING, UNKNOWN
from holdfast.errors import DataError
from holdfast.tasks.classify.settings import ClassifyData

TRAIN = Records(["Gut so", "so so", "nein"], ["ja", "ja", "nein"], ["a[0]", "a[1]", "b[0]"])


def fitted(**settings: object) -> TextEncoder:
    return TextEncoder.fit(TRAIN, ClassifyData.model_validate({"unit": "words", **settings}))


def test_texts_become_padded_ids_and_labels_classes() -> None:
    encoder = fitted()
    dataset = encoder.encode(Records(["so nein", "", "nie gut so"], ["nein", "ja", "ja"], ["0", "1", "2"]))
    assert dataset.lengths.tolist() == [2, 1, 3]
    batch = dataset.__getitems__([2, 0, 1])
    so, nein = (encoder.vocabulary.tokens.index(word) for word in ("so", "nein"))
    assert batch.inputs.tolist() == [[UNKNOWN, UNKNOWN, so], [so, nein, PADDING], [UNKNOWN, PADDING, PADDING]]
    assert batch.inputs.dtype == torch.int64
    assert batch.lengths is not None
    assert batch.lengths.tolist() == [3, 2, 1]
    assert batch.known_targets.tolist() == [0, 1, 0]


def test_the_vocabulary_is_taken_as_the_settings_say() -> None:
    assert "Gut" in fitted().vocabulary.tokens
    assert "gut" in fitted(lower=True).vocabulary.tokens
    assert fitted(least=2).vocabulary.tokens[4:] == ["so"]
    assert len(fitted(vocabulary_size=5).vocabulary) == 5
    assert set(fitted(unit="characters").vocabulary.tokens[4:]) == set("Gut sonein")


@pytest.mark.parametrize("unit", ["words", "characters", "pieces"])
def test_an_encoder_survives_json(unit: str) -> None:
    encoder = fitted(unit=unit)
    again = TextEncoder.model_validate(json.loads(json.dumps(encoder.model_dump(mode="json"))))
    assert again.model_dump() == encoder.model_dump()
    texts = Records(["gut nein so"], None, ["x"])
    assert torch.equal(again.encode(texts).__getitems__([0]).inputs, encoder.encode(texts).__getitems__([0]).inputs)


def test_fit_needs_texts_and_labels() -> None:
    with pytest.raises(DataError) as error:
        TextEncoder.fit(TRAIN.subset([]), ClassifyData(unit="words"))
    assert str(error.value) == "There are no texts to train on; expected at least one."
    with pytest.raises(DataError) as error:
        TextEncoder.fit(TRAIN.unlabelled(), ClassifyData(unit="words"))
    assert str(error.value) == (
        "a[0] and the other training texts have no labels; expected a label for each. The name of a text file is its "
        "label; data.label_column names the column of a table."
    )


def test_a_damaged_encoder_is_refused() -> None:
    document = fitted().model_dump(mode="json")
    del document["vocabulary"]
    with pytest.raises(ValidationError, match=r"vocabulary\n  Field required"):
        TextEncoder.model_validate(document)
