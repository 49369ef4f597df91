"""A stream beside the layer or model it was made of: the same numbers, step by step and in chunks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import holdfast
from holdfast import runtime
from holdfast.data import Encoder, Examples
from holdfast.engines.native import NativeEngine
from holdfast.errors import EngineError, ModelFileError, OptionError, ShapeError
from holdfast.tasks import ClassifyTask, model_file
from holdfast.tasks.classify.settings import ClassifyData, ClassifyModel
from variants import VARIANTS
from verification import make_request

NATIVE = NativeEngine().why_not(make_request()) is None
LAYERS = {"lstm": holdfast.LSTM, "gru": holdfast.GRU, "rnn": holdfast.RNN}
CELLS = {"lstm": holdfast.LSTMCell, "gru": holdfast.GRUCell, "rnn": holdfast.RNNCell}
STEPS = 7


def made(kind: str, inputs: int, units: Any, dtype: torch.dtype = torch.float64, **options: Any) -> Any:
    """A layer with every parameter drawn anew, biases and gains too."""
    layer = LAYERS[kind](inputs, units, batch_first=True, dtype=dtype, **options)
    for name, parameter in layer.named_parameters():
        torch.nn.init.normal_(parameter, mean=float(name.startswith("norm")), std=0.4)
    return layer.eval()


def check_like_layer(layer: Any, stream: Any, batch: int) -> None:
    """Outputs and states of the stream, by single steps and by chunks of 3, beside the layer's over all steps."""
    dtype = next(layer.parameters()).dtype
    x = torch.randn(batch, STEPS, layer.input_size, dtype=dtype)
    with torch.no_grad():
        expected, state = layer(x)
    terms = STEPS * layer.num_layers * (layer.input_size + max(spec.hidden_size for spec in layer.specs))
    close = {"rtol": 0.0, "atol": 8 * torch.finfo(dtype).eps * terms}
    by_step = torch.stack([stream.step(x[:, t]) for t in range(STEPS)], 1)
    torch.testing.assert_close(by_step, expected, **close)
    torch.testing.assert_close(stream.state, state, **close)
    stream.reset()
    by_chunk = torch.cat([stream.run(part) for part in x.split(3, 1)], 1)
    torch.testing.assert_close(by_chunk, expected, **close)
    torch.testing.assert_close(stream.state, state, **close)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_the_layer_in_evaluation(name: str, dtype: torch.dtype) -> None:
    kind, options = VARIANTS[name]
    layer = made(kind, 3, 5, dtype, num_layers=2, dropout=0.5, weight_dropout=0.3, **options)
    stream = holdfast.Stream(layer.train(), batch=3)
    assert stream.engine == ("native" if stream.why_not_native() is None else "reference")
    check_like_layer(layer.eval(), stream, 3)


@pytest.mark.parametrize("engine", ["auto", "reference"])
@pytest.mark.parametrize("batch", [1, 3, 17])
@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(
    ("inputs", "units", "options"),
    [(1, 1, {}), (5, [33, 8, 20], {}), (8, 8, {"num_layers": 3, "residual": True}), (3, 63, {"bias": False})],
    ids=["one", "unequal", "residual", "63"],
)
def test_every_way_of_stacking(kind: str, batch: int, inputs: int, units: Any, options: Any, engine: str) -> None:
    layer = made(kind, inputs, units, **options)
    check_like_layer(layer, holdfast.Stream(layer, batch, engine=engine), batch)


def test_work_that_is_large_enough_for_threads() -> None:
    layer = made("lstm", 100, 200, torch.float32)
    check_like_layer(layer, holdfast.Stream(layer, 64), 64)


@pytest.mark.parametrize("kind", CELLS)
def test_a_cell(kind: str) -> None:
    cell = CELLS[kind](3, 5, dtype=torch.float64)
    stream, state = holdfast.Stream(cell, 2), None
    for x in torch.randn(STEPS, 2, 3, dtype=torch.float64):
        state = cell(x, state)
        torch.testing.assert_close(stream.step(x), (state[0] if kind == "lstm" else state).detach())


