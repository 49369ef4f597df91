"""What a transcriber reads: encoded recordings with their transcripts, in batches, and the splits of a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from holdfast.data import Records, Splits, divided
from holdfast.data.batch import Batch
from holdfast.data.batches import Indices, SequenceDataset
from holdfast.data.disk.files import kept
from holdfast.data.disk.placement import on_disk
from holdfast.data.readers import transcripts
from holdfast.data.readers.audio import energies_of
from holdfast.data.sets import spoken_digits
from holdfast.data.sets.published import locate
from holdfast.data.settings import AudioSettings
from holdfast.errors import DataError
from holdfast.tasks.transcribe.settings import TranscribeRecipe
from holdfast.tasks.values import array_of, examples_in, origins

Recordings = Records[NDArray[np.float32], str]


@dataclass(frozen=True, eq=False)
class TranscriptBatch(Batch):
    """A few recordings with their transcripts; ``targets`` are labels [B, S], 0 past the end of a row.

    Attributes:
        target_lengths: Number of labels of each row, [B], int64; None without transcripts.
        texts: The B transcripts; empty without transcripts.
    """

    target_lengths: Tensor | None = None
    texts: tuple[str, ...] = ()

    @property
    def known_target_lengths(self) -> Tensor:
        """The number of labels of each row.

        Raises:
            DataError: The recordings have no transcripts.
        """
        if self.target_lengths is None:
            raise DataError(
                "The recordings have no transcripts; expected one for each, to train on or to measure against."
            )
        return self.target_lengths


class TranscriptDataset:
    """Recordings with their transcripts. Indexing by a list of positions gives a batch.

    Args:
        sequences: The recordings, as the network reads them.
        labels: The labels of each transcript, all above 0; None without transcripts.
        texts: The transcripts; empty without transcripts.

    Attributes:
        lengths: Steps of each recording, [N], int64.

    Raises:
        DataError: A recording has too few steps for its labels.
    """

    def __init__(
        self, sequences: SequenceDataset, labels: Sequence[Sequence[int]] | None, texts: Sequence[str]
    ) -> None:
        self._sequences, self._texts, self._labels = sequences, texts, labels
        self.on_disk = sequences.on_disk
        self.lengths: Indices = sequences.lengths
        for number, row in enumerate(labels or []):
            needed = len(row) + sum(bool(a == b) for a, b in pairwise(row))  # equal labels need a blank between them
            if needed > self.lengths[number]:
                raise DataError(
                    f"{sequences.origins[number]} has {self.lengths[number]} steps, and its transcript of {len(row)} "
                    f"labels needs {needed}. Check the transcript, or lower data.audio.stack or data.audio.hop_ms."
                )

    def __len__(self) -> int:
        """The number of recordings, N."""
        return len(self.lengths)

    def __getitems__(self, indices: Indices) -> TranscriptBatch:
        """The recordings at these positions, in this order, as one batch."""
        batch = self._sequences.__getitems__(indices)
        if self._labels is None:
            return TranscriptBatch(batch.inputs, batch.lengths, None)
        rows = [torch.tensor(self._labels[index], dtype=torch.int64) for index in indices]
        targets = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        sizes = torch.tensor([len(row) for row in rows])
        return TranscriptBatch(
            batch.inputs, batch.lengths, targets, sizes, tuple(self._texts[index] for index in indices)
        )


def step_counts(scores: Tensor, lengths: Tensor | None) -> Tensor:
    """The number of steps of each row of scores [B, T, V], [B], also where all rows have T steps."""
    rows, steps, _ = scores.shape
    return torch.full((rows,), steps, device=scores.device) if lengths is None else lengths


def load(recipe: TranscribeRecipe, data_dir: Path | None) -> Splits[Recordings]:
    """Reads and splits the recordings of a recipe."""
    data = recipe.data
    train_files, test_files = locate(data, "recordings", data_dir, made=["digit-strings"])
    if data.source == "digit-strings":
        train, test = spoken_digits.strings(data.audio, data_dir, data.limit)
        return divided(train, test, data, recipe.train.seed)

    def read(files: Sequence[Path]) -> Recordings:
        return kept(transcripts.in_pieces(files, data.audio)) if disk else transcripts.read(files, data.audio)

    disk = on_disk(data.storage, [*train_files, *test_files])
    return divided(read(train_files), read(test_files) if test_files else None, data, recipe.train.seed)


def from_values(values: Any, settings: AudioSettings) -> Recordings:
    """Recordings without transcripts, from their sound.

    Args:
        values: A list of recordings, each [N], floating, its samples from -1 to 1, ``settings.rate`` per second.
        settings: How recordings are read.

    Raises:
        DataError: A value does not fit, or is shorter than one window.
        MissingLibraryError: ``kaldi-native-fbank`` is not installed.
    """
    expected = f"samples [N] from -1 to 1, {settings.rate} per second"
    steps = []
    for index, value in enumerate(examples_in(values, f"a list of recordings, each {expected}")):
        sound = array_of(value, f"values[{index}]", expected)
        if sound.ndim != 1 or sound.dtype.kind != "f":
            raise DataError(
                f"values[{index}] has shape {sound.shape} and type {sound.dtype}; expected {expected}, floating. Take "
                "the mean of several channels, and divide 16-bit samples by 32768."
            )
        steps.append(energies_of(sound, settings, f"values[{index}]"))
    return Records(steps, None, origins(steps))
