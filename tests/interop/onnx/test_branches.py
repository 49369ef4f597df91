"""Branches of ONNX files: those that the file's sizes decide are taken when it is read, the others when it runs."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from tests.interop.onnx.models import arrays, info, saved
from torch import nn

from holdfast.errors import ConversionError, ShapeError
from holdfast.interop import network as networks
from holdfast.interop.network import Network, Node
from holdfast.interop.onnx import files as onnx_files
from holdfast.interop.onnx.runtime import Runtime, relative_difference


def inner(nodes: list[Any], *outputs: str, tensors: dict[str, Any] | None = None) -> Any:
    """A graph inside a node."""
    kept = [numpy_helper.from_array(np.asarray(value), name) for name, value in (tensors or {}).items()]
    return helper.make_graph(nodes, "inner", [], [info(name, None) for name in outputs], kept)


def squeezed_by_size(axis: int) -> list[Any]:
    """What torch's exporter writes of ``x.squeeze(axis)``."""
    then = inner([helper.make_node("Squeeze", ["x", "axis"], ["s"])], "s")
    otherwise = inner([helper.make_node("Identity", ["x"], ["i"])], "i")
    return [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "axis"], ["size"]),
        helper.make_node("Equal", ["size", "one"], ["is_one"]),
        helper.make_node("If", ["is_one"], ["y"], name="if", then_branch=then, else_branch=otherwise),
    ]


def squeezed(axis: int) -> dict[str, Any]:
    return {"axis": np.array([axis]), "one": np.array([1])}


@pytest.mark.parametrize(("size", "expected"), [(1, (2, 4)), (3, (2, 3, 4))])
def test_a_size_that_the_file_states_decides(size: int, expected: tuple[int, ...], tmp_path: Path) -> None:
    network = onnx_files.read(saved(squeezed_by_size(1), [info("x", [2, size, 4])], ["y"], squeezed(1), tmp_path))
    assert [node.options["op"] for node in network.nodes] == ["Squeeze" if size == 1 else "Identity"]
    assert network(torch.zeros(2, size, 4)).shape == expected
    with pytest.raises(ShapeError, match=r"^The input 'x' has shape \(2, 2, 4\); expected 3 dimensions of sizes \(2, "):
        network(torch.zeros(2, 2, 4))


def test_a_size_that_is_left_open_decides_when_the_network_runs(tmp_path: Path) -> None:
    path = saved(squeezed_by_size(1), [info("x", ["b", "t", 4])], ["y"], squeezed(1), tmp_path)
    network, runtime = onnx_files.read(path), Runtime(path)
    for size in (1, 3):
        x = torch.randn(2, size, 4)
        assert relative_difference([network(x)], runtime.run({"x": x})) == 0.0
    with pytest.raises(
        ShapeError, match=r"^The input 'x' has shape \(2, 4\); expected 3 dimensions of sizes \(any, an"
    ):
        network(torch.zeros(2, 4))


def test_the_number_of_dimensions_decides(tmp_path: Path) -> None:
    """As torch's exporter writes a layer that takes one sequence or several."""
    given = arrays("LSTM", steps=5, batch=2)
    then = inner([helper.make_node("Identity", ["x"], ["same"])], "same")
    otherwise = inner([helper.make_node("Unsqueeze", ["x", "one"], ["more"])], "more")
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Size", ["shape"], ["rank"]),
        helper.make_node("Equal", ["rank", "three"], ["is_batch"]),
        helper.make_node("If", ["is_batch"], ["rows"], then_branch=then, else_branch=otherwise),
        helper.make_node("LSTM", ["rows", "W", "R", "B"], ["", "h"], hidden_size=4, name="cell"),
        helper.make_node("Squeeze", ["h", "zero"], ["y"]),
    ]
    tensors = {name: given[name] for name in "WRB"} | {"three": 3, "one": np.array([1]), "zero": np.array([0])}
    network = onnx_files.read(saved(nodes, [info("x", ["t", "b", 3])], ["y"], tensors, tmp_path))
    assert [node.kind for node in network.nodes] == ["Operator", "Recurrent"]
    path = saved(nodes, [info("x", ["t", 3])], ["y"], tensors, tmp_path)
    network, x = onnx_files.read(path), torch.from_numpy(given["X"])
    assert [node.kind for node in network.nodes][-1] == "Recurrent"
    assert network(x[:, 0]).shape == (1, 4)