def test_a_callable_activation_is_left_to_the_reference() -> None:
    layer = made("rnn", 3, 5, activation=torch.sin)
    stream = holdfast.Stream(layer)
    assert stream.engine == "reference"
    assert stream.why_not_native() is not None
    check_like_layer(layer, stream, 1)
    with pytest.raises(OptionError, match=r"An activation is a callable, which no file can hold: use one that has a"):
        stream.export("x")


def test_what_goes_in_comes_out() -> None:
    layer = made("gru", 3, 5)
    stream, again = holdfast.Stream(layer), holdfast.Stream(layer)
    x = torch.randn(STEPS, 3, dtype=torch.float64)
    for row in x:
        whole, alone = stream.step(row[None]), again.step(row.numpy())
        assert whole.shape == (1, 5)
        assert isinstance(alone, np.ndarray)
        assert alone.shape == (5,)
        assert np.array_equal(whole[0].numpy(), alone)
    stream.reset()
    again.reset()
    run = stream.run(x)
    assert isinstance(run, Tensor)
    assert run.shape == (STEPS, 5)
    assert np.array_equal(run.numpy(), again.run(x[None].numpy())[0])
    assert stream.run(x[:0]).shape == (0, 5)
    assert torch.equal(stream.state, again.state)


def test_inputs_of_any_strides_and_with_gradients() -> None:
    stream = holdfast.Stream(made("lstm", 4, 5), 2)
    x = torch.randn(STEPS, 4, 2, dtype=torch.float64, requires_grad=True)
    turned = x.detach().permute(2, 0, 1)
    expected = stream.run(turned.contiguous())
    stream.reset()
    assert torch.equal(stream.run(x.permute(2, 0, 1)), expected)
    stream.reset()
    steps = [stream.step(turned[:, t].numpy()) for t in range(STEPS)]
    assert np.array_equal(np.stack(steps, 1), expected.numpy())
    fixed = turned[:, 0].numpy().copy()
    fixed.flags.writeable = False
    stream.reset()
    assert np.array_equal(stream.step(fixed), expected[:, 0].numpy())


def test_outputs_and_states_are_the_callers() -> None:
    stream = holdfast.Stream(made("lstm", 3, 5))
    x = torch.randn(3, dtype=torch.float64)
    first = stream.step(x)
    kept, (h, c) = first.clone(), stream.state
    stream.step(x)
    assert torch.equal(first, kept)
    h.zero_(), c.zero_()
    assert all(bool(part.any()) for part in stream.state)


def test_weights_are_copied() -> None:
    layer = made("lstm", 3, 5)
    stream, x = holdfast.Stream(layer), torch.randn(3, dtype=torch.float64)
    before, fingerprint = stream.step(x), stream.network.fingerprint
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
    stream.reset()
    assert torch.equal(stream.step(x), before)
    assert holdfast.Stream(layer).network.fingerprint != fingerprint


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("units", [5, [5, 4]], ids=["equal", "unequal"])
def test_the_state_goes_to_and_fro(kind: str, units: Any) -> None:
    layer = made(kind, 3, units, **({} if isinstance(units, list) else {"num_layers": 2}))
    stream = holdfast.Stream(layer, 2)
    x = torch.randn(2, STEPS, 3, dtype=torch.float64)
    with torch.no_grad():
        expected, final = layer(x)
        begun, state = layer(x[:, :4])
    stream.state = state
    torch.testing.assert_close(stream.run(x[:, 4:]), expected[:, 4:])
    torch.testing.assert_close(stream.state, final)
    stream.reset()
    torch.testing.assert_close(stream.run(x[:, :4]), begun)
    with torch.no_grad():
        torch.testing.assert_close(layer(x[:, 4:], stream.state)[0], expected[:, 4:])


