"""The learning rate over time.

With n the update (from 0), N the updates of the whole run, W ``warmup_steps`` and lr ``learning_rate``:

* warm-up, n < W:      lr (n + 1) / W
* ``constant``:        lr
* ``cosine``, n >= W:  lr (1 + cos(pi (n - W) / (N - W))) / 2
* ``one-cycle``:       ``OneCycleLR``: up from lr / 25 in the first 30 % of the updates, then down to lr / 250,000
  (Smith & Topin 2017, arXiv:1708.07120), each way along a cosine; the momentum is left alone
* ``plateau``:         lr, halved after every 3 epochs in a row without a better validation score (from the end of the
  warm-up on)
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.optim import lr_scheduler

from holdfast.data.defaults import ResolvedTrainSettings
from holdfast.errors import OptionError

PLATEAU_EPOCHS = 3


class Schedule:
    """Sets the learning rate of an optimiser: call ``after_update``, then ``after_epoch``.

    Args:
        optimizer: A new one; the schedule sets its learning rate for the first update.
        settings: ``schedule``, ``learning_rate`` and ``warmup_steps`` are read.
        updates: Updates of the whole run, N above.
        higher_is_better: Whether a higher score is a better one.

    Raises:
        OptionError: ``one-cycle`` together with ``warmup_steps``.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        settings: ResolvedTrainSettings,
        *,
        updates: int,
        higher_is_better: bool,
    ) -> None:
        self._warmup = settings.warmup_steps
        self._updates_done = 0
        self._until = updates - 1  # after the last update there is no rate to set
        self._by_update: lr_scheduler.LRScheduler | None = None
        self._by_epoch: lr_scheduler.ReduceLROnPlateau | None = None
        if settings.schedule == "one-cycle":
            if settings.warmup_steps:
                raise OptionError(
                    f"warmup_steps is {settings.warmup_steps} with schedule 'one-cycle', which has its own rise; "
                    "leave warmup_steps at 0 or use schedule 'cosine'."
                )
            self._by_update = lr_scheduler.OneCycleLR(
                optimizer, settings.learning_rate, total_steps=updates, cycle_momentum=False
            )
        elif settings.schedule == "cosine":
            decay = max(1, updates - self._warmup)
            self._by_update = lr_scheduler.LambdaLR(optimizer, lambda n: _cosine(n, self._warmup, decay))
        elif self._warmup:
            self._until = min(self._until, self._warmup - 1)  # later the rate is constant, or set by the plateau
            self._by_update = lr_scheduler.LambdaLR(optimizer, lambda n: min(1.0, (n + 1) / self._warmup))
        if settings.schedule == "plateau":
            self._by_epoch = lr_scheduler.ReduceLROnPlateau(
                optimizer,
                mode="max" if higher_is_better else "min",
                factor=0.5,
                patience=PLATEAU_EPOCHS - 1,  # torch counts the bad epochs before the drop
                threshold=0,
                threshold_mode="abs",
            )

    def after_update(self) -> None:
        """Sets the rate of the next update; call it once after every ``optimizer.step()``."""
        if self._by_update is not None and self._updates_done < self._until:
            self._by_update.step()
        self._updates_done += 1

    def after_epoch(self, score: float) -> None:
        """Adds the validation score of an epoch.

        Args:
            score: NaN counts as no improvement.
        """
        if self._by_epoch is not None and self._updates_done >= self._warmup:
            self._by_epoch.step(score)

    def state_dict(self) -> dict[str, Any]:
        """The position of the schedule (the rate itself is in the state of the optimiser)."""
        return {
            "updates_done": self._updates_done,
            "by_update": None if self._by_update is None else self._by_update.state_dict(),
            "by_epoch": None if self._by_epoch is None else self._by_epoch.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` of a schedule with the same settings returned."""
        self._updates_done = state["updates_done"]
        if self._by_update is not None:
            self._by_update.load_state_dict(state["by_update"])
        if self._by_epoch is not None:
            self._by_epoch.load_state_dict(state["by_epoch"])


def _cosine(n: int, warmup: int, decay: int) -> float:
    if n < warmup:
        return (n + 1) / warmup
    return (1 + math.cos(math.pi * (n - warmup) / decay)) / 2
