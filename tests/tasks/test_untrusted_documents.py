"""Model files whose document says what is not so: one error, and neither memory nor time for what is not there."""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.tasks import untrained

from holdfast import runtime
from holdfast.errors import HoldfastError, ModelFileError
from holdfast.files import storage
from holdfast.tasks import model_file

HOSTILE: list[Any] = [-1, 0, 30_000, 10**7, 2**31, 2**63, 10**30, 1e308, "x", None, True, [], {}, [1], [[]], [4] * 3000]
TRIES = 40


@pytest.fixture(scope="module", params=untrained.SMALL)
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained.write(request.param, tmp_path_factory.mktemp("untrusted"))


@pytest.fixture(autouse=True)
def _in_little_time_and_memory() -> Iterator[None]:
    start, peak = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.process_time() - start < 8  # of TRIES files
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 500_000  # kilobytes


def with_document(written: Path, document: Any) -> Path:
    tensors, _ = storage.read(written, "model")
    path = written.with_name("changed.safetensors")
    storage.write(path, {name: tensor.clone() for name, tensor in tensors.items()}, document, "model")
    return path


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_any_value_of_a_document_changed(written: Path) -> None:
    _, document = storage.read(written, "model")
    model_file.load(written)
    places = [place for place in untrained.places(document) if "tokenizer" not in place]
    generator = random.Random(written.name)
    messages = []
    for _ in range(TRIES):
        place, value = generator.choice(places), generator.choice(HOSTILE)
        path = with_document(written, untrained.changed(document, lambda *_, v=value: v, place))
        readers = [model_file.load, *([runtime.load] if document["task"] in ("classify", "regress") else [])]
        for read in readers:
            try:
                read(path)
            except HoldfastError as error:
                messages.append(str(error))
    assert len(messages) > TRIES / 4
    assert [message for message in messages if len(message.splitlines()) != 1] == []


SIZES = {
    "numbers": [("model", "hidden_size"), ("model", "input_layer", "size"), ("encoder", "channels")],
    "texts": [("model", "hidden_size"), ("model", "embedding_size")],
    "weighted": [("model", "hidden_size"), ("model", "embedding_size")],
    "regress": [("model", "hidden_size"), ("model", "input_layer", "size"), ("encoder", "channels")],
    "stars": [("model", "hidden_size"), ("model", "embedding_size")],
    "forecast": [("model", "hidden_size"), ("encoder", "settings", "horizon")],
    "panel": [("model", "hidden_size"), ("encoder", "settings", "horizon")],
    "tag": [("model", "hidden_size"), ("model", "word_size"), ("model", "spelling_size"), ("model", "character_size")],
    "sums": [("model", "hidden_size")],
    "generate": [("model", "hidden_size"), ("model", "embedding_size")],
    "translate": [("model", "hidden_size"), ("model", "embedding_size"), ("model", "decoder_size")],
}


def test_sizes_that_the_tensors_do_not_have(written: Path) -> None:
    _, document = storage.read(written, "model")
    for place in SIZES[written.stem]:
        if place not in untrained.places(document):
            pytest.fail(f"{place} is not in the document: {untrained.places(document)}")
        for size in (30_000, 10**7):
            path = with_document(written, untrained.changed(document, lambda *_, v=size: v, place))
            with pytest.raises(ModelFileError, match=r"changed\.safetensors (has|is damaged: ).*"):
                model_file.load(path)


@pytest.mark.parametrize("written", ["texts", "generate", "translate", "sums", "forecast"], indirect=True)
def test_layers_that_the_tensors_are_not(written: Path) -> None:
    _, document = storage.read(written, "model")
    for change in ({"num_layers": 1000}, {"hidden_size": [4] * 100_000}):
        model = {**document["model"], **change}
        with pytest.raises(ModelFileError) as error:
            model_file.load(with_document(written, {**document, "model": model}))
        count, tensors = next(iter(change.values())), len(storage.read(written, "model")[0])
        layers = count if isinstance(count, int) else len(count)
        assert str(error.value).endswith(
            f"changed.safetensors is damaged: it describes {layers:,} layers and holds {tensors} tensors. "
            "Take another copy of it."
        )
    model = {**document["model"], "num_layers": 10**7}
    with pytest.raises(ModelFileError) as error:
        model_file.load(with_document(written, {**document, "model": model}))
    assert str(error.value).endswith(
        "changed.safetensors is damaged: its model.num_layers cannot be used: input should be less than or equal to "
        "1000. Take another copy of it."
    )


@pytest.mark.parametrize("task", [["classify"], {"a": 1}, None, 3, "x" * 5000])
def test_a_task_that_is_none(tmp_path: Path, task: Any) -> None:
    path = tmp_path / "model.safetensors"
    storage.write(path, {"a": torch.zeros(1)}, {"task": task}, "model")
    for read in (model_file.load, runtime.load):
        with pytest.raises(ModelFileError, match="is a model for the task"):
            read(path)
