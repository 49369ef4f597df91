"""Options, dtypes and wrong arguments of Holdfast's Keras layers, compared with Keras's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="needs keras: pip install 'holdfast[keras]'")

from keras import ops  # noqa: E402  (keras may be missing)
from tests.keras.layer_pairs import KNOWN, MASKS, B, H, I, T, cells, compare, numbers, pair  # noqa: E402

import holdfast.keras  # noqa: E402
from holdfast.errors import ShapeError  # noqa: E402


@keras.saving.register_keras_serializable(package="tests")
def squared(x: Any) -> Any:
    return x * x


def test_regularisers_and_constraints_are_those_of_keras() -> None:
    options = {"kernel_regularizer": "l2", "recurrent_regularizer": "l1", "activity_regularizer": "l2"}
    theirs, ours = pair("LSTM", **options, kernel_constraint="max_norm", bias_regularizer="l2")
    models = [keras.Sequential([keras.Input((T, I)), layer]) for layer in (theirs, ours)]
    for model in models:
        model.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=False)
        for _ in range(3):
            model.train_on_batch(numbers(B, T, I), numbers(B, H, seed=1))
    compare(models[0].get_weights(), models[1].get_weights())
    assert len(ours.losses) == len(theirs.losses) == 4


def test_an_embedding_with_a_mask_goes_before_it() -> None:
    words = np.array([[3, 1, 2, 0, 0], [1, 0, 0, 0, 0], [0, 2, 0, 1, 0], [0, 0, 0, 0, 0]])
    found = []
    for home in (keras.layers, holdfast.keras):
        keras.utils.set_random_seed(4)
        layers = [keras.layers.Embedding(4, I, mask_zero=True), home.Bidirectional(home.LSTM(H, return_sequences=True))]
        found.append(keras.Sequential([*layers, home.GRU(H)])(words))
    compare(*found)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "SimpleRNN"])
def test_a_mask_may_have_a_last_dimension(name: str) -> None:
    theirs, ours = pair(name, return_sequences=True)
    mask = ops.convert_to_tensor(MASKS["holes"][:, :, None])
    compare(theirs(numbers(B, T, I), mask=mask), ours(numbers(B, T, I), mask=mask))


def test_use_cudnn_is_left_to_keras() -> None:
    assert holdfast.keras.GRU(H, use_cudnn=True).why_not() == "use_cudnn=True requests cuDNN, which Keras calls."
    assert holdfast.keras.GRU(H, use_cudnn=False).why_not() is None


def test_integers_are_taken_as_numbers() -> None:
    theirs, ours = pair("SimpleRNN")
    x = np.arange(B * T * I).reshape(B, T, I) % 3
    compare(theirs(x), ours(x))


def test_float64_is_computed_in_float64() -> None:
    theirs, ours = pair("LSTM", dtype="float64", return_sequences=True)
    x = numbers(B, T, I).astype("float64")
    compare(theirs(x), ours(x), 1e-12)


def test_mixed_bfloat16_is_near_float32() -> None:
    x = numbers(B, T, I)
    theirs, ours = pair("LSTM", return_sequences=True)
    mixed = holdfast.keras.LSTM(H, return_sequences=True, dtype="mixed_bfloat16")
    mixed.build(x.shape)
    mixed.set_weights(theirs.get_weights())
    found = mixed(x)
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    compare(ours(x), ops.cast(found, "float32"), 2e-2)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (
            lambda: holdfast.keras.LSTM(H, activation=squared),
            f"activation is squared; the kernels have {KNOWN}.",
        ),
        (
            lambda: holdfast.keras.GRU(H, recurrent_activation="softmax"),
            f"recurrent_activation is softmax; the kernels have {KNOWN}.",
        ),
        (
            lambda: holdfast.keras.SimpleRNN(H, recurrent_dropout=1.0),
            "recurrent_dropout of SimpleRNNCell is 1; the kernels have probabilities below 1.",
        ),
    ],
)
def test_what_keras_runs_says_why_and_is_still_right(layer: Any, reason: str) -> None:
    ours = layer()
    assert ours.why_not() == reason
    assert str(ours.explain()) == f"{ours.name}: keras\n    not holdfast: {reason}"
    theirs = getattr(keras.layers, type(ours).__name__).from_config({**ours.get_config(), "seed": 1})
    ours = type(ours).from_config({**ours.get_config(), "seed": 1})
    x = numbers(B, T, I)
    theirs.build(x.shape), ours.build(x.shape)
    ours.set_weights(theirs.get_weights())
    for training in (False, True):
        compare(theirs(x, training=training), ours(x, training=training))


def test_explain_names_the_engine() -> None:
    layer = holdfast.keras.Bidirectional(holdfast.keras.LSTM(H, name="memory"))
    explanation = layer.explain()
    assert [choice.part for choice in explanation.choices] == ["forward_memory", "backward_memory"]
    assert explanation.engine == "native"
    stack = holdfast.keras.RNN(cells("GRUCell", "LSTMCell"), name="stack").explain(training=True)
    assert [choice.part for choice in stack.choices] == ["stack, cell 0", "stack, cell 1"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"initial_state": [np.zeros((B, H), "float32"), np.zeros((B, H + 1), "float32")]},
            "LSTM state c0 has shape (5, 8); expected (batch, hidden_size) = (5, 7).",
        ),
        (
            {"initial_state": [np.zeros((1, H), "float32"), np.zeros((B, H), "float32")]},
            "LSTM state h0 has shape (1, 7); expected (batch, hidden_size) = (5, 7).",
        ),
        (
            {"mask": np.ones((B, T - 1), bool)},
            "The mask of a Keras LSTM layer has shape (5, 5); expected (5, 6), as the steps of its inputs.",
        ),
    ],
)
@pytest.mark.skipif(keras.backend.backend() != "torch", reason="the others tell of it in errors of their own")
def test_what_does_not_fit_is_refused(arguments: dict[str, Any], message: str) -> None:
    _, ours = pair("LSTM")
    state = map(ops.convert_to_tensor, arguments.get("initial_state", [np.zeros((B, H), "float32")] * 2))
    mask = arguments.get("mask")
    with pytest.raises(ShapeError) as caught:
        ours.inner_loop(
            ops.convert_to_tensor(numbers(B, T, I)), list(state), None if mask is None else ops.convert_to_tensor(mask)
        )
    assert str(caught.value) == message
