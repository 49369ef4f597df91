"""Turns texts into ids, and keeps what is needed to read further texts in the same way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from holdfast.data.batch import Batch
from holdfast.data.batches import Indices
from holdfast.data.disk.columns import Column, sizes
from holdfast.data.labels import Labelled, Labels
from holdfast.data.records import Records
from holdfast.data.settings import ReadingSettings
from holdfast.data.vocabulary import PADDING, UNKNOWN, Vocabulary
from holdfast.errors import DataError


class TextEncoder(Labelled):
    """Vocabulary and labels, fitted on the training split.

    Attributes:
        labels: As for every labelled encoder.
        vocabulary: What the ids stand for.
        settings: How the training files were read.
    """

    vocabulary: Vocabulary
    settings: ReadingSettings

    @classmethod
    def fit(cls, train: Records[str, str], settings: ReadingSettings) -> TextEncoder:
        """Fits vocabulary and labels.

        Args:
            train: The training split, and nothing else.
            settings: ``unit``, ``vocabulary_size``, ``least``, ``lower`` and ``label_separator`` are used; the fields
                of ``ReadingSettings`` are kept.

        Raises:
            DataError: There are no texts, or they have no labels.
        """
        if not len(train):
            raise DataError("There are no texts to train on; expected at least one.")
        if train.targets is None:
            raise DataError(
                f"{train.origins[0]} and the other training texts have no labels; expected a label for each. The name "
                "of a text file is its label; data.label_column names the column of a table."
            )
        if not settings.unit:
            raise DataError('data.unit is empty; expected "words", "characters" or "pieces" to read texts.')
        vocabulary = Vocabulary.fit(
            train.inputs,
            settings.unit,
            size=settings.vocabulary_size,
            lower=settings.lower,
            least=settings.least,
        )
        labels = Labels.fit(train.targets, settings.label_separator)
        return cls(labels=labels, vocabulary=vocabulary, settings=ReadingSettings.of(settings))

    def encode(self, texts: Records[str, str]) -> IdDataset:
        """The ids of texts, with or without labels. A text without tokens becomes one unknown token.

        Raises:
            DataError: A label is unknown.
        """
        targets = None if texts.targets is None else self.labels.encode(texts.targets, texts.origins)
        return IdDataset(self.vocabulary.encode_all(texts.inputs, least=[UNKNOWN]), targets)


class IdDataset:
    """Sequences of ids, in memory or on disk.

    Attributes:
        lengths: Steps of each sequence, [N], int64.
        targets: The target of each sequence, [N, ...]; None without targets.
    """

    def __init__(self, ids: Sequence[Sequence[int]], targets: Tensor | None) -> None:
        self.on_disk = isinstance(ids, Column)
        self._ids = ids.map(_as_tensor) if isinstance(ids, Column) else [_as_tensor(row) for row in ids]
        self.lengths = sizes(ids)
        self.targets = targets

    def __len__(self) -> int:
        """The number of sequences, N."""
        return len(self._ids)

    def __getitems__(self, indices: Sequence[int] | Indices) -> Batch:
        """The sequences at these positions, in this order, as one batch: ids [B, T]."""
        chosen = np.asarray(indices, dtype=np.int64)
        inputs = pad_sequence([self._ids[int(index)] for index in chosen], batch_first=True, padding_value=PADDING)
        targets = None if self.targets is None else self.targets[torch.from_numpy(chosen)]
        return Batch(inputs, torch.from_numpy(self.lengths[chosen]), targets)


def _as_tensor(ids: Sequence[int]) -> Tensor:
    return torch.tensor(ids, dtype=torch.int64)
