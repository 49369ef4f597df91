"""Files that Keras itself wrote, against what Keras itself predicts; and files of Holdfast's, opened by Keras."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.interop.keras.models import L, chain, difference, inputs_of, keras, randomised, save, tensors

from holdfast.interop.keras import files as keras_files

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras's own, of many kinds

Build = Callable[[], Any]
CASES: dict[str, Build] = {}


def case(build: Build) -> Build:
    CASES[build.__name__.strip("_")] = build
    return build


for _kind in ("LSTM", "GRU", "SimpleRNN"):
    for _name, _options in {
        "plain": {},
        "sequences": {"return_sequences": True},
        "backwards": {"go_backwards": True},
        "backwards sequences": {"go_backwards": True, "return_sequences": True},
        "no bias": {"use_bias": False},
        "relu": {"activation": "relu"},
        "linear": {"activation": "linear"},
        "dropout": {"dropout": 0.3, "recurrent_dropout": 0.2, "return_sequences": True},
        "unrolled": {"unroll": True},
    }.items():
        _shape = (5, 3) if _name == "unrolled" else (None, 3)
        CASES[f"{_kind} {_name}"] = lambda k=_kind, o=_options, s=_shape: chain(getattr(L, k)(4, **o), shape=s)
    for _mode in ("concat", "sum", "ave", "mul"):
        for _sequences in (False, True):
            CASES[f"Bidirectional {_kind} {_mode} {_sequences}"] = lambda k=_kind, m=_mode, s=_sequences: chain(
                L.Bidirectional(getattr(L, k)(4, return_sequences=s), merge_mode=m)
            )
    CASES[f"RNN of {_kind}Cell"] = lambda k=_kind: chain(L.RNN(getattr(L, f"{k}Cell")(4), return_sequences=True))
for _gate in (
    "selu",
    "relu6",
    "silu",
    "gelu",
    "mish",
    "leaky_relu",
    "hard_sigmoid",
    "sigmoid",
    "relu",
    "linear",
    "softsign",
    "softplus",
    "elu",
    "tanh",
):
    CASES[f"gates {_gate}"] = lambda g=_gate: chain(
        L.LSTM(4, recurrent_activation=g), L.RepeatVector(2), L.GRU(3, recurrent_activation=g)
    )
CASES["GRU reset before"] = lambda: chain(L.GRU(4, reset_after=False))
CASES["GRU reset before, no bias"] = lambda: chain(L.GRU(4, reset_after=False, use_bias=False))
CASES["GRU reset before, both"] = lambda: chain(L.Bidirectional(L.GRU(4, reset_after=False)))


@case
def stacked() -> Any:
    return chain(
        L.LSTM(4, return_sequences=True), L.Dropout(0.2), L.GRU(5, return_sequences=True), L.LSTM(2), L.Dense(3)
    )


@case
def tagger() -> Any:
    return chain(
        L.Embedding(9, 4, mask_zero=True),
        L.SpatialDropout1D(0.2),
        L.Bidirectional(L.LSTM(3, return_sequences=True)),
        L.LSTM(4, return_sequences=True),
        L.TimeDistributed(L.Dense(5, activation="softmax")),
        shape=(None,),
    )


@case
def tagger_functional() -> Any:
    x = keras.Input((None,))
    y = L.Embedding(9, 4, mask_zero=True)(x)
    y = L.Bidirectional(L.GRU(3, return_sequences=True))(y)
    y = L.LSTM(4, return_sequences=True)(y)
    return keras.Model(x, L.Dense(5, activation="softmax")(y))


@case
def masked_ends() -> Any:
    return chain(
        L.Masking(-1.0), L.Bidirectional(L.LSTM(3, return_sequences=True)), L.GRU(4, go_backwards=True), L.Dense(2)
    )


@case
def masked_functional() -> Any:
    x = keras.Input((None, 3))
    y = L.TimeDistributed(L.Dense(4, activation="relu"))(L.Masking(-1.0)(x))
    return keras.Model(x, L.LSTM(4, go_backwards=True, return_sequences=True)(L.Dropout(0.1)(y)))


@case
def masked_zeros() -> Any:
    return chain(
        L.Masking(-1.0),
        L.LSTM(3, return_sequences=True, zero_output_for_mask=True),
        L.SimpleRNN(4, return_sequences=True),
    )


@case
def other_backwards() -> Any:
    two = L.GRU(5, return_sequences=True, go_backwards=True, activation="relu")
    return chain(L.Bidirectional(L.LSTM(3, return_sequences=True), backward_layer=two))


@case
def turned_both() -> Any:
    one, two = (L.LSTM(3, return_sequences=True, go_backwards=turned) for turned in (True, False))
    return chain(L.Bidirectional(one, backward_layer=two))


@case
def both_apart() -> Any:
    x = keras.Input((None, 3))
    return keras.Model(x, L.Bidirectional(L.LSTM(3, return_sequences=True), merge_mode=None)(x))


@case
def states() -> Any:
    x = keras.Input((None, 3))
    return keras.Model(x, L.LSTM(3, return_sequences=True, return_state=True)(x))


@case
def states_both() -> Any:
    x = keras.Input((None, 3))
    return keras.Model(x, L.Bidirectional(L.LSTM(3, return_state=True))(x))


@case
def from_sequence_to_sequence() -> Any:
    x, z = keras.Input((None, 3)), keras.Input((None, 3))
    _, h, c = L.LSTM(4, return_state=True)(x)
    y = L.LSTM(4, return_sequences=True)(z, initial_state=[h, c])
    return keras.Model([x, z], [L.Dense(5, activation="softmax")(y), h])


@case
def autoencoder() -> Any:
    return chain(
        L.LSTM(4), L.RepeatVector(3), L.LSTM(4, return_sequences=True), L.TimeDistributed(L.Dense(3)), shape=(3, 3)
    )


@case
def merged() -> Any:
    x = keras.Input((None, 3))
    one, two = L.GRU(4, return_sequences=True)(x), L.LSTM(4, return_sequences=True)(x)
    y = L.Concatenate()([L.Add()([one, two]), L.Multiply()([one, two]), L.Average()([one, two])])
    return keras.Model(x, L.SimpleRNN(3)(y))


@case
def flat() -> Any:
    return chain(
        L.LSTM(4, return_sequences=True),
        L.Flatten(),
        L.Dense(6, activation="relu"),
        L.Reshape((3, 2)),
        L.GRU(2),
        shape=(5, 3),
    )


@case
def activations() -> Any:
    return chain(
        L.GRU(4, return_sequences=True),
        L.ReLU(),
        L.LeakyReLU(0.1),
        L.ELU(0.5),
        L.ReLU(negative_slope=0.3),
        L.ReLU(6),
        L.Activation("exponential"),
        L.Activation("tanh"),
        L.Softmax(),
        L.Dense(3, activation="elu"),
    )


@pytest.mark.parametrize("ending", [".keras", ".h5", ".weights.h5"])
@pytest.mark.parametrize("name", CASES)
def test_the_same_outputs_as_keras(name: str, ending: str, tmp_path: Path) -> None:
    model = randomised(CASES[name]())
    assert difference(model, save(model, tmp_path, ending)) < 1e-5


CHAINS = [
    name for name in CASES if name not in ("both_apart", "states", "states_both", "from_sequence_to_sequence", "merged")
]


@pytest.mark.parametrize("name", [name for name in CHAINS if name != "turned_both"])
def test_keras_opens_what_is_written(name: str, tmp_path: Path) -> None:
    model = randomised(CASES[name]())
    network = keras_files.read(save(model, tmp_path, ".keras"))
    keras_files.write(tmp_path / "written.keras", network)
    inputs = inputs_of(model)
    reopened = keras.saving.load_model(tmp_path / "written.keras")
    expected, found = (tensors(one.predict(inputs[0], verbose=0)) for one in (model, reopened))
    assert np.abs(expected[0] - found[0]).max() < 1e-5
    # The weights alone, into a model that Keras made; it has as many, in the same order.
    keras_files.write(tmp_path / "written.weights.h5", network)
    other = keras.models.model_from_json(reopened.to_json())
    other.load_weights(tmp_path / "written.weights.h5")
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        assert np.array_equal(one, two)
