"""Files of the format versions 1 and 2 are read by everything, and say what they said.

``answers.json`` has what the version that wrote the files of version 2 said of them. Its figures are float32 results of
one processor; on another one the last digits may differ.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import holdfast
from holdfast import experiment, recipes, runtime
from holdfast.files import container
from holdfast.interop import formats
from holdfast.predictor import Predictor

HERE = Path(__file__).parent
ANSWERS: dict[str, Any] = json.loads((HERE / "files_v2" / "answers.json").read_text("utf-8"))
MODELS = [name for name, entry in ANSWERS.items() if "task" in entry]
STREAMS = [name for name in ANSWERS if name.startswith("stream_")]
VERSIONS = ("files_v1", "files_v2")

pytestmark = pytest.mark.filterwarnings("ignore:.*has no digest")


def close(ours: Any, theirs: Any) -> None:
    """Compares answers: texts exactly, numbers to the last digits of float32."""
    assert type(ours) is type(theirs) or {type(ours), type(theirs)} <= {list, tuple}
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for name in theirs:
            close(ours[name], theirs[name])
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            close(one, other)
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-5)
    else:
        assert ours == theirs


def answers(path: Path, entry: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    predictor = Predictor(path, options=entry.get("options", []))
    if "lines" in entry:
        found = predictor.predict_lines(entry["lines"])
    else:
        for name, text in entry.get("files", {}).items():
            (folder / name).write_text(text, "utf-8")
        sound = [HERE / "files_v2" / entry["sound"]] if "sound" in entry else []
        found = predictor.predict(sound or [folder / name for name in entry["files"]])
    return [{name: value for name, value in answer.items() if name != "origin"} for answer in found]


def test_the_files_are_of_these_versions() -> None:
    for folder, version in zip(VERSIONS, (b'"1"', b'"2"'), strict=True):
        files = [*(HERE / folder).glob("*.safetensors")]
        assert len(files) > 25
        assert all(b'"holdfast_format":' + version in file.read_bytes() for file in files)


@pytest.mark.parametrize("folder", VERSIONS)
@pytest.mark.parametrize("name", MODELS)
def test_a_model_answers_as_before(folder: str, name: str, tmp_path: Path) -> None:
    path, entry = HERE / folder / name, ANSWERS[name]
    close(answers(path, entry, tmp_path), entry["answers"])
    if "stream" in entry:
        steps = np.array(entry["stream"]["steps"], np.float32)
        for stream in (runtime.load(path), holdfast.Stream(path)):
            assert list(stream.labels) == entry["stream"]["labels"]
            close(stream.run(steps).tolist(), entry["stream"]["scores"])


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_version_1_has_the_chain_that_it_is_written_with_now(name: str, tmp_path: Path) -> None:
    from holdfast.tasks import model_file

    task, model = model_file.load(HERE / "files_v1" / name)
    model_file.save(tmp_path / name, task, model)
    _, document = container.read(tmp_path / name, "model", "np")
    assert document["chain"] == task.chain(model).to_document()
    again, _ = model_file.load(tmp_path / name)
    assert again.to_dict() == task.to_dict()
    if "stream" in ANSWERS[name]:
        old, new = runtime.load(HERE / "files_v1" / name).network, runtime.load(tmp_path / name).network
        assert old.chain == new.chain
        assert old.fingerprint == new.fingerprint


@pytest.mark.parametrize("folder", VERSIONS)
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_goes_on_as_before(folder: str, name: str) -> None:
    entry = ANSWERS[name]
    stream = runtime.load(HERE / folder / name)
    steps = np.array(entry["steps"], np.float32)
    close(stream.run(steps).tolist(), entry["from the start"])
    stream = runtime.load(HERE / "files_v2" / name)
    stream.load(HERE / "files_v2" / entry["state"])
    close(stream.run(steps).tolist(), entry["from the state"])


@pytest.mark.parametrize("folder", VERSIONS)
@pytest.mark.parametrize("name", ["network.safetensors", "network_classifier.safetensors"])
def test_a_network_computes_as_before(folder: str, name: str) -> None:
    entry = ANSWERS[name]
    inputs = [torch.tensor(entry["inputs"])] if name == "network.safetensors" else map(torch.tensor, entry["inputs"])
    with torch.inference_mode():
        outputs = formats.read(HERE / folder / name)(*inputs)
    close(outputs.tolist(), entry["outputs"])


@pytest.mark.parametrize("folder", VERSIONS)
@pytest.mark.parametrize("name", ["classify_bidirectional", "classify_input_layer", "generate_lines", "tag_sums"])
def test_a_model_is_converted(folder: str, name: str, tmp_path: Path) -> None:
    path = HERE / folder / f"{name}.safetensors"
    done = holdfast.convert(path, tmp_path / "model.safetensors")
    assert done.checks == {"dest": 0}
    predictor = Predictor(path)
    inputs = predictor.task.example_inputs(3)
    with torch.inference_mode():
        expected = predictor.model(*inputs)[0]
        if name.startswith("classify"):  # the network scales by itself
            inputs = (torch.zeros(3, 3, 3),)
            scaled = predictor.task.encoder.scaling.apply(np.zeros((3, 3, 3), np.float32))
            expected = predictor.model(torch.from_numpy(scaled))[0]
        torch.testing.assert_close(formats.read(path)(*inputs), expected, rtol=0, atol=1e-5)


def test_a_run_that_was_stopped_is_resumed(tmp_path: Path) -> None:
    entry, run = ANSWERS["stopped_run"], tmp_path / "run"
    shutil.copytree(HERE / "files_v2" / "stopped_run", run)
    done = experiment.train(recipes.load(str(run / "recipe.toml")), run, resume=True)
    assert (done.updates, done.epochs) == (entry["updates"], entry["epochs"])
    close(done.results, entry["results"])
    close(
        [{"sum": answer["sum"]} for answer in Predictor(run).predict_lines(entry["lines"])],
        [{"sum": answer["sum"]} for answer in entry["answers"]],
    )
