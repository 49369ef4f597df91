"""Converted networks without torch: the numbers of the same file in torch, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from holdfast import runtime
from holdfast.errors import ModelFileError, OptionError, ShapeError
from holdfast.files import container, storage
from holdfast.interop import formats
from holdfast.interop import network as networks
from holdfast.interop.network import Network, Node
from holdfast.interop.onnx.operators import OPERATORS
from holdfast.runtime import converted_operators

pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")


def both(path: Path, network: Network, *inputs: Tensor | None) -> tuple[Any, Any]:
    """What torch and the runtime compute from a saved network, as tuples of arrays."""
    networks.save(path, network.eval())
    with torch.inference_mode():
        theirs = network(*inputs)
    ours = runtime.load_network(path)(*(None if x is None else x.numpy() for x in inputs))
    theirs = theirs if isinstance(theirs, tuple) else (theirs,)
    return ours if isinstance(ours, tuple) else (ours,), tuple(tensor.numpy() for tensor in theirs)


def agree(ours: Any, theirs: Any, tolerance: float = 2e-6) -> None:
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.dtype == other.dtype
        assert mine.shape == other.shape
        np.testing.assert_allclose(mine, other, rtol=tolerance, atol=tolerance)


def values(*shape: int) -> Tensor:
    return torch.randn(shape)


whole = torch.tensor
X = (2, 3, 4, 5)
POSITIVE = values(*X).abs() + 0.5
# The operator, its inputs and its attributes.
CASES: list[tuple[str, tuple[Tensor, ...], dict[str, Any]]] = [
    *((name, (POSITIVE,), {}) for name in ("Abs", "Ceil", "Cos", "Exp", "Floor", "Identity", "Log", "Neg", "Relu")),
    *((name, (values(*X) * 20,), {}) for name in ("Sigmoid", "Tanh", "Sin", "Shape", "Softmax")),
    ("Sqrt", (POSITIVE,), {}),
    *((name, (values(*X), values(4, 1)), {}) for name in ("Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu")),
    ("Div", (whole([7, -7, 9]), whole([2, 2, -4])), {}),
    ("Pow", (values(*X), whole(2.0)), {}),
    ("Pow", (POSITIVE, whole(0.3)), {}),
    ("MatMul", (values(2, 3, 4), values(4, 5)), {}),
    ("Gemm", (values(3, 4), values(5, 4), values(5)), {"transB": 1, "alpha": 0.5, "beta": 2.0}),
    ("Clip", (values(*X), whole(-0.5), whole(0.5)), {}),
    ("Where", (values(*X) > 0, values(*X), values(5)), {}),
    ("Concat", (values(*X), values(2, 1, 4, 5)), {"axis": 1}),
    ("Split", (values(*X),), {"axis": 3, "split": [2, 3]}),
    ("Split", (values(*X),), {"axis": 2, "num_outputs": 2}),
    ("Squeeze", (values(2, 1, 3),), {"axes": [1]}),
    ("Squeeze", (values(2, 1, 3),), {}),
    ("Unsqueeze", (values(2, 3),), {"axes": [0, 3]}),
    ("Reshape", (values(*X),), {"shape": [0, -1, 10]}),
    ("Transpose", (values(*X),), {"perm": [0, 3, 1, 2]}),
    ("Transpose", (values(2, 3),), {}),
    ("Slice", (values(*X),), {"starts": [0, -1], "ends": [3, -9], "axes": [2, 3], "steps": [2, -2]}),
    ("Gather", (values(*X), whole([[1, -1], [0, 2]])), {"axis": 1}),
    ("Gather", (values(*X),), {"axis": 3, "place": 1}),
    ("ScatterND", (values(4, 3), whole([[2], [0]]), values(2, 3)), {}),
    ("Pad", (values(*X),), {"pads": [0, 0, 1, -1, 0, 0, 2, 3], "value": 1.5}),
    *((f"Reduce{kind}", (values(*X),), {"axes": [-1, 1], "keepdims": 0}) for kind in ("Max", "Mean", "Min", "Sum")),
    ("ReduceMean", (values(*X),), {}),
    ("BatchNormalization", (values(*X), values(3), values(3), values(3), values(3).abs()), {"epsilon": 1e-3}),
    ("Conv", (values(2, 4, 9, 8), values(6, 2, 3, 2), values(6)), {"group": 2, "strides": [2, 1], "dilations": [1, 3]}),
    ("Conv", (values(2, 4, 9), values(6, 4, 3)), {"pads": [2, 1]}),
    (
        "ConvTranspose",
        (values(2, 4, 5, 6), values(4, 3, 3, 2), values(6)),
        {"group": 2, "strides": [2, 3], "pads": [1, 0, 2, 1], "output_padding": [1, 0]},
    ),
    ("ConvTranspose", (values(2, 4, 9), values(4, 3, 5)), {"dilations": [2], "pads": [9, 0]}),
]


@pytest.mark.parametrize(("op", "inputs", "attributes"), CASES, ids=[f"{n}-{case[0]}" for n, case in enumerate(CASES)])
def test_an_operator_computes_what_it_does_in_torch(op: str, inputs: Any, attributes: Any) -> None:
    ours = converted_operators.OPERATORS[op](*(x.numpy() for x in inputs), **attributes)
    theirs = OPERATORS[op](*inputs, **attributes)
    pairs = [value if isinstance(value, tuple) else (value,) for value in (ours, theirs)]
    agree([np.asarray(value) for value in pairs[0]], [tensor.numpy() for tensor in pairs[1]], 1e-5)


def test_every_operator_has_a_case() -> None:
    assert {case[0] for case in CASES} == set(converted_operators.OPERATORS)


def recurrent(**options: Any) -> Network:
    """A network of one node with recurrent layers, its state among the inputs and outputs."""
    parts = ("h", "c") if options["cell"] == "lstm" else ("h",)
    outputs = ("y", "last", *(f"{part}n" for part in parts))
    node = Node("layers", "Recurrent", options, ("x", "", *parts), outputs)
    return Network(["x", *parts], outputs, [node])


@pytest.mark.parametrize(
    "options",
    [
        {"cell": "lstm", "hidden_size": 5, "num_layers": 2},
        {"cell": "lstm", "hidden_size": [5, 3], "proj_size": 2, "bidirectional": True, "peepholes": True},
        {"cell": "gru", "hidden_size": 5, "num_layers": 3, "bidirectional": True, "merge": "mean", "residual": True},
        {"cell": "gru", "hidden_size": 5, "reverse": True, "bias": False, "reset_after": False},
        {"cell": "rnn", "hidden_size": 5, "bidirectional": True, "merge": "product", "activation": "relu"},
    ],
    ids=str,
)
@pytest.mark.parametrize("states", ["zeros", "given"])
def test_recurrent_layers(options: dict[str, Any], states: str, tmp_path: Path) -> None:
    network = recurrent(input_size=4, **options)
    layer: Any = network.module("layers").layer
    if isinstance(options["hidden_size"], list):  # their states are not in one tensor
        network.outputs, states = ("y", "last"), "zeros"
    rows = layer.num_layers * layer.num_directions
    sizes = layer.specs[0].state_sizes.values()
    initial = [values(rows, 3, size) if states == "given" else None for size in sizes]
    agree(*both(tmp_path / "n.safetensors", network, values(3, 7, 4), *initial))


def test_a_chain_of_layers(tmp_path: Path) -> None:
    nodes = [
        Node("table", "Embedding", {"num_embeddings": 9, "embedding_dim": 4}, ("ids",), ("x",)),
        Node("keys", "Linear", {"in_features": 4, "out_features": 6}, ("x",), ("a",)),  # a name that torch has taken
        Node("again", "Linear", {}, ("x",), ("b",), shares="keys"),
        Node("drop", "Dropout", {"p": 0.5}, ("b",), ("c",)),
        Node("tanh", "Activation", {"name": "tanh"}, ("c",), ("d",)),
        Node("one-1", "Linear", {"in_features": 6, "out_features": 2, "bias": False}, ("d",), ("e",)),
        Node("one.1", "Linear", {"in_features": 2, "out_features": 3}, ("e",), ("f",)),  # one name of a module for two
        Node("shares", "Activation", {"name": "softmax", "dim": 1}, ("f",), ("g",)),
    ]
    agree(*both(tmp_path / "n.safetensors", Network(["ids"], ["g", "a"], nodes), torch.randint(0, 9, (3, 5))))


def test_forty_steps_of_a_public_model(conformance: Callable[[str], Path], tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="needs onnx: pip install 'holdfast[onnx]'")
    path = conformance("onnx-models") / "gtcrn_simple.onnx"
    theirs = formats.read(path)
    networks.save(tmp_path / "gtcrn.safetensors", theirs)
    ours = runtime.load_network(tmp_path / "gtcrn.safetensors")
    state = [np.zeros([size or 1 for size in theirs.shapes[name]], np.float32) for name in theirs.inputs[1:]]
    other = [torch.from_numpy(part.copy()) for part in state]
    generator = np.random.default_rng(0)
    for _ in range(40):
        frame = generator.normal(size=(1, 257, 1, 2)).astype(np.float32)
        y, *state = ours(frame, *state)
        with torch.inference_mode():
            expected, *other = theirs(torch.from_numpy(frame), *other)
        assert np.abs(y - expected.numpy()).max() < 3e-5 * np.abs(expected.numpy()).max()


# What is refused


def test_what_needs_torch_is_refused_when_the_file_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "n.safetensors"
    for node, message in [
        (Node("a", "Flip", {}, ("x",), ("y",)), "The node 'a' is a Flip, which needs torch."),
        (Node("a", "Operator", {"op": "Erf"}, ("x",), ("y",)), "The node 'a' is the operator Erf, which needs torch."),
        (Node("a", "Activation", {"name": "softsign"}, ("x",), ("y",)), "The node 'a' is the activation softsign, w"),
    ]:
        networks.save(path, Network(["x"], ["y"], [node]))
        with pytest.raises(OptionError) as error:
            runtime.load_network(path)
        assert str(error.value).startswith(message)
    stateful = recurrent(cell="gru", input_size=2, hidden_size=2, stateful=True)
    networks.save(path, stateful)
    with pytest.raises(OptionError, match=r"^The node 'layers' has stateful, which needs torch\."):
        runtime.load_network(path)


def test_masked_steps_need_torch(tmp_path: Path) -> None:
    table = Node("table", "Embedding", {"num_embeddings": 9, "embedding_dim": 4, "mask_zero": True}, ("x",), ("v", "m"))
    layers = Node("layers", "Recurrent", {"cell": "gru", "input_size": 4, "hidden_size": 3}, ("v", "m"), ("y",))
    networks.save(tmp_path / "n.safetensors", Network(["x"], ["y"], [table, layers]))
    network = runtime.load_network(tmp_path / "n.safetensors")
    with pytest.raises(OptionError, match=r"^The node 'layers' reads lengths or a mask, which needs torch\."):
        network(np.ones((2, 3), np.int64))


def test_inputs_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "n.safetensors"
    node = Node("a", "Linear", {"in_features": 4, "out_features": 6}, ("x",), ("y",))
    networks.save(path, Network(["x"], ["y"], [node], {"x": (None, 4)}))
    network = runtime.load_network(path)
    assert repr(network) == "ConvertedNetwork(x -> y; 1 nodes)"
    for inputs, message in [
        ((), "The network got 0 inputs; expected 1: x."),
        ((values(2, 3).numpy(),), "The input 'x' has shape (2, 3); expected (any, 4)."),
        ((values(2, 4),), "The input 'x' is a Tensor; expected a NumPy array."),
    ]:
        with pytest.raises(ShapeError) as error:
            network(*inputs)
        assert str(error.value) == message
    networks.save(path, Network(["x"], ["y"], [node]))
    with pytest.raises(ShapeError, match=r"^The inputs do not fit the network: its node 'a' fails \(matmul: "):
        runtime.load_network(path)(np.zeros((2, 3), np.float32))


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(nodes=[{}]),
        lambda d: d.update(nodes=7),
        lambda d: d.update(outputs=[]),
        lambda d: d.update(outputs=["z"]),
        lambda d: d["nodes"][0].update(inputs=["z"]),
        lambda d: d["nodes"][0].update(shares="b"),
        lambda d: d.pop("inputs"),
        lambda d: d.update(shapes=3),
    ],
)
def test_damaged_documents(change: Any, tmp_path: Path) -> None:
    path = tmp_path / "n.safetensors"
    node = Node("a", "Linear", {"in_features": 4, "out_features": 6}, ("x",), ("y",))
    networks.save(path, Network(["x"], ["y"], [node]))
    tensors, document = storage.read(path, "network")
    change(document)
    storage.write(path, {name: tensor.clone() for name, tensor in tensors.items()}, document, "network")
    with pytest.raises(ModelFileError, match=r"is damaged: its description does not fit its tensors\. Take another"):
        runtime.load_network(path)
    _, document = container.read(path, "network", "np")


def test_more_layers_than_tensors(tmp_path: Path) -> None:
    path = tmp_path / "n.safetensors"
    networks.save(path, recurrent(cell="gru", input_size=2, hidden_size=2))
    tensors, document = storage.read(path, "network")
    document["nodes"][0]["options"]["num_layers"] = 10**12
    storage.write(path, {name: tensor.clone() for name, tensor in tensors.items()}, document, "network")
    with pytest.raises(ModelFileError, match="is damaged"):
        runtime.load_network(path)


def test_a_model_is_no_network(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"none\.safetensors is not there\."):
        runtime.load_network(tmp_path / "none.safetensors")