@pytest.mark.parametrize("rows", [[1, 2], [False, True, True], torch.tensor([2, 1]), -1, []], ids=repr)
def test_some_rows_begin_anew(rows: Any) -> None:
    layer = made("lstm", 3, 5, num_layers=2)
    stream, fresh = holdfast.Stream(layer, 3), holdfast.Stream(layer, 3)
    x = torch.randn(3, STEPS, 3, dtype=torch.float64)
    stream.run(x[:, :4])
    h, c = stream.state
    stream.reset(rows)
    h[:, rows], c[:, rows] = 0, 0
    assert all(torch.equal(*pair) for pair in zip(stream.state, (h, c), strict=True))
    with torch.no_grad():
        torch.testing.assert_close(stream.run(x[:, 4:]), layer(x[:, 4:], (h, c))[0])
    fresh.reset(rows)
    assert not any(bool(part.any()) for part in fresh.state)


def test_a_saved_state_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    layer = made("lstm", 3, [5, 4], torch.float32)
    stream, x = holdfast.Stream(layer, 2), torch.randn(2, STEPS, 3)
    stream.run(x[:, :4])
    stream.save(tmp_path / "state")
    expected = stream.run(x[:, 4:])
    other = holdfast.Stream(layer, 2)
    other.load(tmp_path / "state")
    assert torch.equal(other.run(x[:, 4:]), expected)


def test_a_state_of_another_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state"
    stream = holdfast.Stream(made("lstm", 3, 5), 2)
    stream.step(torch.ones(2, 3, dtype=torch.float64))
    stream.save(path)
    before = stream.state

    def refused(model: Any, batch: int) -> str:
        with pytest.raises(ModelFileError) as error:
            holdfast.Stream(model, batch).load(path)
        return str(error.value).removeprefix(str(path))

    assert refused(made("gru", 3, 4), 2) == (
        " is the state of another model (LSTM(3, 5)); this is GRU(3, 4). Load the model that it was saved with."
    )
    assert refused(made("lstm", 3, 5), 2) == (
        " is the state of another model (the same layers with other weights or options); this is LSTM(3, 5). Load the "
        "model that it was saved with."
    )
    with pytest.raises(ModelFileError) as error:
        runtime.Stream(stream.network, 3).load(path)
    assert str(error.value) == (
        f"{path} has shape (2, 5) for 'h_l0'; expected (3, 5): make the stream with the batch that it was saved with."
    )
    stream.export(path)
    with pytest.raises(ModelFileError) as error:
        stream.load(path)
    assert str(error.value) == f"{path} is a model; expected a stream state. Give the path of the stream state."
    assert all(torch.equal(*pair) for pair in zip(stream.state, before, strict=True))


# A classifier


def classifier(path: Path, scaling: Any = "none", **model: Any) -> tuple[ClassifyTask, Any, list[Any]]:
    """A saved classifier with random weights, and the sequences its scaling was fitted on."""
    generator = np.random.default_rng(0)
    inputs = [generator.integers(0, 255, (n, 3), dtype=np.uint8) for n in (4, 6, 5, 6)]
    examples = Examples(inputs, ["b", "a", "b", "c"], [f"row{k}" for k in range(4)])
    task = ClassifyTask(ClassifyModel(**model), Encoder.fit(examples, ClassifyData(scaling=scaling)))
    network = task.build()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    model_file.save(path, task, network)
    return task, network.eval(), inputs


@pytest.mark.parametrize("scaling", ["none", "unit", "standard"])
@pytest.mark.parametrize(
    "model",
    [
        {"cell": "lstm", "hidden_size": 5, "head": "last_output"},
        {"cell": "gru", "hidden_size": [6, 4], "dropout": 0.5},
        {"cell": "rnn", "hidden_size": 5, "num_layers": 2, "residual": True, "input_layer": {"size": 4}},
        {"cell": "gru", "hidden_size": 5, "num_layers": 3, "residual": True, "head": "last_output"},
        {"cell": "lstm", "hidden_size": 5, "options": {"peepholes": True, "zoneout_h": 0.1, "activation": "relu"}},
        {"cell": "lstm", "hidden_size": 5, "options": {"layer_norm": True}},
    ],
    ids=lambda model: "-".join(map(str, model)),
)
def test_a_classifier_scores_the_sequence_so_far(tmp_path: Path, scaling: str, model: Any) -> None:
    task, network, inputs = classifier(tmp_path / "model.safetensors", scaling, **ClassifyModel(**model).model_dump())
    saved, loaded = holdfast.Stream(tmp_path), holdfast.Stream(network)
    assert saved.labels == ("a", "b", "c")
    for raw in inputs:
        scaled = torch.from_numpy(task.encoder.scaling.apply(raw))
        with torch.no_grad():
            expected = torch.cat([network(scaled[None, : t + 1])[0] for t in range(len(raw))])
        torch.testing.assert_close(loaded.run(scaled), expected)
        torch.testing.assert_close(torch.from_numpy(saved.run(raw)), expected)
        loaded.reset()
        saved.reset()
        torch.testing.assert_close(torch.stack([loaded.step(x) for x in scaled]), expected)
        torch.testing.assert_close(torch.from_numpy(np.stack([saved.step(x) for x in raw])), expected)
        loaded.reset()
        saved.reset()