def branched(depth: int = 1) -> tuple[list[Any], dict[str, Any]]:
    """Layers within branches within branches, whose weights lie around them; both use a value from around as well."""
    given = arrays("GRU")
    nodes = [
        helper.make_node("GRU", ["x", "W", "R", "B"], ["", "h"], hidden_size=4, name="cell"),
        helper.make_node("Mul", ["h", "factor"], ["twice"]),
    ]
    then = inner(nodes, "twice", tensors={"factor": np.float32(2)})
    otherwise = inner([helper.make_node("GRU", ["x", "W", "R"], ["", "h"], hidden_size=4, name="cell")], "h")
    node = helper.make_node("If", ["flag"], ["y"], name="if", then_branch=then, else_branch=otherwise)
    for _ in range(depth - 1):
        other = inner([helper.make_node("Mul", ["start", "two"], ["y"])], "y", tensors={"two": np.float32(2)})
        node = helper.make_node("If", ["flag"], ["y"], name="if", then_branch=inner([node], "y"), else_branch=other)
    return [helper.make_node("Neg", ["s"], ["start"]), node], {name: given[name] for name in "WRB"}


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_branches_that_are_decided_when_the_network_runs(depth: int, tmp_path: Path) -> None:
    nodes, tensors = branched(depth)
    inputs = [info("x", ["t", "b", 3]), info("s", [1, "b", 4]), info("flag", [], TensorProto.BOOL)]
    path = saved(nodes, inputs, ["y"], tensors, tmp_path)
    network, runtime = onnx_files.read(path), Runtime(path)
    assert sum(type(part).__name__ == "Recurrent" for part in network.modules()) == 2
    networks.save(tmp_path / "model.safetensors", network)
    again = networks.load(tmp_path / "model.safetensors")
    for flag in (True, False):
        given = {"x": torch.randn(5, 2, 3), "s": torch.randn(1, 2, 4), "flag": torch.tensor(flag)}
        theirs = runtime.run(given)
        given = {name: given[name] for name in network.inputs}
        with torch.inference_mode():
            assert relative_difference([network(*given.values())], theirs) < 1e-6
        assert torch.equal(network(*given.values()), again(*given.values()))


def test_what_stands_in_a_branch_that_is_not_taken_is_not_refused(tmp_path: Path) -> None:
    impossible = inner([helper.make_node("Squeeze", ["x", "axis"], ["s"])], "s", tensors={"axis": np.array([1])})
    otherwise = inner([helper.make_node("Identity", ["x"], ["i"])], "i")
    node = helper.make_node("If", ["flag"], ["y"], then_branch=impossible, else_branch=otherwise)
    inputs = [info("x", [2, 3, 4]), info("flag", [], TensorProto.BOOL)]
    network = onnx_files.read(saved([node], inputs, ["y"], {}, tmp_path))
    x = torch.randn(2, 3, 4)
    assert torch.equal(network(x, torch.tensor(False)), x)


class _LastStep(nn.Module):
    """What is exported with branches by rank where it was scripted."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(3, 24, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, _ = self.rnn(x)
        return y[:, -1:].squeeze(1)


def test_a_scripted_layer_is_the_layer(tmp_path: Path) -> None:
    model, path = _LastStep().eval(), tmp_path / "scripted.onnx"
    axes = {"x": {0: "batch", 1: "time"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scripting and this exporter are deprecated, and say so
        scripted = torch.jit.script(model)
        torch.onnx.export(scripted, (torch.zeros(2, 3, 3),), path, dynamo=False, input_names=["x"], dynamic_axes=axes)
    network = onnx_files.read(path)
    assert [node.kind for node in network.nodes] == ["Recurrent"]
    x = torch.randn(4, 7, 3)
    torch.testing.assert_close(network(x), model(x), rtol=0, atol=2e-6)


def test_a_condition_is_one_truth_value() -> None:
    empty = Network(["x"], ["x"], []).to_document()
    network = Network(["x"], ["y"], [Node("if", "Branch", {"then": empty, "otherwise": empty}, ("x", "x"), ("y",))])
    with pytest.raises(ShapeError, match=r"^If got a condition of shape \(2,\); expected one truth value.$"):
        network(torch.tensor([True, False]))


def test_networks_within_networks_end(tmp_path: Path) -> None:
    document: dict[str, Any] = Network(["x"], ["x"], []).to_document()
    for _ in range(14):
        options = {"then": document, "otherwise": document}
        document = Network(["x"], ["x"], []).to_document()
        document["nodes"] = [{"name": "if", "kind": "Branch", "options": options, "inputs": ["x"], "outputs": ["y"]}]
    with pytest.raises(
        ConversionError, match=r"^The network has networks within networks, more than 12 deep. Refused.$"
    ):
        Network.from_document(document)
    with pytest.raises(ConversionError, match=r"^The document of the network is incomplete"):
        Network(["x"], ["y"], [Node("if", "Branch", {"then": 1}, ("x",), ("y",))])
