"""Transcribe: a recording in, what is said in it out, by connectionist temporal classification (Graves et al. 2006)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from holdfast.data import Examples, Records, Scaling, SequenceDataset, Splits, divided
from holdfast.data.readers import transcripts
from holdfast.data.sets import spoken_digits
from holdfast.data.sets.published import locate
from holdfast.data.vocabulary import PADDING, Vocabulary
from holdfast.decoding import ctc
from holdfast.errors import DataError
from holdfast.tasks.network import recurrent_layers
from holdfast.tasks.task import RecipeTask, TaskStep
from holdfast.tasks.transcribe.metrics import TranscriptionMetrics
from holdfast.tasks.transcribe.settings import TranscribeAnswers, TranscribeData, TranscribeModel, TranscribeRecipe
from holdfast.tasks.transcribe.spec_augment import SpecAugment
from holdfast.tasks.transcribe.transcripts import TranscriptBatch, TranscriptDataset

Recordings = Records[NDArray[np.float32], str]

BLANK = PADDING
"""The label of a step in which nothing new is said."""


class Transcriber(nn.Module):
    """Recurrent layers, and a linear layer that gives every step a score for each label."""

    def __init__(self, inputs: int, bands: int, labels: int, settings: TranscribeModel) -> None:
        """Builds the network.

        Args:
            inputs: C, values in a step.
            bands: Of which each frame in the step has so many.
            labels: V, the blank included.
            settings: The ``[model]`` table of the recipe.

        Raises:
            OptionError: An option of the cell is unknown or does not fit.
        """
        super().__init__()
        self.augment = SpecAugment(settings.masking, bands)
        self.recurrent = recurrent_layers(inputs, settings)
        self.dropout = nn.Dropout(settings.dropout)
        self.output = nn.Linear(self.recurrent.output_size, labels)

    def forward(self, inputs: Tensor, lengths: Tensor | None = None, state: Any = None) -> tuple[Tensor, Any]:
        """Scores each label in each step.

        Args:
            inputs: [B, T, C].
            lengths: [B], or None when all rows have T steps.
            state: The recurrent layers' initial state; None for zeros.

        Returns:
            The logarithms of the labels' probabilities [B, T, V], and the recurrent layers' final state.
        """
        outputs, state = self.recurrent(self.augment(inputs, lengths), state, lengths=lengths)
        return self.output(self.dropout(outputs)).log_softmax(-1), state


class TranscribeTask(RecipeTask[Recordings]):
    """The loss, metrics and answers of transcription.

    Attributes:
        settings: The ``[model]`` table of the recipe.
        data: Its ``[data]`` table: how recordings are read.
        vocabulary: The labels, fitted on the training transcripts; its padding is the blank.
        scaling: Mean and deviation of each value of a step, fitted on the training recordings.
        answering: How a transcript is found.
    """

    name = "transcribe"
    answer_key = "text"
    score = "word_error_rate"
    higher_is_better = False
    answering: TranscribeAnswers

    def __init__(
        self,
        settings: TranscribeModel,
        data: TranscribeData,
        vocabulary: Vocabulary,
        scaling: Scaling,
        answering: TranscribeAnswers,
    ) -> None:
        self.settings, self.data, self.vocabulary = settings, data, vocabulary
        self.scaling, self.answering = scaling, answering

    @classmethod
    def load(cls, recipe: TranscribeRecipe, data_dir: Path | None) -> Splits[Recordings]:
        """Reads the recordings of a recipe, in their splits."""
        data = recipe.data
        train_files, test_files = locate(data, cls.name, data_dir, made=["digit-strings"])
        if data.source == "digit-strings":
            train, test = spoken_digits.strings(data.audio, data_dir, data.limit)
            return divided(train, test, data, recipe.train.seed)
        tested = transcripts.read(test_files, data.audio) if test_files else None
        return divided(transcripts.read(train_files, data.audio), tested, data, recipe.train.seed)

    @classmethod
    def fit(cls, recipe: TranscribeRecipe, train: Recordings) -> Self:
        """The task with the vocabulary of the training transcripts and the scaling of the training recordings."""
        if not len(train):
            raise DataError("There are no recordings to train on; expected at least one.")
        if train.targets is None:
            raise DataError(
                f"{train.origins[0]} has no transcript, nor have the other recordings to train on; expected one for "
                "each: a text file of the same name beside it, or a table with the columns path and text."
            )
        data = recipe.data
        texts = [_plain(text, data) for text in train.targets]
        vocabulary = Vocabulary.fit(texts, data.unit, size=data.vocabulary_size)
        scaling = Scaling.fit(Examples(train.inputs, None, train.origins), "standard")
        return cls(recipe.model, data, vocabulary, scaling, recipe.predict)

    def build(self) -> Transcriber:
        """A model with initial values drawn from torch's random state."""
        audio = self.data.audio
        return Transcriber(audio.values, audio.mel_bins, len(self.vocabulary), self.settings)

    def encode(self, examples: Recordings) -> TranscriptDataset:
        """The recordings scaled, and their transcripts as labels."""
        sequences = SequenceDataset(examples.inputs, scale=self.scaling.apply, origins=examples.origins)
        if examples.targets is None:
            return TranscriptDataset(sequences, None, ())
        texts = [_plain(text, self.data) for text in examples.targets]
        return TranscriptDataset(sequences, self.vocabulary.encode(texts), texts)

    def loss(self, model: nn.Module, batch: TranscriptBatch, state: Any = None) -> TaskStep:
        """Minus the logarithm of the transcripts' probability, by label; its scores [B, T, V] and the final state."""
        log_probs, state = model(batch.inputs, batch.lengths, state)
        lengths, sizes = _lengths(log_probs, batch.lengths), batch.known_target_lengths
        loss = F.ctc_loss(log_probs.transpose(0, 1), batch.known_targets, lengths, sizes, blank=BLANK)
        return TaskStep(loss, log_probs, state)

    def metrics(self) -> TranscriptionMetrics:
        """Fresh error rates of words and of characters."""
        return TranscriptionMetrics(self._texts)

    def read(self, paths: Sequence[Path]) -> Recordings:
        """Reads recordings as those to train on were read; transcripts may be missing."""
        return transcripts.read(paths, self.data.audio)

    def from_lines(self, lines: Sequence[str]) -> Recordings:
        """The recordings whose paths the lines are."""
        return self.read([Path(line) for line in lines]).unlabelled()

    def answers(self, model: nn.Module, batch: TranscriptBatch) -> list[dict[str, Any]]:
        """What is said in each recording: ``text``, and ``log_probability``, that of the text (natural logarithm)."""
        log_probs, _ = model(batch.inputs, batch.lengths)
        found = self._found(log_probs, batch.lengths)
        sizes = torch.tensor([len(row) for row in found], device=log_probs.device)
        targets = torch.tensor([label for row in found for label in row], dtype=torch.int64, device=log_probs.device)
        lengths = _lengths(log_probs, batch.lengths)
        losses = F.ctc_loss(log_probs.transpose(0, 1), targets, lengths, sizes, blank=BLANK, reduction="none")
        pairs = zip(found, losses.tolist(), strict=True)
        return [{"text": self.vocabulary.decode(labels), "log_probability": -loss} for labels, loss in pairs]

    def example_inputs(self, size: int) -> tuple[Tensor]:
        """Zeros, [size, size, C]."""
        return (torch.zeros(size, size, self.data.audio.values),)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON that :meth:`from_dict` reads."""
        return {
            "model": self.settings.model_dump(mode="json"),
            "data": self.data.model_dump(mode="json"),
            "vocabulary": self.vocabulary.to_dict(),
            "scaling": self.scaling.to_dict(),
            "predict": self.answering.model_dump(mode="json"),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The task that :meth:`to_dict` wrote.

        Raises:
            ModelFileError: It is not what ``to_dict`` writes.
        """
        return cls(
            TranscribeModel.model_validate(data["model"]),
            TranscribeData.model_validate(data["data"]),
            Vocabulary.from_dict(data["vocabulary"]),
            Scaling.from_dict(data["scaling"]),
            TranscribeAnswers.model_validate(data["predict"]),
        )

    def _found(self, log_probs: Tensor, lengths: Tensor | None) -> list[list[int]]:
        """The labels of each recording."""
        if self.answering.beam == 1:
            return ctc.greedy(log_probs, lengths, blank=BLANK)
        found = ctc.beam_search(log_probs, lengths, beam=self.answering.beam, blank=BLANK)
        return [hypotheses[0].labels for hypotheses in found]

    def _texts(self, log_probs: Tensor, lengths: Tensor | None) -> list[str]:
        """The transcript of each recording."""
        return [self.vocabulary.decode(labels) for labels in self._found(log_probs, lengths)]


def _plain(text: str, data: TranscribeData) -> str:
    """A transcript as it is learned: words with one space between, in small letters if the recipe says so."""
    return " ".join((text.lower() if data.lower else text).split())


def _lengths(log_probs: Tensor, lengths: Tensor | None) -> Tensor:
    """Steps of each row, [B], also where all have T of them."""
    rows, steps, _ = log_probs.shape
    return torch.full((rows,), steps, device=log_probs.device) if lengths is None else lengths


TASK = TranscribeTask
