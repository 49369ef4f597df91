"""Streams by rows: the numbers of a row are those of a stream of that row alone, to the bit, whatever the others do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.layers.stream_models import LAYERS, made

import holdfast
from holdfast import runtime
from holdfast.errors import ModelFileError, ShapeError
from holdfast.runtime.steps import native_steps
from variants import VARIANTS

_native = pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")
STORAGES = ("float64", "float32", "bfloat16", "int8")


def streamed(layer: Any, weights: str, batch: int = 1) -> Any:
    return holdfast.Stream(layer, batch, weights=None if weights == "float64" else weights)


def dtype_of(weights: str) -> torch.dtype:
    return torch.float64 if weights == "float64" else torch.float32


def same_bits(a: Any, b: Any) -> bool:
    """Whether two arrays have the same bits, where every NaN counts as the same."""
    whole = f"u{a.dtype.itemsize}"
    a, b = (np.where(np.isnan(x), np.array(np.nan, x.dtype), x).view(whole) for x in (a, b))
    return np.array_equal(a, b)


def check_rows(stream: Any, batch: int, ticks: int, most: int = 3) -> None:
    """Steps of random rows, some begun anew, beside a stream of each row; row 0 gets NaN and row 1 infinities."""

    def one() -> Any:
        if stream.engine == "native":
            return runtime.Stream(stream.network)
        return holdfast.Stream(stream.network, engine="reference")

    alone = [one() for _ in range(batch)]
    random = np.random.default_rng(batch)
    for tick in range(ticks):
        rows = random.permutation(batch)[: random.integers(1, batch + 1)]
        begun = random.permutation(batch)[: random.integers(0, 3)]
        stream.reset(begun)
        for row in begun:
            alone[row].reset()
        x = random.normal(size=(len(rows), random.integers(1, most + 1), stream.input_size)).astype(stream.dtype)
        if tick > 2:
            x[rows == 0, :, ::3], x[rows == 1, :, ::4] = np.nan, -np.inf
        y = stream.run(x, rows) if tick % 2 else np.stack([stream.step(of, rows) for of in x.swapaxes(0, 1)], 1)
        for k, row in enumerate(rows):
            assert same_bits(y[k], alone[row].run(x[k])), (tick, row, len(rows))
    for row in range(batch):
        for mine, own in zip(stream._state.arrays([row]).values(), alone[row]._state.arrays().values(), strict=True):
            assert same_bits(mine, own)


@pytest.mark.parametrize("weights", STORAGES)
@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant(name: str, weights: str) -> None:
    kind, options = VARIANTS[name]
    check_rows(streamed(made(kind, 7, 21, dtype_of(weights), num_layers=2, **options), weights, 8), 8, 6)


@pytest.mark.parametrize("weights", STORAGES)
@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("options", [{}, {"residual": True}, {"layer_norm": True}], ids=str)
def test_sizes_and_numbers_of_rows(kind: str, options: Any, weights: str) -> None:
    layer = made(kind, 75, 75, dtype_of(weights), num_layers=3, **options)
    check_rows(streamed(layer, weights, 27), 27, 8)


@pytest.mark.parametrize("weights", STORAGES)
def test_work_that_is_large_enough_for_threads(weights: str) -> None:
    layer = made("lstm", 60, 200, dtype_of(weights), num_layers=2, layer_norm=True)
    check_rows(streamed(layer, weights, 70), 70, 4)


@pytest.mark.parametrize("isa", _native.instruction_sets())
@pytest.mark.parametrize("weights", STORAGES)
@pytest.mark.parametrize("kind", LAYERS)
def test_every_instruction_set(isa: str, kind: str, weights: str) -> None:
    layer = made(kind, 13, 37, dtype_of(weights), num_layers=2, residual=False)
    network = streamed(layer, weights).network
    size = sum(size for spec in network.specs for size in spec.state_sizes.values())
    for count in (2, 3, 4, 5, 6, 7, 13, 20):
        x = np.random.default_rng(count).normal(size=(count, 3, 13)).astype(network.dtype)
        y, one = np.empty((count, 3, 37), network.dtype), np.empty((1, 3, 37), network.dtype)
        assert native_steps(network, count, np.zeros(count * size, network.dtype), isa).advance(x, y)
        for k in range(count):
            fresh = native_steps(network, 1, np.zeros(size, network.dtype), isa)
            assert fresh.advance(x[k : k + 1], one)
            assert same_bits(y[k], one[0]), (count, k)


def test_a_cell_of_the_reference() -> None:
    stream = holdfast.Stream(made("rnn", 3, 5, activation=torch.sin, num_layers=2), 4)
    assert stream.engine == "reference"
    check_rows(stream, 4, 6)


def test_tensors_masks_and_one_row() -> None:
    stream = holdfast.Stream(made("lstm", 3, 5), 4)
    x = torch.randn(2, 3, dtype=torch.float64)
    y = stream.step(x, rows=[3, 1])
    assert torch.equal(stream.state_of([1])[0][-1], y[1:])
    again = holdfast.Stream(stream.network, 4)
    assert torch.equal(again.step(x.flip(0), rows=[False, True, False, True]), y.flip(0))
    assert torch.equal(again.step(x[:1], rows=-1), stream.step(x[:1], rows=3))
    assert again.step(x[:0], rows=[]).shape == (0, 5)
    assert again.run(x[:, None][:, :0], rows=[0, 1]).shape == (2, 0, 5)
    assert not any(bool(part.any()) for part in again.state_of([0, 2]))


@pytest.mark.parametrize("units", [5, [5, 4]], ids=["equal", "unequal"])
def test_the_state_of_a_row_moves(units: Any, tmp_path: Path) -> None:
    layer = made("lstm", 3, units, torch.float32, **({} if isinstance(units, list) else {"num_layers": 2}))
    stream, x = runtime.Stream(holdfast.Stream(layer).network, 4), np.random.default_rng(0).normal(size=(4, 6, 3))
    x = x.astype(np.float32)
    stream.run(x)
    stream.save(tmp_path / "state", rows=[2])
    state = stream.state_of([2, 0])
    expected = stream.run(x)
    other = runtime.Stream(stream.network, 3)
    other.set_state_of([0, 2], state)
    assert np.array_equal(other.run(x[[0, 2]], [2, 0]), expected[[0, 2]])
    other.load(tmp_path / "state", rows=[1])
    assert np.array_equal(other.run(x[2:3], [1]), expected[2:3])
    with pytest.raises(
        ModelFileError, match=r"state has shape \(1, 5\) for 'h_l0'; expected \(3, 5\): make the stream"
    ):
        other.load(tmp_path / "state")


@pytest.mark.parametrize(
    ("rows", "x", "message"),
    [
        ([1, 1], (2, 3), "rows is [1, 1]; expected each row once: a row takes one step at a time."),
        ([0, 4], (2, 3), "rows is [0, 4]; expected numbers of rows of a batch of 4."),
        ([0, 1], (4, 3), "shape (4, 3); expected (rows, input_size) with rows = 2 and input_size = 3."),
        ([0], (3,), "shape (3,); expected (rows, input_size) with rows = 1 and input_size = 3."),
        ([0], (1, 2), "shape (1, 2); expected (rows, input_size) with rows = 1 and input_size = 3."),
    ],
)
def test_rows_that_do_not_fit(rows: Any, x: Any, message: str) -> None:
    stream = holdfast.Stream(made("gru", 3, 5), 4)
    stream.step(np.ones((4, 3)))
    before = stream.state
    with pytest.raises(ShapeError) as error:
        stream.step(np.ones(x), rows)
    assert message in str(error.value)
    with pytest.raises(ShapeError):
        stream.run(np.ones(x), rows)
    assert torch.equal(stream.state, before)
    assert not stream._advance(np.ones((2, 3)), np.ones((2, 5)), np.array([1, 1]))
    assert not stream._advance(np.ones((2, 3)), np.ones((2, 5)), np.array([1, 4]))