def test_a_classifier_that_needs_the_whole_sequence_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    for head in ("mean", "max"):
        _, network, _ = classifier(path, hidden_size=5, head=head)
        for model in (network, path):
            with pytest.raises(OptionError) as error:
                holdfast.Stream(model)
            assert str(error.value) == (
                f"The classifier's head is {head!r}, over all steps of a sequence; a stream gives the scores of its "
                "last output, so it needs head = 'last_state' or 'last_output'."
            )
    _, network, _ = classifier(path, hidden_size=5, bidirectional=True)
    for model in (network, path, network.recurrent):
        with pytest.raises(OptionError) as error:
            holdfast.Stream(model)
        assert str(error.value) == (
            "The LSTM is bidirectional: its output depends on steps that have not come yet. A stream needs one with "
            "bidirectional=False."
        )
    with pytest.raises(OptionError) as error:
        holdfast.Stream(holdfast.LSTM(3, 5, reverse=True))
    assert str(error.value) == (
        "The LSTM runs in reverse: its first output depends on the last step. A stream needs one with reverse=False."
    )


# Errors


def test_models_that_are_refused() -> None:
    with pytest.raises(OptionError) as error:
        holdfast.Stream(torch.nn.LSTM(2, 3))
    assert str(error.value) == (
        "Stream got a torch.nn.modules.rnn.LSTM; expected a layer or a cell of Holdfast, a classifier, or the path of "
        "a saved model. A layer of torch.nn: load its state_dict into Holdfast's."
    )
    with pytest.raises(OptionError) as error:
        holdfast.Stream(holdfast.LSTM(2, 3, dtype=torch.bfloat16))
    assert str(error.value) == (
        "The parameter 'weight_ih_l0' is torch.bfloat16; a stream computes in float32 or in float64: convert the model "
        "by .float()."
    )
    with pytest.raises(OptionError, match=r"The parameter 'weight_ih_l0' is on meta and has no values: load them"):
        holdfast.Stream(holdfast.GRU(2, 3, device="meta"))
    part = holdfast.LSTM(2, 3)
    part.weight_hh_l0.data = part.weight_hh_l0.data.double()
    with pytest.raises(OptionError, match=r"The array 'weight_hh_l0' is float64; a stream computes in"):
        holdfast.Stream(part)
    with pytest.raises(OptionError, match=r"batch is 0; expected a whole number of sequences from 1 on\."):
        holdfast.Stream(holdfast.LSTM(2, 3), 0)
    with pytest.raises(OptionError, match=r"There is no engine 'nativ': did you mean 'native'\?"):
        holdfast.Stream(holdfast.LSTM(2, 3), engine="nativ")
    with pytest.raises(EngineError) as failed:
        holdfast.Stream(holdfast.LSTM(2, 3, activation=torch.sin), engine="native")
    assert str(failed.value).startswith("The engine 'native' cannot run this stream: ")
    assert str(failed.value).endswith(" Use engine='auto'.")


