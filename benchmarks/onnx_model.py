"""A case as an ONNX model: one node LSTM, GRU or RNN per layer, with the weights of our layer.

The input x [T, B, I] and the output y [T, B, D H] have time first, as ONNX's nodes do, so no peer transposes them.
"""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper
from torch import Tensor

from benchmarks.cases import Case
from benchmarks.layers import Numbers
from holdfast.cells.parameter_names import layer_suffix
from holdfast.interop.layouts import ONNX, PYTORCH, reordered

Array = NDArray[Any]

OPERATORS, FORMAT = 17, 8  # the versions of the operators and of the file


def model(case: Case, given: Numbers) -> bytes:
    """The file. Rows of unequal length have their number of steps in an input ``lengths`` [B].

    A case of single steps has the inputs and outputs of :func:`states` too.
    """
    B, T, I, H = case.shape  # noqa: E741
    T = 1 if case.passes == ("step",) else T
    sources, results = [value("x", T, B, I)], [value("y", T, B, case.directions * H)]
    if given.lengths is not None:
        sources.append(helper.make_tensor_value_info("lengths", TensorProto.INT32, [B]))
    if case.passes == ("step",):
        sources += [value(name, 1, B, H) for name, _ in states(case)]
        results += [value(name, 1, B, H) for _, name in states(case)]
    nodes: list[NodeProto] = []
    tensors = [numpy_helper.from_array(torch.tensor([T, B, case.directions * H]).numpy(), "size of y")]
    for layer in range(len(case.input_sizes)):
        arrays = weights(case, given, layer)
        tensors += [numpy_helper.from_array(array.numpy(), f"{name}{layer}") for name, array in arrays.items()]
        nodes += layer_nodes(case, given, layer)
    graph = helper.make_graph(nodes, "layer", sources, results, tensors)
    opsets = [helper.make_opsetid("", OPERATORS)]
    file: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=FORMAT).SerializeToString()
    return file


def inputs(given: Numbers) -> dict[str, Array]:
    """The arrays for the inputs ``x`` and, if there are any, ``lengths``."""
    arrays: dict[str, Array] = {"x": given.x.transpose(0, 1).contiguous().numpy()}
    if given.lengths is not None:
        arrays["lengths"] = given.lengths.int().numpy()
    return arrays


def states(case: Case) -> list[tuple[str, str]]:
    """For each state of each layer, the input with its value before the step and the output with the one after."""
    letters = "hc" if case.cell == "LSTM" else "h"
    return [(f"{letter}{k} before", f"{letter}{k} after") for k in range(len(case.input_sizes)) for letter in letters]


def value(name: str, *shape: int) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def weights(case: Case, given: Numbers, layer: int) -> dict[str, Tensor]:
    """W, R and B of a layer, [D, ...], with the gates in ONNX's order."""
    kind = case.cell.lower()
    suffixes = [layer_suffix(layer, direction) for direction in range(case.directions)]

    def stacked(name: str) -> Tensor:
        order = PYTORCH.gates[kind], ONNX.gates[kind]
        return torch.stack([reordered(given.weights[name + suffix], *order) for suffix in suffixes])

    return {
        "W": stacked("weight_ih"),
        "R": stacked("weight_hh"),
        "B": torch.cat([stacked("bias_ih"), stacked("bias_hh")], 1),
    }


def layer_nodes(case: Case, given: Numbers, layer: int) -> list[NodeProto]:
    """The node of a layer, and the nodes that turn its output [T, D, B, H] into [T, B, D H]."""
    source = f"y{layer - 1}" if layer else "x"
    target = "y" if layer == len(case.input_sizes) - 1 else f"y{layer}"
    sources = [source, *(f"{name}{layer}" for name in "WRB"), "lengths" if given.lengths is not None else ""]
    results = [f"directions{layer}"]
    if case.passes == ("step",):
        count = 2 if case.cell == "LSTM" else 1
        own = states(case)[count * layer : count * (layer + 1)]
        sources += [before for before, _ in own]
        results += [after for _, after in own]
    options: dict[str, Any] = {"direction": "bidirectional"} if case.directions == 2 else {}
    options |= {"linear_before_reset": 1} if case.cell == "GRU" else {}
    node = helper.make_node(case.cell, sources, results, hidden_size=case.shape[3], **options)
    rows_first = helper.make_node("Transpose", [results[0]], [f"rows{layer}"], perm=[0, 2, 1, 3])
    return [node, rows_first, helper.make_node("Reshape", [f"rows{layer}", "size of y"], [target])]
