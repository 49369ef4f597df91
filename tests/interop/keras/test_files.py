"""Files of Keras 1, 2 and 3, written by hand as they are documented; what comes of them is computed in another way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("h5py", reason="needs h5py: pip install 'holdfast[h5]'")

from tests.interop.keras.by_hand import archive, drawn, entry, legacy, line, lstm_weights, named, sequential, weights3

from holdfast.errors import ConversionError
from holdfast.interop.keras import files as keras_files

X = drawn((2, 5, 3), seed=9)[0]


def hard(x: np.ndarray) -> np.ndarray:
    """The hard sigmoid of Keras 1 and 2."""
    return np.clip(0.2 * x + 0.5, 0, 1)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def lstm(x: np.ndarray, W: np.ndarray, U: np.ndarray, b: np.ndarray, gate: Any = sigmoid) -> np.ndarray:
    """All outputs of an LSTM, from kernels of the gates i, f, c, o."""
    units, outputs = U.shape[0], []
    h = c = np.zeros((len(x), units))
    for step in range(x.shape[1]):
        i, f, g, o = np.split(x[:, step] @ W + h @ U + b, 4, axis=1)
        c = gate(f) * c + gate(i) * np.tanh(g)
        h = gate(o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, 1)


def gru(x: np.ndarray, W: np.ndarray, U: np.ndarray, b: np.ndarray, gate: Any = sigmoid) -> np.ndarray:
    """All outputs of a GRU with the reset gate before the product, from kernels of the gates z, r, h."""
    H, outputs = U.shape[0], []
    h = np.zeros((len(x), H))
    for step in range(x.shape[1]):
        a = x[:, step] @ W + b
        z, r = gate(a[:, :H] + h @ U[:, :H]), gate(a[:, H : 2 * H] + h @ U[:, H : 2 * H])
        h = z * h + (1 - z) * np.tanh(a[:, 2 * H :] + (r * h) @ U[:, 2 * H :])
        outputs.append(h)
    return np.stack(outputs, 1)


def run(path: Path, *inputs: np.ndarray, **options: Any) -> np.ndarray:
    with torch.inference_mode():
        found: np.ndarray = keras_files.read(path, **options)(*(torch.from_numpy(x) for x in inputs)).numpy()
    return found


def close(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-5


def by_gate(prefix: str, gates: str, W: np.ndarray, U: np.ndarray, b: np.ndarray, order: str) -> list[Any]:
    """The arrays of Keras 1: W, U and b of each gate, in its order, from kernels whose gates are ``gates``."""
    parts = {gate: [np.split(a, len(gates), -1)[n] for a in (W, U, b)] for n, gate in enumerate(gates)}
    return [(f"{prefix}_{'WUb'[k]}_{gate}", parts[gate][k]) for gate in order for k in range(3)]


def test_keras_1(tmp_path: Path) -> None:
    """An LSTM and a GRU with an array a gate, hard sigmoids, and a Dense; options are called otherwise than later."""
    W, U, b = lstm_weights()
    V, R, d = drawn((4, 15), (5, 15), (15,), seed=1)
    K, k = drawn((5, 2), (2,), seed=2)
    shared = {"inner_activation": "hard_sigmoid", "activation": "tanh", "inner_init": "orthogonal", "dropout_W": 0.0}
    config = {
        "class_name": "Sequential",
        "config": [
            entry("LSTM", "lstm_1", output_dim=4, return_sequences=True, consume_less="cpu", input_dim=3, **shared),
            entry("Dropout", "dropout_1", p=0.5),
            entry("GRU", "gru_1", output_dim=5, return_sequences=True, U_regularizer=None, **shared),
            entry(
                "TimeDistributed", "td", layer=entry("Dense", "dense_1", output_dim=2, bias=True, activation="linear")
            ),
        ],
        "keras_version": "1.2.2",
    }
    weights = {
        "lstm_1": by_gate("lstm_1", "ifco", W, U, b, "icfo"),
        "dropout_1": [],
        "gru_1": by_gate("gru_1", "zrh", V, R, d, "zrh"),
        "td": [("dense_1_W", K), ("dense_1_b", k)],
    }
    expected = gru(lstm(X, W, U, b, hard), V, R, d, hard) @ K + k
    close(run(legacy(tmp_path / "one.h5", config, weights, "1.2.2"), X), expected)


def test_keras_2_functional_weights_apart_from_the_configuration(tmp_path: Path) -> None:
    W, U, b = lstm_weights()
    config = {
        "class_name": "Model",
        "config": {
            "name": "model_1",
            "layers": [  # not in the order in which they run
                {**entry("LSTM", "rnn", units=4, recurrent_activation="hard_sigmoid"), "name": "rnn"},
                {**entry("InputLayer", "x", batch_input_shape=[None, None, 3]), "name": "x", "inbound_nodes": []},
            ],
            "input_layers": [["x", 0, 0]],
            "output_layers": [["rnn", 0, 0]],
        },
        "keras_version": "2.3.1",
        "backend": "theano",
    }
    config["config"]["layers"][0]["inbound_nodes"] = [[["x", 0, 0, {}]]]  # type: ignore[index]
    weights = {"x": [], "rnn": named("rnn", [W, U, b])}
    expected = lstm(X, W, U, b, hard)[:, -1]
    close(run(legacy(tmp_path / "all.h5", config, weights), X), expected)
    apart = legacy(tmp_path / "apart.h5", None, weights, "")
    (tmp_path / "apart.json").write_text(json.dumps(config))
    close(run(apart, X), expected)
    (tmp_path / "apart.json").rename(tmp_path / "other.json")
    close(run(apart, X, architecture=tmp_path / "other.json"), expected)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_weights_of_cudnn(kind: str, tmp_path: Path) -> None:
    """CuDNNLSTM and CuDNNGRU hold what torch.nn holds, each gate [H, I] poured into a block of [I, H]."""
    torch.manual_seed(0)
    H, order = 4, {"LSTM": (0, 1, 2, 3), "GRU": (1, 0, 2)}[kind]
    layer = getattr(nn, kind)(3, H, batch_first=True)
    ih, hh, bih, bhh = (parameter.detach().numpy() for parameter in layer.parameters())
    kernel, recurrent = (
        np.concatenate([array[n * H : (n + 1) * H].reshape(-1, H) for n in order], 1) for array in (ih, hh)
    )
    bias = np.concatenate([array[n * H : (n + 1) * H] for array in (bih, bhh) for n in order])
    weights = {"rnn": named("rnn", [kernel, recurrent, bias])}
    expected = layer(torch.from_numpy(X))[0].detach().numpy()
    own = sequential(entry(f"CuDNN{kind}", "rnn", units=H, return_sequences=True))
    network = keras_files.read(legacy(tmp_path / "own.h5", own, weights))
    found = network.module("rnn").layer.state_dict()
    assert all(torch.equal(found[name], parameter) for name, parameter in layer.state_dict().items())
    close(run(tmp_path / "own.h5", X), expected)
    # Keras also loads them into the plain layers.
    plain = sequential(entry(kind, "rnn", units=H, return_sequences=True, recurrent_activation="sigmoid"))
    close(run(legacy(tmp_path / "plain.h5", plain, weights), X), expected)


def test_the_hard_sigmoid_is_that_of_the_version(tmp_path: Path) -> None:
    W, U, b = lstm_weights()
    config = sequential(entry("LSTM", "lstm", units=4, recurrent_activation="hard_sigmoid"))
    third = run(archive(tmp_path / "a.keras", config, {"lstm/cell": [W, U, b]}), X)
    second = run(archive(tmp_path / "b.keras", config, {"lstm/cell": [W, U, b]}, version="2.15.0"), X)
    close(third, lstm(X, W, U, b, lambda x: np.clip(x / 6 + 0.5, 0, 1))[:, -1])
    close(second, lstm(X, W, U, b, hard)[:, -1])


def test_masked_steps_of_both_directions_by_version(tmp_path: Path) -> None:
    """Bidirectional repeats an output at masked steps up to Keras 2.3, and gives zeros since it is TensorFlow's."""
    x = X.copy()
    x[0, 1] = x[1, 3:] = 0
    inner = entry("LSTM", "lstm", units=4, return_sequences=True, recurrent_activation="sigmoid")
    config = sequential(entry("Masking", "masking", mask_value=0.0), entry("Bidirectional", "both", layer=inner))
    weights = {"both": [*named("f", lstm_weights()), *named("b", lstm_weights(seed=5))]}
    old = run(legacy(tmp_path / "old.h5", config, weights, "2.2.4"), x)
    new = run(legacy(tmp_path / "new.h5", config, weights, "2.2.4-tf"), x)
    counts = (x != 0).any(-1)
    assert np.array_equal(old[counts], new[counts])
    assert not new[~counts].any()
    assert np.array_equal(old[0, 1, :4], old[0, 0, :4])  # forwards, the step before; backwards, the step after
    assert np.array_equal(old[0, 1, 4:], old[0, 2, 4:])
    assert not old[1, 3:, 4:].any()
    one_way = np.stack([lstm(x[:1, [0, 2, 3, 4]], *lstm_weights())[0]])
    close(new[:1, [0, 2, 3, 4], :4], one_way)


