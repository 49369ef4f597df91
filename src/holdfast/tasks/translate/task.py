"""Translate: a sequence of tokens in, another one out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holdfast.data import Batch, Splits, divided
from holdfast.data.batches import Indices
from holdfast.data.readers import pairs
from holdfast.data.readers.pairs import Pairs
from holdfast.data.records import Records
from holdfast.data.sets import dates
from holdfast.data.sets.published import locate
from holdfast.data.vocabulary import BEGIN, END, PADDING, Vocabulary
from holdfast.decoding import Hypothesis, beam_search, greedy
from holdfast.errors import DataError, RecipeError
from holdfast.settings import TrainSettings
from holdfast.tasks.task import Epochs, RecipeTask, TaskStep
from holdfast.tasks.translate.metrics import TranslationMetrics
from holdfast.tasks.translate.network import Translator
from holdfast.tasks.translate.settings import TranslateAnswers, TranslateData, TranslateModel, TranslateRecipe


@dataclass(frozen=True, eq=False)
class PairBatch(Batch):
    """A few sources, and what is right for them.

    Attributes:
        inputs: The sources' ids, [B, S], int64.
        lengths: Tokens of each source, [B].
        targets: The ids of one target each, with ``END``, [B, T]; None without targets.
        target_lengths: Tokens of each target, ``END`` included, [B]; 0 without targets.
        texts: The sources as they were read, B.
        references: All that is right for each source, B.
    """

    lengths: Tensor
    target_lengths: Tensor
    texts: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]


class PairDataset:
    """Pairs as ids in memory; indexed by lists of positions, it gives batches.

    Attributes:
        lengths: What pairs of like length share, [N]: ordered by it they are ordered by their target's tokens, then by
            their source's, so that batches have little padding on both sides.
    """

    def __init__(self, pairs: Pairs, sources: list[list[int]], targets: list[list[int]] | None) -> None:
        self._pairs, self._sources = pairs, sources
        self._targets = None if targets is None else [[*target, END] for target in targets]
        self.lengths: Indices = np.array([len(source) for source in sources], dtype=np.int64)
        if self._targets is not None:
            targets_first = self.lengths.max(initial=0) + 1
            self.lengths += targets_first * np.array([len(target) for target in self._targets], dtype=np.int64)

    def __len__(self) -> int:
        """The number of pairs, N."""
        return len(self._sources)

    def __getitems__(self, indices: Indices) -> PairBatch:
        """The pairs at these positions, in this order."""
        chosen = indices.tolist()
        inputs, lengths = _padded([self._sources[index] for index in chosen])
        texts = tuple(self._pairs.inputs[index] for index in chosen)
        if self._targets is None or self._pairs.targets is None:
            return PairBatch(inputs, lengths, None, torch.zeros_like(lengths), texts, ((),) * len(texts))
        targets, target_lengths = _padded([self._targets[index] for index in chosen])
        references = tuple(tuple(self._pairs.targets[index]) for index in chosen)
        return PairBatch(inputs, lengths, targets, target_lengths, texts, references)


def _padded(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Rows of ids as one tensor [B, longest], of at least one step, and their lengths [B]."""
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    filled = np.arange(lengths.max(initial=1)) < lengths[:, None]  # layers want a step, even where no row has one
    ids: npt.NDArray[np.int64] = np.full(filled.shape, PADDING, dtype=np.int64)
    ids[filled] = [one for row in rows for one in row]
    return torch.from_numpy(ids), torch.from_numpy(lengths)


