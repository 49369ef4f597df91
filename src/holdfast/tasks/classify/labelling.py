"""From scores to labels: loss, metrics and answers, with one label per sequence or several."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from holdfast.data.batch import weighted_mean
from holdfast.data.labels import Labels
from holdfast.errors import OptionError, RecipeError, did_you_mean
from holdfast.tasks.classify.metrics import ClassificationMetrics, MultilabelMetrics


class Labelling(ABC):
    """Loss, metrics and answers from scores.

    Attributes:
        labels: The vocabulary of labels.
        weights: The weight of each label in the loss; None for equal weights.
        score: The name of the metric that decides which epoch is best.

    Raises:
        OptionError: The numbers of weights and labels differ.
    """

    score: str

    def __init__(self, labels: Labels, weights: Sequence[float] | None = None) -> None:
        if weights is not None and len(weights) != len(labels):
            raise OptionError(f"There are {len(weights)} weights for {len(labels)} labels; expected one for each.")
        self.labels, self.weights = labels, None if weights is None else [float(weight) for weight in weights]

    @abstractmethod
    def loss(self, scores: Tensor, targets: Tensor, rows: Tensor | None = None) -> Tensor:
        """The mean loss of a batch, a scalar.

        Args:
            scores: [B, classes].
            targets: [B, ...].
            rows: The weight of each sequence, [B]; None for equal weights.
        """

    @abstractmethod
    def metrics(self) -> ClassificationMetrics | MultilabelMetrics:
        """New metrics."""

    @abstractmethod
    def probabilities(self, scores: Tensor) -> Tensor:
        """The probability of each label, [B, classes], float64, from scores [B, classes]."""

    @abstractmethod
    def answers(self, scores: Tensor) -> list[dict[str, Any]]:
        """``label`` and ``probabilities`` for each row of scores [B, classes], the most likely label first."""

    @abstractmethod
    def columns(self, scores: Tensor) -> dict[str, Sequence[Any]]:
        """The answers as columns: ``label``, and ``probability_LABEL`` for each label in the order of the labels."""

    def _probability_columns(self, probabilities: Tensor) -> dict[str, Sequence[Any]]:
        numbers: Any = probabilities.cpu().numpy()
        return {f"probability_{label}": numbers[:, k] for k, label in enumerate(self.labels.classes)}

    def _weights_as(self, scores: Tensor) -> Tensor | None:
        return None if self.weights is None else torch.tensor(self.weights, dtype=scores.dtype, device=scores.device)

    def _by_label(self, probabilities: Tensor) -> list[dict[str, float]]:
        """Probabilities [B, classes] as one mapping per row, from label to probability, the most likely first."""
        ordered, places = probabilities.sort(descending=True)
        rows = zip(ordered.tolist(), places.tolist(), strict=True)
        return [{self.labels.classes[k]: p for p, k in zip(ps, ks, strict=True)} for ps, ks in rows]


class OneLabel(Labelling):
    """Exactly one label per sequence: softmax and cross-entropy."""

    score = "accuracy"

    def loss(self, scores: Tensor, targets: Tensor, rows: Tensor | None = None) -> Tensor:
        """The mean cross-entropy; each sequence counts with its weight and the weight of its label."""
        weights = self._weights_as(scores)
        if weights is None and rows is None:
            return F.cross_entropy(scores, targets)
        # torch's own mean divides by the weights of the batch, so each batch would have another scale.
        return weighted_mean(F.cross_entropy(scores, targets, weight=weights, reduction="none"), rows)

    def metrics(self) -> ClassificationMetrics:
        """New metrics: accuracy and macro F1."""
        return ClassificationMetrics(len(self.labels))

    def probabilities(self, scores: Tensor) -> Tensor:
        """The softmax; the probabilities of a row add up to 1."""
        return torch.softmax(scores.double(), -1)

    def answers(self, scores: Tensor) -> list[dict[str, Any]]:
        """The most likely label, and the probability of every label."""
        rows = self._by_label(self.probabilities(scores))
        return [{"label": next(iter(row)), "probabilities": row} for row in rows]

    def columns(self, scores: Tensor) -> dict[str, Sequence[Any]]:
        """The most likely label, and the probability of every label."""
        probabilities = self.probabilities(scores)
        places = probabilities.sort(descending=True)[1][:, 0]  # of equal ones, the same as in answers
        labels = [self.labels.classes[place] for place in places.tolist()]
        return {"label": labels, **self._probability_columns(probabilities)}


class SeveralLabels(Labelling):
    """Any number of labels per sequence: a sigmoid and a binary cross-entropy for each label."""

    score = "macro_f1"

    def loss(self, scores: Tensor, targets: Tensor, rows: Tensor | None = None) -> Tensor:
        """The mean over sequences and labels; where a sequence has the label, times the weight of the label."""
        weights, reduction = self._weights_as(scores), "mean" if rows is None else "none"
        known = targets.to(scores.dtype)
        losses = F.binary_cross_entropy_with_logits(scores, known, pos_weight=weights, reduction=reduction)
        return losses if rows is None else weighted_mean(losses.mean(1), rows)

    def metrics(self) -> MultilabelMetrics:
        """New metrics: exact match and F1."""
        return MultilabelMetrics(len(self.labels))

    def probabilities(self, scores: Tensor) -> Tensor:
        """The sigmoid of each score."""
        return torch.sigmoid(scores.double())

    def answers(self, scores: Tensor) -> list[dict[str, Any]]:
        """``labels``: those with probability 1/2 or more; ``label``: the same as one string, as in the files."""
        answers = []
        for row in self._by_label(self.probabilities(scores)):
            likely = [label for label, probability in row.items() if probability >= 0.5]
            answers.append({"label": self.labels.separator.join(likely), "labels": likely, "probabilities": row})
        return answers

    def columns(self, scores: Tensor) -> dict[str, Sequence[Any]]:
        """The labels with probability 1/2 or more, as one string and as a list; the probability of every label."""
        answers = self.answers(scores)
        labels = {name: [answer[name] for answer in answers] for name in ("label", "labels")}
        return labels | self._probability_columns(self.probabilities(scores))


def labelling(labels: Labels, weights: Sequence[float] | None = None) -> Labelling:
    """``SeveralLabels`` where the labels have a separator, else ``OneLabel``."""
    return SeveralLabels(labels, weights) if labels.separator else OneLabel(labels, weights)


def class_weights(setting: str | Mapping[str, float], labels: Labels, train: Sequence[str]) -> list[float] | None:
    """The weight of each class in the loss.

    Args:
        setting: ``model.class_weights``: a weight for some labels, 1 for the others; ``"balanced"``; or ``""``.
        labels: The vocabulary of labels.
        train: The label of each training sequence.

    Returns:
        [classes]; None for equal weights. Balanced: N / (classes * N_class), as in "Logistic Regression in Rare Events
        Data" (King & Zeng 2001), so that the mean over the training sequences is 1. With several labels per sequence,
        the weight is the number of sequences without the label over the number with it.

    Raises:
        RecipeError: ``setting`` is another word, or has a label that no training sequence has.
    """
    if not setting:
        return None
    if isinstance(setting, str):
        if setting != "balanced":
            raise RecipeError(
                f'model.class_weights is {setting!r}; expected "balanced", or a table such as {{ rare = 5.0 }}.'
            )
        targets = labels.encode(train)
        if labels.separator:
            counts = targets.double().sum(0)
            weights = (len(train) - counts).clamp(min=1) / counts
        else:
            weights = len(train) / (len(labels) * torch.bincount(targets, minlength=len(labels)).double())
        return [float(weight) for weight in weights]
    for label in setting:
        if label not in labels.classes:
            raise RecipeError(
                f"There is no label {label!r} (model.class_weights): {did_you_mean(label, labels.classes)}"
            )
    return [float(setting.get(label, 1)) for label in labels.classes]