def test_half_precision_becomes_single(tmp_path: Path) -> None:
    W, U, b = (array.astype("float16") for array in lstm_weights())
    path = archive(tmp_path / "m.keras", sequential(entry("LSTM", "lstm", units=4)), {"lstm/cell": [W, U, b]})
    close(run(path, X), lstm(X, *(array.astype("float32") for array in (W, U, b)))[:, -1])


def test_double_precision_stays(tmp_path: Path) -> None:
    weights = [array.astype("float64") for array in lstm_weights()]
    path = archive(tmp_path / "m.keras", sequential(entry("LSTM", "lstm", units=4)), {"lstm/cell": weights})
    found = run(path, X.astype("float64"))
    assert np.abs(found - lstm(X.astype("float64"), *weights)[:, -1]).max() < 1e-13


def test_weights_alone_say_a_chain_of_recurrent_layers(tmp_path: Path) -> None:
    one, two = lstm_weights(3, 4), drawn((4, 15), (5, 15), (15,), seed=1)
    expected = gru(lstm(X, *one), *two)[:, -1]
    weights3(tmp_path / "m.weights.h5", {"gru/cell": two, "lstm/cell": one, "dropout": []})
    close(run(tmp_path / "m.weights.h5", X), expected)
    weights = {"dropout_1": [], "lstm_7": named("lstm_7", one), "gru_1": named("gru_1", two)}
    hard_gates = gru(lstm(X, *one, hard), *two, hard)[:, -1]  # the default of Keras 2
    close(run(legacy(tmp_path / "m.h5", None, weights), X), hard_gates)


