"""The operators LSTM, GRU and RNN of ONNX, held against onnxruntime and the node tests that come with ONNX."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from tests.interop.onnx.models import INPUTS, arrays, node_tests, recurrent

from holdfast.errors import ConversionError
from holdfast.interop import network as networks
from holdfast.interop import nodes
from holdfast.interop.onnx import files as onnx_files
from holdfast.interop.onnx import runtime as onnx_runtime

WITH_PARAMETERS = {"Affine": 2, "LeakyRelu": 1, "ThresholdedRelu": 1, "ScaledTanh": 2, "HardSigmoid": 2, "Elu": 1}
ACTIVATIONS = [*WITH_PARAMETERS, "Relu", "Tanh", "Sigmoid", "Softsign", "Softplus"]
OUTPUTS = {"LSTM": ("Y", "Y_h", "Y_c"), "GRU": ("Y", "Y_h"), "RNN": ("Y", "Y_h")}
FUNCTIONS = {"LSTM": 3, "GRU": 2, "RNN": 1}
TOLERANCE = 1e-5
LARGE = 100


def version_of(library: Any) -> tuple[int, ...]:
    return tuple(map(int, library.__version__.split(".")[:2]))


def run(model: Any, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    """What onnxruntime computes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)  # type: ignore[no-any-return]


def close(ours: Any, theirs: list[np.ndarray], tolerance: float = TOLERANCE) -> None:
    found = ours if isinstance(ours, tuple) else (ours,)
    for one, other in zip(found, theirs, strict=True):
        np.testing.assert_allclose(one.detach().numpy(), other, rtol=0, atol=tolerance * max(1, np.abs(other).max()))


def read(model: Any, folder: Path) -> networks.Network:
    onnx.save(model, folder / "model.onnx")
    return onnx_files.read(folder / "model.onnx")


@st.composite
def cases(draw: Any) -> tuple[str, dict[str, np.ndarray], tuple[str, ...], dict[str, Any], bool]:
    """A node with any of its attributes, inputs and outputs."""
    op = draw(st.sampled_from(list(OUTPUTS)))
    direction = draw(st.sampled_from(["forward", "reverse", "bidirectional"]))
    directions = 2 if direction == "bidirectional" else 1
    sizes = {name: draw(st.integers(1, 5)) for name in ("inputs", "units", "steps", "batch")}
    whole = arrays(op, directions=directions, **sizes, seed=draw(st.integers(0, 99)))
    left_out = draw(st.sets(st.sampled_from(INPUTS[3:])))
    given_ = {name: array for name, array in whole.items() if name not in left_out}
    outputs = [name if draw(st.booleans()) else "" for name in OUTPUTS[op]]
    outputs = outputs if any(outputs) else list(OUTPUTS[op])
    while not outputs[-1]:
        outputs.pop()
    attributes: dict[str, Any] = {"direction": direction} if draw(st.booleans()) or direction != "forward" else {}
    attributes["hidden_size"] = sizes["units"]
    if draw(st.booleans()):
        names = [draw(st.sampled_from(ACTIVATIONS)) for _ in range(FUNCTIONS[op] * directions)]
        attributes["activations"] = names
        numbers = st.floats(0.125, 1.25, width=32)
        for place, letter in enumerate(("alpha", "beta")):
            takers = sum(WITH_PARAMETERS.get(name, 0) > place for name in names)
            if takers:
                attributes[f"activation_{letter}"] = [draw(numbers) for _ in range(takers)]
    if draw(st.booleans()):
        attributes["clip"] = draw(st.floats(0.125, 2.0, width=32))
    if op == "LSTM" and draw(st.booleans()):
        attributes["input_forget"] = 1
    if op == "GRU" and draw(st.booleans()):
        attributes["linear_before_reset"] = draw(st.integers(0, 1))
    return op, given_, tuple(outputs), attributes, draw(st.booleans())


@pytest.mark.skipif(version_of(onnxruntime) < (1, 29), reason="onnxruntime before 1.29 crashes on some of the nodes")
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases())
def test_any_node_computes_what_onnxruntime_computes(case: Any, tmp_path: Path) -> None:
    op, given_, outputs, attributes, constant = case
    model = recurrent(op, given_, outputs, constant=constant, **attributes)
    inputs = {one.name: given_[one.name] for one in model.graph.input}
    network = read(model, tmp_path)
    theirs = run(model, inputs)
    assume(all(np.abs(one).max() < LARGE for one in theirs))  # gates without bounds may grow without bound
    close(network(*(torch.from_numpy(inputs[name]) for name in network.inputs)), theirs)


