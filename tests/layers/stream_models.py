"""The models that tests stream: layers and classifiers with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

import holdfast
from holdfast.data import Encoder, Examples
from holdfast.tasks import ClassifyTask, model_file
from holdfast.tasks.classify.settings import ClassifyData, ClassifyModel

LAYERS = {"lstm": holdfast.LSTM, "gru": holdfast.GRU, "rnn": holdfast.RNN}
STEPS = 7


def made(kind: str, inputs: int, units: Any, dtype: torch.dtype = torch.float64, **options: Any) -> Any:
    """A layer with every parameter drawn anew, biases and gains too."""
    layer = LAYERS[kind](inputs, units, batch_first=True, dtype=dtype, **options)
    for name, parameter in layer.named_parameters():
        torch.nn.init.normal_(parameter, mean=float(name.startswith("norm")), std=0.4)
    return layer.eval()


STREAMS: dict[str, Any] = {"bidirectional": False, "head": "last_state"}
"""The settings of a classifier that can stream; the defaults read the whole sequence."""


def classifier(path: Path, scaling: Any = "none", **model: Any) -> tuple[ClassifyTask, Any, list[Any]]:
    """A saved classifier with random weights, and the sequences its scaling was fitted on."""
    generator = np.random.default_rng(0)
    inputs = [generator.integers(0, 255, (n, 3), dtype=np.uint8) for n in (4, 6, 5, 6)]
    examples = Examples(inputs, ["b", "a", "b", "c"], [f"row{k}" for k in range(4)])
    task = ClassifyTask(ClassifyModel(**model), Encoder.fit(examples, ClassifyData(scaling=scaling)))
    network = task.build()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    model_file.save(path, task, network)
    return task, network.eval(), inputs
