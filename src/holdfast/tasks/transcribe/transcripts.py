"""Encoded recordings with their transcripts, in memory, and the batches that are cut from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from holdfast.data.batches import Batch, Indices, SequenceDataset
from holdfast.errors import DataError


@dataclass(frozen=True, eq=False)
class TranscriptBatch(Batch):
    """A few recordings with what is said in them; ``targets`` are labels [B, S], 0 past the end of a row.

    Attributes:
        target_lengths: Labels of each row, [B], int64; None without transcripts.
        texts: The transcripts, B of them or none.
    """

    target_lengths: Tensor | None = None
    texts: tuple[str, ...] = ()

    @property
    def known_target_lengths(self) -> Tensor:
        """The number of labels, where it is needed.

        Raises:
            DataError: The recordings have no transcripts.
        """
        if self.target_lengths is None:
            raise DataError(
                "The recordings have no transcripts; expected one for each, to train on or to measure against."
            )
        return self.target_lengths


class TranscriptDataset:
    """Recordings with their transcripts; indexed by lists of positions, it gives batches.

    Args:
        sequences: The recordings, as the network reads them.
        labels: The labels of each transcript, none of which is 0; None without transcripts.
        texts: The transcripts themselves; none without.

    Attributes:
        lengths: Steps of each recording, [N], int64.

    Raises:
        DataError: A recording has too few steps to say its labels.
    """

    def __init__(self, sequences: SequenceDataset, labels: Sequence[list[int]] | None, texts: Sequence[str]) -> None:
        self._sequences, self._texts = sequences, texts
        self._labels = None if labels is None else [torch.tensor(row, dtype=torch.int64) for row in labels]
        self.lengths: Indices = sequences.lengths
        for number, row in enumerate(labels or []):
            needed = len(row) + sum(a == b for a, b in pairwise(row))  # between two equal labels stands a blank
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
        rows = [self._labels[index] for index in indices]
        targets = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        sizes = torch.tensor([len(row) for row in rows])
        return TranscriptBatch(
            batch.inputs, batch.lengths, targets, sizes, tuple(self._texts[index] for index in indices)
        )
