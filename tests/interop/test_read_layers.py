"""The recurrent layers of a file alone, whatever stands beside them: each computes what it does where it comes from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.interop.keras.by_hand import archive, drawn, entry, legacy, lstm_weights, named, sequential, weights3
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

import holdfast
from holdfast.errors import ConversionError, ModelFileError
from holdfast.interop import formats
from holdfast.interop.keras import files as keras_files
from holdfast.interop.pytorch import files as pytorch_files


class Model(nn.Module):
    """Recurrent layers of every kind, and others beside and between them."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 6)
        self.lift = nn.Conv1d(6, 6, 3)
        self.encoder = nn.ModuleDict({"rnn": nn.LSTM(6, 5, 2, bidirectional=True), "norm": nn.LayerNorm(10)})
        self.cell = nn.GRUCell(6, 4)
        self.simple = nn.RNN(3, 4, nonlinearity="relu", bias=False)
        self.decoder = nn.GRU(6, 7)
        self.out = nn.Linear(7, 20)


def saved(tensors: Any, path: Path) -> Path:
    torch.save(tensors, path)
    return path


def same(theirs: nn.Module, ours: nn.Module, inputs: int) -> None:
    x = torch.randn(3, 5, inputs)
    with torch.no_grad():
        if isinstance(theirs, nn.GRUCell):
            h, steps = torch.zeros(3, theirs.hidden_size), []
            for step in x.unbind(1):
                h = theirs(step, h)
                steps.append(h)
            expected = torch.stack(steps, 1)
        else:
            expected = theirs(x.transpose(0, 1))[0].transpose(0, 1)
        torch.testing.assert_close(ours(x)[0], expected, rtol=0, atol=1e-6)


PLACES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "alone": lambda state: state,
    "of DataParallel": lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
    "of torch.compile": lambda state: {f"_orig_mod.{name}": tensor for name, tensor in state.items()},
    "in a checkpoint": lambda state: {"epoch": 3, "state_dict": state, "loss": [0.1], "args": {"lr": 0.1}},
    "beside numbers": lambda state: {**state, "epoch": 3},
}


@pytest.mark.parametrize("place", PLACES)
def test_layers_of_pytorch(place: str, tmp_path: Path) -> None:
    model = Model()
    path = saved(PLACES[place](model.state_dict()), tmp_path / "m.pt")
    layers = pytorch_files.read_layers(path, nonlinearity="relu")
    path.unlink()  # no layer holds a view of the file
    assert list(layers) == ["encoder.rnn", "cell", "simple", "decoder"]
    assert [type(layer) for layer in layers.values()] == [holdfast.LSTM, holdfast.GRU, holdfast.RNN, holdfast.GRU]
    for name, inputs in (("encoder.rnn", 6), ("cell", 6), ("simple", 3), ("decoder", 6)):
        same(model.get_submodule(name), layers[name], inputs)


def test_state_dicts_side_by_side(tmp_path: Path) -> None:
    encoder, decoder = nn.GRU(3, 4), nn.ModuleDict({"rnn": nn.LSTM(4, 5)})
    optimiser = torch.optim.Adam(encoder.parameters())
    encoder(torch.randn(2, 1, 3))[0].sum().backward()
    optimiser.step()
    parts = {"en": encoder.state_dict(), "de": decoder.state_dict(), "en_opt": optimiser.state_dict(), "iteration": 4}
    path = saved(parts, tmp_path / "m.tar")
    layers = pytorch_files.read_layers(path)
    assert list(layers) == ["en", "de.rnn"]
    same(encoder, layers["en"], 3)
    with pytest.raises(ModelFileError) as error:
        pytorch_files.read(path)
    assert str(error.value) == (
        f"{path} is a dict with 2 state dicts in it ('en', 'de'); expected one. Save the one you want alone. Its "
        "recurrent layers alone can be read: formats.read_layers(path), or --set layers='*'."
    )


def dropped(layer: nn.LSTM) -> nn.Module:
    """As weight dropout leaves it: the weights that it draws from, under another name."""
    raw = layer.weight_hh_l0
    del layer.weight_hh_l0
    layer.register_parameter("weight_hh_l0_raw", raw)
    return layer


