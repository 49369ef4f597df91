"""A layer of Keras and Holdfast's with the same weights, their masks, and how they are compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="needs keras: pip install 'holdfast[keras]'")

from keras import ops  # noqa: E402  (keras may be missing)

import holdfast.keras  # noqa: E402

B, T, I, H = 5, 6, 4, 7  # noqa: E741
TOLERANCE = 2e-5  # float32, sums of T * H products in another order
STEPS = np.array([6, 3, 1, 0, 4])
KNOWN = "tanh, sigmoid, relu, linear, hard_sigmoid, softsign, softplus, elu, selu, exponential, relu6, leaky_relu"
MASKS = {
    "right": np.arange(T) < STEPS[:, None],
    "left": np.arange(T)[::-1] < STEPS[:, None],
    "holes": np.random.default_rng(3).random((B, T)) > 0.4,
}


def numbers(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def pair(name: str, shape: tuple[int, ...] = (B, T, I), **options: Any) -> tuple[Any, Any]:
    """Keras's layer and Holdfast's, with the same weights."""
    if options.get("use_bias", True):
        options["bias_initializer"] = keras.initializers.RandomNormal(seed=5)
    layers = [getattr(home, name)(H, **options) for home in (keras.layers, holdfast.keras)]
    for layer in layers:
        layer.build(shape)
    layers[1].set_weights(layers[0].get_weights())
    return layers[0], layers[1]


def compare(theirs: Any, ours: Any, tolerance: float = TOLERANCE) -> None:
    theirs, ours = (keras.tree.flatten(found) for found in (theirs, ours))
    assert len(theirs) == len(ours)
    for expected, found in zip(theirs, ours, strict=True):
        expected, found = (ops.convert_to_numpy(array) for array in (expected, found))
        assert expected.dtype == found.dtype
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def trained(layer: Any, mask: Any = None, size: int = I) -> list[Any]:
    """The weights after two steps of a model around the layer, which has ``return_sequences`` and ``return_state``."""
    inputs, given = keras.Input((T, 3)), keras.Input((T,), dtype="bool")
    values = [numbers(B, T, 3, seed=1)] + ([] if mask is None else [mask])
    kernel = keras.initializers.RandomNormal(seed=1)
    projected = keras.layers.Dense(size, kernel_initializer=kernel)(inputs)
    first = keras.layers.Dense(H, kernel_initializer=kernel)(inputs[:, 0])
    state = [first] * len(layer.state_size)
    found = layer(projected, initial_state=state, mask=None if mask is None else given)
    heads = [keras.layers.Dense(2, kernel_initializer=kernel)(each) for each in found]
    model = keras.Model([inputs] + ([] if mask is None else [given]), heads)
    model.compile(keras.optimizers.SGD(1.0), loss=["mse"] * len(heads), jit_compile=False)
    targets = [numbers(B, *head.shape[1:], seed=2) for head in heads]
    for _ in range(2):
        model.train_on_batch(values, targets)
    return [weight for each in model.layers for weight in each.get_weights()]


def cells(*names: str) -> list[Any]:
    kernel = keras.initializers.RandomNormal(seed=2)
    return [
        getattr(keras.layers, name)(H, kernel_initializer=kernel, dropout=0.3, recurrent_dropout=0.2, seed=7)
        for name in names
    ]
