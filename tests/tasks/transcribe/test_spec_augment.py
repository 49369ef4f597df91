"""What SpecAugment hides, and that it hides nothing else."""

from __future__ import annotations

import pytest
import torch

from holdfast.tasks.transcribe.settings import MaskingSettings
from holdfast.tasks.transcribe.spec_augment import SpecAugment

ROWS, STEPS, BANDS, STACK = 400, 30, 12, 3


def hidden(lengths: torch.Tensor | None = None, **settings: float) -> torch.Tensor:
    """Where a batch of ones became 0, [B, T, stack, bands]."""
    augment = SpecAugment(MaskingSettings(**settings), BANDS)
    found = augment(torch.ones(ROWS, STEPS, STACK * BANDS), lengths)
    assert set(found.unique().tolist()) <= {0.0, 1.0}
    return (found == 0).view(ROWS, STEPS, STACK, BANDS)


def runs(flags: torch.Tensor) -> torch.Tensor:
    """Stretches in each row."""
    before = torch.nn.functional.pad(flags, (1, 0))[:, :-1]
    return (flags & ~before).sum(1)


def test_bands_are_hidden_in_all_frames_alike() -> None:
    found = hidden(frequency_masks=1, frequency_width=5)
    bands = found[:, 0, 0]
    assert torch.equal(found, bands[:, None, None, :].expand_as(found))
    assert runs(bands).max() == 1
    widths = bands.sum(1)
    assert set(widths.tolist()) == set(range(6))
    assert bands.any(0).all()  # every band is hidden at some time


def test_steps_are_hidden_within_the_recording() -> None:
    lengths = torch.randint(1, STEPS + 1, (ROWS,))
    found = hidden(lengths, time_masks=1, time_width=8, time_fraction=0.5)
    steps = found[:, :, 0, 0]
    assert torch.equal(found, steps[:, :, None, None].expand_as(found))
    assert not (steps & (torch.arange(STEPS) >= lengths[:, None])).any()
    most = (lengths // 2).clamp(max=8)
    assert (steps.sum(1) <= most).all()
    assert (steps.sum(1) == most).float().mean() > 0.08  # of up to 9 widths each is drawn as often
    assert runs(steps).max() == 1


def test_several_stretches_of_both() -> None:
    found = hidden(frequency_masks=2, frequency_width=3, time_masks=3, time_width=4, time_fraction=1.0)
    steps, bands = found.all((2, 3)), found.all((1, 2))
    assert runs(bands).max() == 2
    assert runs(steps).max() == 3
    assert torch.equal(found, (steps[:, :, None, None] | bands[:, None, None, :]).expand_as(found))


def test_nothing_is_hidden_in_evaluation_or_unless_asked_for() -> None:
    x = torch.randn(4, STEPS, BANDS)
    assert torch.equal(SpecAugment(MaskingSettings(), BANDS)(x), x)
    augment = SpecAugment(MaskingSettings(frequency_masks=2, time_masks=2), BANDS).eval()
    assert augment(x) is x


def test_drawn_from_torchs_random_state() -> None:
    state = torch.get_rng_state()
    first = hidden(frequency_masks=1, time_masks=1)
    assert not torch.equal(hidden(frequency_masks=1, time_masks=1), first)
    torch.set_rng_state(state)
    assert torch.equal(hidden(frequency_masks=1, time_masks=1), first)


@pytest.mark.parametrize("steps", [0, 1])
def test_recordings_too_short_to_hide_a_step_of(steps: int) -> None:
    augment = SpecAugment(MaskingSettings(time_masks=2), BANDS)
    x = torch.ones(3, steps, BANDS)
    assert torch.equal(augment(x), x)
