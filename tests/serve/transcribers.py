"""A small transcriber of tones for the tests of live sound."""

from __future__ import annotations

from pathlib import Path

import torch

from holdfast import experiment, recipes
from holdfast.predictor import Predictor
from holdfast.tasks import model_file
from tones import save, tone

TONES = """
name = "tones"
description = "Tones."
task = "transcribe"
[data]
train = ["train.csv"]
test = ["train.csv"]
unit = "words"
validation = 0.0
[data.audio]
rate = 8000
mel_bins = 12
stack = 2
[model]
hidden_size = 16
[train]
epochs = 1
threads = 1
"""


def write_loud(folder: Path) -> Path:
    """The model file of a transcriber with random weights, which says much."""
    words = ("low", "high", "low high", "high high low")
    rows = [f"{save(folder / f'{k}.wav', tone(400 + 300 * k)).name},{text}" for k, text in enumerate(words)]
    (folder / "train.csv").write_text("\n".join(["path,text", *rows]), "utf-8")
    (folder / "tones.toml").write_text(TONES, "utf-8")
    run = experiment.train(recipes.load(str(folder / "tones.toml")), folder / "run", data_dir=folder)
    predictor = Predictor(run.path)
    torch.manual_seed(3)
    for parameter in predictor.model.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    model_file.save(folder / "loud.safetensors", predictor.task, predictor.model)
    return folder / "loud.safetensors"
