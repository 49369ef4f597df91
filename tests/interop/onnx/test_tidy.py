"""What exporters write in several steps and means one layer is read as that layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from tests.interop.onnx.models import arrays, model, value
from torch import nn

import holdfast
from holdfast.interop import network as networks
from holdfast.interop.network import Network, Node
from holdfast.interop.onnx import files as onnx_files
from holdfast.interop.onnx import forms as onnx_forms

LAST = 2**63 - 1


def read(nodes: list[Any], inputs: list[str], outputs: list[str], tensors: dict[str, Any], folder: Path) -> Network:
    kept = [numpy_helper.from_array(np.asarray(array), name) for name, array in tensors.items()]
    onnx.save(
        model(nodes, [value(name) for name in inputs], [value(name) for name in outputs], kept), folder / "m.onnx"
    )
    return onnx_files.read(folder / "m.onnx")


def kinds(network: Network) -> list[str]:
    return [str(node.options.get("op", node.kind)) for node in network.nodes]


@pytest.mark.parametrize(
    ("nodes", "kind"),
    [
        ([("MatMul", ["x", "w"], ["m"], {}), ("Add", ["m", "b"], ["y"], {})], "Linear"),
        ([("MatMul", ["x", "w"], ["m"], {}), ("Add", ["b", "m"], ["y"], {})], "Linear"),
        ([("MatMul", ["x", "w"], ["y"], {})], "Linear"),
        ([("Gemm", ["x", "w", "b"], ["y"], {})], "Linear"),
        ([("Gemm", ["x", "v", "b"], ["y"], {"transB": 1})], "Linear"),
        ([("Gemm", ["x", "w"], ["y"], {})], "Linear"),
        ([("Gemm", ["x", "w", "b"], ["y"], {"alpha": 0.5})], "Gemm"),
        ([("MatMul", ["u", "x"], ["y"], {})], "MatMul"),
    ],
)
def test_products_with_weights_of_the_file(nodes: list[Any], kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tensors = {"w": (3, 4), "v": (4, 3), "u": (3, 2), "b": (4,)}
    given = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in tensors.items()}
    made = [helper.make_node(op, ins, outs, **attributes) for op, ins, outs, attributes in nodes]
    network = read(made, ["x"], ["y"], given, tmp_path)
    assert kind in kinds(network)
    x = torch.randn(2, 3)
    w, u, b = (torch.from_numpy(given[name]) for name in "wub")
    w = torch.from_numpy(given["v"]).T if "v" in nodes[0][1] else w
    expected = u @ x if "u" in nodes[0][1] else x @ w * nodes[0][3].get("alpha", 1)
    biased = any("b" in ins for _, ins, _, _ in nodes)
    torch.testing.assert_close(network(x), expected + b if biased else expected)


def test_a_product_that_the_graph_also_gives_keeps_its_sum_apart(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Add", ["m", "b"], ["y"])]
    given = {"w": np.ones((3, 2), np.float32), "b": np.ones(2, np.float32)}
    network = read(nodes, ["x"], ["m", "y"], given, tmp_path)
    assert kinds(network) == ["Constant", "Linear", "Add"]
    assert [one.tolist() for one in network(torch.ones(1, 3))] == [[[3, 3]], [[4, 4]]]


def test_a_look_up_is_an_embedding(tmp_path: Path) -> None:
    table = np.arange(12, dtype=np.float32).reshape(4, 3)
    network = read([helper.make_node("Gather", ["t", "x"], ["y"])], ["x"], ["y"], {"t": table}, tmp_path)
    assert kinds(network) == ["Embedding"]
    assert network(torch.tensor([[3, 0]])).tolist() == [[[9, 10, 11], [0, 1, 2]]]


@pytest.mark.parametrize("how", ["Squeeze", "Gather"])
def test_layers_between_transpositions_follow_one_another(how: str, tmp_path: Path) -> None:
    """As torch's own exporter writes two batch-first layers, the final state of the second one and a linear layer."""
    lower, upper = arrays("LSTM", inputs=3, units=4), arrays("GRU", inputs=4, units=5, seed=1)
    zero = {"zero": np.int64(0), "axis0": np.array([0]), "axis1": np.array([1])}

    def without(name: str, axis: int, out: str) -> Any:
        if how == "Squeeze":
            return helper.make_node("Squeeze", [name, f"axis{axis}"], [out])
        return helper.make_node("Gather", [name, "zero"], [out], axis=axis)

    nodes = [
        helper.make_node("Transpose", ["x"], ["xt"], perm=[1, 0, 2]),
        helper.make_node("LSTM", ["xt", "W1", "R1", "B1"], ["Y1"], hidden_size=4, name="lower"),
        without("Y1", 1, "s1"),
        helper.make_node("Transpose", ["s1"], ["batch"], perm=[1, 0, 2]),
        helper.make_node("Transpose", ["batch"], ["again"], perm=[1, 0, 2]),
        helper.make_node("GRU", ["again", "W2", "R2", "B2"], ["Y2", "H2"], hidden_size=5, name="upper"),
        without("H2", 0, "last"),
        helper.make_node("MatMul", ["last", "w"], ["product"], name="out"),
        helper.make_node("Softmax", ["product"], ["y"], name="softmax"),
    ]
    weights = {f"{name}{k}": one[name] for k, one in ((1, lower), (2, upper)) for name in "WRB"}
    network = read(nodes, ["x"], ["y"], {**weights, "w": np.ones((5, 2), np.float32), **zero}, tmp_path)
    assert kinds(network) == ["Recurrent", "Recurrent", "Linear", "Activation"]
    x = torch.randn(2, 6, 3)
    first, second = network.module("lower").layer, network.module("upper").layer
    expected = torch.softmax(second(first(x)[0])[1][0].sum(-1, keepdim=True).expand(-1, 2), -1)
    torch.testing.assert_close(network(x), expected)


