"""What the tests of estimators share: a run of the command line to compare with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from holdfast import experiment, recipes
from holdfast.estimators import Estimator
from holdfast.files import storage

TRAIN = {"epochs": 2, "threads": 1, "batch_size": 16}
"""The arguments of estimators, and the table ``[train]``, of comparisons."""


@pytest.fixture
def same_bits(tmp_path: Path) -> Callable[..., Path]:
    """Trains a recipe on the files in ``tmp_path`` and compares its weights with those of a fitted estimator."""

    def compare(estimator: Estimator, data: Mapping[str, Any], model: Mapping[str, Any], **train: Any) -> Path:
        table = {"name": "same", "task": estimator.task_name, "data": data, "model": model, "train": {**TRAIN, **train}}
        run = experiment.train(recipes.from_dict(table, "same"), tmp_path / "run", data_dir=tmp_path)
        weights, _ = storage.read(run.path / "model.safetensors", "model")
        own = estimator.model_.state_dict()
        assert weights.keys() == own.keys()
        assert all(torch.equal(weights[name], own[name]) for name in weights)
        return run.path

    return compare
