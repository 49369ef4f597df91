from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from holdfast.data import Encoder, Examples, Labels, Scaling, fit_scaling
from holdfast.data.encoders import SequenceEncoder
from holdfast.data.settings import ReadingSettings
from holdfast.errors import DataError, HoldfastWarning
from holdfast.tasks.classify.settings import ClassifyData


def sequences(channels: int = 2, count: int = 6, seed: int = 0) -> Examples:
    generator = np.random.default_rng(seed)
    inputs = [generator.normal(3, 5, (length, channels)) for length in generator.integers(1, 9, count)]
    return Examples(inputs, [str(index % 3) for index in range(count)], [f"a.ts[{index}]" for index in range(count)])


def test_labels_sort_as_integers_when_they_are_integers() -> None:
    assert Labels.fit(["10", "9", "-1", "9"]).classes == ["-1", "9", "10"]
    assert Labels.fit(["10", "9", "b"]).classes == ["10", "9", "b"]


def test_labels_encode_to_their_places() -> None:
    encoded = Labels(classes=["a", "b", "c"]).encode(["c", "a"])
    assert encoded.dtype == torch.int64
    assert encoded.tolist() == [2, 0]


def test_an_unknown_label_is_named_with_its_origin() -> None:
    with pytest.raises(DataError) as error:
        Labels(classes=["9", "10"]).encode(["9", "11"], ["t[0]", "t[1]"])
    assert str(error.value) == (
        "t[1] has the label '11', which no training sequence has; known labels: 9, 10. "
        "Correct the label, or train with examples of it."
    )


def test_several_labels_are_told_apart_by_the_separator() -> None:
    labels = Labels.fit(["red| round", "", "blue", "round|"], "|")
    assert labels.classes == ["blue", "red", "round"]
    encoded = labels.encode(["round|red", "", "blue"])
    assert encoded.dtype == torch.float32
    assert encoded.tolist() == [[0, 1, 1], [0, 0, 0], [1, 0, 0]]
    assert Labels.model_validate(json.loads(json.dumps(labels.model_dump(mode="json")))) == labels
    with pytest.raises(DataError, match="t\\[0\\] has the label 'green', which no training sequence has"):
        labels.encode(["red|green"], ["t[0]"])
    with pytest.raises(DataError) as error:
        Labels.fit(["", " | "], "|")
    assert str(error.value) == "No training sequence has a label; expected at least two labels."


@pytest.mark.parametrize(
    ("labels", "separator", "shown"),
    [(["up", "up"], "", "up"), (["up"], "|", "up"), (["a|b", "b | a"], "|", "a|b"), (["7", "7", "7"], "", "7")],
)
def test_one_label_alone_is_nothing_to_learn(labels: list[str], separator: str, shown: str) -> None:
    with pytest.raises(DataError) as error:
        Labels.fit(labels, separator)
    assert str(error.value) == (
        f"All training examples have the label {shown!r}; expected at least two labels to tell apart. Check where the "
        "labels are, and whether data.limit leaves some out."
    )


def test_one_label_that_some_have_and_some_have_not_is_something_to_learn() -> None:
    assert Labels.fit(["spam", ""], "|").classes == ["spam"]


def test_labels_that_differ_by_blanks_alone_are_warned_of() -> None:
    with pytest.warns(HoldfastWarning) as caught:
        assert Labels.fit(["good", "good ", "bad"]).classes == ["bad", "good", "good "]
    assert str(caught[0].message) == (
        "The labels 'good', 'good ' differ only in blanks and are learned as different labels. Correct them if they "
        "mean the same."
    )


def test_labels_saved_before_there_could_be_several_are_read() -> None:
    assert Labels.model_validate({"classes": ["a", "b"]}) == Labels(classes=["a", "b"])


def test_standard_scaling_takes_the_statistics_over_all_steps() -> None:
    examples = sequences(count=50)
    scaling = fit_scaling(examples, "standard")
    steps = np.concatenate(list(examples.inputs))
    np.testing.assert_allclose(scaling.mean, steps.mean(0), rtol=1e-12)
    np.testing.assert_allclose(scaling.std, steps.std(0), rtol=1e-12)
    scaled = scaling.apply(steps)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, (steps - steps.mean(0)) / steps.std(0), atol=1e-6)


