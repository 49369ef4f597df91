"""ONNX files that are not what they say to be: one clear error each, soon and in little memory."""

from __future__ import annotations

import contextlib
import re
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.interop.onnx.models import arrays, model, recurrent, value

from holdfast.errors import HoldfastError
from holdfast.interop.onnx import files as onnx_files

SECONDS = 2
BYTES = 500 * 2**20


@pytest.fixture(autouse=True)
def _little_time_and_memory() -> Iterator[None]:
    """What a test does takes at most 2 s of the processor and 500 MB of addresses beyond those in use."""
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, before[1]))
    start = time.process_time()
    yield
    spent = time.process_time() - start
    resource.setrlimit(resource.RLIMIT_AS, before)
    assert spent < SECONDS


def good() -> Any:
    """An LSTM whose weights are in the file."""
    given = arrays("LSTM")
    return recurrent("LSTM", {name: given[name] for name in ("X", "W", "R", "B")}, ("Y",), hidden_size=4)


def changed(change: Callable[[Any], Any]) -> bytes:
    """The good model with something done to it."""
    found = good()
    change(found)
    return bytes(found.SerializeToString())


def node_of(kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> bytes:
    """A model of one node, with x [2, 3] and n, two whole numbers, to take."""
    tensors = [numpy_helper.from_array(np.array([1, 2], np.int64), "n")]
    domain = attributes.pop("domain", "")
    node = helper.make_node(kind, inputs, outputs, name="one", domain=domain)
    node.attribute.extend(helper.make_attribute(name, given) for name, given in attributes.items())
    return bytes(model([node], [value("x")], [value(outputs[0])], tensors).SerializeToString())


def tensor_with(**fields: Any) -> bytes:
    """The good model with fields of its first tensor, W, changed."""

    def change(found: Any) -> None:
        tensor = found.graph.initializer[0]
        for name, given in fields.items():
            if isinstance(given, list):
                del getattr(tensor, name)[:]
                getattr(tensor, name).extend(given)
            elif given is None:
                tensor.ClearField(name)
            else:
                setattr(tensor, name, given)

    return changed(change)


def outside(**entries: str) -> bytes:
    """The good model with its first tensor kept in another file."""

    def change(found: Any) -> None:
        tensor = found.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, text in entries.items():
            tensor.external_data.add(key=key, value=text)

    return changed(change)


def attribute(name: str, given: Any) -> bytes:
    """The good model with an attribute of its node set, or taken away."""

    def change(found: Any) -> None:
        node = found.graph.node[0]
        kept = [one for one in node.attribute if one.name != name]
        del node.attribute[:]
        node.attribute.extend(kept)
        if given is not None:
            node.attribute.append(helper.make_attribute(name, given))

    return changed(change)


def weights(name: str, array: np.ndarray) -> bytes:
    """The good model with other weights under a name."""

    def change(found: Any) -> None:
        for tensor in found.graph.initializer:
            if tensor.name == name:
                tensor.CopyFrom(numpy_helper.from_array(array, name))

    return changed(change)


def varint(number: int) -> bytes:
    """A number as protobuf writes it."""
    found = b""
    while number > 127:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])


