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
    watching = _Worst(metrics, task.presentation, worst, examples)
    results = validate(predictor.model, task, task.batches(examples), predictor.device, watching)
    return Evaluation(results, task.details(metrics), task.figures(metrics), tuple(watching.rows))


class _Worst:
    """The metrics of a task; also keeps the rows with the largest errors, the first ones where errors are equal.

    Of rows that show nearly the same, it keeps the worst.

    Attributes:
        rows: These rows, the largest error first.
    """

    def __init__(self, metrics: Metrics, presentation: Presentation, count: int, examples: Any) -> None:
        self._metrics, self._presentation, self._count, self._examples = metrics, presentation, count, examples
        self._seen = 0
        self.rows: list[MeasuredRow] = []

    def update(self, outputs: Tensor, batch: Any) -> None:
        """Adds a batch."""
        self._metrics.update(outputs, batch)
        if not self._count:
            return
        errors = self._presentation.errors(outputs, batch).double().cpu().tolist()
        least = self.rows[-1].error if len(self.rows) == self._count else float("-inf")
        new = {self._seen + k: (error, k) for k, error in enumerate(errors) if error == error and error > least}
        kept = {row.index: row for row in self.rows}
        candidates = [*((row.error, row.index) for row in self.rows), *((error, k) for k, (error, _) in new.items())]
        self.rows = []
        for error, index in sorted(candidates, key=lambda pair: (-pair[0], pair[1])):
            if any(self._presentation.alike(self._examples, row.index, index) for row in self.rows):
                continue
            if index not in kept:
                place = new[index][1]
                kept[index] = MeasuredRow(index, error, batch, place, outputs[place].detach().clone())
            self.rows.append(kept[index])
            if len(self.rows) == self._count:
                break
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

    def add_state(self, state: Mapping[str, Any]) -> None:
        """Adds to the metrics."""
        self._metrics.add_state(state)
