"""The models of all tasks as ONNX files: whole, and step by step, each against the model itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor

from holdfast import recipes
from holdfast.data import Examples, fit_scaling
from holdfast.data.records import Records
from holdfast.data.vocabulary import Vocabulary
from holdfast.errors import ConversionError
from holdfast.interop.onnx import files as onnx_files
from holdfast.interop.onnx import forms as onnx_forms
from holdfast.tasks import TASKS
from holdfast.tasks.generate.task import GenerateTask
from holdfast.tasks.transcribe.task import TranscribeTask

TEXTS = ["one two three", "two one", "three three three one"]


def fitted(name: str, *overrides: str) -> tuple[Any, Any]:
    """A task of a recipe whose data is at hand, and a model with random weights."""
    recipe = recipes.load(name, ["train.limit=small", *overrides])
    kind = TASKS[recipe.task]
    task = kind.fit(recipe, kind.load(recipe, None).train)
    return task, task.build().eval()


def texts(*overrides: str) -> tuple[Any, Any]:
    recipe = recipes.load("names", list(overrides))
    task = TASKS["classify"].fit(recipe, Records(TEXTS, ["a", "b", "a"], list("123")))
    return task, task.build().eval()


def generate(*overrides: str) -> tuple[Any, Any]:
    recipe = recipes.load("names-generate", list(overrides))
    task = GenerateTask(recipe.data, recipe.model, recipe.predict, Vocabulary.fit(TEXTS, "characters"), several=True)
    return task, task.build().eval()


def transcribe(*overrides: str) -> tuple[Any, Any]:
    recipe = recipes.load("digit-strings", ["model.hidden_size=8", *overrides])
    values = np.random.default_rng(0).standard_normal((20, recipe.data.audio.values)).astype(np.float32)
    scaling = fit_scaling(Examples([values], None, ["sound"]), "standard")
    vocabulary = Vocabulary.fit(TEXTS, "characters")
    task = TranscribeTask(recipe.model, recipe.data, vocabulary, scaling, recipe.predict)
    return task, task.build().eval()


@pytest.fixture(autouse=True)
def _without_gradients() -> Any:
    with torch.no_grad():
        yield


def session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def close(ours: Tensor, theirs: np.ndarray) -> None:
    torch.testing.assert_close(torch.from_numpy(theirs), ours, rtol=0, atol=1e-5 * max(1, float(ours.abs().max())))


@pytest.mark.parametrize(
    ("made", "overrides"),
    [
        (lambda *o: fitted("digits", *o), ()),
        (lambda *o: fitted("digits", *o), ("model.bidirectional=false", "model.head=last_output", "model.cell=gru")),
        (lambda *o: fitted("digits", *o), ("model.head=mean", "model.num_layers=2", "model.merge=sum")),
        (lambda *o: fitted("addition", *o), ()),
        (texts, ()),
        (generate, ("model.hidden_size=[8, 6]",)),
        (transcribe, ()),
    ],
)
def test_scores_of_sequences_of_any_number_and_length(made: Any, overrides: tuple[str, ...], tmp_path: Path) -> None:
    """Beside onnxruntime: the file read back gives the model's scores as well."""
    task, model = made(*overrides)
    path = tmp_path / "model.onnx"
    ((written, difference),) = onnx_forms.write_trained(path, task, model).items()
    assert written == path
    assert difference <= 1e-5
    run = session(path)
    assert [one.name for one in run.get_inputs()] == ["inputs", "lengths"]
    assert run.get_inputs()[0].shape[:2] == ["batch", "time"]
    inputs = task.example_inputs(6)[0][:4]
    inputs = torch.randint_like(inputs, 1, 5) if not inputs.is_floating_point() else torch.randn_like(inputs)
    lengths = torch.tensor([6, 1, 3, 0])
    scores = model(inputs, lengths)[0]
    close(scores, run.run(None, {"inputs": inputs.numpy(), "lengths": lengths.numpy()})[0])
    close(scores, onnx_files.read(path)(inputs, lengths).detach().numpy())


@pytest.mark.parametrize(
    ("made", "overrides"),
    [
        (lambda *o: fitted("digits", *o), ("model.bidirectional=false", "model.head=last_output")),
        (lambda *o: fitted("addition", *o), ()),
        (generate, ("model.hidden_size=[8, 6]",)),
        (transcribe, ("model.bidirectional=false",)),
    ],
)
def test_the_streaming_form_goes_step_by_step(made: Any, overrides: tuple[str, ...], tmp_path: Path) -> None:
    task, model = made(*overrides)
    onnx_forms.write_trained(tmp_path / "model.onnx", task, model, streaming=True)
    run = session(tmp_path / "model.onnx")
    first, *states = run.get_inputs()
    inputs = task.example_inputs(5)[0][:2]
    inputs = torch.randint_like(inputs, 1, 5) if not inputs.is_floating_point() else torch.randn_like(inputs)
    state = {one.name: np.zeros((one.shape[0], 2, one.shape[2]), np.float32) for one in states}
    rows = []
    for step in inputs.split([1, 2, inputs.shape[1] - 3], 1):
        scores, *after = run.run(None, {first.name: step.numpy(), **state})
        state = dict(zip(state, after, strict=True))
        rows.append(torch.from_numpy(scores))
    expected = model(inputs)[0]
    close(expected, (torch.cat(rows, 1) if expected.ndim == 3 else rows[-1]).numpy())


