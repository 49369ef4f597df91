from __future__ import annotations

from typing import Any

import pytest

from holdfast.data.defaults import resolve
from holdfast.errors import HoldfastWarning
from holdfast.settings import TrainSettings
from holdfast.training import fit
from holdfast.training.ending import why_unfinished

from .standin import ToyBatches, ToyTask, settings, toy_model


def rows(*losses: float, best: int | None = None) -> list[dict[str, Any]]:
    """Rows of a history with one update per epoch; ``best``: the epoch with the best validation score."""
    return [
        {"event": "epoch", "step": k, "train": {"loss": loss}} | ({} if best is None else {"best": k == best})
        for k, loss in enumerate(losses, start=1)
    ]


PLAIN = resolve(TrainSettings(learning_rate=0.01, clip_norm=0.5), 1)
FALLING = [1.0 - 0.05 * k for k in range(10)]


def test_a_loss_that_falls_to_the_end() -> None:
    assert why_unfinished(rows(*FALLING), PLAIN) == (
        "The training loss was still falling at the end, from 0.675 to 0.575 in the last 2 of 10 epochs (10 updates in "
        "all): the model can learn more. Train longer (epochs = 20) or with a higher learning_rate (now 0.01)."
    )
    by_steps = PLAIN.model_copy(update={"max_steps": 10})
    assert "Train longer (max_steps = 20)" in str(why_unfinished(rows(*FALLING), by_steps))


@pytest.mark.parametrize(
    "losses",
    [
        [0.5**k for k in range(10)],  # converged
        [1.0, 0.5, 0.3, 0.2, 0.18, 0.17, 0.165, 0.163, 0.162, 0.161],
        [1.0, 0.5, 0.2, 0.1],  # too few epochs
        [0.7, 0.705, 0.69, 0.71, 0.695, 0.702, 0.698, 0.7, 0.701, 0.7],  # noise
        [-1.0, -2.0, -2.5, -2.7, -2.75, -2.78, -2.79, -2.8, -2.8, -2.8],  # a loss may be negative
    ],
)
def test_a_loss_that_has_settled_or_says_nothing(losses: list[float]) -> None:
    assert why_unfinished(rows(*losses), PLAIN) is None


def test_a_validation_score_that_no_longer_rises_ends_the_advice() -> None:
    assert why_unfinished(rows(*FALLING, best=3), PLAIN) is None
    assert why_unfinished(rows(*FALLING, best=9), PLAIN) is not None


def test_a_loss_above_its_start() -> None:
    assert why_unfinished(rows(0.5, 0.4, 0.6), PLAIN) == (
        "The training loss ended at 0.6, above the 0.5 of the first epoch: training has made the model worse. Try a "
        "lower learning_rate (now 0.01) or clip_norm = 1 (now 0.5)."
    )
    assert why_unfinished(rows(-2.0, -1.0), PLAIN) is not None


def test_training_warns_of_it_but_not_in_a_trial() -> None:
    short = settings(epochs=10, learning_rate=0.01)
    with pytest.warns(HoldfastWarning, match=r"still falling at the end, from 0\.6\d* to 0\.5\d* in the last 2 of 10"):
        fit(toy_model(), ToyTask(), ToyBatches(), None, short)
    fit(toy_model(), ToyTask(), ToyBatches(), None, short.model_copy(update={"limit": "small"}))
