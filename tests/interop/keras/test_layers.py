"""Layers around recurrent ones in files of each version of Keras, written by hand; what they give is computed here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("h5py", reason="needs h5py: pip install 'holdfast[h5]'")

from tests.interop.keras.by_hand import archive, drawn, entry, legacy, sequential

from holdfast.interop.keras import files as keras_files

X = drawn((2, 7, 3), seed=9)[0]
KERNEL, BIAS = drawn((3, 3, 4), (4,), seed=1)


def convolved(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    steps = range(x.shape[1] - len(kernel) + 1)
    return np.stack([np.einsum("bki,kio->bo", x[:, t : t + len(kernel)], kernel) + bias for t in steps], 1)


def run(path: Path, *inputs: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        found: np.ndarray = keras_files.read(path)(*(torch.from_numpy(x) for x in inputs)).numpy()
    return found


def close(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-5


@pytest.mark.parametrize("first", [False, True], ids=["size first", "filters first"])
def test_a_convolution_of_keras_1(first: bool, tmp_path: Path) -> None:
    """Kernels have four dimensions, in one of two orders; the options are called otherwise than later."""
    options = {"nb_filter": 4, "filter_length": 3, "border_mode": "same", "subsample_length": 2, "bias": True}
    config = {
        "class_name": "Sequential",
        "config": [
            entry(
                "Convolution1D", "conv", activation="relu", input_dim=3, batch_input_shape=[None, None, 3], **options
            ),
            entry("MaxPooling1D", "pool", pool_length=2, stride=1, border_mode="valid"),
        ],
    }
    kernel = KERNEL.transpose(2, 1, 0)[..., None] if first else KERNEL[:, None]
    path = legacy(tmp_path / "m.h5", config, {"conv": [("W", kernel), ("b", BIAS)], "pool": []}, "1.2.2")
    whole = np.maximum(convolved(np.pad(X, [(0, 0), (1, 1), (0, 0)]), KERNEL, BIAS)[:, ::2], 0)
    close(run(path, X), np.maximum(whole[:, :-1], whole[:, 1:]))


def test_kernels_of_theano_lie_the_other_way_round(tmp_path: Path) -> None:
    conv = entry("Conv1D", "conv", filters=4, kernel_size=[3], batch_input_shape=[None, None, 3])
    config = {**sequential(conv), "backend": "theano"}
    path = legacy(tmp_path / "m.h5", config, {"conv": [("kernel:0", KERNEL), ("bias:0", BIAS)]}, "2.1.0")
    path.write_bytes(path.read_bytes().replace(b"tensorflow", b"theano\0\0\0\0"))
    close(run(path, X), convolved(X, KERNEL[::-1], BIAS))


def test_the_mean_of_a_window_is_that_of_the_steps_that_are_there(tmp_path: Path) -> None:
    """With padding that is longer at the end than before; Keras on torch computes it otherwise than on TensorFlow."""
    pool = entry("AveragePooling1D", "pool", pool_size=4, strides=1, padding="same", batch_shape=[None, None, 3])
    expected = np.stack([X[:, max(t - 1, 0) : t + 3].mean(1) for t in range(7)], 1)
    close(run(archive(tmp_path / "m.keras", sequential(pool), {"average_pooling1d": []}), X), expected)


def test_normalisation_along_the_steps(tmp_path: Path) -> None:
    gamma, beta = drawn((7,), (7,), seed=2)
    norm = entry("LayerNormalization", "norm", axis=[1], epsilon=0.1, batch_shape=[None, 7, 3])
    path = archive(tmp_path / "m.keras", sequential(norm), {"layer_normalization": [gamma, beta]})
    mean, variance = X.mean(1, keepdims=True), X.var(1, keepdims=True)
    close(run(path, X), (X - mean) / np.sqrt(variance + 0.1) * gamma[:, None] + beta[:, None])


@pytest.mark.parametrize("version", ["2.15.0", "3.3.3", "3.4.1"])
def test_merged_masks_by_version(version: str, tmp_path: Path) -> None:
    """A step of a sum counts where both counted, and since Keras 3.4 where one of them did."""
    table = drawn((5, 3), seed=3)[0]

    def place(name: str) -> list[Any]:
        return [[[name, 0, 0, {}]]]

    layers = [
        *({**entry("InputLayer", n, batch_input_shape=[None, None]), "name": n, "inbound_nodes": []} for n in "xy"),
        *(
            {
                **entry("Embedding", f"e{n}", input_dim=5, output_dim=3, mask_zero=True),
                "name": f"e{n}",
                "inbound_nodes": place(n),
            }
            for n in "xy"
        ),
        {**entry("Add", "sum", trainable=True), "name": "sum", "inbound_nodes": [[["ex", 0, 0, {}], ["ey", 0, 0, {}]]]},
        {**entry("GlobalAveragePooling1D", "mean"), "name": "mean", "inbound_nodes": place("sum")},
    ]
    ends = {"input_layers": [["x", 0, 0], ["y", 0, 0]], "output_layers": [["mean", 0, 0]]}
    config = {"class_name": "Functional", "config": {"name": "m", "layers": layers, **ends}}
    path = archive(tmp_path / "m.keras", config, {"embedding": [table], "embedding_1": [table]}, version=version)
    x, y = np.array([[1, 2, 0, 0, 4]]), np.array([[3, 0, 2, 0, 1]])
    counts = (x > 0) | (y > 0) if version == "3.4.1" else (x > 0) & (y > 0)
    close(run(path, x, y), (table[x] + table[y])[counts].mean(0, keepdims=True))
