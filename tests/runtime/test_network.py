"""Saved models as streams without torch: the same numbers, and what the native steps refuse."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.layers.stream_models import STREAMS, classifier
from tests.runtime.saved_streams import exported

import holdfast
from holdfast import runtime
from holdfast.errors import EngineError
from holdfast.runtime import kernels
from holdfast.runtime.steps import native_steps

_native = pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_an_exported_layer_gives_the_same_bits(path: Path, dtype: torch.dtype) -> None:
    stream = exported(path, dtype=dtype)
    loaded = runtime.load(str(path), batch=2)
    assert loaded.network.specs == stream.network.specs
    assert loaded.network.fingerprint == stream.network.fingerprint
    x = torch.randn(2, 6, 3, dtype=dtype).numpy()
    first = loaded.run(x)
    assert np.array_equal(stream.run(x[0]), first[0])
    assert np.array_equal(holdfast.Stream(path.parent).run(x[0]), first[0])
    again = path.with_name("again")
    loaded.export(again)
    assert runtime.load(again).network.fingerprint == stream.network.fingerprint


def test_activations_with_parameters_and_clips_are_saved(path: Path) -> None:
    named = {"activation": "scaled_tanh(1.7159, 0.6667)", "recurrent_activation": "hard_sigmoid(0.2, 0.5)"}
    stream = exported(path, output_activation="leaky_relu(0.3)", gate_clip=0.25, **named)
    loaded = runtime.load(path)
    assert loaded.network.specs == stream.network.specs
    assert loaded.network.specs[0].activations == (*named.values(), "leaky_relu(0.3)")
    x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    assert np.array_equal(loaded.run(x), stream.run(x))
    assert not np.array_equal(loaded.run(x), exported(path, gate_clip=0.25, **named).run(x))


def test_a_state_goes_from_one_process_to_another(path: Path) -> None:
    stream, state = exported(path), path.with_name("state")
    x = torch.randn(6, 3)
    stream.run(x[:3])
    stream.save(state)
    loaded = runtime.load(path)
    loaded.load(state)
    assert np.array_equal(loaded.run(x[3:].numpy()), stream.run(x[3:]).numpy())
    assert all(
        np.array_equal(a, b)
        for mine, theirs in zip(loaded.state, stream.state, strict=True)
        for a, b in zip(mine, theirs, strict=True)
    )


def test_torch_is_never_loaded(path: Path) -> None:
    stream = exported(path)
    expected = stream.run(np.ones((4, 3), np.float32))
    program = f"""
import sys
from holdfast import runtime
beside = {{name.partition(".")[0] for name in sys.modules}} - set(sys.stdlib_module_names)
assert not beside & {{"torch", "pydantic", "sklearn", "polars", "rich", "typer"}}, beside
stream = runtime.load({str(path)!r})
import numpy as np
y = np.stack([stream.step(np.ones(3, np.float32)) for _ in range(4)])
stream.save({str(path) + ".state"!r})
stream.load({str(path) + ".state"!r})
assert "torch" not in sys.modules
print(y.tobytes().hex())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert bytes.fromhex(done.stdout) == expected.tobytes()


