"""Short runs of every task, with listeners."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tests.tasks.untrained import FILES, SMALL

from holdfast import recipes
from holdfast.data import Records
from holdfast.tasks import TASKS
from holdfast.tasks.transcribe.settings import TranscribeRecipe
from holdfast.training import Listener, learn
from holdfast.training.learning import Learned

NAMES = [*SMALL, "transcribe"]
TRAIN = {"epochs": 2, "threads": 1, "batch_size": 8, "learning_rate": 0.02}


def train(name: str, folder: Path, listeners: Sequence[Listener], **options: Any) -> Learned:
    """Trains a small recipe of a task for two epochs, and validates it on its test data."""
    if name == "transcribe":
        return _transcribe(listeners)
    for file, text in FILES.items():
        (folder / file).write_text(text, "utf-8")
    (folder / "small.toml").write_text(SMALL[name], "utf-8")
    recipe = recipes.load(str(folder / "small.toml"), [f"train.{key}={value}" for key, value in TRAIN.items()])
    splits = TASKS[recipe.task].load(recipe, folder)
    return learn(recipe, splits.train, splits.test, listeners=listeners, **options)


def _transcribe(listeners: Sequence[Listener]) -> Learned:
    random = np.random.default_rng(0)
    recordings = Records([random.random((9, 4), np.float32) for _ in range(6)], ["a", "b", "ab"] * 2, list("uvwxyz"))
    recipe = TranscribeRecipe(
        name="x",
        data={"unit": "characters", "audio": {"mel_bins": 4}},
        model={"hidden_size": 3},
        train=TRAIN,
    )
    return learn(recipe, recordings, recordings, listeners=listeners)
