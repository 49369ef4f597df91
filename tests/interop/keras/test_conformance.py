"""What Keras itself computed once: model files with inputs and outputs, and layers with weights, inputs and outputs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from holdfast.interop.keras import config as keras_config
from holdfast.interop.keras import files as keras_files
from holdfast.interop.keras import layers as keras_layers

TOLERANCE = 1e-5


def tensor(value: dict[str, Any]) -> torch.Tensor:
    return torch.tensor(value["data"], dtype=torch.float32).reshape(value["shape"])


@pytest.mark.parametrize("name", ["rnn_0", "rnn_1", "rnn_45", "rnn_77", "rnn_100", "rnn_150", "rnn_221", "rnn_223"])
def test_files_of_keras_2(name: str, conformance: Callable[[str], Path]) -> None:
    pytest.importorskip("h5py", reason="needs h5py: pip install 'holdfast[h5]'")
    folder = conformance("keras-h5")
    network, known = keras_files.read(folder / f"{name}.h5"), np.load(folder / f"{name}.npz")
    with torch.inference_mode():
        found = network(torch.from_numpy(known["input_0"])).numpy()
    assert found.shape == known["output_0"].shape
    assert np.abs(found - known["output_0"]).max() < TOLERANCE


@pytest.mark.parametrize(("kind", "number"), [("LSTM", n) for n in range(9)] + [("Bidirectional", n) for n in range(8)])
def test_layers_of_keras_2(kind: str, number: int, conformance: Callable[[str], Path]) -> None:
    folder = conformance("keras-fixtures")
    case = list(json.loads((folder / f"{kind}.json").read_text()).values())[number]
    settings = json.loads((folder / f"{kind}.params.json").read_text())[number]["attrs"]
    layer = {"class_name": kind, "config": {"name": "layer", **settings}}
    model = keras_config.parse_configuration(
        json.dumps({"class_name": "Sequential", "config": [layer]}), "2.0.0", folder
    )
    network = keras_layers.network(model, {"layer": [tensor(one) for one in case["weights"]]}, folder)
    x = tensor(case["input"])[None]
    with torch.inference_mode():
        found = network(x)[0]
        if settings.get("stateful"):  # what is expected is the output of the second call
            found = network(x)[0]
    expected = tensor(case["expected"])
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) < TOLERANCE
