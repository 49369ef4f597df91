"""Opening models for a server: where torch computes them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.tasks import untrained

import holdfast
from holdfast.errors import ModelFileError, OptionError
from holdfast.serve.limits import Limits
from holdfast.serve.models import load
from holdfast.serve.naming import Place

STREAMS = untrained.CLASSIFY + '[model]\nhidden_size = 3\nbidirectional = false\nhead = "last_state"\n'
ABSENT = f"cuda:{torch.cuda.device_count() + 7}"


@pytest.mark.parametrize("kind", ["task", "stream"])
def test_a_device_that_is_not_there_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "stream.safetensors"
    if kind == "stream":
        holdfast.Stream(holdfast.LSTM(3, 4)).export(path)
    else:
        path = untrained.write("texts", tmp_path)
    with pytest.raises(OptionError, match=rf"^device '{ABSENT}' was asked for; torch finds"):
        load(Place("model", "1", path), ABSENT)
    assert load(Place("model", "1", path)).path == path


def test_a_model_that_changes_is_not_answered_for_under_its_name(tmp_path: Path) -> None:
    """A model that streams is opened with torch later: it must be the same one, and its path is for the log alone."""
    path = untrained.write("numbers", tmp_path, STREAMS)
    opened = load(Place("model", "1", path))
    assert opened.network is not None
    assert opened.predictor().task.name == "classify"
    changed, removed = load(Place("model", "1", path)), load(Place("model", "1", path))
    untrained.write("numbers", tmp_path, STREAMS.replace("hidden_size = 3", "hidden_size = 4"))
    with pytest.raises(ModelFileError, match=r"has changed since the server opened it\. Restart the server\.$"):
        changed.predictor()
    path.unlink()
    with pytest.raises(ModelFileError, match="is not there"):
        removed.predictor()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_model_of_a_task_is_computed_on_the_device(tmp_path: Path) -> None:
    from holdfast.serve.answering import answers
    from holdfast.serve.uploads import Upload

    path = untrained.write("texts", tmp_path)
    model, reference = load(Place("model", "1", path), "cuda"), load(Place("model", "1", path))
    assert next(model.predictor().model.parameters()).is_cuda
    found, expected = (answers(each, Upload(lines=["1 2", "3"]), Limits()) for each in (model, reference))
    for one, other in zip(found, expected, strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)