def test_standard_scaling_in_several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = Examples(np.random.default_rng(1).normal(7, 2, (10, 4, 3)), None, [str(index) for index in range(10)])
    whole = fit_scaling(examples, "standard")
    monkeypatch.setattr("holdfast.data.encoders._MOST_SEQUENCES", 3)
    np.testing.assert_allclose(fit_scaling(examples, "standard").std, whole.std, rtol=1e-12)


def test_gaps_in_several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some chunks have no value of a channel: the first, one between, or the last."""
    inputs = np.random.default_rng(1).normal(7, 2, (10, 4, 3))
    inputs[:3, :, 0] = inputs[4:7, :, 1] = inputs[7:, :, 2] = np.nan
    weights = np.random.default_rng(2).uniform(0.5, 2, 10)
    for weighted in (None, weights):
        examples = Examples(inputs, None, [str(index) for index in range(10)], True, weights=weighted)
        with monkeypatch.context() as patch:
            whole = fit_scaling(examples, "standard")
            patch.setattr("holdfast.data.encoders._MOST_VALUES", 12)
            parts = fit_scaling(examples, "standard")
        np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-12)
        np.testing.assert_allclose(parts.std, whole.std, rtol=1e-12)
    inputs[..., 1] = np.nan
    monkeypatch.setattr("holdfast.data.encoders._MOST_VALUES", 12)
    with pytest.raises(DataError, match=r"Value 1 of a step \(from 0\) is missing in all training sequences"):
        fit_scaling(Examples(inputs, None, [str(index) for index in range(10)], True), "standard")


def test_a_constant_channel_keeps_a_deviation_of_one() -> None:
    inputs = np.random.default_rng(0).normal(size=(5, 4, 2))
    inputs[..., 1] = 7
    scaling = fit_scaling(Examples(inputs, None, list("abcde")), "standard")
    assert scaling.std[1] == 1
    assert not scaling.apply(inputs)[..., 1].any()


def test_a_large_offset_costs_no_precision() -> None:
    inputs = 1e9 + np.arange(8.0).reshape(1, 8, 1)
    scaled = fit_scaling(Examples(inputs, None, ["a"]), "standard").apply(inputs)
    np.testing.assert_allclose(np.diff(scaled[0, :, 0]), 1 / np.arange(8).std(), rtol=1e-6)


def test_unit_scaling_divides_by_255() -> None:
    values = np.arange(256, dtype=np.uint8)
    scaled = Scaling("unit").apply(values)
    assert scaled.dtype == np.float32
    assert np.array_equal(scaled, np.arange(256, dtype=np.float32) / np.float32(255))
    assert scaled[255] == 1


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int16, np.int64, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("kind", ["none", "unit", "standard"])
def test_every_real_type_becomes_float32(dtype: type, kind: str) -> None:
    values = np.array([[[0], [1]]], dtype=dtype)
    scaling = fit_scaling(Examples(values, None, ["a"]), kind)  # type: ignore[arg-type]
    assert scaling.apply(values).dtype == np.float32


@pytest.mark.parametrize("kind", ["none", "unit", "standard"])
@pytest.mark.parametrize("narrow", [np.uint8, np.int16, np.int32, np.float16, np.float32])
def test_a_number_gives_the_same_bits_in_every_type_that_holds_it(kind: str, narrow: type) -> None:
    rng = np.random.default_rng(2)
    values = (rng.normal(90, 40, (6, 5, 3)) * [1, 0.3, 0.01]).clip(0, 255).astype(narrow)
    wide = values.astype(np.float64)
    fitted = [fit_scaling(Examples(part, None, list("abcdef")), kind) for part in (values, wide)]  # type: ignore[arg-type]
    assert fitted[0] == fitted[1]
    assert np.array_equal(fitted[0].apply(values), fitted[0].apply(wide))
    if kind == "standard":  # rounded once, not at each operation
        exact = (wide - np.array(fitted[0].mean)) / np.array(fitted[0].std)
        assert np.array_equal(fitted[0].apply(values), exact.astype(np.float32))


@pytest.mark.parametrize("kind", ["none", "unit", "standard"])
def test_an_encoder_survives_json(kind: str) -> None:
    examples = sequences()
    encoder = Encoder.fit(examples, ClassifyData(scaling=kind, layout="columns"))  # type: ignore[arg-type]
    again = Encoder.model_validate(json.loads(json.dumps(encoder.model_dump(mode="json"))))
    assert again == encoder
    assert torch.equal(again.encode(examples)[0].inputs, encoder.encode(examples)[0].inputs)


def test_images_stay_bytes_and_are_scaled_by_the_batch() -> None:
    images = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    data = Encoder.fit(Examples(images, ["a", "b"], ["p", "q"]), ClassifyData(scaling="unit")).encode(
        Examples(images, ["b", "a"], ["p", "q"])
    )
    assert data._values.dtype == np.uint8
    batch = data.__getitems__([1, 0])
    assert torch.equal(batch.inputs, torch.from_numpy(images[[1, 0]].astype(np.float32) / np.float32(255)))
    assert batch.targets is not None
    assert batch.targets.tolist() == [0, 1]
    assert data.origins == ["p", "q"]


def test_bytes_of_unequal_lengths_are_scaled_as_floats_are() -> None:
    rows = [np.full((2, 1), 51, np.uint8), np.full((3, 1), 255, np.uint8)]
    examples = Examples(rows, ["a", "b"], ["p", "q"])
    encoder = Encoder.fit(examples, ClassifyData(scaling="unit"))
    floats = Examples([row.astype(np.float32) for row in rows], ["a", "b"], ["p", "q"])
    assert torch.equal(
        encoder.encode(examples).__getitems__([0, 1]).inputs, encoder.encode(floats).__getitems__([0, 1]).inputs
    )


def test_other_channels_than_trained_on_are_refused() -> None:
    encoder = Encoder.fit(sequences(8), ClassifyData())
    with pytest.raises(DataError) as error:
        encoder.encode(Examples(np.zeros((1, 10, 10)), None, ["x.png"]))
    assert str(error.value) == (
        "x.png has 10 values per step; the model was trained on 8. "
        "Give images of the same size and layout, or files with the same columns."
    )


def test_fit_needs_labels_and_sequences() -> None:
    with pytest.raises(
        DataError, match=r"^x.png and the other training sequences have no labels; expected a label for each."
    ):
        Encoder.fit(Examples(np.zeros((1, 10, 10)), None, ["x.png"]), ClassifyData())
    with pytest.raises(DataError, match=r"^There are no sequences to train on; expected at least one.$"):
        Encoder.fit(sequences().subset([]), ClassifyData())


@pytest.mark.parametrize(
    ("change", "place", "reason"),
    [
        ({"labels": {}}, ("labels", "classes"), "Field required"),
        ({"channels": "many"}, ("channels",), "Input should be a valid integer"),
        ({"settings": {"layuot": "rows"}}, ("settings", "layuot"), "Extra inputs are not permitted"),
        ({"scaling": {"kind": "log", "mean": [], "std": []}}, ("scaling", "kind"), "Input should be 'none', 'unit' or"),
        ({"scaling": {"kind": "standard", "mean": [1], "std": []}}, ("scaling",), "Value error, The scaling has 1 me"),
    ],
)
def test_a_damaged_encoder_is_refused(change: dict[str, object], place: tuple[str, ...], reason: str) -> None:
    saved = Encoder.fit(sequences(), ClassifyData()).model_dump(mode="json")
    with pytest.raises(ValidationError) as error:
        Encoder.model_validate(saved | change)
    (fault,) = error.value.errors()
    assert (fault["loc"], fault["msg"][: len(reason)]) == (place, reason)


def test_an_encoder_keeps_only_how_files_are_read() -> None:
    class More(ClassifyData):
        more: int = 3

    encoder = Encoder.fit(sequences(), More(scaling="unit"))
    assert type(encoder.settings) is ReadingSettings
    assert encoder.settings.scaling == "unit"
    assert "more" not in encoder.model_dump(mode="json")["settings"]


def test_an_encoder_of_numbers_gives_them_to_the_network() -> None:
    examples = Examples(np.zeros((3, 2, 1)), [1.5, -2.0, 0.25], ["a", "b", "c"])
    encoder = SequenceEncoder.fit(examples, ClassifyData())
    batch = encoder.encode(examples).__getitems__([2, 0])
    assert batch.known_targets.dtype == torch.float32
    assert batch.known_targets.tolist() == [0.25, 1.5]
    with pytest.raises(DataError, match=r"^There are no sequences to train on; expected at least one.$"):
        SequenceEncoder.fit(examples.subset([]), ClassifyData())
