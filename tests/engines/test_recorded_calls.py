"""Layers in traces, scripts, exported programs and ONNX files: lengths, masks, and what is refused or explained."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.engines.calls import OTHER, X, in_onnxruntime, near, quiet
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.testing._internal.two_tensor import TwoTensor
from torch.utils._python_dispatch import TorchDispatchMode

import holdfast
from holdfast.cells.calling import foreign
from holdfast.engines import native, onnx_node
from holdfast.errors import EngineError
from holdfast.interop.layouts import ONNX


class Called(nn.Module):
    """A layer as a program calls it, for what it gives as a flat tuple."""

    def __init__(self, layer: nn.Module, how: str = "plain") -> None:
        super().__init__()
        self.layer, self.how = layer, how

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        if self.how == "packed":
            packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            y, state = self.layer(packed)
            y = pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])[0]
        else:
            y, state = self.layer(x, lengths=lengths)
        return (y, *state) if isinstance(state, tuple) else (y, state)


LENGTHS = torch.tensor([5, 3])
OTHER_LENGTHS = torch.tensor([4, 7, 0])
PADDED = OTHER.clone()
PADDED[0, 4:] = torch.nan
LAYERS: dict[str, Callable[[], nn.Module]] = {
    "two layers, both directions": lambda: holdfast.LSTM(3, 4, 2, batch_first=True, bidirectional=True),
    "gru": lambda: holdfast.GRU(3, 4, batch_first=True),
    "rnn, reversed": lambda: holdfast.RNN(3, 4, nonlinearity="relu", batch_first=True, reverse=True),
    "layer norm": lambda: holdfast.GRU(3, 16, batch_first=True, layer_norm=True),
    "peepholes": lambda: holdfast.LSTM(3, 4, batch_first=True, peepholes=True, bidirectional=True),
    "native": lambda: holdfast.LSTM(3, 4, batch_first=True, engine="native"),
}


@pytest.mark.parametrize("name", LAYERS)
def test_lengths_are_read_anew_in_every_call_of_what_was_recorded(name: str) -> None:
    model = Called(LAYERS[name]())
    expected = model(PADDED, OTHER_LENGTHS)
    with quiet():
        near(torch.jit.trace(model, (X, LENGTHS))(PADDED, OTHER_LENGTHS), expected)
    batch, time = torch.export.Dim("batch"), torch.export.Dim("time")
    program = torch.export.export(model, (X, LENGTHS), dynamic_shapes=({0: batch, 1: time}, {0: batch}))
    near(program.module()(PADDED, OTHER_LENGTHS), expected)


@pytest.mark.parametrize("name", ["two layers, both directions", "gru", "rnn, reversed"])
def test_lengths_in_a_file_of_onnx(name: str, tmp_path: Path) -> None:
    model, path = Called(LAYERS[name]()), tmp_path / "model.onnx"
    axes = {"x": {0: "batch", 1: "time"}, "lengths": {0: "batch"}}
    with quiet():
        torch.onnx.export(
            model, (X, LENGTHS), path, dynamo=False, input_names=["x", "lengths"], dynamic_axes=axes, verbose=False
        )
    session = pytest.importorskip("onnxruntime").InferenceSession(path)
    got = session.run(None, {"x": PADDED.numpy(), "lengths": OTHER_LENGTHS.numpy()})
    near(tuple(map(torch.from_numpy, got)), model(PADDED, OTHER_LENGTHS))


def test_packed_sequences_are_traced() -> None:
    model = Called(LAYERS["gru"](), "packed")
    with quiet():
        near(torch.jit.trace(model, (X, LENGTHS), check_trace=False)(X, LENGTHS), model(X, LENGTHS))


@pytest.mark.parametrize("layer", [holdfast.LSTM(3, 4), holdfast.GRU(3, 4), holdfast.RNN(3, 4)], ids=repr)
def test_a_layer_alone_is_exported(layer: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with quiet():
        torch.onnx.export(layer, (X,), path, dynamo=False, input_names=["x"])
        scripted = torch.jit.script(copy.deepcopy(layer))
    near(in_onnxruntime(path)(X), layer(X)[0])
    near(scripted(X), layer(X))


@pytest.mark.parametrize(
    "module",
    [
        holdfast.LSTM(3, 4, 2, bidirectional=True, engine="native"),
        holdfast.LSTM(3, 4, 2, proj_size=2, peepholes=True, merge="sum", bidirectional=True, residual=True),
        holdfast.GRU(3, 4, 2, dropout=0.5, reset_after=False).eval(),
        holdfast.LSTMCell(3, 4),
        holdfast.LSTMCell(3, 4, peepholes=True),
        holdfast.GRUCell(3, 4, layer_norm=True),
        holdfast.RNNCell(3, 4),
    ],
    ids=repr,
)
def test_what_is_scripted_is_saved_and_loaded(module: nn.Module, tmp_path: Path) -> None:
    x = X[:, 0] if "Cell" in type(module).__name__ else X
    with quiet():
        torch.jit.save(torch.jit.script(copy.deepcopy(module)), tmp_path / "model.pt")
        loaded = torch.jit.load(tmp_path / "model.pt")
    near(loaded(x), module(x))
    near(loaded.double()(x.double()), copy.deepcopy(module).double()(x.double()))


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (holdfast.LSTM(3, 4, activation=torch.tanh), "an activation is a callable"),
        (holdfast.LSTM(3, [4, 5]), "its layers have different sizes"),
    ],
)
def test_what_cannot_be_scripted_says_what_can(layer: nn.Module, reason: str) -> None:
    with quiet(), pytest.raises(EngineError) as raised:
        torch.jit.script(layer)
    assert str(raised.value) == (
        f"torch.jit.script cannot take Holdfast's LSTM: {reason}. Use torch.jit.trace or torch.export.export, which "
        "can."
    )


def test_a_graph_of_torch_fx_needs_a_model_around_the_layer() -> None:
    with pytest.raises(EngineError) as raised:
        torch.fx.symbolic_trace(holdfast.LSTM(3, 4))
    assert str(raised.value) == (
        "torch.fx.symbolic_trace cannot look into Holdfast's LSTM: it is one node of a graph. Trace a model that holds "
        "it."
    )


def test_explain_says_why_the_kernels_step_aside() -> None:
    layer, found = holdfast.LSTM(3, 4), []

    class Explained(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor) -> Tensor:
            found.append(holdfast.explain(layer, x))
            return self.layer(x)[0].sum()  # type: ignore[no-any-return]

    explained = Explained()
    torch.func.grad(explained)(X)
    assert found[0].engine == "reference"
    assert found[0].choices[0].reasons["native"] == (
        "torch.func or forward-mode derivatives transform this call, and kernels cannot be transformed."
    )
    with quiet():
        torch.jit.trace(explained, X, check_trace=False)
    assert found[1].engine == "recorded"
    assert holdfast.explain(layer, X).choices[0].reasons["recorded"] == (
        "it serves traces of torch.jit and files of ONNX, and this call makes neither."
    )


def test_a_program_draws_new_masks_in_every_call() -> None:
    layer = holdfast.LSTM(3, 16, recurrent_dropout=0.5, zoneout_h=0.2)
    with quiet():
        trace = torch.jit.trace(layer, X, check_trace=False)
    assert not torch.equal(trace(X)[0], trace(X)[0])
    program = torch.export.export(layer, (X,)).module()
    assert not torch.equal(program(X)[0], program(X)[0])
    rows = torch.func.vmap(lambda x: layer(x)[0], randomness="different")(
        X[:, :1].expand(2, 4, 3)[None].repeat(2, 1, 1, 1)
    )
    assert not torch.equal(rows[0], rows[1])


def test_the_order_of_the_gates_in_onnx_is_that_of_the_table() -> None:
    assert ONNX.gates == onnx_node.GATES
    assert ONNX.peepholes == onnx_node.PEEPHOLES


def test_a_tensor_with_its_values_elsewhere_goes_to_the_reference() -> None:
    layer = holdfast.GRU(3, 4)
    mode = FakeTensorMode()
    assert holdfast.explain(layer, X).engine == "native"
    assert foreign({"inputs": X, "weight_ih": TwoTensor(X, X)}) == "weight_ih is a TwoTensor"
    assert foreign({"inputs": mode.from_tensor(X)}) is None


def test_a_recorded_backward_pass_without_kernels_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiled training step may be loaded where the kernels are not: no gradient is made up."""
    calls: list[Any] = []

    class Recorder(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.ops.holdfast.recurrent_backward.default:
                calls.append(args)
            return func(*args, **(kwargs or {}))

    layer = holdfast.GRU(3, 4)
    with Recorder():
        layer(torch.randn(5, 2, 3))[0].sum().backward()
    again = torch.ops.holdfast.recurrent_backward(*calls[0])
    near(again[-1], layer.bias_hh_l0.grad)
    monkeypatch.setattr(native, "_MISSING", "no such file")
    with pytest.raises(EngineError, match=r"recurrent_backward has no kernels here .* \(no such file\)\. Record the"):
        torch.ops.holdfast.recurrent_backward(*calls[0])
