"""What the models of all tasks say that they compute, held against the models themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.tasks import untrained
from tests.tasks.test_model_file_versions import HERE, MODELS

import holdfast
from holdfast import experiment, runtime
from holdfast.errors import ConversionError, ModelFileError, OptionError, ShapeError
from holdfast.files import storage
from holdfast.interop import formats
from holdfast.layers.chain import Chain
from holdfast.tasks import TASKS, model_file


def opened(name: str) -> tuple[Any, Any]:
    return model_file.load(HERE / "files_v2" / name)


def test_there_is_a_model_of_every_task_of_version_2() -> None:
    tasks = {"classify", "forecast", "generate", "tag", "transcribe", "translate"}
    assert {name.partition("_")[0] for name in MODELS} == tasks
    assert tasks <= set(TASKS)


@pytest.mark.parametrize("name", MODELS)
def test_a_chain_names_every_tensor_of_its_model(name: str) -> None:
    task, model = opened(name)
    shapes = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    assert task.chain(model).tensor_shapes() == shapes


@pytest.mark.parametrize("name", untrained.SMALL)
def test_a_model_file_holds_its_chain(name: str, tmp_path: Path) -> None:
    path = untrained.write(name, tmp_path)
    tensors, document = storage.read(path, "model")
    task, model = model_file.load(path)
    chain = Chain.from_document(document["chain"])
    assert chain == task.chain(model)
    assert chain.tensor_shapes() == {key: tuple(tensor.shape) for key, tensor in tensors.items()}


@pytest.mark.parametrize("chain", [None, [], {"parts": [], "labels": []}, {"parts": 1, "labels": []}, "other"])
def test_a_chain_that_is_not_the_models_is_refused(chain: Any, tmp_path: Path) -> None:
    path = untrained.write("numbers", tmp_path)
    tensors, document = storage.read(path, "model")
    if chain == "other":
        chain = {**document["chain"], "labels": ["no", "yea"]}
    copies = {key: tensor.clone() for key, tensor in tensors.items()}
    storage.write(path, copies, {**document, "chain": chain}, "model")
    with pytest.raises(ModelFileError, match=r"numbers\.safetensors is damaged: .*\. Take another copy of it\.$"):
        model_file.load(path)


# Models of other tasks than classify as streams, without torch


def test_a_tagger_of_sums_streams_from_its_file(tmp_path: Path) -> None:
    task, model = opened("tag_sums.safetensors")
    model_file.save(tmp_path / "model.safetensors", task, model)
    x = np.random.default_rng(0).integers(0, 2, (6, 2)).astype(np.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(x)[None])[0][0]
    for stream in (runtime.load(tmp_path), holdfast.Stream(tmp_path)):
        np.testing.assert_allclose(stream.run(x), expected.numpy(), atol=1e-6)


def test_a_transcriber_streams_from_its_file_and_scales_by_itself(tmp_path: Path) -> None:
    task, model = opened("transcribe_live.safetensors")
    model_file.save(tmp_path / "model.safetensors", task, model)
    raw = np.random.default_rng(0).normal(size=(6, task.data.audio.values))
    with torch.no_grad():
        expected = model(torch.from_numpy(task.scaling.apply(raw))[None])[0][0]
    scores = torch.from_numpy(runtime.load(tmp_path).run(raw))
    torch.testing.assert_close(scores.log_softmax(-1), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["generate_characters", "generate_lines", "generate_words"])
def test_a_language_model_streams_the_ids_of_tokens(name: str, tmp_path: Path) -> None:
    task, model = opened(f"{name}.safetensors")
    path = tmp_path / "model.safetensors"
    model_file.save(path, task, model)
    ids = np.random.default_rng(0).integers(0, len(task.vocabulary.tokens), (2, 6))
    with torch.no_grad():
        expected = model(torch.from_numpy(ids))[0].numpy()
    stream = runtime.load(path, 2)
    scores = stream.run(ids)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=2e-6)
    stream.reset()
    assert np.array_equal(np.stack([stream.step(step) for step in ids.T], 1), scores)
    for other in (holdfast.Stream(path, 2), holdfast.Stream(model, 2)):
        assert np.array_equal(other.run(torch.from_numpy(ids)).numpy(), scores)
    labels = stream.labels
    assert len(labels) == (len(task.vocabulary.tokens) if name != "generate_words" else 0)
    assert labels == tuple(task.vocabulary.tokens)[: len(labels)]
    stream.export(tmp_path / "again")
    again = runtime.load(tmp_path / "again", 2)
    assert (again.labels, again.network.fingerprint) == (labels, stream.network.fingerprint)
    assert np.array_equal(again.run(ids), scores)


def test_ids_that_a_language_model_does_not_have(tmp_path: Path) -> None:
    model_file.save(tmp_path / "model.safetensors", *opened("generate_words.safetensors"))
    stream, alone = runtime.load(tmp_path, 2), runtime.load(tmp_path)
    for call, ids, message in [
        (
            stream.step,
            np.array([1.0, 2.0]),
            "The stream's input is float64; expected whole numbers, the ids of tokens.",
        ),
        (stream.step, np.array([1, 12]), "The stream's ids are from 1 to 12; expected 0 to 11."),
        (stream.step, np.array([-1, 2]), "The stream's ids are from -1 to 2; expected 0 to 11."),
        (stream.step, np.array([1]), "The stream's ids have shape (1,); expected (batch) with batch = 2."),
        (alone.step, np.array([1, 2]), "The stream's ids have shape (2,); expected (batch) or () with batch = 1."),
        (stream.run, np.array([1, 2]), "The stream's ids have shape (2,); expected (batch, time) with batch = 2."),
    ]:
        with pytest.raises(ShapeError) as error:
            call(ids)
        assert str(error.value) == message
    assert not any(part.any() for part in stream.state)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("translate_plain", "The model has the part Decoder where a stream has none; expected at most a scaling or an"),
        ("tag_words", "The model reads texts; a stream takes numbers, or the tokens of a language model, step"),
        ("forecast_recursive", "The model has the part Horizon where a stream has none; expected at most a scaling or"),
        ("transcribe_bidirectional", "The GRU is bidirectional: its output depends on steps that have not come yet."),
    ],
)
def test_models_that_do_not_stream(name: str, message: str, tmp_path: Path) -> None:
    model_file.save(tmp_path / "model.safetensors", *opened(f"{name}.safetensors"))
    with pytest.raises(OptionError, match=f"^{message}"):
        runtime.load(tmp_path)


# Other readers of chains


@pytest.mark.parametrize("version", ["old", "new"])
@pytest.mark.parametrize("name", ["transcribe_live", "forecast_direct", "translate_plain", "tag_characters"])
def test_what_is_no_chain_of_layers_is_no_network(name: str, version: str, tmp_path: Path) -> None:
    path = HERE / "files_v2" / f"{name}.safetensors"
    if version == "new":
        model_file.save(tmp_path / "model.safetensors", *opened(path.name))
        path = tmp_path / "model.safetensors"
    with pytest.raises(ConversionError) as error:
        formats.read(path)
    assert str(error.value) == (
        f"{path} is a model for the task {name.partition('_')[0]!r}, which is no chain of layers; classifiers, "
        "regressors without quantiles, language models and taggers of numbers can be written in other formats."
    )


def test_an_exported_stream_is_converted_and_listed(tmp_path: Path) -> None:
    layer = holdfast.LSTM(3, 5, num_layers=2, batch_first=True)
    holdfast.Stream(layer).export(tmp_path / "stream.safetensors")
    x = torch.randn(2, 4, 3)
    with torch.inference_mode():
        torch.testing.assert_close(formats.read(tmp_path / "stream.safetensors")(x), layer(x)[0])
    table = experiment.summary(str(tmp_path / "stream.safetensors"))
    assert str(table).splitlines()[2] == "recurrent  LSTM  3 -> 5, 2 layers         440"


def test_the_layers_of_what_is_no_network_are_listed() -> None:
    table = formats.list_layers(HERE / "files_v2" / "translate_plain.safetensors")
    assert [row.name for row in table.rows] == ["source_embedding", "encoder", "target_embedding", "decoder", "output"]
    assert "is no chain of layers" in table.note
