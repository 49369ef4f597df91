"""Measures a model on labelled examples, and keeps the examples on which it is most wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from holdfast.predictor import Predictor
from holdfast.tasks.presentation import MeasuredRow, Presentation
from holdfast.tasks.task import Metrics
from holdfast.training import validate


@dataclass(frozen=True)
class Evaluation:
    """The quality of a model on labelled sequences.

    Attributes:
        metrics: The loss and the task's metrics, by name.
        details: More that the task shows, as text: for classification, the confusion matrix.
        figures: The numbers in ``details``, by name, as JSON values.
        worst: The rows with the largest errors, the largest first; as many as :func:`measure` was asked for.
    """

    metrics: dict[str, float]
    details: str
    figures: dict[str, Any]
    worst: tuple[MeasuredRow, ...] = ()


def measure(predictor: Predictor, examples: Any, *, worst: int = 0) -> Evaluation:
    """The loss, metrics and details of a model on labelled examples.

    Args:
        predictor: The model.
        examples: The examples, with targets.
        worst: The number of rows to keep, those with the largest errors.

    Raises:
        DataError: The sequences have no labels, or a label that the model does not know.
    """
    task = predictor.task
    metrics = task.metrics()
    watching = _Worst(metrics, task.presentation, worst)
    results = validate(predictor.model, task, task.batches(examples), predictor.device, watching)
    return Evaluation(results, task.details(metrics), task.figures(metrics), tuple(watching.rows))


class _Worst:
    """The metrics of a task; also keeps the rows with the largest errors, the first ones where errors are equal.

    Attributes:
        rows: These rows, the largest error first.
    """

    def __init__(self, metrics: Metrics, presentation: Presentation, count: int) -> None:
        self._metrics, self._presentation, self._count = metrics, presentation, count
        self._seen = 0
        self.rows: list[MeasuredRow] = []

    def update(self, outputs: Tensor, batch: Any) -> None:
        """Adds a batch."""
        self._metrics.update(outputs, batch)
        if not self._count:
            return
        errors = self._presentation.errors(outputs, batch).double().cpu()
        least = self.rows[-1].error if len(self.rows) == self._count else float("-inf")
        known = [(error, place) for place, error in enumerate(errors.tolist()) if error == error and error > least]
        known.sort(key=lambda pair: (-pair[0], pair[1]))
        new = [
            MeasuredRow(self._seen + place, error, batch, place, outputs[place].detach().clone())
            for error, place in known[: self._count]
        ]
        self.rows = sorted([*self.rows, *new], key=lambda row: (-row.error, row.index))[: self._count]
        self._seen += len(errors)

    def compute(self) -> dict[str, float]:
        """The metrics so far."""
        return self._metrics.compute()

    def state_dict(self) -> Mapping[str, Any]:
        """The state of the metrics; the rows are not part of it."""
        return self._metrics.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the metrics."""
        self._metrics.load_state_dict(state)
