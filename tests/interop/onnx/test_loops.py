"""Loops of ONNX files: those around a recurrent cell are the layer, the others run as loops."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from holdfast.interop import network as networks
from holdfast.interop.network import Network
from holdfast.interop.onnx import files as onnx_files
from holdfast.interop.onnx.runtime import Runtime, relative_difference

WIDTH, H = 3, 4
RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return (RNG.standard_normal(shape) * 0.7).astype(np.float32)


def info(name: str, sizes: Any = None, kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, sizes)


class Cell:
    """A body in the making: nodes from x and the state, and the tensors that they take."""

    def __init__(self, *states: str) -> None:
        self.nodes: list[Any] = []
        self.tensors: dict[str, np.ndarray] = {}
        self.states = states
        self.after: list[str] = []

    def add(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        names = [f"{op.lower()}{len(self.nodes)}_{number}" for number in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def tensor(self, array: Any) -> str:
        name = f"tensor{len(self.tensors)}"
        self.tensors[name] = np.asarray(array)
        return name

    def linear(self, value: str, rows: int, columns: int, *, bias: bool = True) -> str:
        product: str = self.add("MatMul", value, self.tensor(normal(rows, columns)))
        return self.add("Add", product, self.tensor(normal(columns))) if bias else product  # type: ignore[no-any-return]

    def part(self, value: str, number: int, axis: int = 1) -> str:
        places = [self.tensor(np.array([one])) for one in (number * H, (number + 1) * H, axis)]
        return self.add("Slice", value, *places)  # type: ignore[no-any-return]


def keras_gru() -> Cell:
    """As tf2onnx writes a GRU of Keras, reset after."""
    cell = Cell("h")
    x, h = cell.linear("x", WIDTH, 3 * H), cell.linear("h", H, 3 * H)
    xz, xr, xn = cell.add("Split", x, outputs=3, axis=-1)
    z = cell.add("Sigmoid", cell.add("Add", xz, cell.part(h, 0)))
    r = cell.add("Sigmoid", cell.add("Add", xr, cell.part(h, 1)))
    n = cell.add("Tanh", cell.add("Add", xn, cell.add("Mul", r, cell.part(h, 2))))
    rest = cell.add("Sub", cell.tensor(np.float32(1)), z)
    cell.after = [cell.add("Add", cell.add("Mul", z, "h"), cell.add("Mul", rest, n))]
    return cell


def other_gru() -> Cell:
    """Reset before, z the other way round, and gates in one sigmoid over both."""
    cell = Cell("h")
    both = cell.add("Sigmoid", cell.linear(cell.add("Concat", "x", "h", axis=1), WIDTH + H, 2 * H))
    r, z = cell.add("Split", both, outputs=2, axis=1)
    n = cell.add("Tanh", cell.linear(cell.add("Concat", "x", cell.add("Mul", r, "h"), axis=-1), WIDTH + H, H))
    kept = cell.add("Sub", "h", cell.add("Mul", z, "h"))
    cell.after = [cell.add("Add", cell.add("Mul", n, z), kept)]
    return cell


def lstm(out: str = "Tanh", gate: str = "Sigmoid", order: str = "gofi") -> Cell:
    """One kernel for x and h, the gates in an order of its own, c before h in the state."""
    cell = Cell("c", "h")
    whole = cell.linear(cell.add("Concat", "h", "x", axis=1), WIDTH + H, 4 * H)
    gates = {letter: cell.part(whole, number) for number, letter in enumerate(order)}
    i, f, o = (cell.add(gate, gates[letter]) for letter in "ifo")
    c = cell.add("Add", cell.add("Mul", i, cell.add("Tanh", gates["g"])), cell.add("Mul", f, "c"))
    cell.after = [c, cell.add("Mul", cell.add(out, c), o)]
    return cell


def rnn(activation: str = "Tanh") -> Cell:
    """Two products."""
    cell = Cell("h")
    cell.after = [cell.add(activation, cell.add("Add", cell.linear("x", WIDTH, H), cell.linear("h", H, H, bias=False)))]
    return cell


CELLS: dict[str, tuple[Callable[[], Cell], str]] = {
    "a GRU of Keras": (keras_gru, "gru"),
    "another GRU": (other_gru, "gru"),
    "an LSTM": (lstm, "lstm"),
    "an LSTM with other activations": (lambda: lstm("Softsign", "HardSigmoid", "ifog"), "lstm"),
    "an RNN": (rnn, "rnn"),
    "an RNN with relu": (lambda: rnn("Relu"), "rnn"),
}


def scan(cell: Cell, folder: Path, *, states: bool = False, **attributes: Any) -> Path:
    """A ``Scan`` over x [T, B, WIDTH] from states of zeros, or from some that are given."""
    after = [helper.make_node("Identity", [name], [f"{name} too"]) for name in cell.after]
    outputs = [*cell.after, f"{cell.after[cell.states.index('h')]} too"]
    kept = [numpy_helper.from_array(array, name) for name, array in cell.tensors.items()]
    body = helper.make_graph(
        [*cell.nodes, *after], "body", [info(n) for n in (*cell.states, "x")], [info(n) for n in outputs], kept
    )
    node = helper.make_node(
        "Scan",
        [*(f"{name}0" for name in cell.states), "xs"],
        [*(f"{name}_n" for name in cell.states), "ys"],
        name="scan",
        body=body,
        num_scan_inputs=1,
        **attributes,
    )
    return _saved(node, cell, folder, states=states)


def loop(cell: Cell, folder: Path, *, states: bool = False) -> Path:
    """A ``Loop`` as tf2onnx writes it: a counter, weights that are handed on, and a condition of its own."""
    first, *_ = cell.tensors
    handed = {first: "handed"}
    nodes = []
    for node in cell.nodes:
        node.input[:] = [handed.get(name, name) for name in node.input]
        nodes.append(node)
    step = helper.make_node("Gather", ["xs", "i"], ["x"], axis=0)
    extra = [
        helper.make_node("Add", ["i", "one"], ["next"]),
        helper.make_node("Less", ["next", "T"], ["one condition"]),
        helper.make_node("Less", ["round", "T64"], ["other condition"]),
        helper.make_node("And", ["one condition", "other condition"], ["going on"]),
        helper.make_node("Identity", ["handed"], ["handed on"]),
        helper.make_node("Identity", [cell.after[cell.states.index("h")]], ["every"]),
    ]
    kept = [numpy_helper.from_array(array, name) for name, array in cell.tensors.items() if name != first]
    kept.append(numpy_helper.from_array(np.int32(1), "one"))
    body = helper.make_graph(
        [step, *nodes, *extra],
        "body",
        [
            info("round", [], TensorProto.INT64),
            info("condition", [], TensorProto.BOOL),
            info("i", [], TensorProto.INT32),
            *(info(name) for name in cell.states),
            info("handed"),
        ],
        [
            info("going on", [], TensorProto.BOOL),
            info("next", [], TensorProto.INT32),
            *map(info, cell.after),
            info("handed on"),
            info("every"),
        ],
        kept,
    )
    node = helper.make_node(
        "Loop",
        ["T64", "begins", "zero", *(f"{name}0" for name in cell.states), first],
        ["i_n", *(f"{name}_n" for name in cell.states), "handed_n", "ys"],
        name="loop",
        body=body,
    )
    before = [
        helper.make_node("Shape", ["xs"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["T64"]),
        helper.make_node("Cast", ["T64"], ["T"], to=TensorProto.INT32),
        helper.make_node("Less", ["zero", "T"], ["begins"]),
    ]
    cell.tensors = {first: cell.tensors[first], "zero": np.int32(0)}
    return _saved(node, cell, folder, states=states, before=before)


def _saved(node: Any, cell: Cell, folder: Path, *, states: bool, before: list[Any] | None = None) -> Path:
    nodes, inputs = list(before or []), [info("xs", ["T", "B", WIDTH])]
    tensors = cell.tensors if before else {}
    if states:
        inputs += [info(f"{name}0", ["B", H]) for name in cell.states]
    else:
        tensors = tensors | {"units": np.array([H]), "nothing": np.float32(0)}
        nodes += [
            helper.make_node("Shape", ["xs"], ["sizes"], start=1, end=2),
            helper.make_node("Concat", ["sizes", "units"], ["state sizes"], axis=0),
        ]
        nodes += [helper.make_node("Expand", ["nothing", "state sizes"], [f"{name}0"]) for name in cell.states]
    outputs = [info("ys", None), *(info(f"{name}_n", None) for name in cell.states)]
    kept = [numpy_helper.from_array(np.asarray(array), name) for name, array in tensors.items()]
    graph = helper.make_graph([*nodes, node], "graph", inputs, outputs, kept)
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8), path)
    return path


def check(path: Path, tolerance: float = 1e-6) -> Network:
    """Holds a file against onnxruntime for several sizes.

    onnxruntime's tanh is off by up to 2.8e-7, and the error of each step goes into the next: the tolerance is for four
    steps, and grows with their number from there on.
    """
    network, runtime = onnx_files.read(path), Runtime(path)
    for steps, rows in ((5, 2), (1, 1), (9, 3)):
        given = {"xs": torch.randn(steps, rows, WIDTH)}
        given |= {name: torch.randn(rows, H) for name in network.inputs if name != "xs"}
        with torch.inference_mode():
            assert relative_difference(network(*given.values()), runtime.run(given)) < tolerance * max(1, steps / 4)
    return network


@pytest.mark.parametrize("states", [False, True])
@pytest.mark.parametrize("how", [scan, loop])
@pytest.mark.parametrize("name", CELLS)
def test_a_loop_around_a_cell_is_the_layer(name: str, how: Any, states: bool, tmp_path: Path) -> None:
    make, kind = CELLS[name]
    network = check(how(make(), tmp_path, states=states))
    (node,) = [node for node in network.nodes if node.kind == "Recurrent"]
    assert node.options["cell"] == kind
    left = {node.options.get("op", node.kind) for node in network.nodes}
    assert left <= {"Recurrent", "Transpose", "Unsqueeze", "Squeeze"}
    assert len(node.inputs) == (2 + len(make().states) if states else len(node.inputs))
    if not states:
        assert not any(node.inputs[1:])


@pytest.mark.parametrize(("backwards", "out"), [(1, 1), (1, 0), (0, 1)])
def test_a_scan_that_runs_backwards(backwards: int, out: int, tmp_path: Path) -> None:
    ways = {"scan_input_directions": [backwards], "scan_output_directions": [out]}
    network = check(scan(keras_gru(), tmp_path, **ways))
    (node,) = [node for node in network.nodes if node.kind == "Recurrent"]
    assert bool(node.options.get("reverse")) == bool(backwards)


def clipped() -> Cell:
    """A state that is clipped at values which are seldom met."""
    cell = rnn()
    wide = cell.add("Mul", cell.after[0], cell.tensor(np.float32(1)))
    cell.after = [cell.add("Clip", wide, cell.tensor(np.float32(-0.99)), cell.tensor(np.float32(0.99)))]
    return cell


def with_relu() -> Cell:
    """An activation more, that is nothing but for large values."""
    cell = rnn()
    far = cell.add("Relu", cell.add("Sub", cell.linear("x", WIDTH, H), cell.tensor(np.float32(100))))
    cell.after = [cell.add("Add", cell.after[0], far)]
    return cell


def peepholes() -> Cell:
    """Gates that see the cell state."""
    cell = lstm()
    seen = cell.add("Mul", "c", cell.tensor(normal(H)))
    cell.after[1] = cell.add("Mul", cell.after[1], cell.add("Sigmoid", seen))
    return cell


@pytest.mark.parametrize("make", [clipped, with_relu, peepholes])
@pytest.mark.parametrize("how", [scan, loop])
def test_what_is_no_cell_stays_a_loop(how: Any, make: Any, tmp_path: Path) -> None:
    network = check(how(make(), tmp_path))
    assert [node.kind for node in network.nodes if node.kind in ("Recurrent", "Loop", "Scan")] == [
        "Scan" if how is scan else "Loop"
    ]
    networks.save(tmp_path / "model.safetensors", network)
    again, x = networks.load(tmp_path / "model.safetensors"), torch.randn(4, 2, WIDTH)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(again(x), network(x), strict=True))


def test_a_loop_that_ends_before_the_last_step_stays_a_loop(tmp_path: Path) -> None:
    model = onnx.load(loop(keras_gru(), tmp_path))
    body = model.graph.node[-1].attribute[0].g
    for node in body.node:
        if list(node.output) == ["one condition"]:
            node.input[1] = "two"
    body.initializer.append(numpy_helper.from_array(np.int32(2), "two"))
    onnx.save(model, tmp_path / "model.onnx")
    network = check(tmp_path / "model.onnx")
    assert "Loop" in [node.kind for node in network.nodes]
    assert network(torch.randn(5, 2, WIDTH))[0].shape == (2, 2, H)
