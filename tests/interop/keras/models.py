"""Models that Keras itself builds, saves and runs, for what is read of its files to be held against."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from holdfast.interop.keras import files as keras_files

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'holdfast[keras]'")
L = keras.layers


def chain(*layers: Any, shape: tuple[int | None, ...] = (None, 3)) -> Any:
    return keras.Sequential([keras.Input(shape), *layers])


def randomised(model: Any) -> Any:
    """The model with other weights; variances stay positive."""
    draw = np.random.default_rng(3)
    weights = []
    for variable in model.weights:
        values = draw.normal(0, 0.5, variable.shape).astype("float32")
        weights.append(np.abs(values) + 0.5 if "variance" in variable.path else values)
    model.set_weights(weights)
    return model


def inputs_of(model: Any) -> list[np.ndarray]:
    """Four rows, one of them whole, the others with steps that a mask leaves out: at the end, all, and in between."""
    draw, result = np.random.default_rng(4), []
    for value in model.inputs:
        shape = (4, *(5 if size is None else size for size in value.shape[1:]))
        if value.shape[1:] == (None,):
            x = draw.integers(0, 9, shape)
            x[1, 3:], x[2], x[3, 0] = 0, 0, 0
        else:
            x = draw.normal(size=shape).astype("float32")
            x[1, 3:], x[2], x[3, 1] = -1, -1, -1
        result.append(x)
    return result


def tensors(values: Any) -> list[np.ndarray]:
    values = values if isinstance(values, list | tuple) else [values]
    return [value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value) for value in values]


def save(model: Any, folder: Path, ending: str) -> Path:
    path = folder / f"model{ending}"
    if ending == ".weights.h5":
        model.save_weights(path)
        (folder / "model.json").write_text(model.to_json())
    else:
        model.save(path)
    return path


def difference(model: Any, path: Path) -> float:
    """The largest difference between what Keras predicts and what is read of its file, in parts of the largest value
    where that is above 1: what is rounded grows with it. Where one is not a number, so is the other."""
    network, inputs = keras_files.read(path), inputs_of(model)
    with torch.inference_mode():
        found = tensors(network(*(torch.from_numpy(x) for x in inputs)))
    expected = tensors(model.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0))
    assert [x.shape for x in found] == [x.shape for x in expected]
    assert all(np.array_equal(np.isnan(x), np.isnan(y)) for x, y in zip(found, expected, strict=True))
    return max(
        float(np.nanmax(np.abs(one - two)) / max(1.0, np.nanmax(np.abs(two))))
        for one, two in zip(found, expected, strict=True)
    )
