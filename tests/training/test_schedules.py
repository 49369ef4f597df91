"""Each schedule against its formula, at every update."""

from __future__ import annotations

import math

import pytest
import torch

from holdfast.errors import OptionError
from holdfast.training.schedules import Schedule

from .standin import settings

LR = 0.1


def rates(updates: int, *, scores: list[float] = (), per_epoch: int = 0, **how: object) -> list[float]:
    """The rate of every update; with ``per_epoch``, a score is taken in after every so many."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=LR, momentum=0.9)
    schedule = Schedule(optimizer, settings(learning_rate=LR, **how), updates=updates, higher_is_better=True)
    found, given = [], iter(scores)
    for update in range(updates):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.after_update()
        if per_epoch and (update + 1) % per_epoch == 0:
            schedule.after_epoch(next(given))
    assert optimizer.param_groups[0]["momentum"] == 0.9
    return found


def test_constant() -> None:
    assert rates(5) == [LR] * 5
    assert rates(6, warmup_steps=4) == pytest.approx([LR / 4, LR / 2, LR * 3 / 4, LR, LR, LR])
    assert rates(2, warmup_steps=4) == pytest.approx([LR / 4, LR / 2])
    assert rates(3, warmup_steps=1) == pytest.approx([LR, LR, LR])


def test_cosine() -> None:
    assert rates(8, schedule="cosine") == pytest.approx([LR * (1 + math.cos(math.pi * n / 8)) / 2 for n in range(8)])
    assert rates(10, schedule="cosine", warmup_steps=2) == pytest.approx(
        [LR / 2, LR] + [LR * (1 + math.cos(math.pi * n / 8)) / 2 for n in range(8)]
    )
    assert rates(2, schedule="cosine", warmup_steps=5) == pytest.approx([LR / 5, LR * 2 / 5])


def test_one_cycle() -> None:
    def part(start: float, end: float, share: float) -> float:
        return end + (start - end) / 2 * (1 + math.cos(math.pi * share))

    up = [part(LR / 25, LR, n / 5) for n in range(6)]  # the top is at update 0.3 * 20 - 1 = 5
    down = [part(LR, LR / 250_000, (n - 5) / 14) for n in range(6, 20)]
    assert rates(20, schedule="one-cycle") == pytest.approx(up + down)
    for updates in (1, 2, 3):
        assert len(rates(updates, schedule="one-cycle")) == updates


def test_plateau_halves_after_every_three_epochs_without_gain() -> None:
    scores = [0.5, 0.6, 0.6, 0.5, math.nan, 0.7, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]
    steps = [1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]
    assert rates(12, schedule="plateau", scores=scores, per_epoch=1) == pytest.approx([LR * s for s in steps])


def test_plateau_counts_from_the_end_of_the_warm_up() -> None:
    found = rates(12, schedule="plateau", warmup_steps=5, scores=[0.5] * 12, per_epoch=2)
    assert found[:5] == pytest.approx([LR * n / 5 for n in range(1, 6)])
    assert found[5:] == pytest.approx([LR] * 7)
    found = rates(14, schedule="plateau", warmup_steps=5, scores=[0.5] * 14, per_epoch=2)
    assert found[5:] == pytest.approx([LR] * 7 + [LR / 2] * 2)


def test_one_cycle_has_its_own_rise() -> None:
    with pytest.raises(OptionError) as error:
        rates(5, schedule="one-cycle", warmup_steps=3)
    assert str(error.value) == (
        "warmup_steps is 3 with schedule 'one-cycle', which has its own rise; leave warmup_steps at 0 or use schedule "
        "'cosine'."
    )
