"""How a person reads what a classifier reads and answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.nn import functional as F

from holdfast.data import TextEncoder
from holdfast.tasks.presentation import (
    Case,
    MeasuredRow,
    Presentation,
    Shown,
    Table,
    Text,
    class_table,
    numbers,
    sizes,
)

if TYPE_CHECKING:
    from holdfast.data import Batch
    from holdfast.tasks.classify.task import ClassifyTask


class ClassifyPresentation(Presentation):
    """A mistake is another label, or other labels; the worst one has the largest cross-entropy."""

    error_name = "cross-entropy (nats)"

    def __init__(self, task: ClassifyTask) -> None:
        self._task = task
        texts = isinstance(task.encoder, TextEncoder)
        self._several = bool(task.encoder.labels.separator)
        self.pipeline_tag = "text-classification" if texts else ""

    def sizes(self, examples: Any) -> dict[str, int]:
        """The number of texts, or of sequences and their steps."""
        return sizes(examples)

    def errors(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The cross-entropy of each row, without weights; with several labels, the mean over the labels."""
        targets = batch.known_targets
        if not self._several:
            return F.cross_entropy(outputs, targets, reduction="none")
        losses = F.binary_cross_entropy_with_logits(outputs, targets.to(outputs.dtype), reduction="none")
        return losses.mean(1)

    def case(self, examples: Any, row: MeasuredRow) -> Case:
        """The sequence or text, the right label, the answer and its probability."""
        (answer,) = self._task.labelling.answers(row.outputs[None])
        truth, found = str(examples.targets[row.index]), str(answer["label"])
        labels = self._task.encoder.labels
        wrong = set(labels.of(truth)) != set(labels.of(found)) if self._several else truth != found
        return Case(
            examples.origins[row.index],
            row.error,
            wrong,
            truth,
            found,
            self._shown(examples, row.index),
            self._note(answer["probabilities"], truth),
        )

    def _note(self, probabilities: Mapping[str, float], truth: str) -> str:
        if self._several:
            return ", ".join(f"{label} {value:.0%}" for label, value in list(probabilities.items())[:3])
        first, value = next(iter(probabilities.items()))
        other = truth if truth != first else next((label for label in probabilities if label != first), first)
        return f"probability of {first}: {value:.1%}, of {other}: {probabilities.get(other, 0.0):.1%}"

    def _shown(self, examples: Any, index: int) -> Shown:
        if isinstance(self._task.encoder, TextEncoder):
            return Text(examples.inputs[index])
        return numbers(examples.inputs[index], self._task.encoder.settings.layout, examples.columns)

    def comparison(self, results: Mapping[str, float], figures: Mapping[str, Any]) -> dict[str, dict[str, float]]:
        """The metrics, and the accuracy of the answer that is right most often."""
        rows = super().comparison(results, figures)
        counts = {name: int(values["count"]) for name, values in figures["labels"].items()}
        total = sum(counts.values())
        if not self._several and total:
            most = max(counts, key=lambda name: counts[name])
            rows[f"always {most}"] = {"accuracy": counts[most] / total}
        return rows

    def tables(self, figures: Mapping[str, Any]) -> tuple[Table, ...]:
        """Precision, recall and F1 of each label."""
        return (class_table("Each label", figures["labels"]),)
