"""From scores to labels: the loss, the metrics and the answers, where a sequence has one label or several."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from holdfast.data.labels import Labels
from holdfast.errors import OptionError, RecipeError, did_you_mean
from holdfast.tasks.classify.metrics import ClassificationMetrics, MultilabelMetrics


class Labelling(ABC):
    """What is made of scores.

    Attributes:
        labels: The vocabulary of labels.
        weights: Of each class in the loss; None where all count alike.
        score: The metric that decides which epoch is best.

    Raises:
        OptionError: There are not as many weights as labels.
    """

    score: str

    def __init__(self, labels: Labels, weights: Sequence[float] | None = None) -> None:
        if weights is not None and len(weights) != len(labels):
            raise OptionError(f"There are {len(weights)} weights for {len(labels)} labels; expected one for each.")
        self.labels, self.weights = labels, None if weights is None else [float(weight) for weight in weights]

    @abstractmethod
    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """The mean over the sequences of a batch: a scalar from scores [B, classes] and targets [B, ...]."""

    @abstractmethod
    def metrics(self) -> ClassificationMetrics | MultilabelMetrics:
        """Fresh metrics."""

    @abstractmethod
    def answers(self, scores: Tensor) -> list[dict[str, Any]]:
        """``label`` and ``probabilities`` of each row of scores [B, classes], the likeliest label first."""

    def _weights(self, like: Tensor) -> Tensor | None:
        return None if self.weights is None else torch.tensor(self.weights, dtype=like.dtype, device=like.device)

    def _named(self, probabilities: Tensor) -> list[dict[str, float]]:
        """The probability of each label [B, classes] by its name, the likeliest first."""
        ordered, places = probabilities.sort(descending=True)
        rows = zip(ordered.tolist(), places.tolist(), strict=True)
        return [{self.labels.classes[k]: p for p, k in zip(ps, ks, strict=True)} for ps, ks in rows]


class OneLabel(Labelling):
    """Exactly one label a sequence: softmax and cross-entropy."""

    score = "accuracy"

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """The cross-entropy, that of each sequence times the weight of its class."""
        weights = self._weights(scores)
        if weights is None:
            return F.cross_entropy(scores, targets)
        # Not torch's own mean, which divides by the weights of this batch and so would give each batch another scale.
        return F.cross_entropy(scores, targets, weight=weights, reduction="none").mean()

    def metrics(self) -> ClassificationMetrics:
        """Fresh accuracy and macro F1."""
        return ClassificationMetrics(len(self.labels))

    def answers(self, scores: Tensor) -> list[dict[str, Any]]:
        """The likeliest label, and the probability of every label."""
        named = self._named(torch.softmax(scores.double(), -1))
        return [{"label": next(iter(row)), "probabilities": row} for row in named]


class SeveralLabels(Labelling):
    """Any number of labels a sequence: a sigmoid and a binary cross-entropy for each."""

    score = "macro_f1"

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """The mean over the labels; where a sequence has the label, times the weight of the label."""
        return F.binary_cross_entropy_with_logits(scores, targets.to(scores.dtype), pos_weight=self._weights(scores))

    def metrics(self) -> MultilabelMetrics:
        """Fresh exact match and F1."""
        return MultilabelMetrics(len(self.labels))

    def answers(self, scores: Tensor) -> list[dict[str, Any]]:
        """``labels``: those of probability 1/2 or more; ``label``: the same in one string, as the training files."""
        found = []
        for row in self._named(torch.sigmoid(scores.double())):
            likely = [label for label, probability in row.items() if probability >= 0.5]
            found.append({"label": self.labels.separator.join(likely), "labels": likely, "probabilities": row})
        return found


def labelling(labels: Labels, weights: Sequence[float] | None = None) -> Labelling:
    """What fits the labels."""
    return SeveralLabels(labels, weights) if labels.separator else OneLabel(labels, weights)


def class_weights(asked: str | Mapping[str, float], labels: Labels, train: Sequence[str]) -> list[float] | None:
    """The weight of each class in the loss.

    Args:
        asked: ``model.class_weights``: a weight for some labels, 1 for the rest; ``"balanced"``; or ``""`` for none.
        labels: The vocabulary of labels.
        train: The label of each training sequence.

    Returns:
        [classes]; None where all count alike. Balanced: N / (classes * N_class), as in "Logistic Regression in Rare
        Events Data" (King & Zeng 2001), so that the mean over the training sequences is 1; with several labels a
        sequence, for each label the sequences without it over those with it.

    Raises:
        RecipeError: ``asked`` is another word, or names a label that no training sequence has.
    """
    if not asked:
        return None
    if isinstance(asked, str):
        if asked != "balanced":
            raise RecipeError(
                f'model.class_weights is {asked!r}; expected "balanced", or a table such as {{ rare = 5.0 }}.'
            )
        targets = labels.encode(train)
        if labels.separator:
            having = targets.double().sum(0)
            found = (len(train) - having).clamp(min=1) / having
        else:
            found = len(train) / (len(labels) * torch.bincount(targets, minlength=len(labels)).double())
        return [float(weight) for weight in found]
    for label in asked:
        if label not in labels.classes:
            raise RecipeError(
                f"There is no label {label!r} (model.class_weights): {did_you_mean(label, labels.classes)}"
            )
    return [float(asked.get(label, 1)) for label in labels.classes]
