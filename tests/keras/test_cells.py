"""Cells of Keras, Holdfast's and your own, run by Holdfast's RNN layer."""

from __future__ import annotations

from typing import Any

import pytest

keras = pytest.importorskip("keras", reason="needs keras: pip install 'holdfast[keras]'")

from keras import ops  # noqa: E402  (keras may be missing)
from tests.keras.layer_pairs import MASKS, B, H, I, T, cells, compare, numbers  # noqa: E402

import holdfast.keras  # noqa: E402


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
