"""The models of every task, as a predictor, a run, an estimator and a network of another software's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import holdfast
from holdfast import experiment, recipes
from holdfast.errors import DataError, OptionError
from holdfast.inspect import connectivity, gradient_through_time, health, integrated_gradients, record
from holdfast.interop import formats
from holdfast.training.finished_run import FinishedRun

TEXTS = ["a cat sat", "the dog ran off", "a dog", "the cat ran"]


def test_the_same_recording_from_an_estimator_its_predictor_and_its_file(tmp_path: Path) -> None:
    X, y = np.random.default_rng(0).normal(size=(20, 6, 2)).astype(np.float32), [0, 1] * 10
    estimator = holdfast.SequenceClassifier(hidden_size=4, bidirectional=False, epochs=1, random_state=0).fit(X, y)
    estimator.save(tmp_path / "model.safetensors")
    models: list[Any] = [estimator, holdfast.Predictor(tmp_path / "model.safetensors"), tmp_path / "model.safetensors"]
    recordings = [record(model, X[:3]) for model in models]
    for recording in recordings:
        assert list(recording.layers) == ["recurrent.l0"]
        assert recording["recurrent.l0"].output.shape == (3, 6, 4)
        torch.testing.assert_close(recording["recurrent.l0"].output, recordings[0]["recurrent.l0"].output)
        torch.testing.assert_close(recording.output, recordings[0].output)
    probabilities = recordings[0].output.softmax(-1).double().numpy()
    np.testing.assert_allclose(probabilities, estimator.predict_proba(X[:3]), atol=1e-6)
    assert health(estimator, X).history == tuple(estimator.history_)
    by_module = record(estimator.model_, recordings[0]["recurrent.l0"].inputs)
    torch.testing.assert_close(by_module["recurrent.l0"].output, recordings[0]["recurrent.l0"].output)


def test_a_model_of_texts_knows_the_words() -> None:
    estimator = holdfast.TextClassifier(hidden_size=4, epochs=1, random_state=0, unit="words")
    estimator.fit(TEXTS, ["cat", "dog", "dog", "cat"])
    shares = integrated_gradients(estimator, TEXTS[:2])
    assert shares.tokens == (("a", "cat", "sat"), ("the", "dog", "ran", "off"))
    assert shares.by_step.shape == (2, 4)
    assert shares.by_step[0, 3] == 0  # padding
    assert shares.completeness_error is not None
    assert shares.completeness_error.abs().max() < 1e-5
    assert connectivity(estimator, TEXTS[:1]).shape == (1, 3)


def test_a_language_model_reads_the_text_itself() -> None:
    model = holdfast.LanguageModel(hidden_size=5, epochs=1, unit="characters", window=8, random_state=0)
    model.fit("the quick brown fox " * 20)
    recording = record(model, "quick fox")
    assert recording["recurrent.l0"].output.shape == (1, 9, 5)
    assert connectivity(model, "quick fox").triu(1).count_nonzero() == 0  # no output depends on a later letter
    assert gradient_through_time(model, "quick fox")["recurrent.l0"]["hidden"].shape == (9,)


def test_a_translator_is_recorded_on_its_own_answer() -> None:
    translator = holdfast.Translator(hidden_size=6, embedding_size=4, epochs=1, random_state=0)
    translator.fit(TEXTS, TEXTS)
    recording = record(translator, TEXTS)
    assert {name.partition(".")[0] for name in recording.layers} == {"encoder", "decoder"}
    assert all("#" not in name for name in recording.layers)  # the search itself is not in it
    lengths = recording["decoder.l0"].lengths
    steps = recording["decoder.l0"].output.shape[1]
    assert steps >= 1
    assert lengths is None or int(lengths.max()) <= steps


def test_the_search_of_a_translator_has_no_part_in_the_gradient_of_its_loss(tmp_path: Path) -> None:
    """With targets the loss of the task is taken, and outside training the task also searches for an answer."""
    recipe = recipes.load("dates", ["train.limit=small", "data.examples=60", "train.max_steps=2", "train.threads=1"])
    predictor = holdfast.Predictor(experiment.train(recipe, tmp_path / "run").path)
    examples = FinishedRun.read(tmp_path / "run").test_data().subset(range(3))
    norms = gradient_through_time(predictor, examples)
    batch = next(iter(predictor.task.batches(examples).epoch(0)))
    sources = [norms[name]["hidden"].shape for name in norms.layers if name.startswith("encoder")]
    assert sources
    assert set(sources) == {(batch.inputs.shape[1],)}
    answers = [norms[name]["hidden"].shape for name in norms.layers if name.startswith("decoder")]
    assert set(answers) == {(int(batch.target_lengths.max()),)}


def test_a_forecaster_and_a_tagger() -> None:
    values = np.sin(np.arange(200) / 5)
    for method in ("direct", "recursive"):
        forecaster = holdfast.Forecaster(hidden_size=4, epochs=1, window=12, horizon=3, method=method, random_state=0)
        forecaster.fit(values)
        found = record(forecaster, values)["recurrent.l0"]
        assert found.output.shape[1] == (12 if method == "direct" else 14)
    tagger = holdfast.TextTagger(hidden_size=4, epochs=1, random_state=0)
    sentences = [text.split() for text in TEXTS]
    tagger.fit(sentences, [["X"] * (len(words) - 1) + ["Y"] for words in sentences])
    recording = record(tagger, sentences)
    assert "recurrent.l0" in recording.layers
    shares = integrated_gradients(tagger, sentences[:1], step=1)
    assert shares.tokens == (tuple(sentences[0]),)


def test_examples_with_targets_have_the_loss_of_the_task(tmp_path: Path) -> None:
    recipe = recipes.load("digits", ["train.limit=small", "train.epochs=1", "model.hidden_size=8"])
    run = experiment.train(recipe, tmp_path / "run")
    assert run.results
    predictor = holdfast.Predictor(tmp_path / "run")
    task = predictor.task
    test = task.load(recipe, None).test.subset(range(4))
    norms = gradient_through_time(tmp_path / "run", test)
    batch = next(iter(task.batches(test, size=4).epoch(0)))
    with torch.no_grad():
        assert norms.loss == pytest.approx(float(task.loss(predictor.model, batch).loss), rel=1e-5)
    assert health(tmp_path / "run", test).history


@pytest.mark.parametrize("name", ["model.pt", "model.onnx", "model.keras"])
def test_a_network_of_another_software(name: str, tmp_path: Path) -> None:
    pytest.importorskip({"model.onnx": "onnx", "model.keras": "h5py"}.get(name, "torch"))
    model, x = nn.LSTM(3, 4, batch_first=True), torch.randn(2, 5, 3)
    torch.save(model.state_dict(), tmp_path / "model.pt")
    if name != "model.pt":
        formats.write(tmp_path / name, formats.read(tmp_path / "model.pt"))
    (layer,) = record(formats.read(tmp_path / name), x).layers.values()
    with torch.no_grad():
        expected, (_, c) = model(x)
    torch.testing.assert_close(layer.output, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(layer.states["cell"][:, -1], c[0], atol=1e-6, rtol=0)


def test_wrong_inputs_are_refused() -> None:
    X = np.zeros((10, 6, 2), np.float32)
    estimator = holdfast.SequenceClassifier(hidden_size=4, epochs=1, random_state=0).fit(X, [0, 1] * 5)
    predictor = holdfast.Predictor.of(estimator.task_, estimator.model_)
    with pytest.raises(OptionError, match=r"lengths is for a module; examples have their own lengths\. Leave it out\."):
        record(predictor, X, lengths=[6] * 10)
    with pytest.raises(DataError):
        record(predictor, np.zeros((3, 6, 5), np.float32))
    with pytest.raises(OptionError, match="The model got several inputs; expected one tensor"):
        connectivity(holdfast.LSTM(3, 4), None)
