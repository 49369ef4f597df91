"""Tag: one label a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holdfast.data import Dataset, Records, Splits, divided
from holdfast.data.readers import tagged
from holdfast.data.sets.published import locate
from holdfast.data.spans import looks_like_spans
from holdfast.data.vocabulary import PADDING, UNKNOWN
from holdfast.errors import OptionError
from holdfast.layers import LSTM
from holdfast.tasks.network import recurrent_layers
from holdfast.tasks.tag import sums
from holdfast.tasks.tag.metrics import TaggingMetrics
from holdfast.tasks.tag.sentences import SentenceEncoder
from holdfast.tasks.tag.settings import TagModel, TagRecipe
from holdfast.tasks.tag.sums import SumEncoder
from holdfast.tasks.task import RecipeTask, TaskStep


class Words(nn.Module):
    """A vector for each word: the one that stands for it, and how a bidirectional LSTM ends on its characters.

    After Ling et al. 2015, "Finding Function in Form". Each distinct word of a batch is read once.
    """

    def __init__(self, words: int, characters: int, settings: TagModel) -> None:
        """Builds the layers.

        Args:
            words: Words in the vocabulary.
            characters: Characters in theirs.
            settings: The ``[model]`` table of the recipe.
        """
        super().__init__()
        self.word_dropout = settings.word_dropout
        self.words = embedding(words, settings.word_size)
        self.output_size = settings.word_size + 2 * settings.spelling_size
        self.spelling: LSTM | None = None
        if settings.spelling_size:
            self.characters = embedding(characters, settings.character_size)
            self.spelling = LSTM(settings.character_size, settings.spelling_size, batch_first=True, bidirectional=True)

    def forward(self, words: Tensor, spellings: Tensor, spelling_lengths: Tensor, places: Tensor) -> Tensor:
        """Looks words up; arguments as in :class:`~holdfast.tasks.tag.sentences.SentenceBatch`.

        Returns:
            [B, T, output_size].
        """
        if self.training and self.word_dropout:
            dropped = torch.rand(words.shape, device=words.device) < self.word_dropout
            words = words.masked_fill(dropped & (words != PADDING), UNKNOWN)
        looked_up = self.words(words)
        if self.spelling is None:
            return looked_up  # type: ignore[no-any-return]
        _, (h, _) = self.spelling(self.characters(spellings), lengths=spelling_lengths)
        spelled = torch.cat([h[0], h[1]], -1)
        return torch.cat([looked_up, spelled[places]], -1)


class Tagger(nn.Module):
    """Vectors of words (or numbers as they are), recurrent layers, and a linear layer on every step."""

    def __init__(self, inputs: Words | int, tags: int, settings: TagModel) -> None:
        """Builds the network.

        Args:
            inputs: What makes vectors of words; or how many numbers a step has.
            tags: Tags to tell apart; two of them take one unit, which says how much speaks for the second.
            settings: The ``[model]`` table of the recipe.

        Raises:
            OptionError: An option of the cell is unknown or does not fit.
        """
        super().__init__()
        self.words = None if isinstance(inputs, int) else inputs
        self.input_dropout = nn.Dropout(settings.input_dropout)
        self.recurrent = recurrent_layers(inputs if isinstance(inputs, int) else inputs.output_size, settings)
        self.dropout = nn.Dropout(settings.dropout)
        self.output = nn.Linear(self.recurrent.output_size, 1 if tags == 2 else tags)
        if settings.output_std:
            nn.init.normal_(self.output.weight, std=settings.output_std)

    def forward(
        self, inputs: Tensor, lengths: Tensor | None = None, *spelled: Tensor, state: Any = None
    ) -> tuple[Tensor, Any]:
        """Scores each tag at each step.

        Args:
            inputs: Numbers [B, T, C], or words [B, T].
            lengths: [B], or None when all rows have T steps.
            spelled: What :class:`Words` takes beside the words.
            state: The recurrent layers' initial state; None for zeros.

        Returns:
            The scores before softmax [B, T, tags], or before the sigmoid [B, T, 1]; and the recurrent layers' final
            state.
        """
        x = inputs if self.words is None else self.words(inputs, *spelled)
        outputs, state = self.recurrent(self.input_dropout(x), state, lengths=lengths)
        return self.output(self.dropout(outputs)), state


class TagTask(RecipeTask[Records[Any, Any]]):
    """The loss, metrics and answers of tagging.

    Attributes:
        settings: The ``[model]`` table of the recipe.
        encoder: What inputs and tags are, fitted on the training split.
        score: The F1 of spans where tags mark them, else the accuracy.
    """

    name = "tag"
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
        data, seed = recipe.data, recipe.train.seed
        train_files, test_files = locate(data, cls.name, data_dir, made=["addition"])
        train: Records[Any, Any]
        test: Records[Any, Any] | None
        if data.source == "addition":
            train, test = sums.generated(data.bits, data.sums, seed)
        else:
            train = tagged.read(train_files, data)
            test = tagged.read(test_files, data) if test_files else None
        return divided(train, test, data, seed)

    @classmethod
    def fit(cls, recipe: TagRecipe, train: Records[Any, Any]) -> Self:
        """The task with the vocabularies and the tags of the training sentences."""
        if recipe.data.source == "addition":
            return cls(recipe.model, SumEncoder(recipe.data.bits))
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

    def answers(self, model: nn.Module, batch: Any) -> list[dict[str, Any]]:
        """What the model says: the words with their tags and spans; or the numbers with their sum."""
        scores, _ = self._scores(model, batch)
        return self.encoder.answers(batch, chosen(scores))

    def example_inputs(self, size: int) -> tuple[Any, ...]:
        """Made-up arguments for the model."""
        return self.encoder.example(size)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON that :meth:`from_dict` reads."""
        return {"model": self.settings.model_dump(mode="json"), "encoder": self.encoder.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The task that :meth:`to_dict` wrote.

        Raises:
            ModelFileError: It is not what ``to_dict`` writes.
        """
        kind = SumEncoder if data["encoder"]["kind"] == SumEncoder.kind else SentenceEncoder
        return cls(TagModel.model_validate(data["model"]), kind.from_dict(data["encoder"]))


def embedding(count: int, size: int) -> nn.Embedding:
    """Vectors of a length of about 1; torch's, ten times as long at size 100, take longer to learn."""
    vectors = nn.Embedding(count, size)
    nn.init.normal_(vectors.weight, std=size**-0.5)
    return vectors


def chosen(scores: Tensor) -> Tensor:
    """The tag with the highest score at each step, [B, T]; of two tags in one unit, the second where it is positive."""
    return scores.argmax(-1) if scores.shape[-1] > 1 else (scores[..., 0] > 0).long()


TASK = TagTask
