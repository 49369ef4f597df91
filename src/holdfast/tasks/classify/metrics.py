"""How often predicted labels are right, gathered batch by batch and kept with a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from holdfast.tasks.figures import class_figures

if TYPE_CHECKING:
    from holdfast.data import Batch


class ClassificationMetrics:
    """Accuracy and macro F1 of predicted classes, from a confusion matrix.

    Attributes:
        confusion: [classes, classes], int64, on the CPU: how often the class of the row was predicted to be the class
            of the column.
    """

    def __init__(self, classes: int) -> None:
        self.confusion = torch.zeros(classes, classes, dtype=torch.int64)

    def update(self, scores: Tensor, batch: Batch) -> None:
        """Takes in a batch.

        Args:
            scores: [B, classes]; the class with the highest score is the prediction.
            batch: Its targets [B] are the right classes.
        """
        classes = len(self.confusion)
        cells = batch.known_targets * classes + scores.argmax(-1)
        self.confusion += cells.bincount(minlength=classes * classes).reshape(classes, classes).cpu()

    def compute(self) -> dict[str, float]:
        """``accuracy`` and ``macro_f1`` so far; macro F1 is the mean over the classes that occur or were predicted."""
        hits = self.confusion.diag().double()
        occurring = self.confusion.sum(0) + self.confusion.sum(1)  # 2 hits + false alarms + misses
        met = occurring > 0
        f1 = 2 * hits[met] / occurring[met]
        return {
            "accuracy": float(hits.sum() / max(1, int(self.confusion.sum()))),
            "macro_f1": float(f1.mean()) if met.any() else 0.0,
        }

    def table(self, names: Sequence[str]) -> str:
        """The confusion matrix as text: one line per label, one column per predicted label."""
        width = max(len(name) for name in [*names, str(int(self.confusion.max()))])
        lines = ["confusion (rows: label, columns: answer)", " " * width + "".join(f"  {n:>{width}}" for n in names)]
        for name, row in zip(names, self.confusion.tolist(), strict=True):
            lines.append(f"{name:<{width}}" + "".join(f"  {count:>{width}}" for count in row))
        return "\n".join(lines)

    def figures(self, names: Sequence[str]) -> dict[str, Any]:
        """The confusion matrix and the figures of each class, as JSON values.

        Returns:
            ``confusion``: ``labels``, and ``counts`` with one row per label and one column per answer. ``labels``: for
            each label ``precision``, ``recall``, ``f1`` (None for a label that neither occurs nor was predicted), and
            ``count``, the number of sequences with this label.
        """
        hits, actual, predicted = self.confusion.diag(), self.confusion.sum(1), self.confusion.sum(0)
        rows = zip(names, hits.tolist(), predicted.tolist(), actual.tolist(), strict=True)
        return {
            "confusion": {"labels": list(names), "counts": self.confusion.tolist()},
            "labels": {name: class_figures(*counts) for name, *counts in rows},
        }

    def state_dict(self) -> dict[str, Tensor]:
        """A copy of the counts."""
        return {"confusion": self.confusion.clone()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continues from the counts that ``state_dict`` gave."""
        self.confusion = state["confusion"].clone()

    def add_state(self, state: Mapping[str, Tensor]) -> None:
        """Adds the counts of other metrics."""
        self.confusion += state["confusion"]


class MultilabelMetrics:
    """Exact match and F1 where a sequence may have several labels; a score of 0 or more predicts the label.

    Attributes:
        counts: [classes, 2, 2], int64, on the CPU: for each label, the number of sequences by whether they have it
            (second index) and whether it was predicted (third index).
        exact: The number of sequences whose labels were all right.
        seen: The number of sequences.
    """

    def __init__(self, classes: int) -> None:
        self.counts = torch.zeros(classes, 2, 2, dtype=torch.int64)
        self.exact, self.seen = 0, 0

    def update(self, scores: Tensor, batch: Batch) -> None:
        """Takes in a batch.

        Args:
            scores: [B, classes], before the sigmoid.
            batch: Its targets [B, classes] are 1 for the labels that a sequence has, else 0.
        """
        predicted, targets = (scores >= 0).long(), batch.known_targets.long()
        classes = len(self.counts)
        cells = torch.arange(classes, device=scores.device) * 4 + targets * 2 + predicted
        self.counts += cells.flatten().bincount(minlength=classes * 4).reshape(classes, 2, 2).cpu()
        self.exact += int((predicted == targets).all(1).sum())
        self.seen += len(batch)

    def _f1(self) -> Tensor:
        """F1 of each class, [classes]; NaN for a class that neither occurs nor was predicted."""
        hits, wrong = self.counts[:, 1, 1].double(), self.counts[:, 0, 1] + self.counts[:, 1, 0]
        return 2 * hits / (2 * hits + wrong)

    def compute(self) -> dict[str, float]:
        """``exact_match``, ``macro_f1`` and ``micro_f1`` so far.

        Macro F1 is the mean over the classes that occur or were predicted.
        """
        f1, total = self._f1(), self.counts.sum(0).double()
        met = ~f1.isnan()
        counted = 2 * total[1, 1] + total[0, 1] + total[1, 0]
        return {
            "exact_match": self.exact / max(1, self.seen),
            "macro_f1": float(f1[met].mean()) if met.any() else 0.0,
            "micro_f1": float(2 * total[1, 1] / counted) if counted else 0.0,
        }

    def table(self, names: Sequence[str]) -> str:
        """Precision, recall and F1 of each label, and the number of sequences that have it, as text."""
        width = max(len(name) for name in [*names, "label"])
        lines = [f"{'label':<{width}}  precision  recall      f1  sequences"]
        for name, count, f1 in zip(names, self.counts.tolist(), self._f1().tolist(), strict=True):
            (_, false), (missed, hits) = count
            precision, recall = (hits / max(1, hits + other) for other in (false, missed))
            shown = "     -" if f1 != f1 else f"{f1:.4f}"
            lines.append(f"{name:<{width}}  {precision:9.4f}  {recall:6.4f}  {shown}  {hits + missed:9}")
        return "\n".join(lines)

    def figures(self, names: Sequence[str]) -> dict[str, Any]:
        """``labels``: as in :meth:`ClassificationMetrics.figures`."""
        hits, false, missed = self.counts[:, 1, 1], self.counts[:, 0, 1], self.counts[:, 1, 0]
        rows = zip(names, hits.tolist(), (hits + false).tolist(), (hits + missed).tolist(), strict=True)
        return {"labels": {name: class_figures(*counts) for name, *counts in rows}}

    def state_dict(self) -> dict[str, Any]:
        """A copy of the counts; checkpoints call those per label ``found``."""
        return {"found": self.counts.clone(), "exact": self.exact, "seen": self.seen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues from the counts that ``state_dict`` gave."""
        self.counts, self.exact, self.seen = state["found"].clone(), int(state["exact"]), int(state["seen"])

    def add_state(self, state: Mapping[str, Any]) -> None:
        """Adds the counts of other metrics."""
        self.counts += state["found"]
        self.exact, self.seen = self.exact + int(state["exact"]), self.seen + int(state["seen"])
