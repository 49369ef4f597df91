"""Files of Keras that are refused: layers without a counterpart, weights that do not fit, missing files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

h5py = pytest.importorskip("h5py", reason="needs h5py: pip install 'holdfast[h5]'")

from tests.interop.keras.by_hand import archive, entry, line, lstm_weights, sequential  # noqa: E402

from holdfast.errors import ConversionError, MissingLibraryError, ModelFileError  # noqa: E402  (after the skip)
from holdfast.interop.keras import files as keras_files  # noqa: E402

REFUSED = {
    "another layer": (
        entry("ConvLSTM1D", "conv", filters=3),
        "Layer 'conv' (ConvLSTM1D) has no counterpart here; known are",
    ),
    "bilinear upsampling": (
        entry("UpSampling2D", "up", interpolation="bilinear"),
        "Layer 'up' (UpSampling2D) has interpolation='bilinear', which Holdfast does not have; expected nearest.",
    ),
    "a padding": (
        entry("MaxPooling1D", "pool", padding="causal"),
        "Layer 'pool' (MaxPooling1D) has padding='causal', which Holdfast does not have; expected one of valid, same.",
    ),
    "batch renormalisation": (
        entry("BatchNormalization", "norm", renorm=True),
        "Layer 'norm' (BatchNormalization) has renorm=True, which Holdfast does not have; expected no such option.",
    ),
    "several axes of a batch normalisation": (
        entry("BatchNormalization", "norm", axis=[1, 2]),
        "Layer 'norm' (BatchNormalization) has axis=[1, 2], which Holdfast does not have; expected one dimension.",
    ),
    "dilated transposed convolution": (
        entry("Conv1DTranspose", "up", filters=2, kernel_size=[2], dilation_rate=[2]),
        "Layer 'up' (Conv1DTranspose) has dilation_rate=[2], which Holdfast does not have; expected 1.",
    ),
    "attention along other axes": (
        entry("MultiHeadAttention", "heads", num_heads=2, key_dim=3, attention_axes=[1, 2]),
        "Layer 'heads' (MultiHeadAttention) has attention_axes=[1, 2], which Holdfast does not have; expected the "
        "steps, ",
    ),
    "gated attention": (
        entry("MultiHeadAttention", "heads", num_heads=2, key_dim=3, use_gate=True),
        "Layer 'heads' (MultiHeadAttention) has use_gate=True, which Holdfast does not have; expected no such option.",
    ),
    "attention of one input": (
        entry("Attention", "attention"),
        "Layer 'attention' (Attention) is called with 1 inputs; expected query, value, and a key.",
    ),
    "Lambda": (
        entry("Lambda", "twice", function=["4wEAAAAAAAAA", None, None], function_type="lambda"),
        "Layer 'twice' (Lambda) holds Python code, which is never run: replace it by a layer that does the same.",
    ),
    "an activation of somebody's own": (
        entry("LSTM", "lstm", units=4, activation="my_activation"),
        "Layer 'lstm' (LSTM) has activation='my_activation', which Holdfast does not have; expected one of",
    ),
    "an unknown option": (
        entry("LSTM", "lstm", units=4, peepholes=True),
        "Layer 'lstm' (LSTM) has peepholes=True, which Holdfast does not have; expected no such option.",
    ),
    "time first": (
        entry("LSTM", "lstm", units=4, time_major=True),
        "Layer 'lstm' (LSTM) has time_major=True, which Holdfast does not have; expected batches first.",
    ),
    "stacked cells": (
        entry("RNN", "rnn", cell=entry("StackedRNNCells", "cells", cells=[])),
        "Layer 'rnn' (RNN) runs the cell 'StackedRNNCells'; expected LSTMCell, GRUCell or SimpleRNNCell.",
    ),
    "TimeDistributed of another layer": (
        entry("TimeDistributed", "each", layer=entry("ConvLSTM2D", "conv")),
        "Layer 'each' (ConvLSTM2D) has no counterpart here; known are",
    ),
    "Bidirectional of another layer": (
        entry("Bidirectional", "both", layer=entry("ConvLSTM1D", "conv")),
        "Layer 'both' (Bidirectional) wraps a ConvLSTM1D; expected one of LSTM, GRU, SimpleRNN, CuDNNLSTM, "
        "CuDNNGRU, RNN.",
    ),
    "a merge mode": (
        entry("Bidirectional", "both", layer=entry("LSTM", "lstm", units=4), merge_mode="max"),
        "Layer 'both' (Bidirectional) has merge_mode='max', which Holdfast does not have; expected one of concat, "
        "sum, ave, mul, "
        "or null.",
    ),
    "quantised weights": (
        entry("Dense", "dense", units=2, dtype={"class_name": "QuantizedDTypePolicy", "config": {}}),
        "Layer 'dense' (Dense) has dtype='QuantizedDTypePolicy', which Holdfast does not have; expected a "
        "floating-point type.",
    ),
    "a model within": (
        {"class_name": "Sequential", "config": {"name": "inner", "layers": []}},
        "m.keras is damaged: the model has no layers. Take another copy of it.",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_counterpart_is_named(name: str, tmp_path: Path) -> None:
    layer, message = REFUSED[name]
    path = archive(tmp_path / "m.keras", sequential(layer), {"lstm/cell": lstm_weights()})
    with pytest.raises((ConversionError, ModelFileError)) as caught:
        keras_files.read(path)
    assert line(str(caught.value)).startswith(message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"units": 5},
            "layer 'lstm' (LSTM) has (3, 16) as input weights; expected (3, 20) for the LSTM of 3 inputs and "
            "5 units in its "
            "settings (Keras layout). Its weights and its settings are not from the same model.",
        ),
        (
            {"units": 4, "use_bias": False},
            "layer 'lstm' (LSTM) has 3 arrays (3x16, 4x16, 16); expected kernel and recurrent kernel. Its "
            "weights and its "
            "settings are not from the same model.",
        ),
    ],
)
def test_weights_that_are_not_those_of_the_settings(options: Any, message: str, tmp_path: Path) -> None:
    path = archive(tmp_path / "m.keras", sequential(entry("LSTM", "lstm", **options)), {"lstm/cell": lstm_weights()})
    with pytest.raises(ConversionError) as caught:
        keras_files.read(path)
    assert str(caught.value).lower() == message.lower()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for name in ("m.keras", "m.h5"):
        with pytest.raises(ModelFileError) as caught:
            keras_files.read(tmp_path / name)
        assert line(str(caught.value)) == f"{name} is not there. Check the path."


def test_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "m.keras", sequential(entry("LSTM", "lstm", units=4)), {"lstm/cell": lstm_weights()})
    network = keras_files.read(path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingLibraryError) as caught:
        keras_files.read(path)
    assert line(str(caught.value)) == (
        "m.keras is an HDF5 file, and the library h5py is not installed: pip install 'holdfast[h5]'."
    )
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingLibraryError) as caught:
        keras_files.write(tmp_path / "other.keras", network)
    assert str(caught.value) == (
        "Writing files of Keras needs the library h5py, which is not installed: pip install 'holdfast[h5]'."
    )
