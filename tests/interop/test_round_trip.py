"""Once around: PyTorch -> Holdfast -> Keras -> ONNX -> Holdfast gives the same bits and the same outputs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import holdfast
from holdfast.interop import formats
from holdfast.interop.network import Network, Node

pytest.importorskip("h5py")
pytest.importorskip("onnxruntime")


def torch_file(folder: Path, layer: nn.Module) -> Network:
    """A state dict of torch's own, as a network."""
    path = folder / "model.pt"
    torch.save({f"rnn.{name}": value for name, value in layer.state_dict().items()}, path)
    return formats.read(path)


def reset_before(folder: Path, layers: int) -> Network:
    """A GRU that torch has not."""
    options = {"cell": "gru", "input_size": 5, "hidden_size": 4, "num_layers": layers, "single_bias": True}
    return Network(["x"], ["y"], [Node("rnn", "Recurrent", {**options, "reset_after": False}, ("x",), ("y",))]).eval()


MODELS = {
    "gru": lambda folder: torch_file(folder, nn.GRU(5, 4)),
    "gru, two layers": lambda folder: torch_file(folder, nn.GRU(5, 4, 2)),
    "gru, two directions": lambda folder: torch_file(folder, nn.GRU(5, 4, bidirectional=True)),
    "gru, reset before": lambda folder: reset_before(folder, 1),
    "gru, reset before, two layers": lambda folder: reset_before(folder, 2),
    "lstm": lambda folder: torch_file(folder, one_bias(nn.LSTM(5, 4))),
    "lstm, two layers": lambda folder: torch_file(folder, one_bias(nn.LSTM(5, 4, 2))),
    "lstm, two directions": lambda folder: torch_file(folder, one_bias(nn.LSTM(5, 4, bidirectional=True))),
    "lstm, two layers and directions": lambda folder: torch_file(
        folder, one_bias(nn.LSTM(5, 4, 2, bidirectional=True))
    ),
    "rnn": lambda folder: torch_file(folder, one_bias(nn.RNN(5, 4))),
    "rnn, two directions": lambda folder: torch_file(folder, one_bias(nn.RNN(5, 4, bidirectional=True))),
}


def one_bias(layer: nn.Module) -> nn.Module:
    """Keras's LSTM and RNN have one bias where torch has two, whose sum is what they do: here the second is zero."""
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if name.startswith("bias_hh"):
                parameter.zero_()
    return layer


def weights(network: Network) -> list[torch.Tensor]:
    """All numbers but zeros of biases, in the order of the layers, forwards before backwards."""
    found = []
    for name, value in network.state_dict().items():
        if "bias" not in name or value.any():
            found.append(value)
    return found


@pytest.mark.parametrize("name", MODELS)
def test_once_around(name: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    first = MODELS[name](tmp_path)
    holdfast_file, keras_file, onnx_file = (tmp_path / f"model.{end}" for end in ("safetensors", "keras", "onnx"))
    formats.write(holdfast_file, first)
    holdfast.convert(holdfast_file, keras_file)
    holdfast.convert(keras_file, onnx_file)
    last = formats.read(onnx_file)
    before, after = weights(first), weights(last)
    assert len(before) == len(after) > 0
    for number, (one, other) in enumerate(zip(before, after, strict=True)):
        assert torch.equal(one, other), number
    x = torch.randn(3, 7, 5)
    with torch.no_grad():
        torch.testing.assert_close(outputs(last, x), outputs(first, x), rtol=0, atol=1e-6)


def outputs(network: Network, x: torch.Tensor) -> torch.Tensor:
    """The output of every step: the first value that a network gives."""
    given = network(x)
    return given[0] if isinstance(given, tuple) else given
