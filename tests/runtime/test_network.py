"""Saved models as streams without torch: what a file may hold, and what it may not."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save
from safetensors.torch import save as save_torch
from tests.layers.test_stream import classifier

import holdfast
from holdfast import runtime
from holdfast.errors import EngineError, HoldfastError, ModelFileError, OptionError
from holdfast.files import container
from holdfast.runtime import kernels
from holdfast.runtime.steps import native_steps

_native = pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def exported(path: Path, **options: Any) -> holdfast.Stream:
    """A stream of two layers of different sizes, exported to ``path``."""
    layer = holdfast.LSTM(3, [5, 4], **{"peepholes": True, "cell_clip": 2.0, "zoneout_c": 0.2, **options})
    stream = holdfast.Stream(layer)
    stream.export(path)
    return stream


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
    _, _, inputs = classifier(path, "standard", cell="gru", hidden_size=5, input_layer={"size": 4})
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
    state, y = np.zeros_like(stream._state), np.full(expected.shape, np.nan, stream.dtype)
    steps = native_steps(stream.network, 3, state, isa)
    assert steps.advance(x.numpy(), y)
    tolerance = 8 * torch.finfo(dtype).eps * 6 * 3 * 44
    np.testing.assert_allclose(y, expected.numpy(), rtol=0, atol=tolerance)
    state[:] = 0
    for t in range(6):
        one = np.full((3, 37), np.nan, stream.dtype)
        assert steps.advance(np.ascontiguousarray(x[:, t]), one)
        np.testing.assert_allclose(one, expected[:, t].numpy(), rtol=0, atol=tolerance)


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
    assert not stream._state.any()


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


def as_before(path: Path) -> None:
    """Writes an exported layer anew, with the document and the names that format version 2 had."""
    stream = runtime.load(path)
    arrays = {}
    for name, array in stream.network.arrays.items():
        parameter, number = name.rsplit("_l", 1)
        arrays[f"layers.{number}.{parameter}"] = array
    cells = [asdict(spec) for spec in stream.network.specs]
    document = {"task": "stream", "cells": cells, "residual": [*stream.network.residual], "scaling": None, "labels": []}
    container.write(path, save, arrays, document, "model")


def changed(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], Any]) -> str:
    """What is said of the file when its arrays and document were changed."""
    arrays, document = container.read(path, "model", "np")
    change(arrays, document)
    container.write(path, save, arrays, document, "model")
    with pytest.raises(ModelFileError) as error:
        runtime.load(path)
    assert str(error.value).startswith(f"{path} is ")
    return str(error.value).removeprefix(f"{path} is ")


def layers(document: dict[str, Any]) -> dict[str, Any]:
    """The recurrent part of an exported layer's document."""
    (part,) = document["chain"]["parts"]
    return part  # type: ignore[no-any-return]


def with_part(document: dict[str, Any], part: Any, place: int = 0) -> None:
    document["chain"]["parts"].insert(place, part)


