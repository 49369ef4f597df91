"""Tag: one label per step."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from holdfast.data import Dataset, Records, Splits
from holdfast.data.cuts import CutBatches, Cuttable, window_for
from holdfast.data.pieces import Source
from holdfast.data.spans import looks_like_spans
from holdfast.data.vocabulary import SPECIAL, Vocabulary
from holdfast.data.vocabulary_rules import rules
from holdfast.errors import OptionError
from holdfast.layers.chain import Chain
from holdfast.layers.chain.parts import Scaled
from holdfast.layers.forms import Form
from holdfast.settings import TrainSettings
from holdfast.tasks.epochs import SizedEpochs
from holdfast.tasks.frames import one_step
from holdfast.tasks.inputs import sequence_input, text_samples
from holdfast.tasks.interface import Interface, PairsInput, TagsAnswer, TextSample, WordsInput
from holdfast.tasks.saved import SavedTask
from holdfast.tasks.tag.data import NO_TARGET, SentenceEncoder, load
from holdfast.tasks.tag.exports import exports
from holdfast.tasks.tag.metrics import TaggingMetrics
from holdfast.tasks.tag.network import Tagger, Words
from holdfast.tasks.tag.numbers import NumberEncoder
from holdfast.tasks.tag.presentation import TagPresentation
from holdfast.tasks.tag.settings import TagModel, TagRecipe
from holdfast.tasks.tag.sums import SumEncoder
from holdfast.tasks.task import RecipeTask, TaskStep


class SavedTagTask(SavedTask):
    """What a model file says of a tagger."""

    settings: TagModel = Field(alias="model")
    encoder: Annotated[SentenceEncoder | SumEncoder | NumberEncoder, Field(discriminator="kind")]
    window: int = 0


class TagTask(RecipeTask[Records[Any, Any]]):
    """Tagging of words, of steps of numbers, and of the bits of sums.

    Attributes:
        settings: The ``[model]`` table of the recipe.
        encoder: Vocabularies or scaling, and tags, fitted on the training split; or the bits of sums.
        window: Steps of numbers: the most steps of a row in training; 0 for whole sequences.
        score: The F1 of spans where tags mark them, else the accuracy.
    """

    name = "tag"
    saved = SavedTagTask
    higher_is_better = True

    def __init__(
        self, settings: TagModel, encoder: SentenceEncoder | SumEncoder | NumberEncoder, window: int = 0
    ) -> None:
        """Checks that the loss fits the tags.

        Raises:
            OptionError: The loss does not fit the number of tags.
        """
        if settings.loss == "squared-error" and len(encoder.tags) != 2:
            raise OptionError(
                f"model.loss is 'squared-error', which needs two tags, and there are {len(encoder.tags)}. Use "
                "'cross-entropy'."
            )
        self.settings, self.encoder, self.window = settings, encoder, window
        self.answer_key = encoder.answer_key
        self.score = "f1" if looks_like_spans(encoder.tags.classes) else "accuracy"

    @classmethod
    def load(cls, recipe: TagRecipe, data_dir: Path | None) -> Splits[Records[Any, Any]]:
        """Reads or generates the data of a recipe, and splits them."""
        return load(recipe, data_dir)

    @classmethod
    def fit(cls, recipe: TagRecipe, train: Records[Any, Any]) -> Self:
        """The task, with tags and vocabularies (or scaling, where steps are numbers) of the training examples."""
        if recipe.data.source == "addition":
            return cls(recipe.model, SumEncoder(bits=recipe.data.bits))
        if len(train) and isinstance(train.inputs[0], np.ndarray):
            lengths = np.array([len(steps) for steps in train.inputs])
            window = 0 if recipe.train.carry_state else window_for(recipe.data.window, lengths)
            return cls(recipe.model, NumberEncoder.fit(train, recipe.data), window)
        return cls(recipe.model, SentenceEncoder.fit(train, recipe.data))

    @property
    def choices(self) -> dict[str, Any]:
        """The scaling of numbers, and how sequences are cut."""
        if not isinstance(self.encoder, NumberEncoder):
            return {}
        return {"scaling": self.encoder.sequences.scaling.kind, "window": self.window}

    def build(self) -> Tagger:
        """A new model with random initial values from torch's random state."""
        if not isinstance(self.encoder, SentenceEncoder):
            return Tagger(self.encoder.channels, len(self.encoder.tags), self.settings)
        words = Words(len(self.encoder.words), len(self.encoder.characters), self.settings)
        return Tagger(words, len(self.encoder.tags), self.settings)

    def chain(self, model: nn.Module) -> Chain:
        """The network; for steps of numbers, after the scaling."""
        network = super().chain(model)
        if not isinstance(self.encoder, NumberEncoder):
            return network
        return Chain((Scaled(self.encoder.sequences.scaling), *network.parts))

    def exports(self, model: nn.Module, *, streaming: bool = False) -> dict[str, Form]:
        """As :meth:`RecipeTask.exports`; a tagger of words has inputs for their spelling."""
        if not isinstance(self.encoder, SentenceEncoder):
            return super().exports(model, streaming=streaming)
        return exports(self.encoder, model, bool(self.settings.spelling_size), streaming)

    def interface(self, examples: Records[Any, Any] | None = None, *, alone: bool = True) -> Interface:
        """A sentence, a sequence of numbers or two numbers to add in; a tag of each step out."""
        encoder = self.encoder
        answer = TagsAnswer(tuple(encoder.tags.classes), sum=isinstance(encoder, SumEncoder))
        if isinstance(encoder, SumEncoder):
            return Interface(PairsInput(encoder.bits), answer)
        if isinstance(encoder, NumberEncoder):
            return Interface(sequence_input(encoder.sequences, examples, alone=alone), answer)
        samples = text_samples(None if examples is None else examples.unlabelled())
        if not samples:
            samples = (TextSample("known words", " ".join(encoder.words.tokens[len(SPECIAL) :][:5])),)
        words, characters = (rules(encoder.words), rules(encoder.characters)) if alone else (None, None)
        return Interface(WordsInput(words, characters, samples), answer)

    def encode(self, examples: Records[Any, Any]) -> Dataset:
        """The inputs of the network, and the tags as class numbers."""
        return self.encoder.encode(examples)

    def batches(
        self, examples: Records[Any, Any], training: TrainSettings | None = None, *, size: int = 256
    ) -> SizedEpochs:
        """As :meth:`RecipeTask.batches`; in training, long sequences of numbers in windows."""
        if training is None or training.carry_state or not self.window:
            return super().batches(examples, training, size=size)
        return CutBatches(cast(Cuttable, self.weighted(examples)), training, self.window, no_target=NO_TARGET)

    def loss(self, model: nn.Module, batch: Any, state: Any = None) -> TaskStep:
        """The mean loss of the steps with a known tag, the predicted tags [B, T] and the final state."""
        scores, state = self._scores(model, batch, state)
        targets = batch.known_targets
        known, known_targets = scores[targets >= 0], targets[targets >= 0]
        reduction = "sum" if batch.weights is None else "none"
        if scores.shape[-1] > 1:
            loss = F.cross_entropy(known, known_targets, reduction=reduction)
        elif self.settings.loss == "squared-error":
            loss = F.mse_loss(known[:, 0].sigmoid(), known_targets.to(scores.dtype), reduction=reduction)
        else:
            loss = F.binary_cross_entropy_with_logits(known[:, 0], known_targets.to(scores.dtype), reduction=reduction)
        if batch.weights is not None:
            loss = (loss * batch.weights[:, None].expand(targets.shape)[targets >= 0]).sum()
        return TaskStep(loss / max(1, len(known_targets)), best_tags(scores), state, amount=len(known_targets))

    def forward(self, model: nn.Module, batch: Any, state: Any = None) -> Tensor:
        """The score of each tag at each step, [B, T, tags], or [B, T, 1] for two tags."""
        return self._scores(model, batch, state)[0]

    def _scores(self, model: nn.Module, batch: Any, state: Any = None) -> tuple[Tensor, Any]:
        inputs, lengths, *spelled = self.encoder.arguments(batch)
        scores, state = model(inputs, lengths, *spelled, state=state)
        return scores, state

    @property
    def input_vocabulary(self) -> Vocabulary | None:
        """The vocabulary of words; None for a model of numbers."""
        return self.encoder.words if isinstance(self.encoder, SentenceEncoder) else None

    def embedded(self, model: nn.Module) -> dict[str, Vocabulary]:
        """As :meth:`RecipeTask.embedded`: the embeddings of words and, if there are any, of their characters."""
        if not isinstance(self.encoder, SentenceEncoder):
            return {}
        places = {"words.words": self.encoder.words, "words.characters": self.encoder.characters}
        return {name: places[name] for name, _ in model.named_modules() if name in places}

    def metrics(self) -> TaggingMetrics:
        """New metrics: accuracies, and F1 where tags mark spans."""
        return TaggingMetrics(self.encoder.tags.classes)

    def details(self, metrics: TaggingMetrics) -> str:
        """The figures of each tag, or of each label of spans, as text."""
        return metrics.table()

    def figures(self, metrics: TaggingMetrics) -> dict[str, Any]:
        """``tags``, or ``spans`` by label, with the figures of each."""
        return metrics.figures()

    @property
    def presentation(self) -> TagPresentation:
        """As :attr:`RecipeTask.presentation`."""
        return TagPresentation(self)

    def read(self, paths: Sequence[Path]) -> Records[Any, Any]:
        """Reads sentences with or without tags; for sums, two numbers per line."""
        return self.encoder.read(paths)

    def sources(self, paths: Sequence[Path], aside: Sequence[str] = ()) -> list[Source]:
        """Files of sequences, and plain text with one sentence per line, in pieces; other files whole."""
        return (
            super().sources(paths, aside)
            if isinstance(self.encoder, SumEncoder)
            else self.encoder.sources(paths, aside)
        )

    def specimen(self) -> Any:
        """A sequence of one step, or a sentence of one word; two numbers for sums."""
        if isinstance(self.encoder, NumberEncoder):
            return one_step(self.encoder.sequences)
        return self.from_lines(["1 1"]) if isinstance(self.encoder, SumEncoder) else super().specimen()

    def from_lines(self, lines: Sequence[str]) -> Records[Any, Any]:
        """One sentence per line, with spaces between its words; for sums, two numbers per line."""
        return self.encoder.parsed(lines, [f"line {number}" for number in range(1, len(lines) + 1)])

    def from_values(self, values: Any) -> Records[Any, Any]:
        """Sentences as lists of words, sequences of numbers, or pairs of numbers to add.

        Args:
            values: As ``from_values`` of the encoder takes them.

        Raises:
            DataError: A value does not fit.
        """
        return self.encoder.from_values(values)

    @property
    def reads_tokens(self) -> bool:
        """Whether the steps are words or pairs of bits."""
        return not isinstance(self.encoder, NumberEncoder)

    def step_tokens(self, example: Records[Any, Any]) -> list[str] | None:
        """As :meth:`RecipeTask.step_tokens`: the words of a sentence, or the pairs of bits of a sum."""
        return self.encoder.step_tokens(example.inputs[0])

    def probabilities(self, model: nn.Module, batch: Any) -> list[Tensor]:
        """The probability of each tag at each step, [T_i, tags], float64, for each sequence."""
        scores, _ = self._scores(model, batch)
        scores = scores.double()
        if scores.shape[-1] == 1:
            scores = torch.cat([F.logsigmoid(-scores), F.logsigmoid(scores)], -1)
        lengths = [scores.shape[1]] * len(scores) if batch.lengths is None else batch.lengths.tolist()
        return [row[:length] for row, length in zip(scores.softmax(-1), lengths, strict=True)]

    def answers(self, model: nn.Module, batch: Any) -> list[dict[str, Any]]:
        """The words with their tags and spans; for sums, the numbers with their sum."""
        scores, _ = self._scores(model, batch)
        return self.encoder.answers(batch, best_tags(scores))

    def answer_columns(self, model: nn.Module, batch: Any) -> Mapping[str, Sequence[Any]]:
        """The entries of the answers; spans as JSON."""
        columns = dict(super().answer_columns(model, batch))
        if "spans" in columns:
            columns["spans"] = [json.dumps(spans, ensure_ascii=False) for spans in columns["spans"]]
        return columns

    def example_inputs(self, size: int) -> tuple[Any, ...]:
        """Example arguments for the model."""
        return self.encoder.example(size)


def best_tags(scores: Tensor) -> Tensor:
    """The tag with the highest score at each step, [B, T]; with two tags, the second where the score is positive."""
    return scores.argmax(-1) if scores.shape[-1] > 1 else (scores[..., 0] > 0).long()


TASK = TagTask
