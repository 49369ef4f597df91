"""What torch's own exporter writes of torch.nn's modules, by the way that most files in use were made."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from holdfast import convert
from holdfast.interop.onnx import files as onnx_files
from holdfast.interop.onnx import runtime as onnx_runtime


class Tagger(nn.Module):
    """An embedding, recurrent layers, and layers over their mean and their last output."""

    def __init__(self, kind: type[nn.RNNBase], **options: Any) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.layers = kind(6, 5, batch_first=True, **options)  # type: ignore[arg-type]
        self.output = nn.Linear(10 if options.get("bidirectional") else 5, 16)
        self.norm = nn.LayerNorm(16)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        y, state = self.layers(self.embedding(ids))
        scores = torch.log_softmax(self.norm(self.output(y.mean(1) + y[:, -1])), -1)
        return scores, state if isinstance(state, Tensor) else state[1]


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False}])
def test_it_computes_what_torch_computes(kind: type[nn.RNNBase], options: dict[str, Any], tmp_path: Path) -> None:
    model, path = Tagger(kind, **options).eval(), tmp_path / "tagger.onnx"
    axes = {"ids": {0: "batch", 1: "time"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this exporter is deprecated, and says so
        torch.onnx.export(
            model, (torch.zeros(2, 3, dtype=torch.int64),), path, dynamo=False, input_names=["ids"], dynamic_axes=axes
        )
    network = onnx_files.read(path)
    for batch, steps in ((1, 1), (4, 7)):
        ids = torch.randint(11, (batch, steps))
        for ours, theirs in zip(network(ids), model(ids), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-6)
    assert onnx_runtime.difference(path, network) < 1e-5
    done = convert(path, tmp_path / "tagger.safetensors")
    assert done.source_format == "onnx"
    assert done.checks["source"] < 1e-5


def test_a_network_goes_through_the_formats(tmp_path: Path) -> None:
    layers = nn.ModuleDict({"embedding": nn.Embedding(9, 4), "rnn": nn.GRU(4, 5), "out": nn.Linear(5, 2)})
    torch.save(layers.state_dict(), tmp_path / "model.pt")
    done = convert(tmp_path / "model.pt", tmp_path / "model.onnx")
    assert done.checks["dest"] < 1e-6
    back = convert(tmp_path / "model.onnx", tmp_path / "model.safetensors")
    assert back.checks["source"] < 1e-6
    streaming = convert(tmp_path / "model.pt", tmp_path / "step.onnx", options={"streaming": True})
    assert streaming.dest_format == "onnx"
    assert onnx_files.read(tmp_path / "step.onnx").inputs == ("ids", "rnn_h_0")
