"""What a run says about itself at its end: whether its loss rose, or was still falling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.data.defaults import ResolvedTrainSettings

_LEAST_EPOCHS = 5
"""With fewer epochs, there is no course of the loss to judge."""
_TAIL = 5
"""The last epochs of a run are 1 / _TAIL of it."""
_FALLING = 0.1
"""The loss is still falling where its mean in the last epochs is lower than in those before by this part of the whole
fall. A loss that falls in a line has 0.2 to 0.25; one-cycle runs of the packaged recipes that have converged have less
than 0.05."""
_RISEN = 0.02
"""The loss has risen where it ends above its first epoch by this part of it; less is the noise of small batches."""


def why_unfinished(rows: Sequence[Mapping[str, Any]], settings: ResolvedTrainSettings) -> str | None:
    """Says that the training loss ended above its start or was still falling, and what to set; None if neither.

    Args:
        rows: The rows of the history with ``"event": "epoch"``.
        settings: How the run was trained.
    """
    losses = [float(row["train"]["loss"]) for row in rows]
    if len(losses) > 1 and losses[-1] - losses[0] > _RISEN * abs(losses[0]):
        return (
            f"The training loss ended at {losses[-1]:.4g}, above the {losses[0]:.4g} of the first epoch: training has "
            f"made the model worse. Try a lower learning_rate (now {settings.learning_rate:g}) or clip_norm = 1 (now "
            f"{settings.clip_norm:g})."
        )
    if len(losses) < _LEAST_EPOCHS:
        return None
    tail = round(len(losses) / _TAIL)
    if "best" in rows[-1] and not any(row["best"] for row in rows[-tail:]):
        return None  # the validation score says that more epochs would not help
    before, last = _mean(losses[-2 * tail : -tail]), _mean(losses[-tail:])
    if before - last <= _FALLING * (losses[0] - last):
        return None
    updates = rows[-1]["step"]
    longer = f"max_steps = {2 * updates}" if settings.max_steps else f"epochs = {2 * len(losses)}"
    return (
        f"The training loss was still falling at the end, from {before:.4g} to {last:.4g} in the last {tail} of "
        f"{len(losses)} epochs ({updates} updates in all): the model can learn more. Train longer ({longer}) or with a "
        f"higher learning_rate (now {settings.learning_rate:g})."
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
