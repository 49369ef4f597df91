"""A small trained classifier of sequences of six steps, for the tests that score many rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from holdfast import SequenceClassifier


def write_rising(folder: Path) -> Path:
    """The model file of a classifier that says ``up`` or ``down``."""
    X = np.random.default_rng(0).normal(size=(40, 6, 1)).astype(np.float32)
    path = folder / "model.safetensors"
    settings: dict[str, Any] = {"hidden_size": 8, "epochs": 1, "threads": 1, "validation": None}
    SequenceClassifier(**settings).fit(X, np.where(X[:, 0, 0] > 0, "up", "down")).save(path)
    return path
