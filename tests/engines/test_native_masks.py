"""Masks drawn by compiled code have the bits that NumPy's generator gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import holdfast
from holdfast import cells
from holdfast.cells import CellSpec
from holdfast.cells.noise import draw_by_numpy
from holdfast.engines import native_masks
from holdfast.engines.native_masks import draw_by_kernels, draw_noise

pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")

# 1/512 and 0.75 + 1/512: a threshold of which half is decided by further bits; 1e-9 and 1 - 1e-9: nearly all of it.
PROBABILITIES = (0.1, 0.25, 0.5, 0.7, 0.9, 1 / 512, 0.75 + 1 / 512, 1e-9, 1 - 1e-9, 1.0)
SIZES = (1, 7, 8, 9, 2047, 2048, 2049, 2056, 100_000)


@pytest.mark.parametrize("dtype", [torch.bool, torch.float32, torch.float64, torch.bfloat16])
def test_the_same_bits_in_a_row_of_draws(dtype: torch.dtype) -> None:
    by_numpy, by_kernels = (draw(np.random.SFC64(7)) for draw in (draw_by_numpy, draw_by_kernels))
    for probability in PROBABILITIES:
        for size in SIZES:
            expected, actual = (draw(probability, (size,), dtype) for draw in (by_numpy, by_kernels))
            assert actual.dtype == dtype
            assert torch.equal(expected, actual), (probability, size)


def test_dropout_divides_as_torch_does() -> None:
    for probability in (k / 1000 for k in range(20, 980, 7)):
        for dtype in (torch.float32, torch.float64):
            drawn = draw_by_kernels(np.random.SFC64(0))(probability, (2000,), dtype)
            expected = torch.ones(2000, dtype=torch.uint8).to(dtype).div_(probability)
            assert set(drawn.tolist()) == {0.0, float(expected[0])}


def test_the_masks_of_a_cell() -> None:
    spec = CellSpec(
        kind="lstm",
        input_size=1,
        hidden_size=50,
        recurrent_dropout=0.3,
        recurrent_dropout_mode="candidate",
        zoneout_h=0.1,
        zoneout_c=0.3,
    )
    noises = []
    for draw in (cells.draw_noise, draw_noise):
        torch.manual_seed(3)
        noises.append((draw(spec, 20, 30, torch.zeros(())), torch.get_rng_state()))
    (expected, state), (actual, state_after) = noises
    assert expected is not None
    assert actual is not None
    assert torch.equal(state, state_after)
    for (name, one), (other_name, other) in zip(expected.named(), actual.named(), strict=True):
        assert name == other_name
        assert one.shape == other.shape
        assert torch.equal(one, other)


def test_a_layer_without_kernels_draws_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = holdfast.LSTM(3, 4, zoneout_h=0.3, engine="reference"), torch.randn(5, 2, 3)
    results = []
    for draw_by in (draw_by_kernels, draw_by_numpy):
        monkeypatch.setattr(native_masks, "draw_by_kernels", draw_by)
        torch.manual_seed(3)
        results.append(layer(x)[0])
    assert torch.equal(*results)
