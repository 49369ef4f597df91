"""Translate: a sequence of tokens in, another one out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from holdfast.data import Splits
from holdfast.data.disk.groups import Groups
from holdfast.data.pieces import Source
from holdfast.data.readers import pairs
from holdfast.data.readers.pairs import Pairs
from holdfast.data.records import Records
from holdfast.data.vocabulary import BEGIN, END, Vocabulary
from holdfast.decoding import Hypothesis, beam_search, greedy
from holdfast.errors import RecipeError
from holdfast.layers.forms import Form
from holdfast.settings import TrainSettings
from holdfast.tasks.epochs import SizedEpochs
from holdfast.tasks.inputs import text_input
from holdfast.tasks.interface import Interface
from holdfast.tasks.saved import SavedTask
from holdfast.tasks.served_parts import TextAnswer
from holdfast.tasks.task import RecipeTask, TaskStep
from holdfast.tasks.translate.data import PairBatch, PairDataset, from_values, load, padded, sources
from holdfast.tasks.translate.exports import exports
from holdfast.tasks.translate.metrics import TranslationMetrics
from holdfast.tasks.translate.network import Translator
from holdfast.tasks.translate.presentation import TranslatePresentation
from holdfast.tasks.translate.settings import TranslateAnswers, TranslateData, TranslateModel, TranslateRecipe


class SavedTranslateTask(SavedTask):
    """What a model file says of a translator; ``target`` is None where both sides share the vocabulary."""

    data: TranslateData
    settings: TranslateModel = Field(alias="model")
    answering: TranslateAnswers = Field(alias="predict")
    source: Vocabulary
    target: Vocabulary | None


class TranslateTask(RecipeTask[Pairs]):
    """Translation of texts.

    Attributes:
        data: The ``[data]`` table of the recipe.
        settings: The ``[model]`` table.
        source, target: The vocabularies, fitted on the training pairs; one object where they are shared.
    """

    name = "translate"
    part_rows = 2**11
    saved = SavedTranslateTask
    answer_key = "translation"
    score = "loss"
    higher_is_better = False
    answering: TranslateAnswers

    def __init__(
        self,
        data: TranslateData,
        settings: TranslateModel,
        answering: TranslateAnswers,
        source: Vocabulary,
        target: Vocabulary | None = None,
    ) -> None:
        self.data, self.settings, self.answering = data, settings, answering
        self.source, self.target = source, source if target is None else target

    @classmethod
    def load(cls, recipe: TranslateRecipe, data_dir: Path | None) -> Splits[Pairs]:
        """Reads and splits the data of a recipe: no text of the first column, and no source, is in two parts."""
        return load(recipe, data_dir)

    @classmethod
    def fit(cls, recipe: TranslateRecipe, train: Pairs) -> Self:
        """The task, with the vocabularies of the training pairs."""
        settings = recipe.data
        if recipe.model.tied == "all" and not settings.shared:
            raise RecipeError('model.tied = "all" needs one vocabulary for both sides; set data.shared = true.')
        targets = (target for targets in train.targets or [] for target in targets)
        fitted = [
            Vocabulary.fit(texts, settings.unit, size=settings.vocabulary, lower=settings.lower)
            for texts in ([itertools.chain(train.inputs, targets)] if settings.shared else [train.inputs, targets])
        ]
        return cls(settings, recipe.model, recipe.predict, fitted[0], fitted[-1])

    def build(self) -> Translator:
        """A new model with random initial values from torch's random state."""
        return Translator(len(self.source), len(self.target), self.settings)

    def exports(self, model: nn.Module, *, streaming: bool = False) -> dict[str, Form]:
        """As :meth:`RecipeTask.exports`: the forms ``encoder`` and ``decoder``."""
        return exports(cast(Translator, model), streaming)

    def interface(self, examples: Pairs | None = None, *, alone: bool = True) -> Interface:
        """A text in, a text out; for a page that asks a server alone."""
        if alone:
            return super().interface(examples)
        return Interface(text_input(self.source, examples, alone=False), TextAnswer())

    def encode(self, examples: Pairs) -> PairDataset:
        """The texts as ids; of several targets, the first one."""
        targets: Sequence[str] | None = None
        if isinstance(examples.targets, Groups):
            targets = examples.targets.firsts
        elif examples.targets is not None:
            targets = [texts[0] for texts in examples.targets]
        firsts = None if targets is None else self.target.encode_all(targets)
        return PairDataset(examples, self.source.encode_all(examples.inputs), firsts)

    def batches(self, examples: Pairs, training: TrainSettings | None = None, *, size: int = 256) -> SizedEpochs:
        """As :meth:`RecipeTask.batches`; in training, each target of a source makes a pair."""
        if training is not None:
            examples = pairs.apart(examples)
        return super().batches(examples, training, size=size)

    def loss(self, model: nn.Module, batch: PairBatch, state: Any = None) -> TaskStep:
        """The cross-entropy of the target tokens, summed over each sentence and averaged over the batch.

        In training, the loss has the label smoothing of the recipe. The outputs [B, 1 + T] are the loss of each
        sentence without smoothing and, outside training, the ids of the model's answer, with ``END`` and padding.
        """
        targets, lengths = batch.known_targets, batch.target_lengths
        inputs = F.pad(targets[:, :-1], (1, 0), value=BEGIN)
        scores = model(batch.inputs, batch.lengths, inputs, lengths)
        rows, steps = self._steps(targets, lengths)
        next_tokens = targets[rows, steps]
        smoothing = self.settings.label_smoothing if model.training else 0.0
        losses = F.cross_entropy(scores, next_tokens, reduction="none", label_smoothing=smoothing)
        with torch.no_grad():
            unsmoothed = losses
            if smoothing:  # subtract the part of the loss that comes from all tokens
                unsmoothed = losses - smoothing * (scores.gather(1, next_tokens[:, None])[:, 0] - scores.mean(1))
            sums = torch.zeros(len(batch), dtype=torch.float64, device=losses.device)
            outputs = sums.index_add(0, rows, unsmoothed.double())[:, None]
        if not model.training:
            with torch.no_grad():
                ids, _ = padded([[*best.tokens, END] for best, *_ in self.search(model, batch)])
            outputs = torch.cat([outputs, ids.to(outputs)], 1)
        weighted = losses if batch.weights is None else losses * batch.weights[rows]
        return TaskStep(weighted.sum() / len(batch), outputs)

    def forward(self, model: nn.Module, batch: PairBatch, state: Any = None) -> Tensor:
        """The scores of every next token of the targets, [B, T, V]; 0 past the targets. There is no initial state."""
        targets, lengths = batch.known_targets, batch.target_lengths
        scores = model(batch.inputs, batch.lengths, F.pad(targets[:, :-1], (1, 0), value=BEGIN), lengths)
        by_row = scores.new_zeros(*targets.shape, scores.shape[-1])
        return cast(Tensor, by_row.index_put(self._steps(targets, lengths), scores))

    def with_answer(self, model: nn.Module, batch: PairBatch) -> PairBatch:
        """A batch without targets gets the model's own translations as targets."""
        if batch.targets is not None:
            return batch
        ids, lengths = padded([[*best.tokens, END] for best, *_ in self.search(model, batch)])
        return replace(batch, targets=ids.to(batch.inputs), target_lengths=lengths.to(batch.inputs))

    def output_lengths(self, batch: PairBatch) -> Tensor:
        """The tokens of the targets."""
        return batch.target_lengths

    @property
    def input_vocabulary(self) -> Vocabulary:
        """The vocabulary of the sources."""
        return self.source

    def embedded(self, model: nn.Module) -> dict[str, Vocabulary]:
        """As :meth:`RecipeTask.embedded`; sources and targets have one embedding or one each."""
        places = {"source_embedding": self.source, "target_embedding": self.target}
        return {name: places[name] for name, _ in model.named_modules() if name in places}

    @staticmethod
    def _steps(targets: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        """The rows and the steps within the lengths of the targets, one row after the other."""
        within = torch.arange(targets.shape[1], device=targets.device) < lengths[:, None]
        return within.nonzero(as_tuple=True)

    def metrics(self) -> TranslationMetrics:
        """New metrics: loss per token, and BLEU, chrF and exact match of the answers."""
        return TranslationMetrics(self.target.decode)

    def details(self, metrics: TranslationMetrics) -> str:
        """A few answers with their references."""
        return metrics.samples(5)

    @property
    def presentation(self) -> TranslatePresentation:
        """As :attr:`RecipeTask.presentation`."""
        return TranslatePresentation(self)

    def read(self, paths: Sequence[Path]) -> Pairs:
        """Reads files with the settings of the training files; targets may be missing."""
        examples = pairs.read(paths, parallel=self.data.parallel)
        return pairs.inverted(examples) if examples.targets is not None and self.data.reverse else examples

    def sources(self, paths: Sequence[Path], aside: Sequence[str] = ()) -> list[Source]:
        """Files with a source per line in pieces; pairs of sources and targets whole."""
        return sources(paths, self.data) or super().sources(paths, aside)

    def from_lines(self, lines: Sequence[str]) -> Pairs:
        """One source per line."""
        return Records([pairs.plain(line) for line in lines], None, [f"line {n}" for n in range(1, len(lines) + 1)])

    def from_values(self, values: Any) -> Pairs:
        """A source per text.

        Args:
            values: As :func:`holdfast.tasks.translate.data.from_values` takes them.

        Raises:
            DataError: A value does not fit.
        """
        return from_values(values)

    @property
    def reads_tokens(self) -> bool:
        """True: each step is a token of the source."""
        return True

    def step_tokens(self, example: Pairs) -> list[str]:
        """As :meth:`RecipeTask.step_tokens`: the tokens of the source, which the encoder reads."""
        return self.source.spelled(example.inputs[0])

    def alignment(self, model: nn.Module, batch: PairBatch) -> tuple[list[str], Tensor]:
        """The answer to the first source, and where the attention was at each of its tokens.

        Args:
            model: The model.
            batch: Sources; with targets, the first target takes the place of the answer.

        Returns:
            The T tokens of the answer, with the end; and the weights [T, S], S tokens of the source.

        Raises:
            OptionError: The model has no attention.
        """
        answered = self.with_answer(model, batch)
        ids = answered.known_targets[:1, : int(answered.target_lengths[0])]
        read = F.pad(ids[:, :-1], (1, 0), value=BEGIN)
        weights = cast(Translator, model).attended(batch.inputs[:1], batch.lengths[:1], read)
        return self.answer_tokens(model, answered), weights[0, :, : int(batch.lengths[0])]

    def answer_tokens(self, model: nn.Module, batch: PairBatch) -> list[str]:
        """The tokens of the answer to the first source, with the end; of its target, if the batch has targets."""
        answered = self.with_answer(model, batch)
        names = self.target.tokens
        return [names[index] for index in answered.known_targets[0, : int(answered.target_lengths[0])].tolist()]

    def answers(self, model: nn.Module, batch: PairBatch) -> list[dict[str, Any]]:
        """``translation``, ``source`` and ``score``; with a beam also ``alternatives``, the next best translations."""
        answers = []
        for text, hypotheses in zip(batch.texts, self.search(model, batch), strict=True):
            first, *others = [self.target.decode(hypothesis.tokens) for hypothesis in hypotheses]
            answers.append({"translation": first, "source": text, "score": hypotheses[0].score, "alternatives": others})
        return answers

    def example_inputs(self, size: int) -> tuple[Any, ...]:
        """Sources and targets of ``BEGIN`` only, [size, size] each, without lengths."""
        ids = torch.full((size, size), BEGIN)
        return ids, None, ids, None

    def search(self, model: nn.Module, batch: PairBatch) -> list[list[Hypothesis]]:
        """The hypotheses for each source, the best first, by the search that ``answering`` describes."""
        settings, lengths = self.answering, batch.lengths
        decoder = cast(Translator, model)
        limits = torch.full_like(lengths, settings.longest) if settings.longest else 2 * lengths + 20
        state = decoder.begin(batch.inputs, lengths, settings.beam, int(limits.max()))
        if settings.beam == 1:
            return [[hypothesis] for hypothesis in greedy(decoder, state, limits, begin=BEGIN, end=END)]
        return beam_search(
            decoder, state, limits, begin=BEGIN, end=END, beam=settings.beam, length_penalty=settings.length_penalty
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON that :meth:`from_dict` reads; a shared vocabulary is written once, as the source's."""
        return {**super().to_dict(), **({"target": None} if self.source is self.target else {})}


TASK = TranslateTask