def field(number: int, content: bytes) -> bytes:
    """A field with bytes, text or a message in it."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def in_graph(content: bytes) -> bytes:
    """A model with bytes for its graph."""
    return field(7, content) + field(8, field(1, b"") + b"\x10\x0e")


def nested(depth: int) -> bytes:
    """Graphs in attributes of nodes of graphs ..."""
    content = b""
    for _ in range(depth):
        content = field(1, field(5, field(6, content)))
    return in_graph(content)


def cycle() -> bytes:
    nodes = [helper.make_node("Add", ["x", "b"], ["a"], name="one"), helper.make_node("Neg", ["a"], ["b"], name="two")]
    return bytes(model(nodes, [value("x")], [value("b")], []).SerializeToString())


def branches(depth: int) -> bytes:
    """Branches within branches."""
    node = helper.make_node("Neg", ["x"], ["y"])
    for _ in range(depth):
        inner = helper.make_graph([node], "inner", [], [value("y")])
        node = helper.make_node("If", ["x"], ["y"], name="one", then_branch=inner, else_branch=inner)
    return bytes(model([node], [value("x")], [value("y")], []).SerializeToString())


def loop(count: int, *, inputs: int = 3) -> bytes:
    """A loop of so many rounds that turns a sign."""
    names = ["r", "c", "v"][:inputs]
    nodes = [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Neg", ["v"], ["w"])]
    inner = helper.make_graph(nodes, "inner", [value(name) for name in names], [value("d"), value("w")])
    node = helper.make_node("Loop", ["n", "", "x"], ["y"], name="one", body=inner)
    tensors = [numpy_helper.from_array(np.array(count, np.int64), "n")]
    return bytes(model([node], [value("x")], [value("y")], tensors).SerializeToString())


def other_branches(change: Callable[[Any], Any]) -> bytes:
    """A branch with something done to its node."""
    found = onnx.load_from_string(branches(1))
    change(found.graph.node[0])
    return bytes(found.SerializeToString())


def computed(*nodes: tuple[str, list[str], str, dict[str, Any]], **tensors: Any) -> bytes:
    """A model that computes of constants alone, and adds x."""
    made = [helper.make_node(op, ins, [out], **attributes) for op, ins, out, attributes in nodes]
    made.append(helper.make_node("Add", ["x", made[-1].output[0]], ["y"]))
    kept = [numpy_helper.from_array(np.asarray(array), name) for name, array in tensors.items()]
    return bytes(model(made, [value("x")], [value("y")], kept).SerializeToString())


def doubled(times: int) -> bytes:
    """Constants that are put beside themselves over and over."""
    nodes = [("Concat", [f"v{k}", f"v{k}"], f"v{k + 1}", {"axis": 0}) for k in range(times)]
    return computed(*nodes, v0=np.ones(1000, np.float32))


def multiplied(times: int) -> bytes:
    """Products of large matrices one after the other."""
    nodes = [("MatMul", [f"v{k}", "v0"], f"v{k + 1}", {}) for k in range(times)]
    return computed(*nodes, v0=np.ones((1000, 1000), np.float32))


def summed(times: int) -> bytes:
    """One long vector, summed again and again."""
    nodes = [("ReduceSum", ["v"], f"s{k}", {"keepdims": 0}) for k in range(times)]
    nodes += [("Add", [f"t{k}" if k else "s0", f"s{k}"], f"t{k + 1}", {}) for k in range(times)]
    return computed(*nodes, v=np.ones(2**20, np.float32))


def many_layers() -> bytes:
    """A thousand layers that all take the same weights."""
    found = good()
    tensors = {"W": np.zeros((1, 1200, 300), np.float32), "R": np.zeros((1, 1200, 300), np.float32)}
    nodes = []
    for number in range(1000):
        node = helper.make_node("LSTM", ["X", "W", "R"], [f"Y{number}"], name=f"cell{number}")
        nodes.append(node)
    del found.graph.node[:], found.graph.initializer[:]
    found.graph.node.extend(nodes)
    found.graph.input[0].type.tensor_type.ClearField("shape")
    found.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in tensors.items())
    found.graph.output[0].name = "Y999"
    found.graph.output.extend(value(f"Y{number}") for number in range(999))
    return bytes(found.SerializeToString())


def turning() -> bytes:
    """A loop whose body's values are made of one another."""
    found = onnx.load_from_string(loop(3))
    body = found.graph.node[0].attribute[0].g
    body.node.append(helper.make_node("Identity", ["p"], ["q"]))
    body.node.append(helper.make_node("Identity", ["q"], ["p"]))
    body.output[0].name = "p"
    return bytes(found.SerializeToString())