RECURRENT = [case for case in node_tests() if {node.op_type for node in case.model.graph.node} & {*OUTPUTS}]


@pytest.mark.parametrize("case", RECURRENT, ids=lambda case: case.name)
def test_onnx_own_node_tests(case: Any, tmp_path: Path) -> None:
    network = read(case.model, tmp_path)
    for inputs, outputs in case.data_sets:
        close(network(*map(torch.from_numpy, inputs)), outputs)


def test_all_of_onnx_own_node_tests_are_tried() -> None:
    assert len(RECURRENT) >= (17 if version_of(onnx) >= (1, 23) else 12)


def test_onnx_published_node_tests(conformance: Any, tmp_path: Path) -> None:
    """The twelve that other software is tested with, weights as inputs of the graph; and with them kept in the file."""
    folders = sorted(conformance("onnx-node-tests").glob("test_*"))
    assert len(folders) == 12
    for folder in folders:
        data = folder / "test_data_set_0"
        inputs, outputs = (
            [
                numpy_helper.to_array(onnx.load_tensor(data / f"{kind}_{number}.pb"))
                for number in range(len(list(data.glob(f"{kind}_*"))))
            ]
            for kind in ("input", "output")
        )
        model = onnx.load(folder / "model.onnx")
        for kept in (set(), {"W", "R", "B", "P"}):
            given_ = {one.name: array for one, array in zip(model.graph.input, inputs, strict=True)}
            model.graph.initializer.extend(numpy_helper.from_array(given_[name], name) for name in kept & given_.keys())
            network = read(model, tmp_path)
            close(network(*(torch.tensor(given_[name]) for name in network.inputs)), outputs)


