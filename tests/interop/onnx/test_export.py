"""Layers and networks as ONNX files: checked against onnxruntime, whole and streaming, and read back bit for bit."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

import holdfast
from holdfast.errors import ConversionError, MissingLibraryError, ModelFileError
from holdfast.interop.network import Network, Node
from holdfast.interop.onnx import files as onnx_files
from holdfast.interop.onnx import forms as onnx_forms
from holdfast.interop.onnx.runtime import Runtime, relative_difference
from holdfast.layers.recurrent_layer import RecurrentLayer

LAYERS: dict[str, RecurrentLayer] = {
    "LSTM": holdfast.LSTM(3, 4, batch_first=True),
    "LSTM, two layers, both directions": holdfast.LSTM(3, 4, 2, bidirectional=True),
    "LSTM, every option that ONNX has": holdfast.LSTM(
        3,
        4,
        peepholes=True,
        coupled_gates=True,
        gate_clip=0.5,
        recurrent_activation="hard_sigmoid",
        activation="leaky_relu(0.3)",
        output_activation="softsign",
        reverse=True,
    ),
    "LSTM of two sizes": holdfast.LSTM(3, [4, 5], batch_first=True),
    "LSTM with one bias": holdfast.LSTM(3, 4, single_bias=True),
    "GRU": holdfast.GRU(3, 4),
    "GRU, reset before": holdfast.GRU(3, 4, reset_after=False, bidirectional=True, merge="mean"),
    "GRU, residual": holdfast.GRU(4, 4, 3, residual=True, bias=False),
    "RNN": holdfast.RNN(3, 4, nonlinearity="relu"),
    "RNN, merged": holdfast.RNN(3, 4, bidirectional=True, merge="product"),
}


@pytest.fixture(autouse=True)
def _weights() -> None:
    for layer in LAYERS.values():
        for parameter in layer.parameters():
            nn.init.normal_(parameter, std=0.4)


def session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def flat(state: Any) -> list[Tensor]:
    return [state] if isinstance(state, Tensor) else [one for part in state for one in flat(part)]


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_goes_out_and_comes_back(name: str, tmp_path: Path) -> None:
    layer, path = LAYERS[name], tmp_path / "layer.onnx"
    difference = onnx_forms.write(path, layer)
    assert difference < 2e-6
    network = onnx_files.read(path)
    kept = [tensor for key, tensor in network.state_dict().items() if ".layer." in key]
    for own in layer.parameters():
        assert any(torch.equal(own, tensor) for tensor in kept)
    for steps in (1, 6):
        x = torch.randn(5, steps, layer.input_size)
        x = x if layer.batch_first else x.transpose(0, 1)
        lengths = torch.tensor([0, 1, steps, steps, steps // 2])
        outputs, state = layer(x, lengths=lengths)
        for ours, theirs in zip(network(x, lengths), [outputs, *flat(state)], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", [name for name, layer in LAYERS.items() if not (layer.bidirectional or layer.reverse)])
def test_a_layer_streams(name: str, tmp_path: Path) -> None:
    """Step by step, and two at a time, onnxruntime gives what the layer gives at once."""
    layer, path = LAYERS[name], tmp_path / "layer.onnx"
    onnx_forms.write(path, layer, streaming=True)
    run = session(path)
    first, *states = [one.name for one in run.get_inputs()]
    x = torch.randn(7, 2, layer.input_size)
    time = 1 if layer.batch_first else 0
    x = x.transpose(0, 1) if layer.batch_first else x
    expected, final = layer(x)
    state = {
        one.name: np.zeros([2 if isinstance(n, str) else n for n in one.shape], np.float32)
        for one in run.get_inputs()[1:]
    }
    found = []
    for part in x.split([1, 2, 1, 3], time):
        output, *after = run.run(None, {first: part.numpy(), **state})
        found.append(torch.from_numpy(output))
        state = dict(zip(states, after, strict=True))
    torch.testing.assert_close(torch.cat(found, time), expected, rtol=0, atol=2e-6)
    for ours, theirs in zip(state.values(), flat(final), strict=True):
        torch.testing.assert_close(torch.from_numpy(ours), theirs, rtol=0, atol=2e-6)


def test_the_file_is_plain(tmp_path: Path) -> None:
    """Names and open axes; nothing of the program or the machine that wrote it, and the same bytes each time."""
    path = tmp_path / "layer.onnx"
    onnx_forms.write(path, LAYERS["LSTM"])
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    axes = {
        one.name: [axis.dim_param or axis.dim_value for axis in one.type.tensor_type.shape.dim]
        for one in (*model.graph.input, *model.graph.output)
    }
    assert axes == {
        "x": ["batch", "time", 3],
        "lengths": ["batch"],
        "y": ["batch", "time", 4],
        "h_n": [1, "batch", 4],
        "c_n": [1, "batch", 4],
    }
    assert [node.op_type for node in model.graph.node].count("LSTM") == 1
    content = path.read_bytes()
    assert b".py" not in content
    onnx_forms.write(path, LAYERS["LSTM"])
    assert path.read_bytes() == content


@pytest.mark.parametrize("library", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_library_is_named(library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingLibraryError, match=rf"the library {library}.* pip install 'holdfast\[onnx\]'.$"):
        onnx_forms.write(tmp_path / "layer.onnx", LAYERS["RNN"])
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "none" / "layer.onnx"
    text = f"{path} cannot be written: No such file or directory. Make room there or choose another folder."
    with pytest.raises(ModelFileError, match=f"^{re.escape(text)}$"):
        onnx_forms.write(path, LAYERS["RNN"])


def chain(*, masked: bool) -> Network:
    """Ids, two layers of different kinds, and a softmax."""
    mask = ("mask",) if masked else ()
    return Network(
        ["ids"],
        ["scores"],
        [
            Node(
                "words",
                "Embedding",
                {"num_embeddings": 9, "embedding_dim": 4, "mask_zero": masked},
                ("ids",),
                ("x", *mask),
            ),
            Node("lower", "Recurrent", {"cell": "lstm", "input_size": 4, "hidden_size": 5}, ("x", *mask), ("h",)),
            Node("upper", "Recurrent", {"cell": "gru", "input_size": 5, "hidden_size": 3}, ("h", *mask), ("", "last")),
            Node("out", "Linear", {"in_features": 3, "out_features": 2}, ("last",), ("y",)),
            Node("softmax", "Activation", {"name": "softmax"}, ("y",), ("scores",)),
        ],
    ).eval()


@pytest.mark.parametrize("masked", [False, True])
def test_a_network_goes_out_and_comes_back(masked: bool, tmp_path: Path) -> None:
    network, path = chain(masked=masked), tmp_path / "network.onnx"
    assert onnx_forms.write(path, network) < 1e-6
    ids = torch.tensor([[0, 3, 0, 4, 0], [5, 6, 7, 0, 0], [0, 0, 0, 0, 8]])
    expected = network(ids)
    torch.testing.assert_close(torch.from_numpy(session(path).run(None, {"ids": ids.numpy()})[0]), expected)
    torch.testing.assert_close(onnx_files.read(path)(ids), expected)


@pytest.mark.parametrize("masked", [False, True])
def test_inputs_of_different_lengths(masked: bool, tmp_path: Path) -> None:
    """An encoder and a decoder: onnxruntime holds axes of one name to one size."""
    sizes = {"cell": "gru", "hidden_size": 4}
    words = Node("words", "Embedding", {"num_embeddings": 9, "embedding_dim": 3, "mask_zero": True}, ("b",), ("w", "m"))
    decoder = Node(
        "decoder", "Recurrent", {**sizes, "input_size": 3, "repeat": True}, ("w", "m" if masked else "", "h"), ("y",)
    )
    encoder = Node("encoder", "Recurrent", {**sizes, "input_size": 5}, ("a",), ("", "", "h"))
    network = Network(("a", "b"), ("y",), [encoder, words, decoder]).eval()
    onnx_forms.write(tmp_path / "model.onnx", network)
    a, b = torch.randn(3, 7, 5), torch.tensor([[0, 4, 0, 8, 0], [1, 2, 3, 4, 5], [0, 0, 0, 0, 0]])
    runtime = Runtime((tmp_path / "model.onnx").read_bytes())
    with torch.inference_mode():
        assert relative_difference((network(a, b),), runtime.run({"a": a, "b": b})) < 1e-6


def test_a_network_streams(tmp_path: Path) -> None:
    network, path = chain(masked=False), tmp_path / "network.onnx"
    onnx_forms.write(path, network, streaming=True)
    run = session(path)
    assert [one.name for one in run.get_inputs()] == ["ids", "lower_h_0", "lower_c_0", "upper_h_0"]
    ids = torch.randint(0, 9, (2, 5))
    state = {one.name: np.zeros((1, 2, one.shape[2]), np.float32) for one in run.get_inputs()[1:]}
    for step in ids.split(1, 1):
        scores, *after = run.run(None, {"ids": step.numpy(), **state})
        state = dict(zip(state, after, strict=True))
    torch.testing.assert_close(torch.from_numpy(scores), network(ids))


def test_networks_that_do_not_stream(tmp_path: Path) -> None:
    text = (
        "lower is given lengths, a mask or a state; the streaming form needs layers that take the sequence alone. "
        "Write the whole model instead."
    )
    with pytest.raises(ConversionError, match=f"^{re.escape(text)}$"):
        onnx_forms.write(tmp_path / "network.onnx", chain(masked=True), streaming=True)
    text = (
        "one is stateful: it keeps its state from batch to batch, which an ONNX model cannot. Write the streaming "
        "form, or build the layer without stateful."
    )
    options = {"cell": "rnn", "input_size": 2, "hidden_size": 3, "stateful": True}
    stateful = Network(["x"], ["y"], [Node("one", "Recurrent", options, ("x",), ("y",))])
    with pytest.raises(ConversionError, match=f"^{re.escape(text)}$"):
        onnx_forms.write(tmp_path / "network.onnx", stateful)
    assert onnx_forms.write(tmp_path / "network.onnx", stateful, streaming=True) < 1e-6


def test_an_input_that_nothing_says_anything_of(tmp_path: Path) -> None:
    network = Network(["x"], ["y"], [Node("one", "Activation", {"name": "tanh"}, ("x",), ("y",))])
    text = (
        "The input 'x' goes into no layer that says what it is; expected a recurrent layer, an embedding or a linear "
        "layer. Write the network in another format."
    )
    with pytest.raises(ConversionError, match=f"^{re.escape(text)}$"):
        onnx_forms.write(tmp_path / "network.onnx", network)
