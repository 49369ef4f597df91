"""Holdfast's Keras layers beside Keras's own: the same weights give the same outputs, states and gradients.

They run on the backend that KERAS_BACKEND names. Gradients are compared by what two steps of training leave: a
projection before the layer learns from the gradient of its inputs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="needs keras: pip install 'holdfast[keras]'")

from tests.keras.layer_pairs import KNOWN, MASKS, TOLERANCE, B, H, I, T, compare, numbers, pair, trained  # noqa: E402

import holdfast.keras  # noqa: E402

ANY = [{}, {"use_bias": False}, {"activation": "relu"}, {"activation": None}, {"dropout": 0.5, "seed": 3}]
GATED = [
    {"recurrent_activation": "hard_sigmoid"},
    {"activation": keras.ops.tanh, "recurrent_activation": keras.activations.sigmoid},
    {"implementation": 1},
    {"unroll": True},
    {"recurrent_dropout": 0.4, "seed": 3},
    {"dropout": 0.3, "recurrent_dropout": 0.4, "seed": 3},
]
CASES = [
    *(("LSTM", options) for options in [*ANY, *GATED, {"unit_forget_bias": False}]),
    *(
        ("GRU", options)
        for options in [
            *ANY,
            *GATED,
            {"reset_after": False},
            {"reset_after": False, "use_bias": False},
            {"reset_after": False, "recurrent_dropout": 0.4, "seed": 3},
        ]
    ),
    *(("SimpleRNN", options) for options in [*ANY, {"unroll": True}, {"recurrent_dropout": 0.5, "seed": 3}]),
]


def cannot_unroll(options: dict[str, Any], backwards: bool, zero: bool, mask: str | None) -> bool:
    """Whether Keras itself goes wrong where it unrolls a layer with a mask.

    Backwards, torch flips a list. Asked for zeros at masked steps, JAX keeps the outputs, and TensorFlow backwards has
    the mask run forwards.
    """
    wrong = {"torch": backwards, "jax": zero, "tensorflow": backwards and zero}
    return bool(options.get("unroll") and mask and wrong[keras.backend.backend()])


@pytest.mark.parametrize("mask", [None, *MASKS])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_outputs_and_states_are_those_of_keras(name: str, options: dict[str, Any], mask: str | None) -> None:
    x, start = numbers(B, T, I), [numbers(B, H, seed=k) for k in (6, 7)]
    for sequences, backwards, zero in [(1, 0, 0), (1, 1, 1), (0, 0, 1), (0, 1, 0)]:
        more = {
            "return_sequences": bool(sequences),
            "go_backwards": bool(backwards),
            "zero_output_for_mask": bool(zero),
        }
        if cannot_unroll(options, bool(backwards), bool(zero), mask):
            continue
        theirs, ours = pair(name, **options, **more, return_state=True)
        training = "seed" in options
        assert ours.why_not(training) is None
        for state in (None, start[: len(ours.state_size)]):
            arguments = {"initial_state": state, "mask": None if mask is None else MASKS[mask], "training": training}
            compare(theirs(x, **arguments), ours(x, **arguments))


@pytest.mark.parametrize(
    ("name", "options", "backwards", "mask"),
    [
        *((*case, False, None) for case in CASES),
        *(
            (name, {}, backwards, mask)
            for name in ("LSTM", "GRU", "SimpleRNN")
            for backwards in (False, True)
            for mask in MASKS
        ),
    ],
)
def test_training_changes_the_weights_as_keras_does(
    name: str, options: dict[str, Any], backwards: bool, mask: str | None
) -> None:
    theirs, ours = pair(name, **options, go_backwards=backwards, return_sequences=True, return_state=True)
    before = ours.get_weights()
    of_keras, of_holdfast = (trained(layer, None if mask is None else MASKS[mask]) for layer in (theirs, ours))
    compare(of_keras, of_holdfast)
    assert all(np.abs(old - new).max() > 20 * TOLERANCE for old, new in zip(before, ours.get_weights(), strict=True))


@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_inputs_wider_than_the_layer_with_a_mask_for_each_gate(name: str) -> None:
    options = {"dropout": 0.3, "recurrent_dropout": 0.4, "seed": 3, "return_sequences": True, "return_state": True}
    x = numbers(B, T, 5 * H)
    theirs, ours = pair(name, x.shape, **options)
    assert ours.why_not(training=True) is None
    compare(theirs(x, training=True), ours(x, training=True))
    compare(*(trained(layer, size=5 * H) for layer in (theirs, ours)))


@pytest.mark.parametrize("name", KNOWN.split(", "))
def test_every_activation_that_the_kernels_have_is_that_of_keras(name: str) -> None:
    kernel = keras.initializers.RandomNormal(stddev=0.05, seed=3)  # what grows without bound stays small
    for layer, option in [("LSTM", "activation"), ("GRU", "recurrent_activation")]:
        options = {option: name, "kernel_initializer": kernel, "recurrent_initializer": kernel}
        theirs, ours = pair(layer, **options, return_sequences=True)
        assert ours.why_not() is None
        compare(theirs(numbers(B, T, I)), ours(numbers(B, T, I)))


@pytest.mark.parametrize("mode", ["concat", "sum", "ave", "mul", None])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("name", ["LSTM", "GRU", "SimpleRNN"])
def test_bidirectional(name: str, sequences: bool, mode: str | None) -> None:
    x = numbers(B, T, I)
    layers = []
    for home in (keras.layers, holdfast.keras):
        layer = home.Bidirectional(
            getattr(home, name)(H, return_sequences=sequences, return_state=True), merge_mode=mode
        )
        layer.build(x.shape)
        layers.append(layer)
    theirs, ours = layers
    assert isinstance(ours.backward_layer, getattr(holdfast.keras, name))
    ours.set_weights(theirs.get_weights())
    for mask in (None, *MASKS.values()):
        compare(theirs(x, mask=mask), ours(x, mask=mask))


def test_stateful_layers_keep_their_state_and_learn() -> None:
    x = numbers(B, T, I)
    theirs, ours = pair("LSTM", stateful=True, return_sequences=True)
    for _ in range(3):
        compare(theirs(x), ours(x))
    ours.reset_state(), theirs.reset_state()
    compare(theirs(x), ours(x))


@pytest.mark.parametrize(("name", "cell"), [("LSTM", "LSTMCell"), ("GRU", "GRUCell")])
def test_stateful_layers_learn(name: str, cell: str) -> None:
    x = numbers(B, T, I)
    ours = getattr(holdfast.keras, name)(H, stateful=True)
    theirs = keras.layers.RNN(getattr(keras.layers, cell)(H), stateful=True)  # Keras's own layers fail here on torch
    models = [keras.Sequential([keras.Input(batch_shape=x.shape), layer]) for layer in (theirs, ours)]
    ours.set_weights(theirs.get_weights())
    for model in models:
        model.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=False)
        for seed in range(3):
            model.train_on_batch(x, numbers(B, H, seed=seed))
    compare(models[0].get_weights(), models[1].get_weights())
