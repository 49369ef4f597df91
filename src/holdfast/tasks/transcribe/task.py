"""Transcribe: a recording in, its transcript out, by connectionist temporal classification (Graves et al. 2006)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from holdfast.data import Examples, Scaling, SequenceDataset, Splits, fit_scaling
from holdfast.data.batch import weighted_mean
from holdfast.data.disk.columns import Column
from holdfast.data.pieces import Source
from holdfast.data.pieces.files import FilesSource
from holdfast.data.readers import transcripts
from holdfast.data.vocabulary import PADDING, Vocabulary
from holdfast.decoding import ctc
from holdfast.errors import DataError
from holdfast.layers.chain import Chain
from holdfast.layers.chain.parts import Scaled
from holdfast.tasks.interface import Interface
from holdfast.tasks.saved import SavedTask
from holdfast.tasks.served_parts import SoundInput, TextAnswer
from holdfast.tasks.task import RecipeTask, TaskStep
from holdfast.tasks.transcribe.data import (
    Recordings,
    TranscriptBatch,
    TranscriptDataset,
    from_values,
    load,
    step_counts,
)
from holdfast.tasks.transcribe.metrics import TranscriptionMetrics
from holdfast.tasks.transcribe.network import Transcriber
from holdfast.tasks.transcribe.presentation import TranscribePresentation
from holdfast.tasks.transcribe.settings import TranscribeAnswers, TranscribeData, TranscribeModel, TranscribeRecipe

BLANK = PADDING
"""The label of a step without a new label."""


class SavedTranscribeTask(SavedTask):
    """What a model file says of a transcriber."""

    settings: TranscribeModel = Field(alias="model")
    data: TranscribeData
    vocabulary: Vocabulary
    scaling: Scaling
    answering: TranscribeAnswers = Field(alias="predict")


class TranscribeTask(RecipeTask[Recordings]):
    """Transcription of recordings.

    Attributes:
        settings: The ``[model]`` table of the recipe.
        data: The ``[data]`` table: how to read recordings.
        vocabulary: The labels, fitted on the training transcripts; its padding is the blank.
        scaling: Mean and deviation of each value of a step, fitted on the training recordings.
        answering: The ``[predict]`` table: how to find a transcript.
    """

    name = "transcribe"
    part_rows = 2**11
    saved = SavedTranscribeTask
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
        """Reads and splits the recordings of a recipe."""
        return load(recipe, data_dir)

    @classmethod
    def fit(cls, recipe: TranscribeRecipe, train: Recordings) -> Self:
        """The task, with vocabulary and scaling fitted on the training recordings."""
        if not len(train):
            raise DataError("There are no recordings to train on; expected at least one.")
        if train.targets is None:
            raise DataError(
                f"{train.origins[0]} has no transcript, like the other training recordings; expected one for each: a "
                "text file of the same name beside it, or a table with the columns path and text."
            )
        data = recipe.data
        texts = (_normalised(text, data) for text in train.targets)
        vocabulary = Vocabulary.fit(texts, data.unit, size=data.vocabulary_size)
        scaling = fit_scaling(Examples(train.inputs, None, train.origins), "standard")
        return cls(recipe.model, data, vocabulary, scaling, recipe.predict)

    def build(self) -> Transcriber:
        """A new model with random initial values from torch's random state."""
        audio = self.data.audio
        return Transcriber(audio.values, audio.mel_bins, len(self.vocabulary), self.settings)

    def chain(self, model: nn.Module) -> Chain:
        """The network, after the scaling."""
        return Chain((Scaled(self.scaling), *super().chain(model).parts))

    def interface(self, examples: Recordings | None = None, *, alone: bool = True) -> Interface:
        """A recording in, a text out; for a page that asks a server alone."""
        if alone:
            return super().interface(examples)
        return Interface(SoundInput(self.data.audio.rate), TextAnswer())

    def encode(self, examples: Recordings) -> TranscriptDataset:
        """The scaled recordings, and their transcripts as labels."""
        sequences = SequenceDataset(examples.inputs, scale=self.scaling.apply, origins=examples.origins)
        if examples.targets is None:
            return TranscriptDataset(sequences, None, ())
        targets = examples.targets
        if isinstance(targets, Column):
            texts: Sequence[str] = targets.map(lambda text: _normalised(text, self.data))
        else:
            texts = [_normalised(text, self.data) for text in targets]
        labels = self.vocabulary.encode_all(texts, identity=["transcripts", self.data.lower])
        return TranscriptDataset(sequences, labels, texts)

    def loss(self, model: nn.Module, batch: TranscriptBatch, state: Any = None) -> TaskStep:
        """The negative log probability of the transcripts per label, the scores [B, T, V] and the final state."""
        log_probs, state = model(batch.inputs, batch.lengths, state)
        lengths, sizes = step_counts(log_probs, batch.lengths), batch.known_target_lengths
        steps_first, reduction = log_probs.transpose(0, 1), "mean" if batch.weights is None else "none"
        loss = F.ctc_loss(steps_first, batch.known_targets, lengths, sizes, blank=BLANK, reduction=reduction)
        if batch.weights is not None:  # the mean divides the loss of each transcript by its number of labels
            loss = weighted_mean(loss / sizes.clamp(min=1), batch.weights)
        return TaskStep(loss, log_probs, state)

    def metrics(self) -> TranscriptionMetrics:
        """New metrics: error rates of words and of characters."""
        return TranscriptionMetrics(self.transcripts)

    @property
    def presentation(self) -> TranscribePresentation:
        """As :attr:`RecipeTask.presentation`."""
        return TranscribePresentation(self)

    def read(self, paths: Sequence[Path]) -> Recordings:
        """Reads recordings with the settings of the training recordings; transcripts may be missing."""
        return transcripts.read(paths, self.data.audio)

    def sources(self, paths: Sequence[Path], aside: Sequence[str] = ()) -> list[Source]:
        """Recordings in pieces."""
        files, audio = transcripts.recordings(paths), self.data.audio
        return [FilesSource(", ".join(map(str, paths)), files, lambda some: transcripts.of_files(some, audio))]

    def specimen(self) -> Recordings:
        """A second of silence."""
        return self.from_values([np.zeros(self.data.audio.rate, np.float32)])

    def from_lines(self, lines: Sequence[str]) -> Recordings:
        """One recording per line, which holds its path."""
        return self.read([Path(line) for line in lines]).unlabelled()

    def from_values(self, values: Any) -> Recordings:
        """Recordings from arrays of samples.

        Args:
            values: As :func:`holdfast.tasks.transcribe.data.from_values` takes them.

        Raises:
            DataError: A value does not fit.
        """
        return from_values(values, self.data.audio)

    def answers(self, model: nn.Module, batch: TranscriptBatch) -> list[dict[str, Any]]:
        """The ``text`` of each recording, and its ``log_probability`` (natural logarithm)."""
        log_probs, _ = model(batch.inputs, batch.lengths)
        labels = self._labels(log_probs, batch.lengths)
        sizes = torch.tensor([len(row) for row in labels], device=log_probs.device)
        targets = torch.tensor([label for row in labels for label in row], dtype=torch.int64, device=log_probs.device)
        lengths = step_counts(log_probs, batch.lengths)
        losses = F.ctc_loss(log_probs.transpose(0, 1), targets, lengths, sizes, blank=BLANK, reduction="none")
        pairs = zip(labels, losses.tolist(), strict=True)
        return [{"text": self.vocabulary.decode(row), "log_probability": -loss} for row, loss in pairs]

    def example_inputs(self, size: int) -> tuple[Tensor]:
        """Zeros, [size, size, C]."""
        return (torch.zeros(size, size, self.data.audio.values),)

    def _labels(self, log_probs: Tensor, lengths: Tensor | None) -> list[list[int]]:
        """The labels of each recording."""
        if self.answering.beam == 1:
            return ctc.greedy(log_probs, lengths, blank=BLANK)
        beams = ctc.beam_search(log_probs, lengths, beam=self.answering.beam, blank=BLANK)
        return [hypotheses[0].labels for hypotheses in beams]

    def transcripts(self, log_probs: Tensor, lengths: Tensor | None) -> list[str]:
        """The transcript of each recording, from log probabilities [B, T, V] and the lengths [B] of the rows."""
        return [self.vocabulary.decode(labels) for labels in self._labels(log_probs, lengths)]


def _normalised(text: str, data: TranscribeData) -> str:
    """A transcript as the network learns it: one space between words, in lower case if the recipe says so."""
    return " ".join((text.lower() if data.lower else text).split())


TASK = TranscribeTask