def test_what_the_graph_gives_keeps_its_name(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["turned"], perm=[1, 0, 2]),
        helper.make_node("Transpose", ["turned"], ["back"], perm=[1, 0, 2]),
        helper.make_node("Identity", ["back"], ["same"]),
    ]
    network = read(nodes, ["x"], ["back", "turned", "same"], {}, tmp_path)
    x = torch.randn(2, 3, 4)
    back, turned, same = network(x)
    assert torch.equal(back, x)
    assert torch.equal(same, x)
    assert torch.equal(turned, x.transpose(0, 1))


def test_a_chain_that_was_written_is_the_chain_that_is_read(tmp_path: Path) -> None:
    nodes = [
        Node("words", "Embedding", {"num_embeddings": 9, "embedding_dim": 4}, ("ids",), ("x",)),
        Node("lower", "Recurrent", {"cell": "lstm", "input_size": 4, "hidden_size": 5}, ("x",), ("h",)),
        Node("upper", "Recurrent", {"cell": "gru", "input_size": 5, "hidden_size": 3}, ("h",), ("", "last")),
        Node("out", "Linear", {"in_features": 3, "out_features": 2}, ("last",), ("y",)),
        Node("softmax", "Activation", {"name": "softmax"}, ("y",), ("scores",)),
    ]
    network = Network(["ids"], ["scores"], nodes).eval()
    onnx_forms.write(tmp_path / "m.onnx", network)
    again = onnx_files.read(tmp_path / "m.onnx")
    assert [node.kind for node in again.nodes] == [node.kind for node in network.nodes]
    for ours, theirs in zip(network.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    ids = torch.randint(9, (3, 7))
    assert torch.equal(network(ids), again(ids))


def test_a_step_that_a_slice_leaves_out_is_left_out(tmp_path: Path) -> None:
    """Only a slice that takes all of the one direction is nothing to do."""
    given = arrays("RNN")
    weights = {name: given[name] for name in "WRB"}
    for start, rows in ((-1, 1), (0, 1), (1, 0)):
        ends = {"starts": np.array([start]), "ends": np.array([LAST]), "axes": np.array([0])}
        nodes = [
            helper.make_node("RNN", ["x", "W", "R", "B"], ["", "h"], hidden_size=4, name="cell"),
            helper.make_node("Slice", ["h", "starts", "ends", "axes"], ["y"]),
        ]
        network = read(nodes, ["x"], ["y"], {**weights, **ends}, tmp_path)
        assert network(torch.randn(5, 2, 3)).shape == (rows, 2, 4)


def test_layers_that_were_read_are_trained_and_saved(tmp_path: Path) -> None:
    onnx_forms.write(tmp_path / "m.onnx", holdfast.GRU(3, 4, batch_first=True))
    network = onnx_files.read(tmp_path / "m.onnx")
    output, _ = network(torch.randn(2, 5, 3), torch.tensor([5, 2]))
    output.square().sum().backward()
    assert all(isinstance(one, nn.Parameter) and one.grad is not None for one in network.parameters())
    networks.save(tmp_path / "m.safetensors", network)
    again = networks.load(tmp_path / "m.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))


def both_ways() -> Network:
    """Two bidirectional layers, and a linear layer on the final state of the second one."""
    lower = {"cell": "lstm", "input_size": 3, "hidden_size": 4, "bidirectional": True}
    upper = {"cell": "gru", "input_size": 8, "hidden_size": 5, "bidirectional": True}
    nodes = [
        Node("lower", "Recurrent", lower, ("x",), ("h",)),
        Node("upper", "Recurrent", upper, ("h",), ("", "last")),
        Node("out", "Linear", {"in_features": 10, "out_features": 2}, ("last",), ("y",)),
    ]
    return Network(["x"], ["y"], nodes).eval()


def test_two_directions_that_were_written_are_read_as_one_layer(tmp_path: Path) -> None:
    network = both_ways()
    onnx_forms.write(tmp_path / "m.onnx", network)
    again = onnx_files.read(tmp_path / "m.onnx")
    assert [node.kind for node in again.nodes] == ["Recurrent", "Recurrent", "Linear"]
    assert [node.name for node in again.nodes][:2] == ["parts.lower.layer.l0", "parts.upper.layer.l0"]
    x = torch.randn(3, 6, 3)
    assert torch.equal(network(x), again(x))


@pytest.mark.parametrize("places", [(1, 0), (0, 0)])
def test_directions_the_other_way_round_are_left_as_they_are(places: tuple[int, int], tmp_path: Path) -> None:
    given = arrays("LSTM", directions=2)
    weights = {name: given[name] for name in "WRB"} | {f"k{k}": np.int64(k) for k in (0, 1)}
    nodes = [
        helper.make_node("LSTM", ["x", "W", "R", "B"], ["Y"], hidden_size=4, direction="bidirectional", name="cell"),
        helper.make_node("Gather", ["Y", f"k{places[0]}"], ["a"], axis=1),
        helper.make_node("Gather", ["Y", f"k{places[1]}"], ["b"], axis=1),
        helper.make_node("Concat", ["a", "b"], ["y"], axis=2),
    ]
    network = read(nodes, ["x"], ["y"], weights, tmp_path)
    x = torch.randn(5, 2, 3)
    halves = network.module("cell").layer(x.transpose(0, 1))[0].transpose(0, 1).chunk(2, -1)
    assert torch.equal(network(x), torch.cat([halves[place] for place in places], -1))


def test_transpositions_and_shapes_that_are_not_known_are_left_as_they_are(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["a"]),
        helper.make_node("Transpose", ["a"], ["b"], perm=[1, 2, 0, 3]),
        helper.make_node("Squeeze", ["b", "axis"], ["c"]),
        helper.make_node("Transpose", ["c"], ["d"]),
        helper.make_node("Transpose", ["d"], ["y"]),
    ]
    network = read(nodes, ["x", "shape"], ["y"], {"axis": np.array([1])}, tmp_path)
    x = torch.randn(2, 3, 4)
    assert torch.equal(network(x, torch.tensor([2, 3, 1, 4])), x.transpose(0, 1))
