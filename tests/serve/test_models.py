"""Opening models for a server: where torch computes them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.tasks import untrained

import holdfast
from holdfast.errors import OptionError
from holdfast.serve.limits import Limits
from holdfast.serve.models import load
from holdfast.serve.naming import Place

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