@pytest.mark.parametrize(
    ("batch", "method", "x", "message"),
    [
        (1, "step", torch.zeros(4), "shape (4,); expected (batch, input_size) or (input_size,) with batch = 1 and"),
        (1, "step", torch.zeros(2, 3), "shape (2, 3); expected (batch, input_size) or (input_size,) with batch = 1"),
        (2, "step", torch.zeros(3), "shape (3,); expected (batch, input_size) with batch = 2 and input_size = 3."),
        (1, "step", torch.zeros(1, 1, 3), "shape (1, 1, 3); expected (batch, input_size) or (input_size,) with"),
        (1, "step", np.zeros((), np.float32), "shape (); expected"),
        (1, "run", torch.zeros(3), "shape (3,); expected (batch, time, input_size) or (time, input_size) with batch"),
        (2, "run", torch.zeros(5, 3), "shape (5, 3); expected (batch, time, input_size) with batch = 2 and"),
        (2, "run", torch.zeros(3, 5, 3), "shape (3, 5, 3); expected (batch, time, input_size) with batch = 2 and"),
        (1, "step", np.zeros(3), "is float64; expected float32, as the model: convert it by .astype('float32')."),
        (1, "run", np.zeros((2, 3), ">f4"), "is >f4; expected float32, as the model"),
        (1, "step", [0.0, 0.0, 0.0], "is a list; expected a NumPy array."),
        (1, "step", torch.zeros(3, dtype=torch.bfloat16), "The stream's tensor is torch.bfloat16 on cpu; expected"),
        (1, "step", torch.zeros(3, device="meta"), "The stream's tensor is torch.float32 on meta; expected one on the"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_inputs_that_are_refused(batch: int, method: str, x: Any, message: str, engine: Any) -> None:
    stream = holdfast.Stream(holdfast.LSTM(3, 2), batch, engine=engine)
    with pytest.raises(ShapeError) as error:
        getattr(stream, method)(x)
    assert message in str(error.value)
    assert not any(bool(part.any()) for part in stream.state)


@pytest.mark.parametrize(
    ("units", "state", "message"),
    [
        (2, torch.zeros(1, 1, 2), "The stream's state is not a pair; expected (h, c)."),
        (2, (torch.zeros(1, 1, 2),), "The stream's state is not a pair; expected (h, c)."),
        (
            2,
            (torch.ones(1, 1, 2), torch.zeros(1, 2, 2)),
            "The stream's state c is float32 of shape (1, 2, 2); expected float32 of shape (1, 1, 2).",
        ),
        (
            2,
            (torch.ones(1, 1, 2, dtype=torch.float64), torch.zeros(1, 1, 2)),
            "The stream's state h is float64 of shape (1, 1, 2); expected float32 of shape (1, 1, 2).",
        ),
        (2, ([0], [0]), "The stream's state h is a list; expected float32 of shape (1, 1, 2)."),
        (
            [2, 3],
            (torch.zeros(2, 1, 2), torch.zeros(2, 1, 2)),
            "The stream's state h is not a sequence of 2 arrays; the layers have different sizes: give one of shape "
            "(1, batch, size) a layer.",
        ),
    ],
)
def test_states_that_are_refused(units: Any, state: Any, message: str) -> None:
    stream = holdfast.Stream(holdfast.LSTM(3, units))
    with pytest.raises(ShapeError) as error:
        stream.state = state
    assert message in str(error.value)
    stream.reset()
    flat = stream.state if isinstance(units, int) else [part for column in stream.state for part in column]
    assert not any(bool(part.any()) for part in flat)


def test_rows_that_are_not_there() -> None:
    stream = holdfast.Stream(holdfast.RNN(3, 2), 2)
    with pytest.raises(ShapeError, match=r"rows is \[2\]; expected numbers of rows of a batch of 2\."):
        stream.reset([2])


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc to read the memory from")
def test_memory_does_not_grow() -> None:
    stream = holdfast.Stream(holdfast.LSTM(28, 64, num_layers=2), 2)
    x, chunk = np.ones((2, 28), np.float32), np.ones((2, 5, 28), np.float32)
    tensor = torch.ones(2, 28)

    def steps(count: int) -> None:
        for k in range(count):
            stream.step(x)
            stream.step(tensor)
            if k % 10 == 0:
                stream.run(chunk)
                stream.state = stream.state
                stream.reset([1])

    steps(500)
    before = resident()
    steps(10_000)
    assert resident() - before < 2**20
