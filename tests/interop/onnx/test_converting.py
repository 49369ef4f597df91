"""Models that torch exports, by the one exporter or the other, converted on to the other formats."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from holdfast import convert
from holdfast.errors import ConversionError
from holdfast.interop import formats
from holdfast.interop.onnx import files as onnx_files


class Case(NamedTuple):
    """A model: what it is made of, whether the batch comes first, and what it gives: every step or the last one."""

    kind: type[nn.RNNBase]
    inputs: int
    units: int
    layers: int = 1
    both: bool = False
    batch_first: bool = True
    words: int = 0
    outputs: int = 0
    last: str = ""


class Model(nn.Module):
    """An embedding or none, recurrent layers, a linear layer or none."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.case = case
        self.embedding = nn.Embedding(case.words, case.inputs) if case.words else None
        self.rnn = case.kind(  # type: ignore[call-overload]
            case.inputs, case.units, case.layers, bidirectional=case.both, batch_first=case.batch_first
        )
        self.out = nn.Linear(case.units * (1 + case.both), case.outputs) if case.outputs else None

    def forward(self, x: Tensor) -> Tensor:
        y, state = self.rnn(x if self.embedding is None else self.embedding(x))
        if self.case.last == "step":
            y = y[:, -1] if self.case.batch_first else y[-1]
        if self.case.last == "slice":
            y = y[:, -1:, :].squeeze(1)
        if self.case.last == "state":
            h = state[0] if isinstance(state, tuple) else state
            y = torch.cat([h[-2], h[-1]], -1) if self.case.both else h[-1]
        return y if self.out is None else self.out(y)

    def example(self, rows: int, steps: int) -> Tensor:
        """Random input."""
        lead = (rows, steps) if self.case.batch_first else (steps, rows)
        return torch.randint(self.case.words, lead) if self.case.words else torch.randn(*lead, self.case.inputs)


def exported(model: Model, path: Path, *, dynamo: bool) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older exporter is deprecated, and says so; the newer one tells of itself
        logging.disable(logging.WARNING)
        rows = 0 if model.case.batch_first else 1
        if dynamo:
            sizes = {"dynamic_shapes": ({rows: torch.export.Dim.DYNAMIC},)} if model.case.batch_first else {}
            torch.onnx.export(
                model, (model.example(3, 5),), path, dynamo=True, input_names=["x"], verbose=False, **sizes
            )
        else:
            axes = {"x": {0: "a", 1: "b"}}
            torch.onnx.export(model, (model.example(3, 5),), path, dynamo=False, input_names=["x"], dynamic_axes=axes)
        logging.disable(logging.NOTSET)
    return path


CASES = {
    "an LSTM": Case(nn.LSTM, 8, 128),
    "an LSTM after an embedding, its last step": Case(nn.LSTM, 6, 128, words=40, outputs=7, last="step"),
    "two layers of a GRU both ways, time first": Case(nn.GRU, 8, 128, 2, True, False, outputs=3),
    "three layers of a GRU, a slice of the last step": Case(nn.GRU, 5, 8, 3, outputs=6, last="slice"),
    "an LSTM both ways, its final state": Case(nn.LSTM, 8, 128, 1, True, words=30, outputs=4, last="state"),
    "two layers of an RNN, time first": Case(nn.RNN, 4, 128, 2, batch_first=False),
    "an RNN both ways after an embedding": Case(nn.RNN, 8, 8, 2, True, words=20, outputs=3),
    "a GRU, time first, its last step": Case(nn.GRU, 6, 128, 1, False, False, words=25, outputs=4, last="step"),
}
NEWER = {name: case for name, case in CASES.items() if case.kind is not nn.RNN}
"""The newer exporter writes out every step of an RNN."""
WHICH = [(name, False) for name in CASES] + [(name, True) for name in list(NEWER)[:2]]


@pytest.mark.parametrize(("name", "dynamo"), WHICH)
def test_a_model_goes_on_to_the_other_formats(name: str, dynamo: bool, tmp_path: Path) -> None:
    case = CASES[name]
    torch.manual_seed(0)
    model = Model(case).eval()
    path = exported(model, tmp_path / "model.onnx", dynamo=dynamo)
    network = onnx_files.read(path)
    assert {node.kind for node in network.nodes if node.options.get("op") != "Transpose"} <= {
        "Embedding",
        "Recurrent",
        "Linear",
    }
    x = model.example(4, 7)
    with torch.inference_mode():
        expected = model(x)
        torch.testing.assert_close(network(x), expected, rtol=0, atol=1e-5)
    endings = (".pt", ".keras", ".onnx") if name == "two layers of a GRU both ways, time first" else (".pt", ".keras")
    for ending in endings:
        done = convert(path, tmp_path / f"again{ending}")
        assert done.checks["source"] < 1e-5
        turned = not case.batch_first and ending != ".onnx"
        options = {"head": "last" if case.last else "steps"} if ending == ".pt" else {}
        again = formats.read(tmp_path / f"again{ending}", **options)
        with torch.inference_mode():
            found = again(x.transpose(0, 1) if turned else x)
        found = found.transpose(0, 1) if turned and not case.last else found
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_keras_is_told_of_the_time_that_came_first(tmp_path: Path) -> None:
    model = Model(Case(nn.GRU, 3, 4, batch_first=False)).eval()
    done = convert(exported(model, tmp_path / "model.onnx", dynamo=False), tmp_path / "model.keras")
    assert done.note == ("The model takes the time first. The file written takes and gives the batch first: [B, T, I].")
    assert done.note in str(done)
    assert done.as_dict()["note"] == done.note
    assert done.checks["dest"] == 0.0


def test_the_last_step_of_both_directions_has_no_place_in_keras(tmp_path: Path) -> None:
    model = Model(Case(nn.GRU, 3, 4, both=True, outputs=2, last="step")).eval()
    path = exported(model, tmp_path / "model.onnx", dynamo=False)
    with pytest.raises(ConversionError, match=r"^'/Gather' \(Operator\) has no counterpart in Keras"):
        convert(path, tmp_path / "model.keras")
    done = convert(path, tmp_path / "again.safetensors")
    assert done.checks["dest"] == 0.0


@pytest.mark.parametrize("zero", [0.0, 0.5])
def test_only_zeros_are_left_out_of_what_begins(zero: float, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tensors = {
        "W": rng.standard_normal((1, 12, 3)).astype(np.float32),
        "R": rng.standard_normal((1, 12, 4)).astype(np.float32),
        "first": np.full((1, 2, 4), zero, np.float32),
    }
    node = helper.make_node("GRU", ["x", "W", "R", "", "", "first"], ["", "y"], hidden_size=4, name="cell")
    kept = [numpy_helper.from_array(array, name) for name, array in tensors.items()]
    values = [helper.make_tensor_value_info(name, 1, sizes) for name, sizes in (("x", ["t", 2, 3]), ("y", None))]
    graph = helper.make_graph([node], "graph", values[:1], values[1:], kept)
    model: Any = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    onnx.save(model, tmp_path / "model.onnx")
    network = onnx_files.read(tmp_path / "model.onnx")
    assert [node.kind for node in network.nodes].count("Constant") == (1 if zero else 0)
    layer = network.module("cell").layer
    x = torch.randn(5, 2, 3)
    expected = layer(x.transpose(0, 1), torch.full((1, 2, 4), zero))[1]
    torch.testing.assert_close(network(x), expected, rtol=0, atol=1e-6)
