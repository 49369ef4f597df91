"""How right predicted labels are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from holdfast.data import Batch


def class_figures(right: int, answered: int, there: int) -> dict[str, float | int | None]:
    """Precision, recall and F1 of a class, and how often it is there.

    Args:
        right: How often it was right.
        answered: How often it was answered.
        there: How often it should have been.

    Returns:
        The figures by name; F1 is None for a class that was neither there nor answered.
    """
    either = answered + there
    return {
        "precision": right / max(1, answered),
        "recall": right / max(1, there),
        "f1": 2 * right / either if either else None,
        "count": there,
    }


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

    def figures(self, names: Sequence[str]) -> dict[str, Any]:
        """The confusion matrix, and the figures of each class, as values that JSON has.

        Returns:
            ``confusion``: ``labels``, and ``counts`` with a row a label and a column an answer. ``labels``: of each,
            ``precision``, ``recall`` and ``f1`` (None for one that neither occurs nor was answered), and ``count``, the
            sequences that have it.
        """
        hits, there, said = self.confusion.diag(), self.confusion.sum(1), self.confusion.sum(0)
        rows = zip(names, hits.tolist(), said.tolist(), there.tolist(), strict=True)
        return {
            "confusion": {"labels": list(names), "counts": self.confusion.tolist()},
            "labels": {name: class_figures(*counts) for name, *counts in rows},
        }

    def state_dict(self) -> dict[str, Tensor]:
        """What was gathered, in memory of its own."""
        return {"confusion": self.confusion.clone()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from what ``state_dict`` gave."""
        self.confusion = state["confusion"].clone()


class MultilabelMetrics:
    """Exact match and F1 where a sequence may have several labels; a score above 0 means that it has the label.

    Attributes:
        found: [classes, 2, 2], int64, on the CPU: of each class, how often it was (second index) and was said to be
            (third).
        exact: Sequences all of whose labels were right.
        seen: Sequences.
    """

    def __init__(self, classes: int) -> None:
        self.found = torch.zeros(classes, 2, 2, dtype=torch.int64)
        self.exact, self.seen = 0, 0

    def update(self, scores: Tensor, batch: Batch) -> None:
        """Takes in a batch.

        Args:
            scores: [B, classes], before the sigmoid.
            batch: Its targets [B, classes] are 1 for the labels that a sequence has, else 0.
        """
        from torchmetrics.functional.classification import multilabel_confusion_matrix

        said, targets = (scores >= 0).long(), batch.known_targets.long()
        classes = len(self.found)
        self.found += multilabel_confusion_matrix(said, targets, classes, validate_args=False).cpu()
        self.exact += int((said == targets).all(1).sum())
        self.seen += len(batch)

    def _f1(self) -> Tensor:
        """F1 of each class, [classes]; NaN for one that neither occurs nor was said."""
        hits, wrong = self.found[:, 1, 1].double(), self.found[:, 0, 1] + self.found[:, 1, 0]
        return 2 * hits / (2 * hits + wrong)

    def compute(self) -> dict[str, float]:
        """``exact_match``, ``macro_f1`` (the mean over the classes that occur or were said) and ``micro_f1`` so far."""
        f1, whole = self._f1(), self.found.sum(0).double()
        met = ~f1.isnan()
        counted = 2 * whole[1, 1] + whole[0, 1] + whole[1, 0]
        return {
            "exact_match": self.exact / max(1, self.seen),
            "macro_f1": float(f1[met].mean()) if met.any() else 0.0,
            "micro_f1": float(2 * whole[1, 1] / counted) if counted else 0.0,
        }

    def table(self, names: Sequence[str]) -> str:
        """Precision, recall and F1 of each label, and how many sequences have it, as text."""
        width = max(len(name) for name in [*names, "label"])
        lines = [f"{'label':<{width}}  precision  recall      f1  sequences"]
        for name, count, f1 in zip(names, self.found.tolist(), self._f1().tolist(), strict=True):
            (_, false), (missed, hits) = count
            precision, recall = (hits / max(1, hits + other) for other in (false, missed))
            shown = "     -" if f1 != f1 else f"{f1:.4f}"
            lines.append(f"{name:<{width}}  {precision:9.4f}  {recall:6.4f}  {shown}  {hits + missed:9}")
        return "\n".join(lines)

    def figures(self, names: Sequence[str]) -> dict[str, Any]:
        """``labels``: as of :meth:`ClassificationMetrics.figures`."""
        hits, false, missed = self.found[:, 1, 1], self.found[:, 0, 1], self.found[:, 1, 0]
        rows = zip(names, hits.tolist(), (hits + false).tolist(), (hits + missed).tolist(), strict=True)
        return {"labels": {name: class_figures(*counts) for name, *counts in rows}}

    def state_dict(self) -> dict[str, Any]:
        """What was gathered, in memory of its own."""
        return {"found": self.found.clone(), "exact": self.exact, "seen": self.seen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from what ``state_dict`` gave."""
        self.found, self.exact, self.seen = state["found"].clone(), int(state["exact"]), int(state["seen"])
