"""ONNX models made by hand, for the tests of what reads them."""

from __future__ import annotations

import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.case.node import collect_testcases

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")


def arrays(
    op: str, *, directions: int = 1, inputs: int = 3, units: int = 4, steps: int = 5, batch: int = 2, seed: int = 0
) -> dict[str, np.ndarray]:
    """Everything that a node can take, time first, in float32."""
    rng, K = np.random.default_rng(seed), GATES[op]

    def normal(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) * 0.6).astype(np.float32)

    found = {
        "X": normal(steps, batch, inputs),
        "W": normal(directions, K * units, inputs),
        "R": normal(directions, K * units, units),
        "B": normal(directions, 2 * K * units),
        "sequence_lens": rng.integers(1, steps + 1, batch).astype(np.int32),
        "initial_h": normal(directions, batch, units),
        "initial_c": normal(directions, batch, units),
        "P": normal(directions, 3 * units),
    }
    return found if op == "LSTM" else {name: found[name] for name in INPUTS[:6]}


def value(name: str, array: np.ndarray | None = None) -> Any:
    """An input or output of a graph."""
    if array is None:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)


def info(name: str, sizes: Any, kind: int = TensorProto.FLOAT) -> Any:
    """An input or output of a graph with these sizes: numbers, or names for open ones."""
    return helper.make_tensor_value_info(name, kind, sizes)


def recurrent(
    op: str, given: dict[str, np.ndarray], outputs: tuple[str, ...], *, constant: bool = True, **attributes: Any
) -> onnx.ModelProto:
    """A graph of one node LSTM, GRU or RNN.

    Args:
        op: The operator.
        given: What it takes, by name; the others are left out.
        outputs: What it gives; ``""`` for one left out.
        constant: Whether the weights are kept in the file rather than inputs of the graph.
        **attributes: The node's.
    """
    names = [name if name in given else "" for name in INPUTS]
    while not names[-1]:
        names.pop()
    node = helper.make_node(op, names, outputs, name="cell", **attributes)
    kept = [name for name in ("W", "R", "B", "P") if name in given and constant]
    inputs = [value(name, given[name]) for name in names if name and name not in kept]
    tensors = [numpy_helper.from_array(given[name], name) for name in kept]
    return model([node], inputs, [value(name) for name in outputs if name], tensors)


def model(nodes: list[Any], inputs: list[Any], outputs: list[Any], tensors: list[Any], version: int = 14) -> Any:
    """A model of one graph."""
    graph = helper.make_graph(nodes, "graph", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=8)


def saved(nodes: list[Any], inputs: list[Any], outputs: list[str], tensors: dict[str, Any], folder: Path) -> Path:
    """The file of a graph with these inputs, outputs and tensors."""
    kept = [numpy_helper.from_array(np.asarray(value), name) for name, value in tensors.items()]
    graph = helper.make_graph(nodes, "graph", inputs, [info(name, None) for name in outputs], kept)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8), folder / "model.onnx"
    )
    return folder / "model.onnx"


@lru_cache
def node_tests() -> tuple[Any, ...]:
    """The node tests that come with ONNX; each has a name, a model, and inputs with the outputs that they must give."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are computed here, and some of them overflow on purpose
        return tuple(collect_testcases(None))