STANDARD = {"kind": "standard", "mean": [0.5], "std": [1.0]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, d: a.pop("bias_hh_l1"), "The array 'bias_hh_l1' is missing; expected (16,)"),
        (lambda a, d: a.update(bias=np.zeros(3, np.float32)), "The array 'bias' has shape (3,); expected none of that"),
        (lambda a, d: d.update(chain=[]), "The chain is not a table of parts and labels"),
        (lambda a, d: d["chain"].update(version=4), "The chain is not a table of parts and labels"),
        (lambda a, d: d["chain"].update(parts={}), "The chain is not a list of parts with a list of labels"),
        (lambda a, d: d["chain"].update(labels=[1]), "The chain is not a list of parts with a list of labels"),
        (lambda a, d: d["chain"].update(parts=[]), "A chain has no part with a size"),
        (lambda a, d: with_part(d, 7), "A part is 7; expected a table that names it"),
        (lambda a, d: with_part(d, {"name": "x"}), "A part is {'name': 'x'}; expected a table that names it"),
        (lambda a, d: with_part(d, {"part": "lienar"}), "There is no part 'lienar': did you mean 'linear'? Known: "),
        (lambda a, d: layers(d).update(colour=1), "The part 'recurrent' has 'part, name, cells, bidirectional, "),
        (lambda a, d: layers(d).pop("merge"), "The part 'recurrent' has 'part, name, cells, bidirectional, residual"),
        (lambda a, d: layers(d).update(merge="both"), "recurrent.merge is 'both'; expected 'concat' or 'sum'"),
        (lambda a, d: layers(d).update(residual=1), "recurrent.residual is 1; expected bool"),
        (lambda a, d: layers(d).update(name=None), "recurrent.name is None; expected str"),
        (lambda a, d: layers(d).update(cells=7), "recurrent.cells is 7; expected tuple"),
        (lambda a, d: layers(d).update(cells=[7]), "recurrent.cells is 7; expected CellSpec"),
        (lambda a, d: layers(d).update(cells=[]), "Recurrent layers have no cell; expected cells of one kind"),
        (lambda a, d: layers(d)["cells"][0].pop("input_size"), "A cell has no input_size"),
        (lambda a, d: layers(d)["cells"][0].update(colour=1), "LSTM has no option 'colour'"),
        (lambda a, d: layers(d)["cells"][0].update(hidden_size=-1), "LSTM hidden_size is -1; expected a whole number"),
        (lambda a, d: layers(d)["cells"][0].update(hidden_size=10**30), "Layer 1 has 5 inputs; the one below has 1000"),
        (lambda a, d: layers(d)["cells"][0].update(activation=["tanh"]), "There is no activation ['tanh']"),
        (lambda a, d: layers(d)["cells"][0].update(kind="gru"), "GRU has no option"),
        (lambda a, d: layers(d)["cells"][0].update(kind=["gru"]), "There is no kind of cell ['gru']"),
        (lambda a, d: layers(d).update(residual=True), "Layer 1 has 5 inputs; the one below has 5 outputs"),
        (lambda a, d: d["chain"].update(labels=["a"]), "There are 1 labels for 4 scores"),
        (lambda a, d: with_part(d, {"part": "scaled", "scaling": {}}), "The saved scaling does not fit (KeyError: 'me"),
        (lambda a, d: with_part(d, {"part": "scaled", "scaling": 1}), "scaled.scaling is 1; expected Scaling"),
        (lambda a, d: with_part(d, {"part": "scaled", "scaling": STANDARD}), "Recurrent takes 3 values; the part b"),
        (
            lambda a, d: with_part(d, {"part": "linear", "name": "in", "inputs": 2, "outputs": 3, "bias": False}),
            "The array 'in.weight' is missing; expected (3, 2)",
        ),
        (
            lambda a, d: with_part(d, {"part": "linear", "name": "in", "inputs": 2**31, "outputs": 3, "bias": False}),
            "linear.inputs is 2147483648; expected int",
        ),
        (
            lambda a, d: with_part(
                d, {"part": "known_ahead", "context": layers(d), "hidden": 1, "output": 1, "known": 1}
            ),
            "A part is 'recurrent'; expected 'linear'",
        ),
        (lambda a, d: a.update(bias_ih_l0=a["bias_ih_l0"].astype("f8")), "The array 'bias_ih_l0' is float64; a stream"),
        (lambda a, d: a.update(weight_hh_l0=a["weight_hh_l0"].T.copy()), "The array 'weight_hh_l0' has shape (5, 20)"),
        (lambda a, d: [a.update({n: v.astype("f2")}) for n, v in dict(a).items()], "The array 'bias_hh_l0' is float16"),
    ],
)
def test_damaged_chains(path: Path, change: Any, message: str) -> None:
    exported(path)
    said = changed(path, change)
    assert said.startswith(f"damaged: {message}")
    assert said.endswith(". Take another copy of it.")


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            {"part": "embedding", "name": "e", "tokens": 9, "size": 3, "mask_zero": False},
            "The model reads texts; a s",
        ),
        (
            {"part": "window_scaling", "kind": "last", "values": 1},
            "The model has the part WindowScaling where a str",
        ),
        (
            {"part": "head", "kind": "mean"},
            "The model has the part Recurrent where a stream has none; expected at",
        ),
    ],
)
def test_chains_that_no_stream_computes(path: Path, part: Any, message: str) -> None:
    exported(path)
    arrays, document = container.read(path, "model", "np")
    with_part(document, part)
    container.write(path, save, arrays, document, "model")
    with pytest.raises(OptionError, match=f"^{re.escape(message)}"):
        runtime.load(path)


