"""The masks: their shapes, their frequencies, and when there are none."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import torch
from torch import Tensor

from holdfast.cells import CellSpec, Kind, Noise, draw_noise

LIKE = torch.empty(0, dtype=torch.float64)


def test_a_cell_without_a_random_part_draws_nothing() -> None:
    before = torch.get_rng_state()
    assert draw_noise(CellSpec(kind="lstm", input_size=1, hidden_size=2, weight_dropout=0.5), 2, 3, LIKE) is None
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_of_the_state_is_one_mask_a_sequence() -> None:
    spec = CellSpec(kind="lstm", input_size=1, hidden_size=50, proj_size=40, recurrent_dropout=0.2)
    noise = draw_noise(spec, 100, 7, LIKE)
    assert noise is not None
    assert noise.state is not None
    assert (noise.candidate, noise.zoneout_h, noise.zoneout_c) == (None, None, None)
    assert noise.state.shape == (100, 40)
    assert noise.state.dtype == torch.float64
    assert noise.state.unique().tolist() == pytest.approx([0, 1 / 0.8])
    assert float((noise.state > 0).double().mean()) == pytest.approx(0.8, abs=0.02)
    assert noise.at(0).state is noise.at(6).state


def test_dropout_of_the_gates_is_one_mask_for_each_of_them_and_a_sequence() -> None:
    options: dict[Kind, int] = {"lstm": 4, "gru": 3}
    for kind, gates in options.items():
        spec = CellSpec(kind=kind, input_size=1, hidden_size=50, recurrent_dropout=0.2, recurrent_dropout_mode="gates")
        noise = draw_noise(spec, 100, 7, LIKE)
        assert noise is not None
        assert noise.state is not None
        assert (noise.candidate, noise.zoneout_h, noise.zoneout_c) == (None, None, None)
        assert noise.state.shape == (100, gates, 50)
        assert noise.state.unique().tolist() == pytest.approx([0, 1 / 0.8])
        assert (noise.state > 0).double().mean((0, 2)).tolist() == pytest.approx([0.8] * gates, abs=0.03)
        assert not torch.equal(noise.state[:, 0], noise.state[:, 1])


def test_dropout_of_the_candidate_and_zoneout_are_new_at_every_step() -> None:
    spec = CellSpec(
        kind="lstm",
        input_size=1,
        hidden_size=50,
        proj_size=40,
        recurrent_dropout=0.5,
        recurrent_dropout_mode="candidate",
        zoneout_h=0.1,
        zoneout_c=0.3,
    )
    noise = draw_noise(spec, 20, 30, LIKE)
    assert noise is not None
    assert noise.state is None
    for mask, size, share in ((noise.candidate, 50, 0.5), (noise.zoneout_h, 40, 0.1), (noise.zoneout_c, 50, 0.3)):
        assert mask is not None
        assert mask.shape == (30, 20, size)
        assert float((mask > 0).double().mean()) == pytest.approx(share, abs=0.02)
        assert not torch.equal(mask[0], mask[1])
    assert noise.candidate is not None
    assert noise.candidate.unique().tolist() == [0, 2]
    assert noise.zoneout_h is not None
    assert noise.zoneout_h.dtype == torch.bool
    step = noise.at(4)
    assert step.candidate is not None
    assert torch.equal(step.candidate, noise.candidate[4])


def test_nothing_drawn_stays_nothing_at_a_step() -> None:
    assert Noise().at(3) == Noise()


@pytest.mark.parametrize("mode", ["state", "gates", "candidate"])
def test_every_mask_of_a_step_is_cut_and_none_of_a_sequence(mode: Any) -> None:
    """A mask has an axis of steps if its shape follows the number of steps; no list of names says so here."""
    options: dict[str, Any] = {"recurrent_dropout": 0.5, "recurrent_dropout_mode": mode, "zoneout_h": 0.2}
    spec = CellSpec(kind="lstm", input_size=1, hidden_size=5, zoneout_c=0.3, **options)
    steps = 7
    noise, longer = draw_noise(spec, 3, steps, LIKE), draw_noise(spec, 3, steps + 4, LIKE)
    assert noise is not None
    assert longer is not None
    others = dict(longer.named())
    named = dict(noise.named())
    assert {field.name for field in fields(Noise)} == {"state", "candidate", "zoneout_h", "zoneout_c"}
    assert named.keys() == {"candidate" if mode == "candidate" else "state", "zoneout_h", "zoneout_c"}
    cut, step = dict(noise.at(slice(2, 5)).named()), dict(noise.at(4).named())
    for name, mask in named.items():
        over_time = others[name].shape != mask.shape
        assert torch.equal(cut[name], mask[2:5] if over_time else mask), name
        assert torch.equal(step[name], mask[4] if over_time else mask), name
        assert cut[name].data_ptr() == (mask[2:5] if over_time else mask).data_ptr(), name
    assert sum(others[name].shape != mask.shape for name, mask in named.items()) == (3 if mode == "candidate" else 2)


def test_numbers_take_another_dtype_and_truths_stay() -> None:
    spec = CellSpec(kind="lstm", input_size=1, hidden_size=5, recurrent_dropout=0.5, zoneout_h=0.2)
    noise = draw_noise(spec, 3, 2, LIKE)
    assert noise is not None
    assert {name: mask.dtype for name, mask in noise.to(torch.bfloat16).named()} == {
        "state": torch.bfloat16,
        "zoneout_h": torch.bool,
    }


def test_the_masks_follow_the_random_state_of_torch() -> None:
    spec = CellSpec(kind="lstm", input_size=1, hidden_size=5, zoneout_h=0.5)

    def draw(seed: int) -> list[Tensor]:
        torch.manual_seed(seed)
        drawn = (draw_noise(spec, 7, 3, LIKE) for _ in range(2))
        return [noise.zoneout_h for noise in drawn if noise is not None and noise.zoneout_h is not None]

    first, second = draw(1)
    assert not torch.equal(first, second)
    assert all(map(torch.equal, draw(1), (first, second)))
    assert not torch.equal(draw(2)[0], first)


@pytest.mark.parametrize("probability", [1e-5, 1e-3, 0.05, 0.25, 0.9, 0.9999])
def test_as_many_values_are_masked_as_the_probability_says(probability: float) -> None:
    torch.manual_seed(0)
    spec = CellSpec(kind="lstm", input_size=1, hidden_size=999, zoneout_c=probability)
    noise = draw_noise(spec, 33, 101, LIKE)
    assert noise is not None
    assert noise.zoneout_c is not None
    values = noise.zoneout_c.numel()
    spread = (probability * (1 - probability) / values) ** 0.5  # the standard deviation of the mean
    assert float(noise.zoneout_c.double().mean()) == pytest.approx(probability, abs=4 * spread)