def test_a_tagger_reads_words_by_their_spelling(tmp_path: Path) -> None:
    recipe = recipes.load("pos", ["model.spelling_size=6", "model.hidden_size=8"])
    sentences = Records([text.split() for text in TEXTS], [["n"] * len(text.split()) for text in TEXTS], list("123"))
    sentences.targets[0][0] = "m"  # type: ignore[index]
    sentences.targets[1][0] = "o"  # type: ignore[index]
    task = TASKS["tag"].fit(recipe, sentences)
    model = task.build().eval()
    onnx_forms.write_trained(tmp_path / "model.onnx", task, model)
    (batch,) = task.batches(sentences).epoch(0)
    arguments = task.encoder.arguments(batch)
    run = session(tmp_path / "model.onnx")
    names = [one.name for one in run.get_inputs()]
    assert names == ["inputs", "lengths", "spellings", "spelling_lengths", "places"]
    close(model(*arguments)[0], run.run(None, dict(zip(names, [one.numpy() for one in arguments], strict=True)))[0])


@pytest.mark.parametrize(
    "overrides", [("predict.horizon=3",), ("model.method=direct", "data.horizon=3", "predict.horizon=0")]
)
def test_a_forecast_follows_windows_of_any_length(overrides: tuple[str, ...], tmp_path: Path) -> None:
    task, model = fitted("sine", *overrides)
    onnx_forms.write_trained(tmp_path / "model.onnx", task, model)
    run = session(tmp_path / "model.onnx")
    for steps in (4, 11):
        window = torch.randn(3, steps, sum(task.encoder.channels))
        expected = model(window, torch.zeros(3, task.horizon, 0))
        close(expected, run.run(None, {"inputs": window.numpy()})[0])
        close(expected, onnx_files.read(tmp_path / "model.onnx")(window).detach().numpy())


def test_a_recursive_forecast_goes_row_by_row(tmp_path: Path) -> None:
    task, model = fitted("sine", "predict.horizon=6", "model.window_scaling=standard")
    files = onnx_forms.write_trained(tmp_path / "model.onnx", task, model, streaming=True)
    assert [path.name for path in files] == ["model.window.onnx", "model.row.onnx"]
    window, row = map(session, files)
    inputs = torch.randn(3, 8, 1) * 5 + 2
    names = [one.name for one in window.get_outputs()]
    state = dict(zip(names, window.run(None, {"inputs": inputs.numpy()}), strict=True))
    rows = [state["forecast"]]
    for _ in range(5):
        given = {"inputs": rows[-1], "centre": state["centre"], "spread": state["spread"]}
        forecast, *after = row.run(None, {**given, **{f"{name[0]}_0": state[name] for name in names[3:]}})
        state |= dict(zip(names[3:], after, strict=True))
        rows.append(forecast)
    close(model(inputs, torch.zeros(3, 6, 0))[..., 0], np.concatenate(rows, 1))


def test_a_far_horizon_is_not_written_row_for_row(tmp_path: Path) -> None:
    text = (
        "The forecaster says 1000 rows one by one, and an ONNX model of it holds each of them; at most 50 are written. "
        "Write the streaming form, which goes row by row."
    )
    task, model = fitted("sine", "predict.horizon=1000")
    with pytest.raises(ConversionError, match=f"^{re.escape(text)}$"):
        onnx_forms.write_trained(tmp_path / "model.onnx", task, model)


@pytest.mark.parametrize("attention", ["general", "none"])
def test_a_translator_is_an_encoder_and_a_decoder(attention: str, tmp_path: Path) -> None:
    """Greedy translation by the two files: the tokens that the model's own steps give."""
    task, model = fitted("dates", f"model.attention={attention}", "model.tied=none")
    files = onnx_forms.write_trained(tmp_path / "model.onnx", task, model)
    assert [path.name for path in files] == ["model.encoder.onnx", "model.decoder.onnx"]
    encoder, decoder = map(session, files)
    sources, lengths = torch.randint(4, 9, (3, 7)), torch.tensor([7, 2, 5])
    given = {"inputs": sources.numpy(), "lengths": lengths.numpy()}
    names = [one.name for one in encoder.get_outputs()]
    state = dict(zip(names, encoder.run(None, given), strict=True))
    wanted = [one.name for one in decoder.get_inputs()]
    tokens, ours = torch.full((3, 1), 2), model.begin(sources, lengths)
    for _ in range(4):
        expected, ours = model.step(tokens, ours)
        feed = {**state, "tokens": tokens[:, 0].numpy(), "lengths": lengths.numpy()}
        scores, *after = decoder.run(None, {name: feed[name] for name in wanted})
        close(expected[:, 0, 4:], scores[:, 4:])
        assert np.isneginf(scores[:, :3]).all()
        state |= dict(zip([name for name in wanted if name in ("h_0", "c_0")], after, strict=True))
        tokens = torch.from_numpy(scores.argmax(1))[:, None]


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        (
            "digits",
            ("model.bidirectional=false", "model.head=max"),
            "The model's head is 'max', over all steps of a sequence; the streaming form gives the values of its "
            "last output, so it needs head = 'last_state' or 'last_output'. Write the whole model instead.",
        ),
        (
            "sine",
            ("model.method=direct", "predict.horizon=0"),
            "The forecaster says all rows of its horizon at once; only one with model.method = 'recursive' has a "
            "streaming form. Write the whole model instead.",
        ),
        (
            "dates",
            (),
            "A translator is written as an encoder, which reads a source whole, and a decoder, which goes step by "
            "step as it is; there is no other streaming form. Write it without streaming.",
        ),
    ],
)
def test_what_does_not_stream(name: str, overrides: tuple[str, ...], message: str, tmp_path: Path) -> None:
    task, model = fitted(name, *overrides)
    with pytest.raises(ConversionError, match=f"^{re.escape(message)}$"):
        onnx_forms.write_trained(tmp_path / "model.onnx", task, model, streaming=True)
    assert not list(tmp_path.iterdir())
