"""Loss and metrics over some training batches, without waiting for the device at every batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from holdfast.tasks.task import Metrics, Task

if TYPE_CHECKING:
    from holdfast.data import Batch


class Losses:
    """Losses of the latest updates, left on their device until they are read.

    Args:
        limit: Losses to collect before ``full``: 1 on the CPU, where reading costs nothing; more on a device that
            the host must wait for.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: list[tuple[int, torch.Tensor, int]] = []

    def push(self, update: int, loss: torch.Tensor, sequences: int) -> None:
        """Adds the scalar loss of an update, the mean over its sequences."""
        self._waiting.append((update, loss.detach(), sequences))

    @property
    def full(self) -> bool:
        """Whether it is time to read them."""
        return len(self._waiting) >= self._limit

    def read(self) -> list[tuple[int, float, int]]:
        """The (update, loss, sequences) since the last call, in order. Only this waits for the device."""
        waiting, self._waiting = self._waiting, []
        if len(waiting) == 1:
            update, loss, sequences = waiting[0]
            return [(update, float(loss), sequences)]
        values = torch.stack([loss for _, loss, _ in waiting]).tolist() if waiting else []
        return [(update, value, n) for (update, _, n), value in zip(waiting, values, strict=True)]


class Running:
    """The mean loss and the metrics of the batches since it was made."""

    def __init__(self, task: Task, metrics: Metrics | None = None) -> None:
        self._metrics = task.metrics() if metrics is None else metrics
        self._loss_sum = 0.0
        self._sequences = 0

    def add_loss(self, loss: float, sequences: int) -> None:
        """Adds the mean loss of a batch."""
        self._loss_sum += loss * sequences
        self._sequences += sequences

    def add_outputs(self, outputs: torch.Tensor, batch: Batch) -> None:
        """Adds the outputs of a batch to the metrics."""
        self._metrics.update(outputs.detach(), batch)

    def report(self) -> dict[str, float]:
        """``loss`` (the mean over sequences) and every metric, by name."""
        metrics = {name: float(value) for name, value in self._metrics.compute().items()}
        return {"loss": self._loss_sum / self._sequences, **metrics}

    def state_dict(self) -> dict[str, Any]:
        """Everything that was added."""
        return {
            "loss_sum": self._loss_sum,
            "sequences": self._sequences,
            "metrics": dict(self._metrics.state_dict()),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
        self._loss_sum, self._sequences = state["loss_sum"], state["sequences"]
        self._metrics.load_state_dict(state["metrics"])