HARMLESS = {
    "a terabyte of zeros, and one added": computed(
        ("ConstantOfShape", ["n"], "z", {}), ("Add", ["z", "one"], "w", {}), n=[2**20, 2**20], one=np.float32(1)
    ),
    "a number expanded to a terabyte": computed(
        ("Expand", ["one", "n"], "z", {}), ("Neg", ["z"], "w", {}), n=[2**20, 2**20], one=np.float32(1)
    ),
    "a number repeated 2^40 times": computed(("Tile", ["one", "n"], "w", {}), n=[2**40], one=np.ones(1, np.float32)),
    "2^50 numbers in a row": computed(
        ("Range", ["a", "b", "c"], "r", {}), ("Cast", ["r"], "w", {"to": 1}), a=0, b=2**50, c=1
    ),
    "2^50 ones in a row": computed(
        ("OneHot", ["a", "b", "c"], "w", {}), a=np.array([0]), b=np.int64(2**50), c=np.float32([0, 1])
    ),
    "padding of 2^50": computed(("Pad", ["one", "n"], "w", {}), n=[0, 2**50], one=np.ones(1, np.float32)),
    "constants that double 50 times": doubled(50),
    "three hundred products of large matrices": multiplied(300),
    "five hundred sums of a million numbers": summed(500),
    "shapes of shapes": computed(
        ("Shape", ["v"], "s0", {}), *(("Concat", [f"s{k}"] * 2, f"s{k + 1}", {"axis": 0}) for k in range(40)), v=[1.0]
    ),
    "a loop of many rounds": loop(1_000_000),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_would_take_long_is_not_computed_on_reading(name: str, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(HARMLESS[name])
    assert onnx_files.read(tmp_path / "model.onnx").inputs == ("x",)


def function() -> bytes:
    found = good()
    own = helper.make_function("own", "Twice", ["a"], ["b"], [], [helper.make_opsetid("", 14)])
    found.functions.append(own)
    return bytes(found.SerializeToString())


def versions(*numbers: int, domain: str = "") -> bytes:
    def change(found: Any) -> None:
        del found.opset_import[:]
        found.opset_import.extend(helper.make_opsetid(domain, number) for number in numbers)

    return changed(change)


def many_nodes() -> bytes:
    names = [f"v{number}" for number in range(30_000)]
    nodes = [helper.make_node("Neg", [a], [b]) for a, b in zip(["x", *names], names, strict=False)]
    return bytes(model(nodes, [value("x")], [value(names[-1])], []).SerializeToString())


WHOLE = good().SerializeToString()
H = np.float32
DAMAGED = "{path} is not an ONNX model, or is truncated or damaged. Take another copy of it."
NOT_ONE = "{path} is not an ONNX model: it has no graph or no version. Take another copy of it."
CASES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "{path} is empty; expected an ONNX model. Take another copy of it."),
    "text": (b"this is not a model at all", DAMAGED),
    "zeros": (bytes(1000), DAMAGED),
    "ones": (b"\xff" * 1000, DAMAGED),
    "a pickle": (b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94\x8c\x06system\x94\x93\x94.", DAMAGED),
    "a zip": (b"PK\x03\x04" + bytes(26), DAMAGED),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(100), DAMAGED),
    "JSON": (b'{"graph": {"node": []}}', DAMAGED),
    **{
        f"truncated to {len(WHOLE) * part // 100} bytes": (WHOLE[: len(WHOLE) * part // 100], DAMAGED)
        for part in (1, 5, 20, 50, 80, 95, 99)
    },
    "a byte too much": (WHOLE + b"\x3a", DAMAGED),
    "a group, which protobuf no longer has": (b"\x3b" + WHOLE, DAMAGED),
    "a length beyond the file": (b"\x3a\xff\xff\xff\xff\x7f" + WHOLE, DAMAGED),
    "a length of 2^62": (b"\x3a" + varint(2**62), DAMAGED),
    "a number without an end": (b"\x08" + b"\xff" * 100, DAMAGED),
    "no graph": (field(8, field(1, b"") + b"\x10\x0e"), NOT_ONE),
    "no version": (field(7, b""), NOT_ONE),
    "an empty graph": (in_graph(b""), "The network has inputs () and outputs (); expected names."),
    "an operator that is not UTF-8": (
        in_graph(field(1, field(4, b"\xff\xfe"))),
        "{path} has text that is not UTF-8. The file is damaged.",
    ),
    "an attribute that is not UTF-8": (
        attribute("direction", b"\xff\xfe"),
        "{path} has text that is not UTF-8. The file is damaged.",
    ),
    "half a million empty nodes": (in_graph(field(1, b"") * 500_000), "{path} has more than 400,000 names"),
    "half a million empty names": (in_graph(field(1, field(1, b"") * 500_000)), "{path} has more than 400,000 names"),
    "30,000 nodes": (many_nodes(), "{path} has 30,000 nodes; at most 20,000 are read. Refused."),
    "8 MiB of dimensions": (
        in_graph(field(5, field(1, b"\x01" * 2**23))),
        "{path} has more than 4,194,304 bytes of integers outside raw data. Refused.",
    ),
    "8 MiB of short integers": (
        in_graph(field(5, field(7, b"\x01" * 2**23))),
        "{path} has more than 4,194,304 bytes of integers outside raw data. Refused.",
    ),
    "a million dimensions": (
        in_graph(field(5, field(1, b"\x01" * 10**6) + b"\x10\x01" + field(8, b"W"))),
        "The tensor 'W' of {path} has 1,000,000 dimensions; expected at most 16",
    ),
    "graphs 40 deep": (nested(40), "{path} has messages within messages, more than 60 deep. Refused."),
    "graphs 5,000 deep": (nested(5_000), "{path} has messages within messages, more than 60 deep. Refused."),
    "dimensions of a terabyte": (
        tensor_with(dims=[2**20, 2**18]),
        "The tensor 'W' of {path} claims shape (1048576, 262144), which takes 1,099,511,627,776 bytes, and has 192. "
        "The file is damaged.",
    ),
    "dimensions beyond 2^64": (
        tensor_with(dims=[2**62, 2**62]),
        "The tensor 'W' of {path} claims shape (46116860184273",
    ),
    "a dimension below zero": (tensor_with(dims=[-1, 16, 3]), "The tensor 'W' of {path} has shape (-1, 16, 3)"),
    "a dimension missing": (
        tensor_with(dims=[16]),
        "The tensor 'W' of {path} claims shape (16,), which takes 64 bytes",
    ),
    "no data": (
        tensor_with(raw_data=None),
        "The tensor 'W' of {path} claims shape (1, 16, 3), which takes 48 numbers, and has 0.",
    ),
    "half the data": (
        tensor_with(raw_data=bytes(96)),
        "The tensor 'W' of {path} claims shape (1, 16, 3), which takes 192",
    ),
    "twice the data": (
        tensor_with(raw_data=bytes(384)),
        "The tensor 'W' of {path} claims shape (1, 16, 3), which takes 192",
    ),
    "data of another type": (
        tensor_with(raw_data=None, int64_data=[1] * 48),
        "The tensor 'W' of {path} claims shape (1, 16, 3)",
    ),
    "an element type that is none": (tensor_with(data_type=99), "The tensor 'W' of {path} has elements of type 99"),
    "no element type": (tensor_with(data_type=0), "The tensor 'W' of {path} has elements of type UNDEFINED"),
    "strings": (tensor_with(data_type=8), "The tensor 'W' of {path} has elements of type STRING"),
    "complex numbers": (tensor_with(data_type=14), "The tensor 'W' of {path} has elements of type COMPLEX64"),
    "float8": (tensor_with(data_type=17), "The tensor 'W' of {path} has elements of type FLOAT8E4M3FN"),
    "two tensors of one name": (tensor_with(name="R"), "{path} has two tensors called 'R'; expected a name for each."),
    "a tensor without a name": (tensor_with(name=""), "{path} has two tensors called ''; expected a name for each."),
    "weights in /etc/passwd": (
        outside(location="/etc/passwd"),
        "The tensor 'W' of {path} lies in '/etc/passwd'; expected a file in the folder of the model. Refused.",
    ),
    "weights above the folder": (
        outside(location="../weights"),
        "The tensor 'W' of {path} lies in '../weights'; expected a file in the folder of the model. Refused.",
    ),
    "weights above the folder, hidden": (
        outside(location="a/../../weights"),
        "The tensor 'W' of {path} lies in 'a/../../weights'; expected a file in the folder of the model. Refused.",
    ),
    "weights in the folder itself": (
        outside(location="."),
        "The tensor 'W' of {path} lies in '.', which is not there.",
    ),
    "weights nowhere": (outside(), "The tensor 'W' of {path} lies in ''; expected a file in the folder of the model."),
    "weights behind a zero byte": (
        outside(location="a\0b"),
        "The tensor 'W' of {path} lies in 'a\\x00b'; expected a file",
    ),
    "weights in a file with a long name": (
        outside(location="a" * 5000),
        "The tensor 'W' of {path} lies in 'aaaaaaaaaa",
    ),
    "weights that are not there": (
        outside(location="weights.bin"),
        "The tensor 'W' of {path} lies in 'weights.bin', which is not there. Put that file beside the model.",
    ),
    "weights behind the end of a file": (
        outside(location="model.onnx", offset="100000"),
        "The tensor 'W' of {path} takes 192 bytes; it claims 192 from byte 100,000 of 'model.onnx'",
    ),
    "weights before the start of a file": (
        outside(location="model.onnx", offset="-200"),
        "The tensor 'W' of {path} takes 192 bytes; it claims 192 from byte -200 of 'model.onnx'",
    ),
    "weights of another length": (
        outside(location="model.onnx", length="99999999999999"),
        "The tensor 'W' of {path} takes 192 bytes; it claims 99,999,999,999,999 from byte 0",
    ),
    "weights at a place that is no number": (
        outside(location="model.onnx", offset="first"),
        "The tensor 'W' of {path} has an offset or a length that is not a number. The file is damaged.",
    ),
    "a place with ten thousand digits": (
        outside(location="model.onnx", offset="9" * 10_000),
        "The tensor 'W' of {path} has an offset or a length that is not a number. The file is damaged.",
    ),
    "a hidden size of 2^60": (
        attribute("hidden_size", 2**60),
        "The node 'cell' (LSTM) has hidden_size 1152921504606846976, and R of shape (1, 16, 4)",
    ),
    "a hidden size below zero": (
        attribute("hidden_size", -4),
        "The node 'cell' (LSTM) has hidden_size -4, and R of shape",
    ),
    "a hidden size that is text": (
        attribute("hidden_size", "4"),
        "The node 'cell' (LSTM) has hidden_size = '4'; expected a int.",
    ),
    "a direction that is none": (
        attribute("direction", "sideways"),
        "The node 'cell' (LSTM) has direction 'sideways'; expected one of forward, reverse, bidirectional.",
    ),
    "two directions and weights for one": (
        attribute("direction", "bidirectional"),
        "The node 'cell' (LSTM) has W of shape (1, 16, 3) and torch.float32; expected 2 first",
    ),
    "a layout that is none": (
        attribute("layout", 7),
        "The node 'cell' (LSTM) has layout 7; expected 0 (time first) or 1",
    ),
    "an attribute that is none": (
        attribute("peephole", 1),
        "The node 'cell' (LSTM) has an attribute 'peephole'; expected only",
    ),
    "an attribute of the GRU": (
        attribute("linear_before_reset", 1),
        "The node 'cell' (LSTM) has an attribute 'linear_bef",
    ),
    "an activation that is none": (
        attribute("activations", ["Sigmoid", "Tan", "Tanh"]),
        "The node 'cell' (LSTM) has the activation 'Tan': did you mean 'Tanh'?",
    ),
    "an activation too few": (
        attribute("activations", ["Sigmoid", "Tanh"]),
        "The node 'cell' (LSTM) has activations ['Sigmoid', 'Tanh']; expected 3 for each of 1 directions.",
    ),
    "a million activations": (
        attribute("activations", ["Tanh"] * 10_000),
        "The node 'cell' (LSTM) has activations ['Tanh'",
    ),
    "parameters for no activation": (
        attribute("activation_alpha", [0.5]),
        "The node 'cell' (LSTM) has activation_alpha = [0.5], and 0 of its activations take one; expected one for each",
    ),
    "a parameter that is not a number": (
        attribute("activation_alpha", [float("nan")] * 3),
        "The node 'cell' (LSTM) has activation_alpha = [nan, nan, nan]; expected a list of numbers.",
    ),
    "a clip below zero": (
        attribute("clip", -1.0),
        "The node 'cell' (LSTM) cannot be a cell of Holdfast: LSTM gate_clip is -1.0",
    ),
    "a clip that is not a number": (
        attribute("clip", float("nan")),
        "The node 'cell' (LSTM) cannot be a cell of Holdfast",
    ),
    "R of other rows": (
        weights("R", np.zeros((1, 12, 4), H)),
        "The node 'cell' (LSTM) has (12, 4) as recurrent weights",
    ),
    "W without directions": (
        weights("W", np.zeros((16, 3), H)),
        "The node 'cell' (LSTM) has W of shape (16, 3) and R of",
    ),
    "W of no inputs": (
        weights("W", np.zeros((1, 16, 0), H)),
        "The node 'cell' (LSTM) cannot be a cell of Holdfast: LSTM input_si",
    ),
    "W of integers": (weights("W", np.zeros((1, 16, 3), np.int64)), "The node 'cell' (LSTM) has W of shape (1, 16, 3)"),
    "R of doubles": (
        weights("R", np.zeros((1, 16, 4))),
        "The node 'cell' (LSTM) has R of shape (1, 16, 4) and torch.float64",
    ),
    "one bias": (
        weights("B", np.zeros((1, 16), H)),
        "The node 'cell' (LSTM) has B of shape (1, 16); expected 32 numbers",
    ),
    "a node without inputs": (node_of("LSTM", [], ["y"]), "The node 'one' (LSTM) has inputs (); expected X, W, R"),
    "a node without weights": (
        node_of("LSTM", ["x", "", "n"], ["y"]),
        "The node 'one' (LSTM) has inputs ('x', '', 'n')",
    ),
    "a node with too many outputs": (
        node_of("GRU", ["x"] * 3, ["y", "h", "c"]),
        "The node 'one' (GRU) gives ('y', 'h', 'c')",
    ),
    "a cycle": (cycle(), "one takes 'b', which no node before it gives."),
    "a value from nowhere": (node_of("Neg", ["z"], ["y"]), "one takes 'z', which no node before it gives."),
    "a value given twice": (node_of("Neg", ["x"], ["x"]), "one gives ['x'], and one of these is given already."),
    "an output from nowhere": (
        changed(lambda found: found.graph.output.append(value("nothing"))),
        "The network gives 'nothing', which is none of its values.",
    ),
    "an operator that is none": (
        node_of("Relv", ["x"], ["y"]),
        "The node 'one' (Relv) has no counterpart here; docs/onnx.md lists the",
    ),
    "an operator of another domain": (
        node_of("Attention", ["x"], ["y"], domain="com.microsoft"),
        "The node 'one' (Attention) is an operator of 'com.microsoft'; expected operators of ONNX alone.",
    ),
    "an operator with an unknown attribute": (
        node_of("Softmax", ["x"], ["y"], dimension=1),
        "The node 'one' (Softmax) does not fit its operator: got an unexpected keyword argument 'dimension'.",
    ),
    "an operator with too many inputs": (
        node_of("Neg", ["x", "x"], ["y"]),
        "The node 'one' (Neg) does not fit its operator: too many positional arguments.",
    ),
    "an operator with too many outputs": (
        node_of("Neg", ["x"], ["y", "z"]),
        "The node 'one' (Neg) gives ('y', 'z'); expected at most 1.",
    ),
    "branches 13 deep": (branches(13), "{path} has graphs within graphs, more than 12 deep. Refused."),
    "a branch of another operator": (
        branches(1).replace(b"\x22\x02If", b"\x22\x02Or"),
        "The node 'one' (Or) has an attribute 'else_branch' that is a graph, sparse or without a type; expected",
    ),
    "one branch": (
        other_branches(lambda node: node.attribute.pop()),
        "The node 'one' (If) has no graph then_branch or else_branch; expected each.",
    ),
    "a branch without a condition": (
        other_branches(lambda node: node.ClearField("input")),
        "The node 'one' (If) takes 0 values and gives 1, and the graphs inside it take",
    ),
    "branches of too few values": (
        other_branches(lambda node: node.output.append("z")),
        "The node 'one' (If) takes 1 values and gives 2, and the graphs inside it take and give 0 to 1 and 0 to 1",
    ),
    "a loop of 2^62 rounds": (
        loop(2**62),
        "The node 'one' (Loop) asks for 4611686018427387904 rounds; expected at",
    ),
    "a loop without a condition": (
        loop(3, inputs=2),
        "The node 'one' (Loop) takes 3 values and gives 1, and the graphs inside it take and give 2 to 2",
    ),
    "a loop whose values are made of one another": (turning(), "Identity_3 takes 'p', which no node before it gives."),
    "a thousand layers of the same weights": (
        many_layers(),
        "The node 'cell21' (LSTM) and those before it take the same weights so often that they need far more memory",
    ),
    "a Scan without a body": (
        node_of("Scan", ["x"], ["y"], num_scan_inputs=1),
        "The node 'one' (Scan) has no graph body; expected each.",
    ),
    "an axis that is text": (
        node_of("Softmax", ["x"], ["y"], axis="last"),
        "The node 'one' (Softmax) has axis = 'last'; expected a whole number.",
    ),
    "an order that is a number with a point": (
        node_of("Transpose", ["x"], ["y"], perm=0.5),
        "The node 'one' (Transpose) has perm = 0.5; expected whole numbers.",
    ),
    "a function of its own": (
        function(),
        "{path} has functions of its own, such as 'Twice'; expected operators of ONNX alone.",
    ),
    "sparse tensors": (
        changed(lambda found: found.graph.sparse_initializer.add()),
        "{path} has sparse tensors; expected dense ones. Write it with dense tensors.",
    ),
    "version 1": (versions(1), "{path} asks for version 1 of ONNX's operators; expected one from 7 to"),
    "version 9999": (versions(9999), "{path} asks for version 9999 of ONNX's operators; expected one from 7 to"),
    "two versions": (versions(13, 14), "{path} asks for version 13, 14 of ONNX's operators; expected one from 7 to"),
    "a version of other operators": (
        versions(14, domain="ai.onnx.ml"),
        "{path} asks for version none of ONNX's operators",
    ),
    "a constant without a value": (
        node_of("Constant", [], ["y"]),
        "The node 'one' (Constant) has no attribute; expected",
    ),
    "a constant that is text": (
        node_of("Constant", [], ["y"], value_string="x"),
        "The node 'one' (Constant) has value_string; expected one number, list or tensor of numbers.",
    ),
    "a constant that takes a value": (
        node_of("Constant", ["x"], ["y"], value_int=1),
        "The node 'one' (Constant) takes ('x',)",
    ),
    "a constant of a terabyte": (
        node_of("ConstantOfShape", ["n"], ["y"], value=helper.make_tensor("v", 1, [2], [1.0, 2.0])),
        "The node 'one' (ConstantOfShape) has attributes {{'value'}}; expected one number as 'value'.",
    ),
    "an infinite attribute": (
        node_of("Elu", ["x"], ["y"], alpha=float("inf")),
        "The node 'one' (Elu) has an attribute alpha = inf; expected a number that is finite.",
    ),
    "an attribute called op": (
        node_of("Neg", ["x"], ["y"], op="Exp"),
        "The node 'one' (Neg) has an attribute op = 'Exp'",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_ends_in_one_clear_error(name: str, tmp_path: Path) -> None:
    content, message = CASES[name]
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(HoldfastError, match=f"^{re.escape(message.format(path=path))}"):
        onnx_files.read(path)


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 100


@pytest.mark.parametrize("byte", range(0, len(WHOLE), 7))
def test_a_flipped_bit_is_refused_or_harmless(byte: int, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    content = bytearray(WHOLE)
    content[byte] ^= 1 << byte % 8
    path.write_bytes(bytes(content))
    with contextlib.suppress(HoldfastError):  # nothing else may come out of it
        onnx_files.read(path)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(192))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights").symlink_to(tmp_path / "secret")
    path = folder / "model.onnx"
    path.write_bytes(outside(location="weights"))
    with pytest.raises(
        HoldfastError, match=r"lies in 'weights'; expected a file in the folder of the model. Refused.$"
    ):
        onnx_files.read(path)


def test_a_file_too_large_for_protobuf_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with path.open("wb") as handle:
        handle.write(WHOLE)
        handle.truncate(3 * 2**30)  # a hole: it takes no room on the disk
    with pytest.raises(HoldfastError, match=re.escape(f"{path} has 3,221,225,472 bytes; an ONNX file has at most")):
        onnx_files.read(path)


def test_a_file_that_is_not_there_or_a_folder(tmp_path: Path) -> None:
    with pytest.raises(HoldfastError, match=r"none.onnx is not there. Check the path.$"):
        onnx_files.read(tmp_path / "none.onnx")
    with pytest.raises(HoldfastError, match=f"^{re.escape(str(tmp_path))} cannot be read: Is a directory.$"):
        onnx_files.read(tmp_path)


def test_constants_of_any_size_take_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    shape = numpy_helper.from_array(np.array([2**20, 2**20], np.int64), "shape")
    node = helper.make_node("ConstantOfShape", ["shape"], ["y"])
    onnx.save(model([node], [], [value("y")], [shape]), path)
    assert onnx_files.read(path)().shape == (2**20, 2**20)
