"""Runs of recipes that say nothing about training."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from holdfast import experiment, recipes
from holdfast.data import defaults
from holdfast.errors import RunError
from holdfast.files import storage
from holdfast.settings import Recipe
from holdfast.training import Listener


@pytest.fixture(scope="module")
def waves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Far from zero and with a large spread, sines of two frequencies in noise: 40 to train on, 40 for the test."""
    folder = tmp_path_factory.mktemp("waves")
    rng = np.random.default_rng(0)
    for name in ("train", "test"):
        slow = rng.integers(0, 2, 40)
        phase = rng.uniform(0, 2 * np.pi, (40, 1))
        values = np.sin(np.arange(16) * np.where(slow, 0.4, 1.1)[:, None] + phase) + rng.normal(size=(40, 16)) * 0.3
        labels = np.where(slow, "slow", "fast")
        np.savez(folder / f"{name}.npz", inputs=(500 + 90 * values[..., None]).astype(np.float32), labels=labels)
    return folder


class Notes(Listener):
    """Keeps what the run says; raises ``StopIteration`` after the update ``stop``."""

    def __init__(self, stop: int = 0) -> None:
        self.notes: list[str] = []
        self.stop = stop

    def note(self, text: str) -> None:
        self.notes.append(text)

    def update(self, training: Any, sequences: int) -> None:
        if training.step == self.stop:
            raise StopIteration


def recipe(**train: Any) -> Recipe:
    data = {"train": ["train.npz"], "test": ["test.npz"]}
    return recipes.from_dict({"name": "waves", "data": data, "train": {"threads": 1, **train}}, "waves")


def test_a_recipe_of_files_alone_learns(waves: Path, tmp_path: Path) -> None:
    listener = Notes()
    done = experiment.train(recipe(), tmp_path / "run", data_dir=waves, listeners=[listener])
    assert done.updates == 1500
    assert done.results["accuracy"] >= 0.95
    stored = tomllib.loads((done.path / "recipe.toml").read_text())
    chosen = {key: stored["train"][key] for key in ("epochs", "batch_size", "schedule", "learning_rate")}
    assert chosen == {"epochs": 500, "batch_size": 16, "schedule": "one-cycle", "learning_rate": 0.005}
    assert {key: stored["data"][key] for key in ("scaling", "validation")} == {"scaling": "standard", "validation": 0.0}
    assert listener.notes == [
        "Chosen for 40 training examples: data.validation = 0 (0.1 is held out where that is at least 100 examples), "
        'data.scaling = "standard", model.input_noise = 0.3 (with fewer than 1,000 examples), train.epochs = 500 '
        "(1,500 updates), train.batch_size = 16, train.learning_rate = 0.005, "
        'train.schedule = "one-cycle" (up to learning_rate = 0.005 and down to almost 0).'
    ]


def test_a_resumed_run_keeps_its_choices_and_ends_with_the_same_bits(
    waves: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(defaults, "LEAST_UPDATES", 30)
    given = recipe(limit="small")
    whole = experiment.train(given, tmp_path / "whole", data_dir=waves)
    with pytest.raises(StopIteration):
        experiment.train(given, tmp_path / "run", data_dir=waves, listeners=[Notes(stop=17)])
    monkeypatch.setattr(defaults, "LEAST_UPDATES", 60)  # as if a later version had another rule
    monkeypatch.setattr(defaults, "_BATCH_SIZES", ())
    listener = Notes()
    resumed = experiment.train(given, tmp_path / "run", data_dir=waves, resume=True, listeners=[listener])
    assert (resumed.updates, listener.notes) == (whole.updates, [])
    assert resumed.results == whole.results
    ours, theirs = (storage.read(done.path / "model.safetensors", "model")[0] for done in (resumed, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    by_its_own_recipe = recipes.load(str(resumed.path / "recipe.toml"))
    assert experiment.train(by_its_own_recipe, resumed.path, resume=True) == resumed
    with pytest.raises(RunError, match=r"train\.epochs = 10 there, 9 here"):
        experiment.train(recipe(limit="small", epochs=9), resumed.path, resume=True)


def test_small_values_of_one_byte_are_not_taken_for_pixels(tmp_path: Path) -> None:
    inputs = np.random.default_rng(1).integers(0, 5, (12, 6, 2)).astype(np.uint8)
    labels = np.array(list("ab") * 6)
    for name, values, scaling in (("small", inputs, "standard"), ("pixels", inputs * 50, "unit")):
        np.savez(tmp_path / f"{name}.npz", inputs=values, labels=labels)
        data = {"train": [f"{name}.npz"], "test": [f"{name}.npz"]}
        given = recipes.from_dict({"name": name, "data": data, "train": {"epochs": 1, "threads": 1}}, name)
        run = experiment.train(given, tmp_path / name, data_dir=tmp_path).path
        assert tomllib.loads((run / "recipe.toml").read_text())["data"]["scaling"] == scaling
