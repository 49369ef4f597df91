"""Tag: one label a step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from holdfast.data import Dataset, Records, Splits
from holdfast.data.spans import looks_like_spans
from holdfast.errors import OptionError
from holdfast.tasks.saved import SavedTask
from holdfast.tasks.tag.data import SentenceEncoder, from_values, load
from holdfast.tasks.tag.metrics import TaggingMetrics
from holdfast.tasks.tag.network import Tagger, Words
from holdfast.tasks.tag.settings import TagModel, TagRecipe
from holdfast.tasks.tag.sums import SumEncoder
from holdfast.tasks.task import RecipeTask, TaskStep


class SavedTagTask(SavedTask):
    """What a model file says of a tagger."""

    settings: TagModel = Field(alias="model")
    encoder: Annotated[SentenceEncoder | SumEncoder, Field(discriminator="kind")]


class TagTask(RecipeTask[Records[Any, Any]]):
    """The loss, metrics and answers of tagging.

    Attributes:
        settings: The ``[model]`` table of the recipe.
        encoder: What inputs and tags are, fitted on the training split.
        score: The F1 of spans where tags mark them, else the accuracy.
    """

    name = "tag"
    saved = SavedTagTask
    higher_is_better = True

    def __init__(self, settings: TagModel, encoder: SentenceEncoder | SumEncoder) -> None:
        """Keeps the two.

        Raises:
            OptionError: The loss does not go with the number of tags.
        """
        if settings.loss == "squared-error" and len(encoder.tags) != 2:
            raise OptionError(
                f"model.loss is 'squared-error' and there are {len(encoder.tags)} tags; it is for two. Use "
                "'cross-entropy'."
            )
        self.settings, self.encoder = settings, encoder
        self.answer_key = encoder.answer_key
        self.score = "f1" if looks_like_spans(encoder.tags.classes) else "accuracy"

    @classmethod
    def load(cls, recipe: TagRecipe, data_dir: Path | None) -> Splits[Records[Any, Any]]:
        """Reads or generates the data of a recipe, in its splits."""
        return load(recipe, data_dir)

    @classmethod
    def fit(cls, recipe: TagRecipe, train: Records[Any, Any]) -> Self:
        """The task with the vocabularies and the tags of the training sentences."""
        if recipe.data.source == "addition":
            return cls(recipe.model, SumEncoder(bits=recipe.data.bits))
        return cls(recipe.model, SentenceEncoder.fit(train, recipe.data))

    def build(self) -> Tagger:
        """A model with initial values drawn from torch's random state."""
        if isinstance(self.encoder, SumEncoder):
            return Tagger(2, len(self.encoder.tags), self.settings)
        words = Words(len(self.encoder.words), len(self.encoder.characters), self.settings)
        return Tagger(words, len(self.encoder.tags), self.settings)

    def encode(self, examples: Records[Any, Any]) -> Dataset:
        """The steps as the network reads them, and their tags as classes."""
        return self.encoder.encode(examples)

    def loss(self, model: nn.Module, batch: Any, state: Any = None) -> TaskStep:
        """The mean loss of the steps whose tag training has seen, the tags answered [B, T] and the final state."""
        scores, state = self._scores(model, batch, state)
        targets = batch.known_targets
        known, goal = scores[targets >= 0], targets[targets >= 0]
        if scores.shape[-1] > 1:
            loss = F.cross_entropy(known, goal, reduction="sum")
        elif self.settings.loss == "squared-error":
            loss = F.mse_loss(known[:, 0].sigmoid(), goal.to(scores.dtype), reduction="sum")
        else:
            loss = F.binary_cross_entropy_with_logits(known[:, 0], goal.to(scores.dtype), reduction="sum")
        return TaskStep(loss / max(1, len(goal)), chosen(scores), state)

    def _scores(self, model: nn.Module, batch: Any, state: Any = None) -> tuple[Tensor, Any]:
        inputs, lengths, *spelled = self.encoder.arguments(batch)
        scores, state = model(inputs, lengths, *spelled, state=state)
        return scores, state

    def metrics(self) -> TaggingMetrics:
        """Fresh accuracies, and F1 where tags mark spans."""
        return TaggingMetrics(self.encoder.tags.classes)

    def details(self, metrics: TaggingMetrics) -> str:
        """What numbers alone do not show: how good each tag is, or each label of spans."""
        return metrics.table()

    def figures(self, metrics: TaggingMetrics) -> dict[str, Any]:
        """``tags``, or ``spans`` by their labels, with the figures of each."""
        return metrics.figures()

    def read(self, paths: Sequence[Path]) -> Records[Any, Any]:
        """Reads sentences, with or without tags; or, for sums, two numbers a line."""
        return self.encoder.read(paths)

    def from_lines(self, lines: Sequence[str]) -> Records[Any, Any]:
        """A sentence a line, its words apart by spaces; or two numbers."""
        return self.encoder.parsed(lines, [f"line {number}" for number in range(1, len(lines) + 1)])

    def from_values(self, values: Any) -> Records[Any, Any]:
        """Sentences as lists of words, or pairs of numbers to add.

        Args:
            values: As :func:`holdfast.tasks.tag.data.from_values` takes them.

        Raises:
            DataError: A value does not fit.
        """
        return from_values(values, self.encoder)

    def answers(self, model: nn.Module, batch: Any) -> list[dict[str, Any]]:
        """What the model says: the words with their tags and spans; or the numbers with their sum."""
        scores, _ = self._scores(model, batch)
        return self.encoder.answers(batch, chosen(scores))

    def example_inputs(self, size: int) -> tuple[Any, ...]:
        """Made-up arguments for the model."""
        return self.encoder.example(size)


def chosen(scores: Tensor) -> Tensor:
    """The tag with the highest score at each step, [B, T]; of two tags in one unit, the second where it is positive."""
    return scores.argmax(-1) if scores.shape[-1] > 1 else (scores[..., 0] > 0).long()


TASK = TagTask
