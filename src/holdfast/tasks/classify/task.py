"""Classify: a sequence of numbers or a text in, one label out, or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

import torch
from pydantic import Discriminator, Field, SerializerFunctionWrapHandler, Tag, model_serializer
from torch import Tensor, nn

from holdfast.data import Batch, Dataset, Encoder, Splits, TextEncoder, load, read_sequences
from holdfast.data.defaults import input_noise
from holdfast.data.pieces import Source, sequences, texts
from holdfast.data.records import Records
from holdfast.data.vocabulary import UNKNOWN, Vocabulary
from holdfast.errors import RecipeError
from holdfast.layers.chain import Chain
from holdfast.layers.chain.parts import Scaled
from holdfast.tasks.classify.data import from_values
from holdfast.tasks.classify.labelling import class_weights, labelling
from holdfast.tasks.classify.metrics import ClassificationMetrics, MultilabelMetrics
from holdfast.tasks.classify.network import Classifier
from holdfast.tasks.classify.presentation import ClassifyPresentation
from holdfast.tasks.classify.settings import ClassifyModel, ClassifyRecipe
from holdfast.tasks.embedding import TokenEmbedding, Vectors, known_vectors
from holdfast.tasks.frames import FromFrames
from holdfast.tasks.inputs import sequence_input, text_input
from holdfast.tasks.interface import Interface, LabelsAnswer
from holdfast.tasks.own import own_loss, with_own
from holdfast.tasks.saved import SavedTask
from holdfast.tasks.task import RecipeTask, TaskStep


def _kind(encoder: object) -> str:
    texts = "vocabulary" in encoder if isinstance(encoder, Mapping) else isinstance(encoder, TextEncoder)
    return "texts" if texts else "numbers"


class SavedClassifyTask(SavedTask):
    """What a model file says of a classifier."""

    settings: ClassifyModel = Field(alias="model")
    encoder: Annotated[Annotated[Encoder, Tag("numbers")] | Annotated[TextEncoder, Tag("texts")], Discriminator(_kind)]
    weights: list[float] | None = None

    @model_serializer(mode="wrap")
    def _without_weights(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = write(self)
        return document if self.weights is not None else {k: v for k, v in document.items() if k != "weights"}


class ClassifyTask(FromFrames, RecipeTask[Any]):
    """Classification of sequences of numbers (``Examples``) or texts (``Records``).

    Args:
        settings: The ``[model]`` table of the recipe.
        encoder: Labels, and scaling or vocabulary, fitted on the training split.
        weights: The weight of each label in the loss; None where all count alike.
        vectors: Initial vectors of the embedding, by id.

    Attributes:
        settings: The ``[model]`` table of the recipe.
        encoder: Labels, and scaling or vocabulary, fitted on the training split.
        labelling: Loss, metrics and answers from the network's scores.
        vectors: Initial vectors of the embedding, by id; only in a task that was just fitted, else None.
    """

    encoder: Encoder | TextEncoder
    name = "classify"
    saved = SavedClassifyTask
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

    @property
    def weights(self) -> list[float] | None:
        """The weight of each label in the loss; None where all count alike."""
        return self.labelling.weights

    @classmethod
    def load(cls, recipe: ClassifyRecipe, data_dir: Path | None) -> Splits[Any]:
        """Reads and splits the data of a recipe."""
        return load(recipe.data, data_dir, recipe.train.seed)

    @classmethod
    def fit(cls, recipe: ClassifyRecipe, train: Any) -> Self:
        """The task, with labels and scaling or vocabulary fitted on the training sequences.

        Raises:
            DataError: The sequences have no labels, or the file of word vectors cannot be used.
            RecipeError: ``model.class_weights`` has a label that no training sequence has, or goes with a loss of your
                own.
        """
        encoder = TextEncoder.fit(train, recipe.data) if recipe.data.unit else Encoder.fit(train, recipe.data)
        weights = class_weights(recipe.model.class_weights, encoder.labels, train.targets or [])
        if weights is not None and recipe.model.loss not in recipe.model.losses:
            raise RecipeError("model.class_weights goes with the loss cross-entropy, not with one of your own.")
        model = recipe.model
        if model.input_noise == "auto":
            standard = isinstance(encoder, Encoder) and encoder.scaling.kind == "standard"
            noise = input_noise(len(train)) if standard else 0.0
            model = model.model_copy(update={"input_noise": noise})
        if not model.embedding_file:
            return cls(model, encoder, weights)
        if not isinstance(encoder, TextEncoder):
            raise RecipeError("model.embedding_file is for texts: set data.unit, or leave it out.")
        vectors = known_vectors(Path(model.embedding_file), encoder.vocabulary)
        size = len(next(iter(vectors.values())))
        return cls(model.model_copy(update={"embedding_size": size}), encoder, weights, vectors)

    @property
    def choices(self) -> dict[str, Any]:
        """The scaling of numbers."""
        return {"scaling": self.encoder.scaling.kind} if isinstance(self.encoder, Encoder) else {}

    def build(self) -> Classifier:
        """A new model with random initial values from torch's random state."""
        classes = len(self.encoder.labels)
        if isinstance(self.encoder, Encoder):
            return Classifier(self.encoder.channels, classes, self.settings)
        embedding = TokenEmbedding(len(self.encoder.vocabulary), self.settings, self.vectors)
        return Classifier(self.settings.embedding_size, classes, self.settings, embedding)

    def chain(self, model: nn.Module) -> Chain:
        """The network and its labels; for numbers, after the scaling."""
        network = super().chain(model)
        scaled = [Scaled(self.encoder.scaling)] if isinstance(self.encoder, Encoder) else []
        return Chain((*scaled, *network.parts), tuple(self.encoder.labels.classes))

    def interface(self, examples: Any = None, *, alone: bool = True) -> Interface:
        """A sequence of numbers, a picture, a recording or a text in; the probabilities of labels out."""
        answer = LabelsAnswer(several=bool(self.encoder.labels.separator))
        if isinstance(self.encoder, Encoder):
            return Interface(sequence_input(self.encoder, examples, alone=alone), answer)
        return Interface(text_input(self.encoder.vocabulary, examples, alone=alone), answer)

    def encode(self, examples: Any) -> Dataset:
        """The sequences as numbers or ids, and their labels as class numbers."""
        return self.encoder.encode(examples)

    def loss(self, model: nn.Module, batch: Batch, state: Any = None) -> TaskStep:
        """The cross-entropy of a batch, the scores [B, classes] and the final state."""
        scores, state = model(batch.inputs, batch.lengths, state)
        if self.settings.loss in self.settings.losses:
            loss = self.labelling.loss(scores, batch.known_targets, batch.weights)
        else:
            loss = own_loss(self.settings.loss, scores, batch.known_targets, batch.weights)
        return TaskStep(loss, scores, state)

    @property
    def input_vocabulary(self) -> Vocabulary | None:
        """The vocabulary of texts."""
        return self.encoder.vocabulary if isinstance(self.encoder, TextEncoder) else None

    def metrics(self) -> ClassificationMetrics | MultilabelMetrics:
        """New metrics: accuracy and macro F1; with several labels per sequence, exact match and F1."""
        metrics: ClassificationMetrics | MultilabelMetrics = with_own(self.labelling.metrics(), self.settings.metrics)
        return metrics

    def details(self, metrics: ClassificationMetrics | MultilabelMetrics) -> str:
        """The confusion matrix, or the figures of each label, as text."""
        return metrics.table(self.encoder.labels.classes)

    def figures(self, metrics: ClassificationMetrics | MultilabelMetrics) -> dict[str, Any]:
        """``labels`` with the figures of each label; with one label per sequence, also ``confusion``."""
        return metrics.figures(self.encoder.labels.classes)

    @property
    def presentation(self) -> ClassifyPresentation:
        """As :attr:`RecipeTask.presentation`."""
        return ClassifyPresentation(self)

    def read(self, paths: Sequence[Path]) -> Any:
        """Reads files with the settings of the training files; labels may be missing."""
        return read_sequences(paths, self.encoder.settings)

    def sources(self, paths: Sequence[Path], aside: Sequence[str] = ()) -> list[Source]:
        """Files of sequences or texts in pieces."""
        if isinstance(self.encoder, Encoder):
            return sequences.sources(paths, self.encoder.settings, aside=aside)
        return texts.sources(paths, self.encoder.settings)

    def from_lines(self, lines: Sequence[str]) -> Any:
        """One text per line, without labels; an empty line is an empty text."""
        if isinstance(self.encoder, Encoder):
            return super().from_lines(lines)
        return Records(list(lines), None, [f"line {number}" for number in range(1, len(lines) + 1)])

    def from_values(self, values: Any) -> Any:
        """Sequences of numbers or texts, without labels.

        Args:
            values: As :func:`holdfast.tasks.classify.data.from_values` takes them.

        Raises:
            DataError: A value does not fit.
        """
        return from_values(values, self.encoder)

    @property
    def reads_tokens(self) -> bool:
        """Whether the sequences are texts."""
        return isinstance(self.encoder, TextEncoder)

    def step_tokens(self, example: Any) -> list[str] | None:
        """As :meth:`RecipeTask.step_tokens`: the tokens of a text."""
        return None if isinstance(self.encoder, Encoder) else self.encoder.vocabulary.spelled(example.inputs[0])

    def probabilities(self, model: nn.Module, batch: Batch) -> Tensor:
        """The probability of each label for each sequence, [B, classes], float64."""
        scores, _ = model(batch.inputs, batch.lengths)
        return self.labelling.probabilities(scores)

    def answers(self, model: nn.Module, batch: Batch) -> list[dict[str, Any]]:
        """``label`` and ``probabilities`` by label for each sequence, the most likely label first."""
        scores, _ = model(batch.inputs, batch.lengths)
        return self.labelling.answers(scores)

    def answer_columns(self, model: nn.Module, batch: Batch) -> Mapping[str, Sequence[Any]]:
        """``label`` for each sequence, and ``probability_LABEL`` for each label."""
        scores, _ = model(batch.inputs, batch.lengths)
        return self.labelling.columns(scores)

    def example_inputs(self, size: int) -> tuple[Tensor]:
        """Zeros [size, size, C]; for texts, unknown tokens [size, size]."""
        if isinstance(self.encoder, TextEncoder):
            return (torch.full((size, size), UNKNOWN),)
        return (torch.zeros(size, size, self.encoder.channels),)


TASK = ClassifyTask
