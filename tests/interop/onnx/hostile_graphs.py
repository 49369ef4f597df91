"""ONNX models whose graphs or operators are wrong, each with the start of its error message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from tests.interop.onnx.hostile_models import changed, good, node_of
from tests.interop.onnx.models import model, value


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


GRAPHS: dict[str, tuple[bytes, str]] = {
    "a cycle": (cycle(), "one takes 'b', which no node before it gives."),
    "a value from nowhere": (node_of("Neg", ["z"], ["y"]), "one takes 'z', which no node before it gives."),
    "a value given twice": (node_of("Neg", ["x"], ["x"]), "one gives ['x'], and one of these is given already."),
    "an output from nowhere": (
        changed(lambda found: found.graph.output.append(value("nothing"))),
        "The network gives 'nothing', which is not one of its values.",
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