class TranslateTask(RecipeTask[Pairs]):
    """The loss, metrics and answers of translation.

    Attributes:
        data: The ``[data]`` table of the recipe.
        settings: The ``[model]`` table.
        source, target: The vocabularies, fitted on the training pairs; one object where they are shared.
    """

    name = "translate"
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
        target: Vocabulary,
    ) -> None:
        self.data, self.settings, self.answering = data, settings, answering
        self.source, self.target = source, target

    @classmethod
    def load(cls, recipe: TranslateRecipe, data_dir: Path | None) -> Splits[Pairs]:
        """Reads the data of a recipe, in its splits: no text of the first column, and no source, is in two parts."""
        settings = recipe.data
        train_files, test_files = locate(settings, cls.name, data_dir, made=["dates"])
        if settings.source == "dates":
            train, test = dates.pairs(settings.examples), None
        else:
            train = _known(train_files, settings)
            test = _known(test_files, settings) if test_files else None
        splits = divided(train, test, settings, recipe.train.seed)
        if settings.reverse == (settings.source == "dates"):  # made-up dates are split by the date, their target
            return splits
        train, test = pairs.inverted(splits.train), pairs.inverted(splits.test)
        validation = None if splits.validation is None else _unseen(pairs.inverted(splits.validation), train)
        return Splits(train, validation, test if test_files else _unseen(test, train))

    @classmethod
    def fit(cls, recipe: TranslateRecipe, train: Pairs) -> Self:
        """The task with the vocabularies of the training pairs."""
        settings = recipe.data
        if recipe.model.tied == "all" and not settings.shared:
            raise RecipeError('model.tied = "all" needs one vocabulary for both sides; set data.shared = true.')
        sources, targets = train.inputs, [target for targets in train.targets or [] for target in targets]
        fitted = [
            Vocabulary.fit(texts, settings.unit, size=settings.vocabulary, lower=settings.lower)
            for texts in ([sources + targets] if settings.shared else [sources, targets])
        ]
        return cls(settings, recipe.model, recipe.predict, fitted[0], fitted[-1])

    def build(self) -> Translator:
        """A model with initial values drawn from torch's random state."""
        return Translator(len(self.source), len(self.target), self.settings)

    def encode(self, examples: Pairs) -> PairDataset:
        """The texts as ids; of several targets, the first."""
        firsts = None if examples.targets is None else self.target.encode([some[0] for some in examples.targets])
        return PairDataset(examples, self.source.encode(examples.inputs), firsts)

    def batches(self, examples: Pairs, training: TrainSettings | None = None, *, size: int = 256) -> Epochs:
        """As :meth:`RecipeTask.batches`; to train on, every target of a source makes a pair."""
        if training is not None:
            examples = pairs.apart(examples)
        return super().batches(examples, training, size=size)

    def loss(self, model: nn.Module, batch: PairBatch, state: Any = None) -> TaskStep:
        """The cross-entropy of the target tokens, summed over a sentence, and the mean of that over the batch.

        While training it has the label smoothing of the recipe. The outputs [B, 1 + T] are the loss of each sentence
        without it, and, unless training, the ids that the model answers with, ``END`` and padding after them.
        """
        targets, lengths = batch.known_targets, batch.target_lengths
        late = F.pad(targets[:, :-1], (1, 0), value=BEGIN)
        scores = model(batch.inputs, batch.lengths, late, lengths)
        rows, steps = (torch.arange(targets.shape[1], device=targets.device) < lengths[:, None]).nonzero(as_tuple=True)
        wanted = targets[rows, steps]
        smoothing = self.settings.label_smoothing if model.training else 0.0
        losses = F.cross_entropy(scores, wanted, reduction="none", label_smoothing=smoothing)
        with torch.no_grad():
            known = losses
            if smoothing:  # without what the mean of all tokens' losses adds to the target's
                known = losses - smoothing * (scores.gather(1, wanted[:, None])[:, 0] - scores.mean(1))
            outputs = known.new_zeros(len(batch), dtype=torch.float64).index_add(0, rows, known.double())[:, None]
        if not model.training:
            ids, _ = _padded([[*best.tokens, END] for best, *_ in self.search(model, batch)])
            outputs = torch.cat([outputs, ids.to(outputs)], 1)
        return TaskStep(losses.sum() / len(batch), outputs)

    def metrics(self) -> TranslationMetrics:
        """Fresh loss a token, and BLEU, chrF and exact match of the answers."""
        return TranslationMetrics(self.target.decode)

    def details(self, metrics: TranslationMetrics) -> str:
        """A few answers beside what was right."""
        return metrics.samples(5)

    def read(self, paths: Sequence[Path]) -> Pairs:
        """Reads files in the way that the training files were read; targets may be missing."""
        found = pairs.read(paths, parallel=self.data.parallel)
        return pairs.inverted(found) if found.targets is not None and self.data.reverse else found

    def from_lines(self, lines: Sequence[str]) -> Pairs:
        """A source a line."""
        return Records([pairs.plain(line) for line in lines], None, [f"line {n}" for n in range(1, len(lines) + 1)])

    def answers(self, model: nn.Module, batch: PairBatch) -> list[dict[str, Any]]:
        """``translation``, ``source`` and ``score``; with a beam also ``alternatives``, the next best ones."""
        found = self.search(model, batch)
        rows = []
        for text, hypotheses in zip(batch.texts, found, strict=True):
            first, *others = [self.target.decode(one.tokens) for one in hypotheses]
            rows.append({"translation": first, "source": text, "score": hypotheses[0].score, "alternatives": others})
        return rows

    def example_inputs(self, size: int) -> tuple[Any, ...]:
        """Sources and targets of ``BEGIN`` alone, [size, size] each, without lengths."""
        ids = torch.full((size, size), BEGIN)
        return ids, None, ids, None

    def search(self, model: nn.Module, batch: PairBatch) -> list[list[Hypothesis]]:
        """The hypotheses for each source, the best first, as ``answering`` says how."""
        how, lengths = self.answering, batch.lengths
        decoder = cast(Translator, model)
        limits = torch.full_like(lengths, how.longest) if how.longest else 2 * lengths + 20
        state = decoder.begin(batch.inputs, lengths)
        if how.beam == 1:
            return [[one] for one in greedy(decoder, state, limits, begin=BEGIN, end=END)]
        return beam_search(
            decoder, state, limits, begin=BEGIN, end=END, beam=how.beam, length_penalty=how.length_penalty
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON that :meth:`from_dict` reads."""
        tables = {"data": self.data, "model": self.settings, "predict": self.answering}
        written = {name: table.model_dump(mode="json") for name, table in tables.items()}
        shared = self.source is self.target
        return {**written, "source": self.source.to_dict(), "target": None if shared else self.target.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The task that :meth:`to_dict` wrote.

        Raises:
            ModelFileError: It is not what ``to_dict`` writes.
        """
        source = Vocabulary.from_dict(data["source"])
        target = source if data["target"] is None else Vocabulary.from_dict(data["target"])
        settings = TranslateData.model_validate(data["data"]), TranslateModel.model_validate(data["model"])
        return cls(*settings, TranslateAnswers.model_validate(data["predict"]), source, target)


def _known(paths: Sequence[Path], settings: TranslateData) -> Pairs:
    """Pairs to learn from or to measure on."""
    found = pairs.read(paths, parallel=settings.parallel)
    if found.targets is None:
        raise DataError(f"{paths[0]} has sources alone; expected source<TAB>target in each line.")
    return found


def _unseen(part: Pairs, train: Pairs) -> Pairs:
    """A part without the sources that are trained on; turning pairs round can bring the same source into both."""
    seen = set(train.inputs)
    return part.subset(index for index, source in enumerate(part.inputs) if source not in seen)


TASK = TranslateTask