def test_parts_that_are_nested_deeply(path: Path) -> None:
    exported(path)
    part: Any = 1
    for _ in range(200):
        part = {"part": "decoder", "embedding": part, "recurrent": part, "bridge": [], "attention": None, "output": 1}
        part["recurrent"] = 1
    assert changed(path, lambda a, d: with_part(d, part)).startswith("damaged: A part is 'decoder'; expected 'embedd")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, d: a.pop("layers.1.bias_hh"), "The array 'layers.bias_hh_l1' is missing"),
        (lambda a, d: d.pop("cells"), "its description does not fit"),
        (lambda a, d: d.update(cells=7), "its description does not fit"),
        (lambda a, d: d.update(cells=[], residual=[]), "Recurrent layers have no cell"),
        (lambda a, d: d["cells"][0].update(colour=1), "its description does not fit"),
        (lambda a, d: d["cells"][0].update(hidden_size=-1), "LSTM hidden_size is -1; expected a whole number"),
        (lambda a, d: d["cells"][0].update(activation="elu(1, 2)"), "The activation 'elu(1, 2)' has other parameters"),
        (lambda a, d: d["cells"][0].update(output_activation=7), "There is no activation 7"),
        (lambda a, d: d["cells"][0].update(gate_clip="1"), "LSTM gate_clip is '1'; expected a number"),
        (lambda a, d: d["cells"][1].update(input_size=6), "Layer 1 has 6 inputs; the one below has 5 outputs"),
        (lambda a, d: d["cells"][0].update(kind="gru"), "GRU has no option"),
        (lambda a, d: d.update(residual=[False, True]), "Layer 1 has 5 inputs; the one below has 5 outputs"),
        (lambda a, d: d.update(residual=[True, False]), "The layers that add their input to their output are not all"),
        (lambda a, d: d.update(residual=[True]), "There are 2 cells, and 1 of them add their input or not"),
        (lambda a, d: d.update(labels=["a"]), "There are 1 labels for 4 scores"),
        (lambda a, d: d.update(scaling={"kind": "twice", "mean": [], "std": []}), "The saved scaling does not fit"),
        (lambda a, d: d.update(scaling={"kind": "standard", "mean": [1], "std": [1]}), "Recurrent takes 3 values"),
        (lambda a, d: d.update(scaling={"kind": "standard", "mean": ["1"], "std": [1]}), "The saved scaling does not"),
        (lambda a, d: a.update({"input.weight": np.zeros(3, np.float32)}), "its description does not fit"),
        (lambda a, d: a.update({"input.bias": np.zeros(3, np.float32)}), "The array 'input.bias' has shape (3,)"),
        (
            lambda a, d: a.update({"output.weight": np.zeros((2, 3), np.float32)}),
            "Linear takes 3 values; the part b",
        ),
        (lambda a, d: a.update({"output.weight": np.zeros((2, 4), np.float32)}), "The array 'output.bias' is missing"),
        (lambda a, d: a.update({"layers.0.bias_ih": a["layers.0.bias_ih"].astype("f8")}), "The array 'layers.bias_ih_"),
    ],
)
def test_damaged_descriptions_of_version_2(path: Path, change: Any, message: str) -> None:
    exported(path)
    as_before(path)
    said = changed(path, change)
    assert said.startswith(f"damaged: {message}")
    assert said.endswith(". Take another copy of it.")


def test_a_stream_of_version_2_is_the_same_one(path: Path) -> None:
    stream = exported(path)
    as_before(path)
    assert runtime.load(path).network.fingerprint == stream.network.fingerprint


def test_other_files_are_refused(path: Path) -> None:
    exported(path)
    as_before(path)
    assert changed(path, lambda a, d: d.update(task="strem")) == (
        "a model for the task 'strem': did you mean 'stream'? Known: classify, stream."
    )
    with pytest.raises(ModelFileError) as error:
        runtime.load(path.with_name("other"))
    assert str(error.value) == f"{path.with_name('other')} is not there. Check the path, or train a model first."
    path.unlink()
    with pytest.raises(ModelFileError, match=r"holds no model\.safetensors: its run is not finished"):
        runtime.load(path.parent)


def test_numbers_that_numpy_has_not_are_refused(path: Path) -> None:
    container.write(path, save_torch, {"a": torch.zeros(2, dtype=torch.bfloat16)}, {"task": "stream"}, "model")
    with pytest.raises(ModelFileError) as error:
        runtime.load(path)
    assert str(error.value) == (f"{path} holds numbers that NumPy does not have (BF16): open it with torch.")


def test_a_header_with_a_byte_changed_is_read_or_refused(path: Path) -> None:
    exported(path)
    data = bytearray(path.read_bytes())
    header = int.from_bytes(data[:8], "little")
    generator = np.random.default_rng(0)
    for position in generator.integers(8, 8 + header, 500):
        before = data[position]
        data[position] = generator.integers(32, 127)
        path.write_bytes(data)
        try:
            runtime.load(path).step(np.ones(3, np.float32))
        except HoldfastError as error:
            assert isinstance(error, ModelFileError | EngineError | OptionError)  # noqa: PT017
        data[position] = before
