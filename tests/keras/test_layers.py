"""Holdfast's Keras layers beside Keras's own: the same weights give the same outputs, states and gradients.

They run on the backend that KERAS_BACKEND names. Gradients are compared by what two steps of training leave: a
projection before the layer learns from the gradient of its inputs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="needs keras: pip install 'holdfast[keras]'")

from keras import ops  # noqa: E402  (keras may be missing)

import holdfast.keras  # noqa: E402
from holdfast.errors import ShapeError  # noqa: E402

B, T, I, H = 5, 6, 4, 7  # noqa: E741
TOLERANCE = 2e-5  # float32, sums of T * H products in another order
STEPS = np.array([6, 3, 1, 0, 4])
KNOWN = "tanh, sigmoid, relu, linear, hard_sigmoid, softsign, softplus, elu, selu, exponential, relu6, leaky_relu"
MASKS = {
    "right": np.arange(T) < STEPS[:, None],
    "left": np.arange(T)[::-1] < STEPS[:, None],
    "holes": np.random.default_rng(3).random((B, T)) > 0.4,
}
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


def numbers(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@keras.saving.register_keras_serializable(package="tests")
def squared(x: Any) -> Any:
    return x * x


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


def cannot_unroll(options: dict[str, Any], backwards: bool, zero: bool, mask: str | None) -> bool:
    """Whether Keras itself goes wrong where it unrolls a layer with a mask.

    Backwards, torch flips a list. Asked for zeros at masked steps, JAX keeps the outputs, and TensorFlow backwards has
    the mask run forwards.
    """
    wrong = {"torch": backwards, "jax": zero, "tensorflow": backwards and zero}
    return bool(options.get("unroll") and mask and wrong[keras.backend.backend()])


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


def cells(*names: str) -> list[Any]:
    kernel = keras.initializers.RandomNormal(seed=2)
    return [
        getattr(keras.layers, name)(H, kernel_initializer=kernel, dropout=0.3, recurrent_dropout=0.2, seed=7)
        for name in names
    ]


@pytest.mark.parametrize("mask", [None, *MASKS])
@pytest.mark.parametrize("names", [("LSTMCell",), ("GRUCell", "LSTMCell"), ("SimpleRNNCell", "GRUCell", "GRUCell")])
def test_rnn_runs_cells_of_keras_alone_and_stacked(names: tuple[str, ...], mask: str | None) -> None:
    x, mask = numbers(B, T, I), None if mask is None else MASKS[mask]
    for options in ({}, {"return_sequences": True, "return_state": True}, {"go_backwards": True}):
        theirs, ours = (
            home.RNN(cells(*names) if len(names) > 1 else cells(*names)[0], **options)
            for home in (keras.layers, holdfast.keras)
        )
        theirs.build(x.shape), ours.build(x.shape)
        ours.set_weights(theirs.get_weights())
        assert ours.why_not(training=True) is None
        for training in (False, True):
            compare(theirs(x, mask=mask, training=training), ours(x, mask=mask, training=training))


def test_a_cell_of_ones_own_is_run_by_keras() -> None:
    class Sum(keras.layers.Layer):
        state_size = output_size = I

        def call(self, inputs: Any, states: Any) -> Any:
            return states[0] + inputs, [states[0] + inputs]

    layer = holdfast.keras.RNN(Sum(), return_sequences=True)
    x = numbers(B, T, I)
    compare(ops.cumsum(x, axis=1), layer(x))
    assert layer.why_not() == (
        "Sum is not one of the cells of Keras that Holdfast knows: LSTMCell, GRUCell, SimpleRNNCell."
    )


def test_a_subclass_of_a_cell_is_a_cell_of_its_own() -> None:
    class Doubled(keras.layers.SimpleRNNCell):
        def call(self, *arguments: Any, **options: Any) -> Any:
            output, state = super().call(*arguments, **options)
            return 2 * output, state

    layer = holdfast.keras.RNN(Doubled(H), return_state=True)
    output, state = layer(numbers(B, T, I))
    compare(2 * state, output)
    assert "Doubled is not one of the cells of Keras that Holdfast knows" in str(layer.why_not())


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
            "LSTM state c0 has shape (5, 8); expected (5, 7).",
        ),
        (
            {"initial_state": [np.zeros((1, H), "float32"), np.zeros((B, H), "float32")]},
            "LSTM state h0 has shape (1, 7); expected (5, 7).",
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
