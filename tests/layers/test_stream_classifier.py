"""A classifier as a stream: the scores of the sequence so far, and the classifiers that need all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.layers.stream_models import STREAMS, classifier

import holdfast
from holdfast.errors import OptionError
from holdfast.tasks.classify.settings import ClassifyModel


@pytest.mark.parametrize("scaling", ["none", "unit", "standard"])
@pytest.mark.parametrize(
    "model",
    [
        {"cell": "lstm", "hidden_size": 5, "head": "last_output"},
        {"cell": "gru", "hidden_size": [6, 4], "dropout": 0.5},
        {"cell": "rnn", "hidden_size": 5, "num_layers": 2, "residual": True, "input_layer": {"size": 4}},
        {"cell": "gru", "hidden_size": 5, "num_layers": 3, "residual": True, "head": "last_output"},
        {"cell": "lstm", "hidden_size": 5, "options": {"peepholes": True, "zoneout_h": 0.1, "activation": "relu"}},
        {"cell": "lstm", "hidden_size": 5, "options": {"layer_norm": True}},
    ],
    ids=lambda model: "-".join(map(str, model)),
)
def test_a_classifier_scores_the_sequence_so_far(tmp_path: Path, scaling: str, model: Any) -> None:
    settings = ClassifyModel(**STREAMS | model).model_dump()
    task, network, inputs = classifier(tmp_path / "model.safetensors", scaling, **settings)
    saved, loaded = holdfast.Stream(tmp_path), holdfast.Stream(network)
    assert saved.labels == ("a", "b", "c")
    for raw in inputs:
        scaled = torch.from_numpy(task.encoder.scaling.apply(raw))
        with torch.no_grad():
            expected = torch.cat([network(scaled[None, : t + 1])[0] for t in range(len(raw))])
        torch.testing.assert_close(loaded.run(scaled), expected)
        torch.testing.assert_close(torch.from_numpy(saved.run(raw)), expected)
        loaded.reset()
        saved.reset()
        torch.testing.assert_close(torch.stack([loaded.step(x) for x in scaled]), expected)
        torch.testing.assert_close(torch.from_numpy(np.stack([saved.step(x) for x in raw])), expected)
        loaded.reset()
        saved.reset()


def test_a_classifier_that_needs_the_whole_sequence_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    for head in ("mean", "max"):
        _, network, _ = classifier(path, hidden_size=5, head=head, bidirectional=False)
        for model in (network, path):
            with pytest.raises(OptionError) as error:
                holdfast.Stream(model)
            assert str(error.value) == (
                f"The model's head is {head!r}, over all steps of a sequence; a stream gives the values of its "
                "last output, so it needs head = 'last_state' or 'last_output'."
            )
    _, network, _ = classifier(path, hidden_size=5, bidirectional=True)
    for model in (network, path, network.recurrent):
        with pytest.raises(OptionError) as error:
            holdfast.Stream(model)
        assert str(error.value) == (
            "The LSTM is bidirectional: its output depends on steps that have not come yet. A stream needs one with "
            "bidirectional=False."
        )
    with pytest.raises(OptionError) as error:
        holdfast.Stream(holdfast.LSTM(3, 5, reverse=True))
    assert str(error.value) == (
        "The LSTM runs in reverse: its first output depends on the last step. A stream needs one with reverse=False."
    )
