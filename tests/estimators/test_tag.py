"""SequenceTagger and TextTagger."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

import holdfast
from holdfast import SequenceTagger, TextTagger, experiment
from holdfast.conversion import convert
from holdfast.errors import DataError, OptionError
from holdfast.predictor import Predictor
from holdfast.tasks.tag.task import TagTask

SMALL: dict[str, Any] = {"hidden_size": 8, "epochs": 2, "threads": 1, "batch_size": 16}
SENTENCES = [["the", "cat", "sleeps"], ["a", "Dog", "barks", "!"], ["dogs", "sleep"]] * 12
TAGS = [["DET", "NOUN", "VERB"], ["DET", "NOUN", "VERB", "PUNCT"], ["NOUN", "VERB"]] * 12


def steps(count: int = 40, length: int = 9) -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(0).normal(size=(count, length, 2))
    return X, (X[:, :, 0].cumsum(1) > 0).astype(int) + (X[:, :, 1] > 0.5)


def test_the_command_line_trains_the_same_bits_on_sentences(same_bits: Callable[..., Path], tmp_path: Path) -> None:
    blocks = ["".join(f"{w}\t{t}\n" for w, t in zip(*pair, strict=True)) for pair in zip(SENTENCES, TAGS, strict=True)]
    for name in ("train.txt", "test.txt"):
        (tmp_path / name).write_text("\n".join(blocks))
    estimator = TextTagger(**SMALL, dropout=0.3, validation=0.2, random_state=1).fit(SENTENCES, TAGS)
    data = {"train": ["train.txt"], "test": ["test.txt"], "validation": 0.2}
    run = same_bits(estimator, data, {"hidden_size": 8, "dropout": 0.3}, seed=1)
    answers = [answer["tags"] for answer in Predictor(run).predict([tmp_path / "test.txt"])]
    assert answers == estimator.predict(SENTENCES)
    assert [answer["tags"] for answer in Predictor(run).predict(SENTENCES)] == answers
    opened = holdfast.load(run)
    assert isinstance(opened, TextTagger)
    assert opened.predict(SENTENCES) == answers
    assert experiment.evaluate(run, [tmp_path / "test.txt"]).metrics == estimator.evaluate(SENTENCES, TAGS)
    assert estimator.score(SENTENCES, TAGS) == estimator.evaluate(SENTENCES, TAGS)["accuracy"]


@pytest.mark.parametrize("classes", [np.array([2, 5, 10]), np.array(["B", "I", "O"]), np.array([False, True])], ids=str)
def test_tags_keep_their_type_in_every_form(classes: np.ndarray, tmp_path: Path) -> None:
    X, y = steps()
    tags = classes[np.minimum(y, len(classes) - 1)]
    estimator = SequenceTagger(**SMALL).fit(X, tags)
    wanted, probabilities = estimator.predict(X), estimator.predict_proba(X)
    assert wanted.shape == tags.shape
    assert wanted.dtype == classes.dtype
    assert np.array_equal(estimator.classes_, classes)
    assert np.allclose(probabilities.sum(-1), 1)
    assert np.array_equal(wanted, classes[probabilities.argmax(-1)])
    for values, targets in [(torch.from_numpy(X), tags), (list(X), tags.tolist()), (X.tolist(), list(tags))]:
        other = clone(estimator).fit(values, targets)
        assert np.array_equal(np.stack(list(other.predict(values))), wanted)
    estimator.save(tmp_path / "model.safetensors")
    for other in (holdfast.load(tmp_path / "model.safetensors"), pickle.loads(pickle.dumps(estimator))):
        assert isinstance(other, SequenceTagger)
        assert np.array_equal(other.predict(X), wanted)
        assert np.array_equal(other.predict_proba(X), probabilities)
        assert other.evaluate(X, tags) == estimator.evaluate(X, tags)


def test_unequal_lengths_missing_values_and_one_channel() -> None:
    X, y = steps()
    ragged, tags = [row[: 2 + k % 7] for k, row in enumerate(X)], [row[: 2 + k % 7] for k, row in enumerate(y)]
    estimator = SequenceTagger(**SMALL, scaling="standard").fit(ragged, tags)
    assert [len(row) for row in estimator.predict(ragged)] == [len(row) for row in tags]
    assert np.allclose(estimator.predict_proba(ragged)[3], estimator.predict_proba(ragged[3:4])[0], atol=1e-6)
    X[0, 3, 1] = np.nan
    assert SequenceTagger(**SMALL, missing="interpolate").fit(X, y).predict(X).shape == y.shape
    table = SequenceTagger(**SMALL).fit(X[:, :, 0], y)
    assert table.predict(X[:, :, 0]).shape == y.shape
    assert cross_val_score(SequenceTagger(**SMALL), X[:, :, :1], y, cv=2).shape == (2,)


def test_the_file_of_a_tagger_of_numbers_is_read_by_the_commands(tmp_path: Path) -> None:
    X, y = steps()
    estimator = SequenceTagger(**SMALL, scaling="standard").fit(X, y)
    path = tmp_path / "model.safetensors"
    estimator.save(path)
    np.savez(tmp_path / "steps.npz", inputs=X, labels=y)
    answers = list(Predictor(path).predict([tmp_path / "steps.npz"]))
    assert [[int(tag) for tag in answer["tags"]] for answer in answers] == estimator.predict(X).tolist()
    assert answers[0]["tagged"] == " ".join(answers[0]["tags"])
    assert experiment.evaluate(path, [tmp_path / "steps.npz"]).metrics == estimator.evaluate(X, y)
    convert(path, tmp_path / "model.onnx")  # compares the answers before it writes
    assert isinstance(Predictor(path).task, TagTask)
    with pytest.raises(DataError, match="reads sequences of numbers, not lines of text"):
        list(Predictor(path).predict_lines(["1 2"]))


def test_weights_are_repetitions() -> None:
    X, y = steps()
    weights = np.random.default_rng(2).integers(0, 3, len(X))
    whole = {**SMALL, "batch_size": 400, "validation": None, "dropout": 0}
    for tags in (y, y > 0):  # several output units, and one
        weighted = SequenceTagger(**whole).fit(X, tags, sample_weight=weights)
        repeated = SequenceTagger(**whole).fit(X.repeat(weights, 0), tags.repeat(weights, 0))
        assert np.allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-6)
    chosen = np.arange(len(SENTENCES)) % 3 > 0
    part = [[row for row, kept in zip(rows, chosen, strict=True) if kept] for rows in (SENTENCES, TAGS)]
    weighted, alone = TextTagger(**whole).fit(SENTENCES, TAGS, 2 * chosen), TextTagger(**whole).fit(*part)
    for a, b in zip(weighted.predict_proba(SENTENCES), alone.predict_proba(SENTENCES), strict=True):
        assert np.array_equal(a, b)
    uneven = TextTagger(**whole).fit(SENTENCES, TAGS, 1 + chosen)
    assert uneven.evaluate(SENTENCES, TAGS)["loss"] != alone.evaluate(SENTENCES, TAGS)["loss"]


def test_errors_name_the_place_and_the_next_step() -> None:
    X, y = steps()
    fitted = SequenceTagger(**SMALL).fit(X, y)
    for call, kind, message in [
        (lambda: fitted.fit(X, y[:-1]), DataError, "inconsistent numbers of samples"),
        (lambda: fitted.fit(X, y[:, :-1]), DataError, r"y\[0\] has shape \(8,\); expected \(9,\), a tag for each step"),
        (lambda: fitted.fit(X, None), DataError, "give a tag for each step"),
        (lambda: fitted.fit(X, y * 0), DataError, "All training examples have the label '0'"),
        (lambda: fitted.predict(X[:, :, :1]), DataError, "X has 1 features, but SequenceTagger is expecting 2"),
        (
            lambda: TextTagger(**SMALL).fit(["the cat"], [["x"]]),
            DataError,
            r"values\[0\] is a text; expected a list of",
        ),
        (lambda: TextTagger(**SMALL).fit([], []), DataError, r"Found array with 0 sample\(s\)"),
        (lambda: TextTagger(words_size=3), OptionError, "did you mean 'word_size'"),
    ]:
        with pytest.raises(kind, match=message):
            call()
