"""What training asks of a task: a loss for a batch, metrics, and the metric that decides which epoch is best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import nn

if TYPE_CHECKING:
    from holdfast.data import Batch


@dataclass(frozen=True)
class TaskStep:
    """What a task makes of one batch."""

    loss: torch.Tensor
    """The loss to minimise, a scalar: the mean over the batch's sequences."""
    outputs: torch.Tensor
    """What the metrics read, with the batch as its first dimension: ``[B, ...]``."""
    state: Any = None
    """The model's final state: any nest of tuples, lists and dicts of tensors, or None."""


class Metrics(Protocol):
    """Measures outputs against targets, batch by batch. A fresh object is made for each stretch of batches."""

    def update(self, outputs: torch.Tensor, batch: Batch) -> None:
        """Takes in one batch: ``outputs [B, ...]``, detached, on the device of the batch."""

    def compute(self) -> dict[str, float]:
        """The metrics of the batches so far, by name. It may be asked at any time and changes nothing."""

    def state_dict(self) -> Mapping[str, Any]:
        """All that ``update`` gathered, as a nest of dicts, lists, tuples, tensors, numbers and strings."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what ``state_dict`` gave; its tensors come back on the device they were on."""


class Task(Protocol):
    """What is learned."""

    @property
    def score(self) -> str:
        """The metric, or ``"loss"``, whose value on the validation sequences decides which epoch is best."""

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher score is a better one."""

    def loss(self, model: nn.Module, batch: Batch, state: Any = None) -> TaskStep:
        """Runs the model on a batch.

        Args:
            model: The model, on the device of the batch.
            batch: The sequences and their targets.
            state: The state to start from, as a ``TaskStep`` of the batch before gave it; None for zeros.
        """

    def metrics(self) -> Metrics:
        """Fresh metrics, which have seen nothing."""