def test_a_classifier_loads_without_torch(path: Path) -> None:
    _, _, inputs = classifier(path, "standard", cell="gru", hidden_size=5, input_layer={"size": 4}, **STREAMS)
    expected = holdfast.Stream(path).run(inputs[0])
    program = f"""
import sys
import numpy as np
from holdfast import runtime
stream = runtime.load({str(path)!r})
assert stream.labels == ("a", "b", "c")
y = stream.run(np.frombuffer(bytes.fromhex({inputs[0].tobytes().hex()!r}), np.uint8).reshape(-1, 3))
assert not {{"torch", "pydantic", "sklearn"}} & set(sys.modules)
print(y.tobytes().hex())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert bytes.fromhex(done.stdout) == expected.tobytes()


@pytest.mark.parametrize("isa", _native.instruction_sets())
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_every_instruction_set(isa: str, kind: str, dtype: torch.dtype) -> None:
    layer = getattr(holdfast, kind)(7, 37, num_layers=3, residual=True, batch_first=True, dtype=dtype)
    stream = holdfast.Stream(layer, 3)
    x = torch.randn(3, 6, 7, dtype=dtype)
    with torch.no_grad():
        expected, _ = layer(x)
    state, y = np.zeros_like(stream._state.values), np.full(expected.shape, np.nan, stream.dtype)
    steps = native_steps(stream.network, 3, state, isa)
    assert steps.advance(x.numpy(), y)
    tolerance = 8 * torch.finfo(dtype).eps * 6 * 3 * 44
    np.testing.assert_allclose(y, expected.numpy(), rtol=0, atol=tolerance)
    state[:] = 0
    for t in range(6):
        one = np.full((3, 37), np.nan, stream.dtype)
        assert steps.advance(np.ascontiguousarray(x[:, t]), one)
        np.testing.assert_allclose(one, expected[:, t].numpy(), rtol=0, atol=tolerance)


@pytest.mark.parametrize("isa", _native.instruction_sets())
@pytest.mark.parametrize("weights", ["bfloat16", "int8"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_every_instruction_set_with_narrow_weights(isa: str, kind: str, weights: Any) -> None:
    stream = holdfast.Stream(getattr(holdfast, kind)(7, 37, num_layers=3, layer_norm=True), 3, weights=weights)
    x, state = np.random.default_rng(0).normal(size=(3, 6, 7)).astype(np.float32), np.zeros_like(stream._state.values)
    expected, y = stream.run(x), np.full((3, 6, 37), np.nan, np.float32)
    assert native_steps(stream.network, 3, state, isa).advance(x, y)
    # Sums in another order; with int8 a value may then be rounded to the next of 16 bits.
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-4 if weights == "bfloat16" else 64 * 2.0**-16)


def test_values_between_the_bytes_of_others_are_read(path: Path) -> None:
    exported(path)
    packed = np.zeros(5, np.dtype([("flag", "u1"), ("values", "f4", 3)]))
    packed["values"] = np.random.default_rng(0).normal(size=(5, 3))
    x = packed["values"]
    whole = np.frombuffer(b"?" + x.tobytes(), np.float32, x.size, 1).reshape(x.shape)
    assert not x.flags.aligned
    assert not whole.flags.aligned
    expected = runtime.load(path).run(x.copy())
    for unaligned in (x, whole):
        assert np.array_equal(runtime.load(path).run(unaligned), expected)
        stream = runtime.load(path)
        assert np.array_equal(np.stack([stream.step(row) for row in unaligned]), expected)


def test_the_native_steps_refuse_what_does_not_fit() -> None:
    stream = holdfast.Stream(holdfast.LSTM(3, 2), 2)
    x, y = np.ones((2, 3), np.float32), np.ones((2, 2), np.float32)
    for a, b in [
        (x.astype("f8"), y),
        (x.astype(">f4"), y),
        (x, y.astype("f8")),
        (x[:1], y),
        (x, y[:1]),
        (x.T.copy().T, y),
        (x[:, None], y[:, None].repeat(2, 1)),
        (x[:, :2], y),
        (x, np.ones((2, 3), np.float32)),
        (np.ones((1, 2, 1, 3), np.float32), y),
        (x, 0),
        ("x", y),
    ]:
        assert not stream._advance(a, b)
    y.flags.writeable = False
    assert not stream._advance(x, y)
    assert np.all(y == 1)
    assert not stream._state.values.any()


def test_what_the_kernels_lack_needs_torch(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exported(path)
    monkeypatch.setattr(kernels, "why_not", lambda spec: "the kernels have no such thing.")
    with pytest.raises(EngineError) as error:
        runtime.load(path)
    assert str(error.value) == (
        "holdfast.runtime cannot run LSTM(3, 5) -> LSTM(5, 4): layer 0: the kernels have no such thing. "
        "holdfast.Stream, with torch, can."
    )
    assert holdfast.Stream(path).engine == "reference"