REPARAMETRISED: dict[str, Callable[[], nn.Module]] = {
    "weight_norm": lambda: weight_norm(weight_norm(nn.LSTM(3, 4), "weight_hh_l0"), "weight_ih_l0"),
    "weight_norm of all rows": lambda: weight_norm(nn.LSTM(3, 4), "weight_hh_l0", dim=None),
    "parametrizations.weight_norm": lambda: parametrizations.weight_norm(nn.GRU(3, 4), "weight_hh_l0"),
    "spectral_norm": lambda: spectral_norm(nn.GRU(3, 4), "weight_hh_l0"),
    "pruning": lambda: prune.l1_unstructured(nn.LSTM(3, 4), "weight_hh_l0", 0.4),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("name", REPARAMETRISED)
def test_weights_in_other_forms(name: str, tmp_path: Path) -> None:
    layer = REPARAMETRISED[name]()
    model = nn.ModuleDict({"rnn": layer, "out": nn.Linear(4, 2)})
    layer(torch.randn(2, 1, 3))
    model.eval()
    path = saved(model.state_dict(), tmp_path / "m.pt")
    same(layer, pytorch_files.read_layers(path)["rnn"], 3)
    x = torch.randn(2, 5, 3)
    with torch.no_grad():  # the whole model is read, too
        expected = model["out"](layer(x.transpose(0, 1))[0].transpose(0, 1))
    torch.testing.assert_close(pytorch_files.read(path)(x), expected, rtol=0, atol=1e-6)


def test_parts_that_do_not_fit_are_no_weights(tmp_path: Path) -> None:
    scalar, matrix = torch.tensor(1.0), torch.ones(4, 3)
    for parts in (
        {"orig": scalar, "u": scalar, "v": scalar},
        {"orig": matrix, "mask": torch.ones(3, 4)},
        {"g": torch.ones(3, 1), "v": matrix},
        {"g": torch.ones(4, 1, dtype=torch.int64), "v": matrix},
    ):
        tensors = {f"rnn.weight_ih_l0_{end}": tensor for end, tensor in parts.items()}
        path = saved({**tensors, "rnn.weight_hh_l0": torch.ones(4, 1)}, tmp_path / "m.pt")
        with pytest.raises(ConversionError) as error:
            formats.read(path, layers="rnn")
        assert "beside the tensors of a recurrent layer" in str(error.value)


@pytest.mark.parametrize("wrapped", [False, True])
def test_weights_under_weight_dropout(wrapped: bool, tmp_path: Path) -> None:
    layer = nn.LSTM(3, 4)
    tensors = {f"0.module.{name}": tensor for name, tensor in layer.state_dict().items()}
    raw = tensors.pop("0.module.weight_hh_l0")
    tensors["0.weight_hh_l0_raw" if wrapped else "0.module.weight_hh_l0_raw"] = raw
    same(layer, pytorch_files.read_layers(saved(tensors, tmp_path / "m.pt"))["0.module"], 3)


def test_a_layer_that_cannot_be_read_leaves_the_others(tmp_path: Path) -> None:
    model = nn.ModuleDict({"a": parametrizations.orthogonal(nn.RNN(3, 4), "weight_hh_l0"), "b": nn.GRU(3, 4)})
    path = saved(model.state_dict(), tmp_path / "m.pt")
    assert list(pytorch_files.read_layers(path)) == ["b"]
    with pytest.raises(ConversionError) as error:
        formats.read(path, layers="a")
    assert str(error.value).startswith("The layer 'a' has 'weight_hh_l0.original' beside the tensors of a recurrent")
    assert "remove_parametrizations" in str(error.value)


def test_what_is_asked_for_and_is_not_there(tmp_path: Path) -> None:
    path = saved(Model().state_dict(), tmp_path / "m.pt")
    with pytest.raises(ConversionError) as error:
        formats.read(path, layers="decoder, encoder")
    assert str(error.value) == (
        f"{path} has no recurrent layer 'encoder': did you mean 'decoder'? Known: cell, decoder, encoder.rnn, simple."
    )
    other = saved(nn.ModuleDict({"out": nn.Linear(2, 3)}).state_dict(), tmp_path / "other.pt")
    with pytest.raises(ConversionError) as error:
        formats.read_layers(other)
    assert str(error.value) == f"{other} has no recurrent layer that can be read; it has out."


def test_converted_alone(tmp_path: Path) -> None:
    model = Model()
    path = saved(model.state_dict(), tmp_path / "m.pt")
    done = holdfast.convert(path, tmp_path / "two.safetensors", options={"layers": "encoder.rnn,decoder"})
    assert done.checks["source"] < 1e-6
    assert done.checks["dest"] == 0
    assert [line.name for line in done.layers.rows] == ["encoder.rnn", "decoder"]
    assert str(done).splitlines()[-4] == "Skipped: cell, simple, table, lift, encoder.norm, out."
    x, y = torch.randn(2, 5, 6), torch.randn(2, 7, 6)
    one, two = formats.read(tmp_path / "two.safetensors")(x, y)
    torch.testing.assert_close(one.transpose(0, 1), model.encoder["rnn"](x.transpose(0, 1))[0], rtol=0, atol=1e-6)
    torch.testing.assert_close(two.transpose(0, 1), model.decoder(y.transpose(0, 1))[0], rtol=0, atol=1e-6)
    holdfast.convert(path, tmp_path / "all.pt", options={"layers": "*", "nonlinearity": "relu"})
    again = torch.load(tmp_path / "all.pt", weights_only=True)
    model.encoder["rnn"].load_state_dict(
        {name.removeprefix("encoder.rnn."): tensor for name, tensor in again.items() if name.startswith("encoder.")}
    )
    assert list(formats.read_layers(tmp_path / "two.safetensors")) == ["encoder.rnn", "decoder"]


# Keras

DENSE = drawn((4, 2), (2,))
GRU = drawn((3, 15), (5, 15), (2, 15), seed=4)


def lines(layers: dict[str, Any]) -> dict[str, str]:
    return {name: str(layer) for name, layer in layers.items()}


def test_weights_alone_of_keras_3(tmp_path: Path) -> None:
    both = {f"both/{way}_layer/cell": lstm_weights(seed=seed) for way, seed in (("forward", 1), ("backward", 2))}
    weights3(
        tmp_path / "m.weights.h5",
        {
            "dense": DENSE,
            "lstm/cell": lstm_weights(),
            "functional/layers/gru/cell": GRU,
            **both,
            "conv1d": drawn((3, 4, 2), (2,)),
        },
    )
    layers = keras_files.read_layers(tmp_path / "m.weights.h5")
    assert lines(layers) == {
        "both": "LSTM(3, 4, batch_first=True, bidirectional=True, single_bias=True)",
        "functional/gru": "GRU(3, 5, batch_first=True)",
        "lstm": "LSTM(3, 4, batch_first=True, single_bias=True)",
    }
    kernel = torch.from_numpy(lstm_weights()[0]).T
    assert torch.equal(layers["lstm"].weight_ih_l0, kernel)  # type: ignore[arg-type]
    other = keras_files.read_layers(tmp_path / "m.weights.h5", activation="relu", recurrent_activation="hard_sigmoid")
    assert str(other["functional/gru"]) == (
        "GRU(3, 5, batch_first=True, activation='relu', recurrent_activation='hard_sigmoid')"
    )
    done = holdfast.convert(tmp_path / "m.weights.h5", tmp_path / "m.safetensors", options={"layers": "lstm"})
    assert "Skipped: both, functional/gru, conv1d, dense." in str(done)


def test_weights_alone_of_keras_2(tmp_path: Path) -> None:
    weights = {
        "dense_1": named("dense_1", DENSE),
        "lstm_1": [(f"lstm_1/lstm_cell/{n}:0", a) for n, a in zip("kub", lstm_weights(), strict=True)],
        "inner": [
            *((f"gru_7/gru_cell/{n}:0", a) for n, a in zip("kub", GRU, strict=True)),
            *((f"dense_9/{n}:0", a) for n, a in zip("kb", DENSE, strict=True)),
        ],
    }
    path = legacy(tmp_path / "m.h5", None, weights, "2.4.0")
    layers = keras_files.read_layers(path)
    assert lines(layers) == {
        "lstm_1": "LSTM(3, 4, batch_first=True, recurrent_activation='hard_sigmoid_02', single_bias=True)",
        "inner/gru_7": "GRU(3, 5, batch_first=True, recurrent_activation='hard_sigmoid_02')",
    }
    assert "sigmoid_02" not in str(keras_files.read_layers(path, recurrent_activation="sigmoid"))


def test_layers_around_one_that_cannot_be_read(tmp_path: Path) -> None:
    inner = entry("GRU", "gru", units=5)
    config = sequential(
        entry("Lambda", "twice", function=["4wEAAAAAAAAA", None, None]),
        entry("LSTM", "lstm", units=4, go_backwards=True, activation="relu"),
        entry("ConvLSTM1D", "conv", filters=3),
        entry("Bidirectional", "both", layer=inner, merge_mode=None),
        entry("LSTM", "own", units=4, activation="my_activation"),
        entry("Dense", "dense", units=2),
    )
    ways = {f"bidirectional/{way}_layer/cell": GRU for way in ("forward", "backward")}
    weights = {"lstm/cell": lstm_weights(), "lstm_1/cell": lstm_weights(), **ways, "dense": DENSE}
    path = archive(tmp_path / "m.keras", config, weights)
    assert lines(keras_files.read_layers(path)) == {
        "lstm": "LSTM(3, 4, batch_first=True, reverse=True, activation='relu', single_bias=True)",
        "both": "GRU(3, 5, batch_first=True, bidirectional=True)",
    }
    with pytest.raises(ConversionError) as error:
        formats.read(path, layers="own")
    assert str(error.value).startswith(
        "Layer 'own' (LSTM) has activation='my_activation', which Holdfast does not have;"
    )
    found = formats.list_layers(path)
    assert [line.name for line in found.rows] == ["lstm", "both"]
    assert found.note.startswith("Skipped: own, dense. Layer 'twice' (Lambda) holds Python code")
    x = np.zeros((1, 2, 3), "float32")
    assert formats.read(path, layers="lstm")(torch.from_numpy(x)).shape == (1, 2, 4)


def test_weights_of_a_model_of_somebodys_own(tmp_path: Path) -> None:
    config = {"module": "mine", "class_name": "Mine", "config": {"units": 4}, "registered_name": "Mine"}
    path = archive(tmp_path / "m.keras", config, {"lstm/cell": lstm_weights(), "dense": DENSE})
    assert list(keras_files.read_layers(path)) == ["lstm"]
    with pytest.raises(ConversionError) as error:
        keras_files.read(path)
    assert "formats.read_layers(path), or --set layers='*'" in str(error.value)
