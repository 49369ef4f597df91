"""Classify: a sequence of numbers or a text in, one label out, or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from holdfast.data import Batch, Dataset, Encoder, Examples, Splits, TextEncoder, load, read_sequences
from holdfast.data.records import Records
from holdfast.data.vocabulary import UNKNOWN
from holdfast.errors import RecipeError
from holdfast.tasks.classify.embedding import TokenEmbedding, Vectors, known_vectors
from holdfast.tasks.classify.labelling import class_weights, labelling
from holdfast.tasks.classify.metrics import ClassificationMetrics, MultilabelMetrics
from holdfast.tasks.classify.settings import ClassifyModel, ClassifyRecipe, LinearSettings
from holdfast.tasks.network import recurrent_layers
from holdfast.tasks.task import RecipeTask, TaskStep


class Classifier(nn.Module):
    """A linear layer on every step (if asked for), recurrent layers, and a linear layer on what they end with.

    For texts, an embedding comes first.
    """

    def __init__(
        self, channels: int, classes: int, settings: ClassifyModel, embedding: TokenEmbedding | None = None
    ) -> None:
        """Builds the network.

        Args:
            channels: C, values in a step, or in what the embedding makes of it.
            classes: Labels to tell apart.
            settings: The ``[model]`` table of the recipe.
            embedding: What reads ids; None where a step is numbers.

        Raises:
            OptionError: An option of the cell is unknown or does not fit.
        """
        super().__init__()
        self.head, self.bidirectional, self.merge = settings.head, settings.bidirectional, settings.merge
        self.embedding = embedding
        width = settings.input_layer.size
        self.input = linear(channels, width, settings.input_layer) if width else None
        self.recurrent = recurrent_layers(width or channels, settings)
        self.dropout = nn.Dropout(settings.dropout)
        self.output = linear(self.recurrent.output_size, classes, settings.output_layer)

    def forward(self, inputs: Tensor, lengths: Tensor | None = None, state: Any = None) -> tuple[Tensor, Any]:
        """Scores each label.

        Args:
            inputs: [B, T, C], or ids [B, T].
            lengths: [B], or None when all rows have T steps.
            state: The recurrent layers' initial state; None for zeros.

        Returns:
            The scores before softmax or sigmoid [B, classes], and the recurrent layers' final state.
        """
        x = inputs if self.embedding is None else self.embedding(inputs)
        x = x if self.input is None else self.input(x)
        outputs, state = self.recurrent(x, state, lengths=lengths)
        ended = self.recurrent.last_hidden(state) if self.head == "last_state" else pooled(outputs, lengths, self.head)
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
        lengths = torch.full((outputs.shape[0],), steps, device=outputs.device)
    some = (lengths > 0)[:, None]
    if how == "last_output":
        last = (lengths - 1).clamp(min=0)
        return outputs[torch.arange(outputs.shape[0], device=outputs.device), last]
    if how == "mean":
        return outputs.sum(1) / lengths.clamp(min=1)[:, None].to(outputs.dtype)
    padding = torch.arange(steps, device=outputs.device) >= lengths[:, None]
    highest = outputs.masked_fill(padding[:, :, None], -torch.inf).amax(1)
    return torch.where(some, highest, torch.zeros_like(highest))


class ClassifyTask(RecipeTask[Any]):
    """The loss, metrics and answers of classification, of sequences of numbers (``Examples``) or texts (``Records``).

    Attributes:
        settings: The ``[model]`` table of the recipe.
        encoder: Labels, and scaling or vocabulary, fitted on the training split.
        labelling: What is made of the network's scores.
        vectors: What the embedding starts from, by id; None but for a task that was just fitted.
    """

    name = "classify"
    answer_key = "label"
    higher_is_better = True

    def __init__(
        self,
        settings: ClassifyModel,
        encoder: Encoder | TextEncoder,
        weights: Sequence[float] | None = None,
        vectors: Vectors | None = None,
    ) -> None:
        self.settings, self.encoder, self.vectors = settings, encoder, vectors
        self.labelling = labelling(encoder.labels, weights)
        self.score = self.labelling.score

    @classmethod
    def load(cls, recipe: ClassifyRecipe, data_dir: Path | None) -> Splits[Any]:
        """Reads the data of a recipe, in its splits."""
        return load(recipe.data, data_dir, recipe.train.seed)

    @classmethod
    def fit(cls, recipe: ClassifyRecipe, train: Any) -> Self:
        """The task with labels, and scaling or vocabulary, of the training sequences.

        Raises:
            DataError: They have no labels, or the file of word vectors cannot be used.
            RecipeError: ``model.class_weights`` names a label that they do not have.
        """
        labels = train.labels if isinstance(train, Examples) else train.targets
        encoder = TextEncoder.fit(train, recipe.data) if recipe.data.unit else Encoder.fit(train, recipe.data)
        weights = class_weights(recipe.model.class_weights, encoder.labels, labels or [])
        if not recipe.model.embedding_file:
            return cls(recipe.model, encoder, weights)
        if not isinstance(encoder, TextEncoder):
            raise RecipeError("model.embedding_file is for texts: set data.unit, or leave it out.")
        vectors = known_vectors(Path(recipe.model.embedding_file), encoder.vocabulary)
        size = len(next(iter(vectors.values())))
        return cls(recipe.model.model_copy(update={"embedding_size": size}), encoder, weights, vectors)

    def build(self) -> Classifier:
        """A model with initial values drawn from torch's random state."""
        classes = len(self.encoder.labels)
        if isinstance(self.encoder, Encoder):
            return Classifier(self.encoder.channels, classes, self.settings)
        embedding = TokenEmbedding(len(self.encoder.vocabulary), self.settings, self.vectors)
        return Classifier(self.settings.embedding_size, classes, self.settings, embedding)

    def encode(self, examples: Any) -> Dataset:
        """The sequences as numbers, and their labels as classes."""
        return self.encoder.encode(examples)

    def loss(self, model: nn.Module, batch: Batch, state: Any = None) -> TaskStep:
        """The cross-entropy of a batch, its scores [B, classes] and the final state."""
        scores, state = model(batch.inputs, batch.lengths, state)
        return TaskStep(self.labelling.loss(scores, batch.known_targets), scores, state)

    def metrics(self) -> ClassificationMetrics | MultilabelMetrics:
        """Fresh metrics: accuracy and macro F1; with several labels a sequence, exact match and F1."""
        return self.labelling.metrics()

    def details(self, metrics: ClassificationMetrics | MultilabelMetrics) -> str:
        """What numbers alone do not show: the confusion matrix, or the figures of each label, as text."""
        return metrics.table(self.encoder.labels.classes)

    def figures(self, metrics: ClassificationMetrics | MultilabelMetrics) -> dict[str, Any]:
        """``labels`` with the figures of each; with one label a sequence, ``confusion`` as well."""
        return metrics.figures(self.encoder.labels.classes)

    def read(self, paths: Sequence[Path]) -> Any:
        """Reads files in the way that the training files were read; labels may be missing."""
        return read_sequences(paths, self.encoder.settings)

    def from_lines(self, lines: Sequence[str]) -> Any:
        """Texts without labels; an empty line is one too."""
        if isinstance(self.encoder, Encoder):
            return super().from_lines(lines)
        return Records(list(lines), None, [f"line {number}" for number in range(1, len(lines) + 1)])

    def answers(self, model: nn.Module, batch: Batch) -> list[dict[str, Any]]:
        """What the model says of each sequence: ``label``, and ``probabilities`` by label, the likeliest first."""
        scores, _ = model(batch.inputs, batch.lengths)
        return self.labelling.answers(scores)

    def example_inputs(self, size: int) -> tuple[Tensor]:
        """Zeros, [size, size, C]; for texts unknown tokens, [size, size]."""
        if isinstance(self.encoder, TextEncoder):
            return (torch.full((size, size), UNKNOWN),)
        return (torch.zeros(size, size, self.encoder.channels),)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON that :meth:`from_dict` reads."""
        document = {"model": self.settings.model_dump(mode="json"), "encoder": self.encoder.to_dict()}
        return document if self.labelling.weights is None else {**document, "weights": self.labelling.weights}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The task that :meth:`to_dict` wrote.

        Raises:
            ModelFileError: It is not what ``to_dict`` writes.
        """
        kind = TextEncoder if "vocabulary" in data["encoder"] else Encoder
        settings, encoder = ClassifyModel.model_validate(data["model"]), kind.from_dict(data["encoder"])
        return cls(settings, encoder, data.get("weights"))


TASK = ClassifyTask
