"""Classify: a sequence in, one label out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holdfast.data import Batch, Encoder, Examples, SequenceDataset, Splits, load, read
from holdfast.metrics import ClassificationMetrics
from holdfast.recipes.classify import ClassifyModel, ClassifyRecipe, LinearSettings
from holdfast.tasks.network import final_hidden, recurrent_layers
from holdfast.tasks.task import RecipeTask, TaskStep


class Classifier(nn.Module):
    """A linear layer on every step (if asked for), recurrent layers, and a linear layer on what they end with."""

    def __init__(self, channels: int, classes: int, settings: ClassifyModel) -> None:
        """Builds the network.

        Args:
            channels: C, values in a step.
            classes: Labels to tell apart.
            settings: The ``[model]`` table of the recipe.

        Raises:
            OptionError: An option of the cell is unknown or does not fit.
        """
        super().__init__()
        self.head, self.bidirectional, self.merge = settings.head, settings.bidirectional, settings.merge
        width = settings.input_layer.size
        self.input = linear(channels, width, settings.input_layer) if width else None
        self.recurrent = recurrent_layers(width or channels, settings)
        self.dropout = nn.Dropout(settings.dropout)
        self.output = linear(self.recurrent.output_size, classes, settings.output_layer)

    def forward(self, inputs: Tensor, lengths: Tensor | None = None, state: Any = None) -> tuple[Tensor, Any]:
        """Scores each label.

        Args:
            inputs: [B, T, C].
            lengths: [B], or None when all rows have T steps.
            state: The recurrent layers' initial state; None for zeros.

        Returns:
            The scores before softmax [B, classes], and the recurrent layers' final state.
        """
        x = inputs if self.input is None else self.input(inputs)
        outputs, state = self.recurrent(x, state, lengths=lengths)
        ended = (
            final_hidden(self.recurrent, state) if self.head == "last_state" else pooled(outputs, lengths, self.head)
        )
        return self.output(self.dropout(ended)), state


def linear(inputs: int, outputs: int, settings: LinearSettings) -> nn.Linear:
    """A linear layer with the initial values that the recipe asks for."""
    layer = nn.Linear(inputs, outputs)
    if settings.weight_std:
        nn.init.normal_(layer.weight, std=settings.weight_std)
    if settings.bias is not None:
        nn.init.constant_(layer.bias, settings.bias)
    return layer


def pooled(outputs: Tensor, lengths: Tensor | None, how: str) -> Tensor:
    """One vector a sequence, from the steps within its length; zeros for a sequence without steps.

    Args:
        outputs: [B, T, O], zero past a row's length.
        lengths: [B], or None when all rows have T steps.
        how: ``"last_output"``, ``"mean"`` or ``"max"``.

    Returns:
        [B, O].
    """
    steps = outputs.shape[1]
    if lengths is None:
        lengths = torch.full((len(outputs),), steps, device=outputs.device)
    some = (lengths > 0)[:, None]
    if how == "last_output":
        last = (lengths - 1).clamp(min=0)
        return outputs[torch.arange(len(outputs), device=outputs.device), last]
    if how == "mean":
        return outputs.sum(1) / lengths.clamp(min=1)[:, None].to(outputs.dtype)
    padding = torch.arange(steps, device=outputs.device) >= lengths[:, None]
    highest = outputs.masked_fill(padding[:, :, None], -torch.inf).amax(1)
    return torch.where(some, highest, torch.zeros_like(highest))


class ClassifyTask(RecipeTask[Examples]):
    """The loss, metrics and answers of classification.

    Attributes:
        settings: The ``[model]`` table of the recipe.
        encoder: Labels and scaling, fitted on the training split.
    """

    name = "classify"
    answer_key = "label"
    score = "accuracy"
    higher_is_better = True

    def __init__(self, settings: ClassifyModel, encoder: Encoder) -> None:
        self.settings, self.encoder = settings, encoder

    @classmethod
    def load(cls, recipe: ClassifyRecipe, data_dir: Path | None) -> Splits[Examples]:
        """Reads the data of a recipe, in its splits."""
        return load(recipe.data, data_dir, recipe.train.seed)

    @classmethod
    def fit(cls, recipe: ClassifyRecipe, train: Examples) -> Self:
        """The task with the labels and the scaling of the training sequences."""
        return cls(recipe.model, Encoder.fit(train, recipe.data))

    def build(self) -> Classifier:
        """A model with initial values drawn from torch's random state."""
        return Classifier(self.encoder.channels, len(self.encoder.labels), self.settings)

    def encode(self, examples: Examples) -> SequenceDataset:
        """The sequences scaled, and their labels as classes."""
        return self.encoder.encode(examples)

    def loss(self, model: nn.Module, batch: Batch, state: Any = None) -> TaskStep:
        """The cross-entropy of a batch, its scores [B, classes] and the final state."""
        scores, state = model(batch.inputs, batch.lengths, state)
        return TaskStep(F.cross_entropy(scores, batch.known_targets), scores, state)

    def metrics(self) -> ClassificationMetrics:
        """Fresh accuracy and macro F1."""
        return ClassificationMetrics(len(self.encoder.labels))

    def details(self, metrics: ClassificationMetrics) -> str:
        """What numbers alone do not show: the confusion matrix, as text."""
        return metrics.table(self.encoder.labels.classes)

    def read(self, paths: Sequence[Path]) -> Examples:
        """Reads files in the way that the training files were read; labels may be missing."""
        return read(paths, self.encoder.settings)

    def answers(self, model: nn.Module, batch: Batch) -> list[dict[str, Any]]:
        """What the model says of each sequence: ``label``, and ``probabilities`` by label, the likeliest first."""
        scores, _ = model(batch.inputs, batch.lengths)
        probabilities, order = torch.softmax(scores.double(), -1).sort(descending=True)
        classes = self.encoder.labels.classes
        rows = zip(probabilities.tolist(), order.tolist(), strict=True)
        named = [{classes[k]: p for p, k in zip(ps, ks, strict=True)} for ps, ks in rows]
        return [{"label": next(iter(row)), "probabilities": row} for row in named]

    def example_inputs(self, size: int) -> tuple[Tensor]:
        """Zeros, [size, size, C]."""
        return (torch.zeros(size, size, self.encoder.channels),)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON that :meth:`from_dict` reads."""
        return {"model": self.settings.model_dump(mode="json"), "encoder": self.encoder.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The task that :meth:`to_dict` wrote.

        Raises:
            ModelFileError: It is not what ``to_dict`` writes.
        """
        return cls(ClassifyModel.model_validate(data["model"]), Encoder.from_dict(data["encoder"]))
