"""Loss and metrics over some training batches, without waiting for the device at every batch."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Any

import torch

from holdfast.tasks.task import Metrics, Task
from holdfast.training.processes import ALONE, Processes

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


class GradientNorms:
    """The norms of the gradients, before they were clipped, of the updates since it was made."""

    def __init__(self) -> None:
        self._sum, self._largest, self._clipped, self._count = 0.0, 0.0, 0, 0

    def add(self, norm: float, limit: float) -> None:
        """Adds the norm of an update, which was clipped if it is above ``limit``."""
        self._sum += norm
        self._largest = max(self._largest, norm)
        self._clipped += norm > limit
        self._count += 1

    def report(self) -> dict[str, float]:
        """``gradient_norm`` (the mean), ``largest_gradient_norm`` and ``clipped``, the share; empty without updates."""
        if not self._count:
            return {}
        return {
            "gradient_norm": self._sum / self._count,
            "largest_gradient_norm": self._largest,
            "clipped": self._clipped / self._count,
        }

    def state_dict(self) -> list[float]:
        """The numbers so far."""
        return [self._sum, self._largest, self._clipped, self._count]

    def load_state_dict(self, state: list[float]) -> None:
        """Restores what ``state_dict`` returned."""
        self._sum, self._largest = state[:2]
        self._clipped, self._count = map(int, state[2:])


class Running:
    """The mean loss and the metrics of the batches since it was made, with metrics for each chunk of the batches.

    Attributes:
        norms: The norms of the gradients of whole batches; empty unless training clips them.

    Args:
        task: What is learned.
        metrics: Metrics to add to, for whole batches; None for new ones of the task.
    """

    def __init__(self, task: Task, metrics: Metrics | None = None) -> None:
        self._task = task
        self._metrics: dict[int, Metrics] = {} if metrics is None else {0: metrics}
        self.norms = GradientNorms()
        self._loss_sum = 0.0
        self._sequences = 0

    @property
    def sequences(self) -> int:
        """The number of sequences whose losses were added."""
        return self._sequences

    @property
    def loss_sum(self) -> float:
        """The sum of the losses of these sequences."""
        return self._loss_sum

    def add_loss(self, loss: float, sequences: int) -> None:
        """Adds the mean loss of a batch."""
        self._loss_sum += loss * sequences
        self._sequences += sequences

    def add_outputs(self, outputs: torch.Tensor, batch: Batch, chunk: int = 0) -> None:
        """Adds the outputs of a batch, or of a chunk of it, to the metrics."""
        self._of(chunk).update(outputs.detach(), batch)

    def report(self, processes: Processes = ALONE) -> dict[str, float]:
        """``loss`` (the mean over sequences) and every metric, by name, over the chunks of all processes."""
        chunks = self._metrics
        if not processes.alone:
            chunks = {chunk: self._restored(state) for chunk, state in self._gathered(processes).items()}
        whole = chunks.get(0) or self._task.metrics()
        if len(chunks) > 1:  # in the order of the chunks
            whole = self._task.metrics()
            for chunk in sorted(chunks):
                whole.add_state(chunks[chunk].state_dict())
        metrics = {name: float(value) for name, value in whole.compute().items()}
        return {"loss": self._loss_sum / self._sequences, **metrics}

    def state_dict(self, processes: Processes = ALONE) -> dict[str, Any]:
        """Everything that was added, by all processes."""
        chunks = self._gathered(processes)
        state: dict[str, Any] = {"loss_sum": self._loss_sum, "sequences": self._sequences}
        state["norms"] = self.norms.state_dict()
        if chunks.keys() <= {0}:
            return state | {"metrics": chunks.get(0) or dict(self._task.metrics().state_dict())}
        return state | {"chunks": chunks}

    def load_state_dict(self, state: dict[str, Any], mine: Container[int] = (0,)) -> None:
        """Restores what ``state_dict`` returned, of the chunks of this process."""
        self._loss_sum, self._sequences = state["loss_sum"], state["sequences"]
        if "norms" in state:  # checkpoints of older versions do not have them
            self.norms.load_state_dict(state["norms"])
        chunks = state["chunks"] if "chunks" in state else {0: state["metrics"]}
        self._metrics = {chunk: self._restored(metrics) for chunk, metrics in chunks.items() if chunk in mine}

    def _of(self, chunk: int) -> Metrics:
        if chunk not in self._metrics:
            self._metrics[chunk] = self._task.metrics()
        return self._metrics[chunk]

    def _restored(self, state: Mapping[str, Any]) -> Metrics:
        metrics = self._task.metrics()
        metrics.load_state_dict(state)
        return metrics

    def _gathered(self, processes: Processes) -> dict[int, Any]:
        """The states of the metrics by chunk, from all processes."""
        return processes.gather({chunk: dict(metrics.state_dict()) for chunk, metrics in self._metrics.items()})