def test_weights_of_the_file_become_a_layer_with_the_same_bits(tmp_path: Path) -> None:
    whole = arrays("LSTM", directions=2)
    model = recurrent("LSTM", whole, ("Y", "Y_h", "Y_c"), hidden_size=4, direction="bidirectional")
    layer = read(model, tmp_path).module("cell").layer
    W, R, B, P = (torch.from_numpy(whole[name]) for name in ("W", "R", "B", "P"))
    order = [0, 2, 3, 1]  # ONNX has i, o, f, g
    for way, suffix in enumerate(("_l0", "_l0_reverse")):
        rows = [getattr(layer, name + suffix) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        for ours, theirs in zip(rows, (W[way], R[way], *B[way].chunk(2)), strict=True):
            assert torch.equal(torch.cat([theirs.chunk(4)[gate] for gate in order]), ours)
        assert torch.equal(getattr(layer, "weight_peephole" + suffix), P[way].reshape(3, 4)[[0, 2, 1]])


@pytest.mark.parametrize("op", OUTPUTS)
@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("activations", [False, True])
def test_batch_first_is_time_first_turned_around(op: str, constant: bool, activations: bool, tmp_path: Path) -> None:
    """onnxruntime has no ``layout = 1``: held against ``layout = 0``."""
    whole = arrays(op, directions=2)
    attributes: dict[str, Any] = {"hidden_size": 4, "direction": "bidirectional"}
    if activations:  # another cell for each direction
        attributes["activations"] = [*["Sigmoid", "Tanh", "Tanh"][-FUNCTIONS[op] :], *["Softsign"] * FUNCTIONS[op]]
    turned = {
        name: array.swapaxes(0, 1) if name in ("X", "initial_h", "initial_c") else array
        for name, array in whole.items()
    }
    kept = [name for name in ("W", "R", "B", "P") if constant]
    results = []
    for layout, given_ in enumerate((whole, turned)):
        network = read(recurrent(op, given_, OUTPUTS[op], constant=constant, layout=layout, **attributes), tmp_path)
        results.append(network(*(torch.from_numpy(given_[name].copy()) for name in network.inputs)))
        assert not set(kept) & set(network.inputs)
    Y, *finals = results[1]
    close(
        (Y.permute(1, 2, 0, 3), *(final.transpose(0, 1) for final in finals)),
        [one.detach().numpy() for one in results[0]],
    )


def test_a_network_of_nodes_is_saved_and_loaded(tmp_path: Path) -> None:
    whole = arrays("GRU", directions=2)
    for constant in (True, False):
        network = read(recurrent("GRU", whole, ("Y", "Y_h"), constant=constant, direction="bidirectional"), tmp_path)
        networks.save(tmp_path / "network.safetensors", network)
        again = networks.load(tmp_path / "network.safetensors")
        inputs = [torch.from_numpy(whole[name]) for name in network.inputs]
        for ours, theirs in zip(again(*inputs), network(*inputs), strict=True):
            assert torch.equal(ours, theirs)


def test_both_readings_of_a_list_of_parameters(tmp_path: Path) -> None:
    whole = arrays("LSTM")
    names = {"activations": ["Sigmoid", "LeakyRelu", "Tanh"], "hidden_size": 4}
    short = read(recurrent("LSTM", whole, ("Y",), activation_alpha=[0.25], **names), tmp_path).module("cell").layer
    assert short.specs[0].activation == "leaky_relu(0.25)"
    assert short.specs[0].output_activation == "tanh"
    long = read(recurrent("LSTM", whole, ("Y",), activation_alpha=[0.25] * 3, **names), tmp_path).module("cell").layer
    assert long.specs == short.specs
    message = (
        "The node 'cell' (LSTM) has activation_alpha = [0.5, 0.25, 0.0], and 1 of its activations take one; expected "
        "one for each of these."
    )
    with pytest.raises(ConversionError, match=f"^{re.escape(message)}$"):
        read(recurrent("LSTM", whole, ("Y",), activation_alpha=[0.5, 0.25, 0.0], **names), tmp_path)
    message = (
        "The node 'cell' (RNN) has the activation 'scaled_tanh' and no activation_alpha for it; expected a number: "
        "ONNX has no default."
    )
    with pytest.raises(ConversionError, match=f"^{re.escape(message)}$"):
        read(recurrent("RNN", arrays("RNN"), ("Y",), activations=["ScaledTanh"]), tmp_path)


def test_numbers_of_attributes_are_the_short_ones_that_float32_means(tmp_path: Path) -> None:
    functions = {"activations": ["HardSigmoid", "Elu", "Affine"], "activation_alpha": [0.2, 0.3, 1.0]}
    model = recurrent("LSTM", arrays("LSTM"), ("Y",), clip=0.7, activation_beta=[0.5, 0.0], **functions)
    options = read(model, tmp_path).nodes[1].options
    assert {
        name: options[name] for name in ("recurrent_activation", "activation", "output_activation", "gate_clip")
    } == {
        "recurrent_activation": "hard_sigmoid_02",
        "activation": "elu(0.3)",
        "output_activation": "linear",
        "gate_clip": 0.7,
    }


def test_lengths_of_zero_keep_the_initial_state(tmp_path: Path) -> None:
    whole = {**arrays("GRU"), "sequence_lens": np.array([0, 3], np.int32)}
    network = read(recurrent("GRU", whole, ("Y", "Y_h")), tmp_path)
    Y, final = network(*(torch.from_numpy(whole[name]) for name in network.inputs))
    assert not Y[:, :, 0].any()
    assert torch.equal(final[0, 0], torch.from_numpy(whole["initial_h"][0, 0]))


def test_a_layer_of_the_file_is_a_holdfast_layer(tmp_path: Path) -> None:
    network = read(recurrent("RNN", arrays("RNN"), ("Y",), direction="reverse", activations=["Relu"]), tmp_path)
    part = network.module("cell")
    assert isinstance(part, nodes.Recurrent)
    assert repr(part.layer) == "RNN(3, 4, batch_first=True, reverse=True, activation='relu')"


def test_the_difference_to_onnxruntime_is_measured(tmp_path: Path) -> None:
    whole = arrays("GRU")
    network = read(recurrent("GRU", whole, ("Y", "Y_h"), hidden_size=4), tmp_path)
    assert onnx_runtime.difference(tmp_path / "model.onnx", network) < 1e-6
    with torch.no_grad():
        network.module("cell").layer.weight_ih_l0.add_(0.1)
    assert onnx_runtime.difference(tmp_path / "model.onnx", network) > 1e-3


def test_what_onnxruntime_cannot_run_is_said(tmp_path: Path) -> None:
    given = {name: array for name, array in arrays("RNN").items() if name in ("X", "W", "R")}
    network = read(recurrent("RNN", given, ("Y",), layout=1, hidden_size=4), tmp_path)
    with pytest.raises(ConversionError, match=r"^onnxruntime cannot run the model: .*Batchwise recurrent"):
        onnx_runtime.difference(tmp_path / "model.onnx", network)
