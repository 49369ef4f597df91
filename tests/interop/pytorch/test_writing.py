"""Networks written as state dicts that torch loads."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import holdfast
from holdfast.errors import ConversionError, ModelFileError
from holdfast.interop import nodes
from holdfast.interop.network import Network, Node
from holdfast.interop.pytorch.files import write


def chain(cell: str, **options: Any) -> Network:
    sizes = {"cell": cell, "input_size": 3, "hidden_size": 4, **options}
    return Network(["x"], ["y"], [Node("rnn", "Recurrent", sizes, ("x",), ("y",))])


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_single_bias_gets_a_second_of_zeros(cell: str, tmp_path: Path) -> None:
    network = chain(cell, single_bias=True, num_layers=2)
    nn.init.normal_(network.module("rnn").layer.bias_ih_l1)  # type: ignore[union-attr, arg-type]
    write(tmp_path / "m.pt", network)
    theirs = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[cell](3, 4, 2, batch_first=True)
    tensors = torch.load(tmp_path / "m.pt", weights_only=True)
    theirs.load_state_dict({name.removeprefix("rnn."): tensor for name, tensor in tensors.items()}, strict=True)
    x = torch.randn(2, 5, 3)
    torch.testing.assert_close(network(x), theirs(x)[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("cell", "options", "told"),
    [
        ("lstm", {"peepholes": True}, "peepholes=True"),
        ("lstm", {"recurrent_activation": "hard_sigmoid"}, "recurrent_activation='hard_sigmoid'"),
        ("lstm", {"zoneout_h": 0.1}, "zoneout_h=0.1"),
        ("lstm", {"layer_norm": True, "recurrent_dropout": 0.1}, "layer_norm=True"),
        ("gru", {"reset_after": False}, "reset_after=False"),
        ("gru", {"activation": "relu"}, "activation='relu'"),
        ("gru", {"reverse": True}, "reverse=True"),
        ("gru", {"bidirectional": True, "merge": "sum"}, "merge='sum'"),
        ("gru", {"num_layers": 2, "residual": True}, "residual=True"),
        ("gru", {"hidden_size": [4, 5]}, "hidden_size=[4, 5]"),
        ("rnn", {"activation": "elu"}, "activation='elu'"),
    ],
)
def test_what_torch_has_not_is_not_written(cell: str, options: dict[str, Any], told: str, tmp_path: Path) -> None:
    network = chain(cell, **options)
    with pytest.raises(ConversionError) as error:
        write(tmp_path / "m.pt", network)
    kind = cell.upper()
    assert str(error.value) == (
        f"The {kind} 'rnn' has {told}, and torch.nn.{kind} has no such option: its weights would mean something else "
        "there. Keep the model in Holdfast's format."
    )
    assert not (tmp_path / "m.pt").exists()


def test_weights_that_are_no_module_of_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(nodes.KINDS, "Scale", lambda: nn.Bilinear(2, 2, 2))
    network = Network(["x"], ["x"], [Node("factor", "Scale", {}, ("x",), ("y",))])
    with pytest.raises(ConversionError) as error:
        write(tmp_path / "m.pt", network)
    assert str(error.value) == (
        "'factor' is a Scale with weights, and torch.nn has no such module, so a state dict has no names for them. "
        "Keep the model in Holdfast's format."
    )


def test_convolutions_and_normalisations_are_written_as_torch_names_them(tmp_path: Path) -> None:
    sizes = {"in_channels": 3, "out_channels": 4, "kernel_size": [2]}
    parts = [("conv", "Convolution", sizes), ("norm", "BatchNorm", {"num_features": 4})]
    parts.append(("layer", "LayerNorm", {"shape": [4]}))
    values = ["x", "a", "b", "y"]
    nodes_ = [Node(*part, (values[n],), (values[n + 1],)) for n, part in enumerate(parts)]
    network = Network(["x"], ["y"], nodes_).eval()
    nn.init.uniform_(network.module("norm").running_var, 0.5, 2)  # type: ignore[arg-type]
    write(tmp_path / "m.pt", network)
    theirs = nn.ModuleDict({"conv": nn.Conv1d(3, 4, 2), "norm": nn.BatchNorm1d(4), "layer": nn.LayerNorm(4)}).eval()
    theirs.load_state_dict(torch.load(tmp_path / "m.pt", weights_only=True), strict=True)
    x = torch.randn(2, 5, 3)
    with torch.no_grad():
        expected = theirs["layer"](theirs["norm"](theirs["conv"](x.transpose(1, 2))).transpose(1, 2))
        torch.testing.assert_close(network(x), expected, rtol=0, atol=1e-6)


def test_a_module_of_ones_own_is_written_as_it_is(tmp_path: Path) -> None:
    model = nn.ModuleDict({"rnn": holdfast.LSTM(3, 4, recurrent_dropout=0.2), "out": nn.Linear(4, 2)})
    write(tmp_path / "m.pt", model)
    theirs = nn.ModuleDict({"rnn": nn.LSTM(3, 4), "out": nn.Linear(4, 2)})
    theirs.load_state_dict(torch.load(tmp_path / "m.pt", weights_only=True), strict=True)
    x = torch.randn(5, 2, 3)
    torch.testing.assert_close(theirs["rnn"](x)[0], model["rnn"].eval()(x)[0], rtol=0, atol=1e-6)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "no" / "m.pt"
    with pytest.raises(ModelFileError) as error:
        write(path, chain("gru"))
    assert str(error.value) == f"{path} cannot be written: No such file or directory. Choose another folder."


def test_the_zip_that_is_written_is_torchs(tmp_path: Path) -> None:
    write(tmp_path / "m.pt", chain("gru"))
    with zipfile.ZipFile(tmp_path / "m.pt") as archive:
        assert any(re.fullmatch(r".+/data\.pkl", name) for name in archive.namelist())
