"""Weights in fewer bits: their rounding, the files that hold them, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.runtime.saved_streams import changed

import holdfast
from holdfast import runtime
from holdfast.errors import OptionError
from holdfast.interop import trained
from holdfast.runtime import narrow_weights

pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")

NARROW = ("bfloat16", "int8")


def rounded(array: Any, weights: str) -> Any:
    return narrow_weights.rounded({"w": np.asarray(array, np.float32)}, ["w"], weights)["w"]


def test_bfloat16_is_rounded_as_torch_does() -> None:
    bits = np.random.default_rng(0).integers(0, 2**32, (200, 50), np.uint32)
    array = bits.view(np.float32)
    array[0, :6] = [0.0, -0.0, np.inf, -np.inf, 3.4e38, 1 + 2**-8]
    expected = torch.from_numpy(array).bfloat16().float().numpy()
    assert np.array_equal(rounded(array, "bfloat16"), expected, equal_nan=True)


def test_int8_is_off_by_at_most_half_a_step_and_rounds_once() -> None:
    array = np.random.default_rng(0).normal(size=(100, 70)) * 10.0 ** np.arange(-25, 25).repeat(2)[:, None]
    array = array.astype(np.float32)
    result = rounded(array, "int8")
    step = np.abs(array).max(1, keepdims=True).astype(np.float64) / 127
    assert (np.abs(result.astype(np.float64) - array) <= step * (0.5 + 127 * 2.0**-17)).all()
    assert (np.abs(np.rint(result / step)).max(1) == 127).all()
    assert np.array_equal(rounded(result, "int8"), result)


def test_int8_of_rows_without_a_scale() -> None:
    result = rounded([[0, 0], [1e-38, -1e-38], [np.nan, 1], [np.inf, 1], [3e38, -3e38]], "int8")
    assert np.array_equal(result[:2], np.zeros((2, 2)))
    assert np.isnan(result[2:4]).all()
    assert np.isfinite(result[4]).all()
    assert rounded(np.zeros((3, 0)), "int8").shape == (3, 0)


def network(weights: Any = None) -> runtime.Stream:
    layer = holdfast.LSTM(40, [64, 48], peepholes=True, proj_size=24)
    return runtime.Stream(holdfast.Stream(layer).network, 2, weights=weights)


@pytest.mark.parametrize("weights", NARROW)
def test_a_file_holds_the_narrow_weights_and_gives_the_same_bits(path: Path, weights: Any) -> None:
    stream = network(weights)
    stream.export(path)
    whole = path.with_name("whole")
    runtime.Stream(stream.network, weights="float32").export(whole)
    share = {"bfloat16": 0.5, "int8": 0.25}[weights]
    assert path.stat().st_size < whole.stat().st_size * (share + 0.1)
    x = np.random.default_rng(0).normal(size=(2, 5, 40)).astype(np.float32)
    expected = stream.run(x)
    for loaded in (runtime.load(path, 2), runtime.load(whole, 2, weights=weights), holdfast.Stream(path, 2)):
        assert loaded.network.weights == weights
        assert loaded.network.fingerprint == stream.network.fingerprint
        assert np.array_equal(loaded.run(x), expected)
    as_float = runtime.load(path, 2, weights="float32")
    assert np.abs(as_float.run(x) - expected).max() < 1e-3
    state = path.with_name("state")
    stream.save(state)
    as_float.load(state)


def test_a_narrow_file_is_converted_with_its_rounded_weights(path: Path) -> None:
    stream = network("int8")
    stream.export(path)
    tensors = {name.removeprefix("parts.recurrent.layer."): t for name, t in trained.read(path).state_dict().items()}
    expected = stream.network.arrays["weight_hh_l0"]
    assert any(np.array_equal(tensor.numpy(), expected) for name, tensor in tensors.items() if "weight_hh_l0" in name)


@pytest.mark.parametrize(
    ("weights", "change", "message"),
    [
        (
            "int8",
            lambda a, d: d.update(weights="int4"),
            "damaged: Its weights are 'int4'; expected 'bfloat16' or 'int8'",
        ),
        ("int8", lambda a, d: d.update(weights=[1]), "damaged: Its weights are [1]; expected 'bfloat16' or 'int8'"),
        (
            "int8",
            lambda a, d: d.pop("weights"),
            "damaged: The array 'weight_",
        ),
        (
            "int8",
            lambda a, d: d.update(weights="bfloat16"),
            "damaged: The array 'weight_ih_l0' is int8 of shape (256, 4",
        ),
        (
            "bfloat16",
            lambda a, d: d.update(weights="int8"),
            "damaged: The array 'weight_ih_l0' is uint16 of shape (256",
        ),
        (
            "int8",
            lambda a, d: a.pop("weight_hh_l1.scale"),
            "damaged: The array 'weight_hh_l1.scale' is missing; expect",
        ),
        (
            "int8",
            lambda a, d: a.update({"weight_hh_l0.scale": np.zeros(2, np.float32)}),
            "damaged: The array 'weight_hh_l0.scale' has shape (2,); expected (256,)",
        ),
        (
            "int8",
            lambda a, d: a.update({"weight_hh_l0": np.zeros((256, 5), np.int8)}),
            "damaged: The array 'weight_hh_l0' has shape (256, 5); expected (256, 24)",
        ),
        (
            "bfloat16",
            lambda a, d: a.update({"weight_hh_l0": np.zeros((), np.uint16)}),
            "damaged: The array 'weight_hh_l0' is uint16 of shape (); expected uint16 of 2 dimensions",
        ),
    ],
)
def test_a_damaged_file(path: Path, weights: Any, change: Any, message: str) -> None:
    network(weights).export(path)
    assert changed(path, change).startswith(message)


def test_what_is_refused() -> None:
    with pytest.raises(OptionError, match=r"^weights is 'int4'; expected 'float32', 'bfloat16' or 'int8'\.$"):
        network("int4")
    with pytest.raises(OptionError) as error:
        holdfast.Stream(holdfast.GRU(2, 3, dtype=torch.float64), weights="int8")
    assert str(error.value) == (
        "weights is 'int8', and the network computes in float64: convert the whole model by .float()."
    )
    other = holdfast.Stream(holdfast.GRU(2, 3), weights="bfloat16")
    assert re.fullmatch(r"Stream\(GRU\(2, 3\), batch=1, weights='bfloat16'\)", repr(other))
