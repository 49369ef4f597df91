"""How many tags are right, gathered batch by batch and kept with a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from holdfast.data.spans import OUTSIDE, looks_like_spans, spans
from holdfast.tasks.figures import class_figures
from holdfast.tasks.tag.data import NO_TARGET, UNSEEN

if TYPE_CHECKING:
    from holdfast.data import Batch


class TaggingMetrics:
    """Accuracy of steps and of whole sequences; for tags that mark spans, also the F1 of the spans.

    Attributes:
        counts: [tags, 3], int64, on the CPU: for each tag, how often it was right, predicted, and actual.
        whole: [2], int64: the number of sequences whose tags are all right, and of all sequences.
        steps: The number of steps, also those with a tag that is not in the training data.
        spans: For each label of spans, how many were right, predicted, and actual; empty if the tags mark no spans. The
            spans of tags that are not in the training data are under ``?``.
    """

    def __init__(self, tags: Sequence[str]) -> None:
        self.tags = list(tags)
        self.counts = torch.zeros(len(self.tags), 3, dtype=torch.int64)
        self.whole = torch.zeros(2, dtype=torch.int64)
        self.steps = 0
        labels = sorted({tag[2:] for tag in self.tags if tag != OUTSIDE}) if looks_like_spans(self.tags) else []
        self.spans = {label: [0, 0, 0] for label in labels}

    def update(self, answers: Tensor, batch: Batch) -> None:
        """Adds a batch.

        Args:
            answers: [B, T], int64, the predicted tags.
            batch: Its targets [B, T] are the right tags: ``UNSEEN`` for a tag that is not in the training data,
                ``NO_TARGET`` past the end of a sequence.
        """
        answers, targets = answers.cpu(), batch.known_targets.cpu()
        inside = targets != NO_TARGET
        right = answers == targets
        groups = [targets[right], answers[inside], targets[targets >= 0]]
        self.steps += int(inside.sum())
        self.counts += torch.stack([part.bincount(minlength=len(self.tags)) for part in groups], 1)
        self.whole += torch.tensor([int((right | ~inside).all(1).sum()), len(targets)])
        if not self.spans:
            return
        names = {UNSEEN: "I-?", **dict(enumerate(self.tags))}
        for row, right_row, steps in zip(answers.tolist(), targets.tolist(), inside.sum(1).tolist(), strict=True):
            predicted, actual = (set(spans([names[k] for k in tags[:steps]])) for tags in (row, right_row))
            for place, group in enumerate([predicted & actual, predicted, actual]):
                for label, _, _ in group:
                    self.spans.setdefault(label, [0, 0, 0])[place] += 1

    def compute(self) -> dict[str, float]:
        """``accuracy`` of the steps and ``sequence_accuracy``; for spans also ``precision``, ``recall`` and ``f1``."""
        result = {
            "accuracy": self.counts[:, 0].sum().item() / max(1, self.steps),
            "sequence_accuracy": self.whole[0].item() / max(1, self.whole[1].item()),
        }
        if self.spans:
            totals = [sum(column) for column in zip(*self.spans.values(), strict=True)]
            result |= dict(zip(("precision", "recall", "f1"), _precision_recall_f1(totals), strict=True))
        return result

    def table(self) -> str:
        """Precision, recall and F1 as text: one line per label of spans, or else per tag."""
        rows = self.spans or dict(zip(self.tags, self.counts.tolist(), strict=True))
        title = "span" if self.spans else "tag"
        width = max(len(title), *map(len, rows))
        lines = [f"{title:<{width}}  precision  recall      f1    count"]
        for name, counts in rows.items():
            precision, recall, f1 = _precision_recall_f1(counts)
            lines.append(f"{name:<{width}}  {precision:9.4f}  {recall:6.4f}  {f1:6.4f}  {counts[2]:7}")
        return "\n".join(lines)

    def figures(self) -> dict[str, Any]:
        """The numbers of :meth:`table` as JSON values: ``spans`` or ``tags``, with the figures of each."""
        rows = self.spans or dict(zip(self.tags, self.counts.tolist(), strict=True))
        return {"spans" if self.spans else "tags": {name: class_figures(*counts) for name, counts in rows.items()}}

    def state_dict(self) -> dict[str, Any]:
        """A copy of the counts."""
        spans = {label: list(counts) for label, counts in self.spans.items()}
        return {"counts": self.counts.clone(), "whole": self.whole.clone(), "steps": self.steps, "spans": spans}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues from the counts that ``state_dict`` gave."""
        self.counts, self.whole, self.steps = state["counts"].clone(), state["whole"].clone(), state["steps"]
        self.spans = {label: list(counts) for label, counts in state["spans"].items()}

    def add_state(self, state: Mapping[str, Any]) -> None:
        """Adds the counts of other metrics."""
        self.counts, self.whole = self.counts + state["counts"], self.whole + state["whole"]
        self.steps += state["steps"]
        for label, counts in state["spans"].items():
            before = self.spans.get(label, [0] * len(counts))
            self.spans[label] = [a + b for a, b in zip(before, counts, strict=True)]


def _precision_recall_f1(counts: Sequence[int]) -> tuple[float, float, float]:
    """From the numbers of right, predicted and actual ones; 0 where nothing was predicted or actual."""
    right, predicted, actual = counts
    return right / max(1, predicted), right / max(1, actual), 2 * right / max(1, predicted + actual)