def test_weights_alone_say_both_directions(tmp_path: Path) -> None:
    weights3(
        tmp_path / "m.weights.h5",
        {
            "bidirectional/forward_layer/cell": lstm_weights(),
            "bidirectional/backward_layer/cell": lstm_weights(seed=4),
        },
    )
    forwards, backwards = lstm(X, *lstm_weights()), lstm(X[:, ::-1], *lstm_weights(seed=4))
    close(run(tmp_path / "m.weights.h5", X), np.concatenate([forwards[:, -1], backwards[:, -1]], 1))


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        (
            {"lstm/cell": lstm_weights(), "dense": drawn((4, 2), (2,))},
            "layer 'dense' (4x2, 2) is not a recurrent layer with biases",
        ),
        (
            {"lstm/cell": lstm_weights(4, 4), "gru/cell": drawn((4, 12), (4, 12), (2, 12))},
            "more than one order of its layers is possible",
        ),
        ({"lstm/cell": lstm_weights(3, 4), "lstm_1/cell": lstm_weights(3, 4)}, "its layers fit in no order"),
        (
            {"lstm/cell": lstm_weights(), "flatten": []},
            "layer 'flatten' (no weights) is not a recurrent layer with biases",
        ),
        ({"gru/cell": drawn((3, 12), (4, 12))}, "layer 'gru' (3x12, 4x12) is not a recurrent layer with biases"),
        ({}, "it has no layers with weights"),
    ],
)
def test_weights_alone_that_leave_open_what_they_are_of(weights: Any, reason: str, tmp_path: Path) -> None:
    weights3(tmp_path / "m.weights.h5", {**weights, "input_layer": []})
    with pytest.raises(ConversionError) as caught:
        keras_files.read(tmp_path / "m.weights.h5")
    assert line(str(caught.value)) == (
        f"m.weights.h5 has weights and no configuration, and they do not determine the model: {reason}. Write "
        "`model.to_json()` of that model to m.json in the same folder. Its recurrent layers alone can be read: "
        "formats.read_layers(path), or --set layers='*'."
    )
