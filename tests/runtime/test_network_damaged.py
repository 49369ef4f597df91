"""What the file of a stream may not hold: damaged chains, parts that no stream computes, other numbers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save
from safetensors.torch import save as save_torch
from tests.runtime.saved_streams import changed, exported

from holdfast import runtime
from holdfast.errors import EngineError, HoldfastError, ModelFileError, OptionError
from holdfast.files import container

pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")


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
            {"part": "embedding", "name": "e", "tokens": 9, "size": 3, "mask_zero": True},
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
