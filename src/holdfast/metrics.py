"""Measures of how good predictions are, gathered batch by batch and kept with a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from holdfast.data import Batch


class ClassificationMetrics:
    """Accuracy and macro F1 of predicted classes, from a confusion matrix.

    Attributes:
        confusion: [classes, classes], int64, on the CPU: how often row's class was taken for column's.
    """

    def __init__(self, classes: int) -> None:
        self.confusion = torch.zeros(classes, classes, dtype=torch.int64)

    def update(self, scores: Tensor, batch: Batch) -> None:
        """Takes in a batch.

        Args:
            scores: [B, classes]; the highest one is the prediction.
            batch: Its targets [B] are what should have been predicted.
        """
        # Imported here because it takes a second, and only who measures needs it.
        from torchmetrics.functional.classification import multiclass_confusion_matrix

        found = multiclass_confusion_matrix(
            scores.argmax(-1), batch.known_targets, len(self.confusion), validate_args=False
        )
        self.confusion += found.cpu()

    def compute(self) -> dict[str, float]:
        """``accuracy`` and ``macro_f1`` so far; the mean of F1 goes over the classes that occur or were predicted."""
        hits = self.confusion.diag().double()
        occurring = self.confusion.sum(0) + self.confusion.sum(1)  # 2 hits + false alarms + misses
        met = occurring > 0
        f1 = 2 * hits[met] / occurring[met]
        return {
            "accuracy": float(hits.sum() / max(1, int(self.confusion.sum()))),
            "macro_f1": float(f1.mean()) if met.any() else 0.0,
        }

    def table(self, names: Sequence[str]) -> str:
        """The confusion matrix as text, a line a label, under the names of the classes."""
        width = max(len(name) for name in [*names, str(int(self.confusion.max()))])
        lines = ["confusion (rows: label, columns: answer)", " " * width + "".join(f"  {n:>{width}}" for n in names)]
        for name, row in zip(names, self.confusion.tolist(), strict=True):
            lines.append(f"{name:<{width}}" + "".join(f"  {count:>{width}}" for count in row))
        return "\n".join(lines)

    def state_dict(self) -> dict[str, Tensor]:
        """What was gathered, in memory of its own."""
        return {"confusion": self.confusion.clone()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from what ``state_dict`` gave."""
        self.confusion = state["confusion"].clone()
