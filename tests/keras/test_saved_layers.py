"""Holdfast's Keras layers in configurations and saved files, and Keras's own files with Holdfast's layers."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

keras = pytest.importorskip("keras", reason="needs keras: pip install 'holdfast[keras]'")

from keras import ops  # noqa: E402  (keras may be missing)

import holdfast.keras  # noqa: E402
from holdfast.keras import layers  # noqa: E402

NAMES = ("LSTM", "GRU", "SimpleRNN", "Bidirectional", "RNN")
X = np.random.default_rng(0).normal(size=(3, 5, 2)).astype("float32")


def model(home: Any) -> Any:
    """Every layer of Holdfast, with options that a file must keep."""
    cell = keras.layers.LSTMCell(3, unit_forget_bias=False)
    inputs = keras.Input((None, 2))
    x = home.Bidirectional(home.LSTM(4, return_sequences=True, kernel_regularizer="l2", name="both"))(inputs)
    x = home.GRU(3, reset_after=False, dropout=0.2, recurrent_dropout=0.1, seed=2, return_sequences=True)(x)
    x = home.RNN([cell, keras.layers.GRUCell(3)], return_sequences=True)(x)
    return keras.Model(inputs, home.SimpleRNN(2, activation="relu", bias_initializer="ones")(x))


def same(one: Any, other: Any) -> None:
    np.testing.assert_array_equal(*(ops.convert_to_numpy(each(X)) for each in (one, other)))


def near(one: Any, other: Any) -> None:
    np.testing.assert_allclose(*(ops.convert_to_numpy(each(X)) for each in (one, other)), atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_constructor_and_call_take_the_arguments_of_keras(name: str) -> None:
    theirs, ours = getattr(keras.layers, name), getattr(holdfast.keras, name)
    assert issubclass(ours, theirs)
    assert inspect.signature(ours) == inspect.signature(theirs)
    assert inspect.signature(ours.call) == inspect.signature(theirs.call)


def test_a_configuration_makes_the_same_layers() -> None:
    first = model(holdfast.keras)
    second = keras.Model.from_config(first.get_config())
    assert [type(layer) for layer in second.layers] == [type(layer) for layer in first.layers]
    assert isinstance(second.layers[1].backward_layer, holdfast.keras.LSTM)
    second.set_weights(first.get_weights())
    same(first, second)


def test_a_configuration_is_that_of_keras() -> None:
    theirs, ours = keras.layers.GRU(3, dropout=0.1, name="memory"), holdfast.keras.GRU(3, dropout=0.1, name="memory")
    assert ours.get_config() == theirs.get_config()
    assert type(keras.layers.GRU.from_config(ours.get_config())) is keras.layers.GRU


def test_a_model_is_saved_and_loaded(tmp_path: Path) -> None:
    first = model(holdfast.keras)
    first.save(tmp_path / "model.keras")
    second = keras.saving.load_model(tmp_path / "model.keras")
    assert [type(layer) for layer in second.layers] == [type(layer) for layer in first.layers]
    same(first, second)


def test_another_program_loads_it_when_it_has_imported_the_layers(tmp_path: Path) -> None:
    model(holdfast.keras).save(tmp_path / "model.keras")
    program = (
        "import holdfast.keras, keras, sys; model = keras.saving.load_model(sys.argv[1]); "
        "print(*(f'{type(layer).__module__}.{type(layer).__name__}' for layer in model.layers[1:]))"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "model.keras")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    names = ("layers.Bidirectional", "layers.GRU", "recurrent.RNN", "layers.SimpleRNN")
    assert done.stdout.split() == [f"holdfast.keras.{name}" for name in names]


def test_the_layers_of_a_file_of_keras_are_replaced(tmp_path: Path) -> None:
    theirs = model(keras.layers)
    theirs.save(tmp_path / "model.keras")
    ours = holdfast.keras.replace_recurrent(keras.saving.load_model(tmp_path / "model.keras"))
    expected = [getattr(holdfast.keras, name) for name in ("Bidirectional", "GRU", "RNN", "SimpleRNN")]
    assert [type(layer) for layer in ours.layers[1:]] == expected
    assert type(ours.layers[1].forward_layer) is type(ours.layers[1].backward_layer) is holdfast.keras.LSTM
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    near(theirs, ours)


def test_layers_within_models_are_replaced_and_others_stay() -> None:
    class Mine(keras.layers.GRU):
        pass

    inner = keras.Sequential([keras.Input((None, 2)), keras.layers.GRU(3, return_sequences=True)])
    theirs = keras.Sequential([keras.Input((5, 2)), inner, Mine(4), keras.layers.Dense(1)])
    ours = holdfast.keras.replace_recurrent(theirs)
    assert [type(layer) for layer in ours.layers] == [keras.Sequential, Mine, keras.layers.Dense]
    assert type(ours.layers[0].layers[0]) is holdfast.keras.GRU
    near(theirs, ours)


def test_files_of_weights_go_both_ways(tmp_path: Path) -> None:
    theirs, ours, again = model(keras.layers), model(holdfast.keras), model(keras.layers)
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    ours.load_weights(tmp_path / "theirs.weights.h5")
    near(theirs, ours)
    ours.save_weights(tmp_path / "ours.weights.h5")
    again.load_weights(tmp_path / "ours.weights.h5")
    same(theirs, again)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="torch.export is torch's")
def test_a_model_is_exported_by_torch_with_the_loop_of_keras() -> None:
    inputs = keras.Input((5, 2))
    hidden = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(inputs)
    ours, x = keras.Model(inputs, layers.GRU(3)(hidden)), torch.from_numpy(X)
    exported = torch.export.export(ours, (x,), strict=False).module()
    np.testing.assert_allclose(exported(x).detach(), ours(x).detach(), atol=1e-6)


def test_the_other_layers_are_keras_own() -> None:
    assert layers.Dense is keras.layers.Dense
    assert layers.LSTM is holdfast.keras.LSTM
    with pytest.raises(AttributeError, match="Dence"):
        layers.Dence  # noqa: B018  (asking for it is the test)


def test_without_keras_the_error_says_what_to_install() -> None:
    program = "import sys; sys.modules['keras'] = None; import holdfast.keras"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == (
        "holdfast.errors.MissingLibraryError: holdfast.keras needs the library keras, which cannot be imported: "
        "pip install 'holdfast[keras]' and a backend."
    )
