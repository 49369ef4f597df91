"""What a page asks a person for: pictures, numbers and texts, with examples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from holdfast.data import Encoder, Examples, Records
from holdfast.data.readers.layout import arrange
from holdfast.data.vocabulary import Vocabulary
from holdfast.tasks.classify.settings import ClassifyData
from holdfast.tasks.inputs import MOST_SAMPLES, numbers_input, text_input
from holdfast.tasks.interface import ImageInput, NumbersInput


def pictures(layout: Any, count: int = 30, height: int = 4, width: int = 4) -> tuple[Encoder, Examples]:
    images = np.random.default_rng(0).integers(0, 256, (count, height, width), dtype=np.uint8)
    labels = [str(k % 3) for k in range(count)]
    examples = Examples(arrange(images, layout), labels, [f"picture {k}" for k in range(count)])
    return Encoder.fit(examples, ClassifyData(layout=layout)), examples


@pytest.mark.parametrize(
    ("layout", "shape"), [("rows", (5, 3)), ("columns", (5, 3)), ("pixels", None)], ids=["rows", "columns", "pixels"]
)
def test_a_picture_has_the_size_of_its_examples(layout: Any, shape: Any) -> None:
    found = numbers_input(*pictures(layout, height=5, width=3))
    if shape is None:  # 15 pixels one by one are no square
        assert isinstance(found, NumbersInput)
    else:
        assert isinstance(found, ImageInput)
        assert (found.height, found.width, found.layout) == (*shape, layout)


def test_pixels_one_by_one_are_a_square() -> None:
    found = numbers_input(*pictures("pixels"))
    assert isinstance(found, ImageInput)
    assert (found.height, found.width) == (4, 4)


def test_without_examples_a_picture_is_a_square() -> None:
    found = numbers_input(pictures("rows", height=5, width=3)[0])
    assert isinstance(found, ImageInput)
    assert (found.height, found.width, found.samples) == (3, 3, ())
    assert isinstance(numbers_input(pictures("pixels")[0]), NumbersInput)


def test_the_first_examples_have_different_labels() -> None:
    encoder, examples = pictures("rows")
    samples = numbers_input(encoder, examples).samples
    assert [sample.name for sample in samples[:4]] == ["0", "1", "2", "0 (2)"]
    assert len(samples) == MOST_SAMPLES
    assert samples[0].values == examples.inputs[0].tolist()


def test_numbers_with_gaps_are_filled_and_get_masks() -> None:
    values = np.array([[[0.1, 2.0], [np.nan, 3.0], [0.7, 4.0]], [[0.5, 1.0], [0.5, 1.0], [0.5, 1.5]]])
    examples = Examples(values, ["a", "b"], ["one", "two"], gaps=True)
    found = numbers_input(Encoder.fit(examples, ClassifyData(missing="mask")), examples)
    assert isinstance(found, NumbersInput)
    assert (found.channels, found.masks) == (2, 1)
    assert np.isfinite([sample.values for sample in found.samples]).all()


def test_texts_of_a_table() -> None:
    texts = Records(["good film", "x" * 1000, "bad"], ["+", "+", "-"], ["a", "b", "c"])
    found = text_input(Vocabulary.fit(texts.inputs, "words"), texts)
    assert [(sample.name, sample.text) for sample in found.samples] == [
        ("+: good film", "good film"),
        ("-: bad", "bad"),
    ]
    assert found.vocabulary.unit == "words"
    assert (
        text_input(Vocabulary.fit(texts.inputs, "words"), Records(["one two"], None, ["a"])).samples[0].name
        == "one two"
    )
