"""What is written for Keras comes back bit for bit, or is refused by name. That Keras opens it is tested beside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("h5py", reason="needs h5py: pip install 'holdfast[h5]'")

from tests.interop.keras.by_hand import line

from holdfast.errors import ConversionError, ModelFileError
from holdfast.interop.keras import files as keras_files
from holdfast.interop.network import Network, Node

Part = tuple[str, dict[str, Any]]


def recurrent(cell: str = "lstm", inputs: int = 3, units: int = 4, **options: Any) -> Part:
    return "Recurrent", {"cell": cell, "input_size": inputs, "hidden_size": units, **options}


def chain(*parts: Part, sequences: bool = False) -> Network:
    """Parts called ``part0`` and so on; inner recurrent ones, and with ``sequences`` all of them, give every output."""
    nodes, value, mask = [], "x", ""
    last = max((n for n, (kind, _) in enumerate(parts) if kind == "Recurrent"), default=-1)
    for number, (kind, options) in enumerate(parts):
        name = f"part{number}"
        if kind == "Recurrent":
            inner = number < last and parts[number + 1][0] != "RepeatVector"
            outputs = (name,) if sequences or inner else ("", name)
            nodes.append(Node(name, kind, options, (value, mask) if mask else (value,), outputs))
        elif kind == "Masking" or options.get("mask_zero"):
            mask = f"{name}/mask"
            nodes.append(Node(name, kind, options, (value,), (name, mask)))
        else:
            nodes.append(Node(name, kind, options, (value,), (name,)))
        value = name
    return Network(["x"], [value], nodes).eval()


NETWORKS = {
    "LSTM": chain(recurrent(single_bias=True)),
    "LSTM without biases": chain(recurrent(bias=False), sequences=True),
    "GRU": chain(recurrent("gru")),
    "GRU reset before": chain(recurrent("gru", reset_after=False, single_bias=True)),
    "RNN": chain(recurrent("rnn", single_bias=True, activation="relu")),
    "both directions": chain(recurrent(bidirectional=True, single_bias=True, merge="mean"), sequences=True),
    "in reverse": chain(recurrent("gru", reverse=True)),
    "in double precision": chain(
        recurrent(single_bias=True), ("Linear", {"in_features": 4, "out_features": 2})
    ).double(),
    "under a mask": chain(("Masking", {"value": -1.0}), recurrent(single_bias=True, repeat=True), sequences=True),
    "a tagger": chain(
        ("Embedding", {"num_embeddings": 9, "embedding_dim": 3, "mask_zero": True}),
        ("Dropout", {"p": 0.25, "locked": True}),
        recurrent(bidirectional=True, single_bias=True),
        ("Dropout", {"p": 0.5, "locked": False}),
        ("Linear", {"in_features": 8, "out_features": 5, "bias": True}),
        ("Activation", {"name": "softmax"}),
        sequences=True,
    ),
    "an autoencoder": chain(
        recurrent(single_bias=True),
        ("RepeatVector", {"count": 5}),
        recurrent(inputs=4, single_bias=True),
        sequences=False,
    ),
}


def inputs_of(network: Network) -> torch.Tensor:
    torch.manual_seed(1)
    if network.nodes[0].kind == "Embedding":
        return torch.tensor([[3, 4, 8, 1, 2], [5, 0, 1, 0, 0]])
    x = torch.randn(2, 5, 3, dtype=next(network.parameters()).dtype)
    x[0, 2], x[1, 3:] = -1, -1
    return x


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_written_comes_back(name: str, tmp_path: Path) -> None:
    network = NETWORKS[name]
    keras_files.write(tmp_path / "m.keras", network)
    found = keras_files.read(tmp_path / "m.keras")
    before, after = list(network.state_dict().values()), list(found.state_dict().values())
    assert [tensor.dtype for tensor in before] == [tensor.dtype for tensor in after]
    assert all(torch.equal(one, two) for one, two in zip(before, after, strict=True))
    with torch.inference_mode():
        assert torch.equal(found(inputs_of(network)), network(inputs_of(network)))
    # The same network gives the same bytes, and once more what was written.
    keras_files.write(tmp_path / "again.keras", network)
    keras_files.write(tmp_path / "second.weights.h5", found)
    assert (tmp_path / "m.keras").read_bytes() == (tmp_path / "again.keras").read_bytes()


def test_layers_upon_layers_with_two_biases_become_layers_with_their_sum(tmp_path: Path) -> None:
    network = chain(recurrent(num_layers=3, dropout=0.5, bidirectional=True), sequences=True)
    keras_files.write(tmp_path / "m.keras", network)
    found = keras_files.read(tmp_path / "m.keras")
    assert [node.kind for node in found.nodes] == ["Recurrent", "Dropout", "Recurrent", "Dropout", "Recurrent"]
    own = network.module("part0").layer
    for number, node in enumerate(node for node in found.nodes if node.kind == "Recurrent"):
        layer = found.module(node.name).layer
        for end in ("", "_reverse"):
            assert torch.equal(getattr(layer, f"weight_ih_l0{end}"), getattr(own, f"weight_ih_l{number}{end}"))
            assert torch.equal(getattr(layer, f"weight_hh_l0{end}"), getattr(own, f"weight_hh_l{number}{end}"))
            total = getattr(own, f"bias_ih_l{number}{end}") + getattr(own, f"bias_hh_l{number}{end}")
            assert torch.equal(getattr(layer, f"bias_ih_l0{end}"), total)
    with torch.inference_mode():
        assert float((found(inputs_of(network)) - network(inputs_of(network))).abs().max()) < 1e-6


REFUSED = {
    "peepholes": (
        chain(recurrent(peepholes=True)),
        "'part0' (Recurrent) has peepholes=True; Keras has no counterpart.",
    ),
    "a projection": (chain(recurrent(proj_size=2)), "'part0' (Recurrent) has proj_size=2; Keras has no counterpart."),
    "layer normalisation": (
        chain(recurrent(layer_norm=True)),
        "'part0' (Recurrent) has layer_norm=True; Keras has no counterpart.",
    ),
    "zoneout": (chain(recurrent(zoneout_h=0.1)), "'part0' (Recurrent) has zoneout_h=0.1; Keras has no counterpart."),
    "the hard sigmoid of Keras 2": (
        chain(recurrent(recurrent_activation="hard_sigmoid_02")),
        "'part0' (Recurrent) has the activation 'hard_sigmoid_02' (Keras 3 has 1/6 where Keras 1 and 2 had "
        "0.2); Keras has "
        "no counterpart.",
    ),
    "residual layers": (
        chain(recurrent(inputs=4, num_layers=2, residual=True)),
        "'part0' (Recurrent) adds the input of each layer to its output (residual); Keras has no counterpart.",
    ),
    "reverse in the order of time": (
        chain(recurrent(reverse=True), sequences=True),
        "'part0' (Recurrent) runs in reverse and gives its outputs in order of time; Keras gives the outputs of "
        "go_backwards in reverse order, and has no layer that reverses them.",
    ),
    "a state that is kept": (
        chain(recurrent(stateful=True)),
        "'part0' (Recurrent) is stateful, for which Keras must know the number of rows of a batch; Keras has no "
        "counterpart.",
    ),
    "lengths": (
        Network(["x", "n"], ["y"], [Node("rnn", "Recurrent", recurrent()[1], ("x", "n"), ("y",))]),
        "The network has 2 inputs and 1 outputs; only a chain of layers, with one of each, is written for Keras.",
    ),
    "two ends of one layer": (
        Network(
            ["x"],
            ["y"],
            [
                Node("rnn", "Recurrent", recurrent()[1], ("x",), ("every", "last")),
                Node("sum", "Merge", {"mode": "sum"}, ("every", "last"), ("y",)),
            ],
        ),
        "'rnn' (Recurrent) has several used outputs, or none: this is not a chain of layers.",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_keras_has_not_is_named(name: str, tmp_path: Path) -> None:
    network, message = REFUSED[name]
    with pytest.raises(ConversionError) as caught:
        keras_files.write(tmp_path / "m.keras", network)
    assert str(caught.value) == message
    assert not list(tmp_path.iterdir())


def test_other_endings_and_places(tmp_path: Path) -> None:
    with pytest.raises(ConversionError) as caught:
        keras_files.write(tmp_path / "m.h5", NETWORKS["LSTM"])
    assert line(str(caught.value)) == (
        "m.h5 ends neither in .keras nor in .weights.h5, and Keras recognises files by their ending."
    )
    with pytest.raises(ModelFileError) as failed:
        keras_files.write(tmp_path / "nowhere" / "m.keras", NETWORKS["LSTM"])
    assert line(str(failed.value)) == (
        "m.keras cannot be written: No such file or directory. Make room there or choose another folder."
    )
