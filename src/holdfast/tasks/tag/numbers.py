"""Sequences of numbers with a tag for each step, as programs give them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from holdfast.data import Examples, Records, SequenceEncoder, readers
from holdfast.data.batch import Batch
from holdfast.data.batches import Indices, SequenceDataset
from holdfast.data.examples import Array
from holdfast.data.labels import Labels
from holdfast.data.pieces import Source, sequences
from holdfast.data.saved import Saved
from holdfast.data.settings import ReadingSettings
from holdfast.errors import DataError
from holdfast.tasks.tag.data import NO_TARGET, UNSEEN
from holdfast.tasks.tag.settings import TagData
from holdfast.tasks.values import sequences_in_memory

Steps = Records[Array, list[str]]
"""Sequences [T, C], each with T tags."""


class StepDataset:
    """Encoded sequences with a tag for each step. Indexing by a list of positions gives a batch.

    Attributes:
        lengths: Steps of each sequence, [N], int64.
    """

    def __init__(self, sequences: SequenceDataset, tags: list[Tensor]) -> None:
        """Keeps the sequences and the class of each step: N tensors [T_i], int64."""
        self._sequences, self._tags = sequences, tags
        self.lengths, self.on_disk = sequences.lengths, sequences.on_disk

    def __len__(self) -> int:
        """The number of sequences, N."""
        return len(self._sequences)

    def __getitems__(self, indices: Sequence[int] | Indices) -> Batch:
        """The sequences at these positions, in this order; their targets [B, T] end with ``NO_TARGET``."""
        rows = [self._tags[int(index)] for index in indices]
        targets = pad_sequence(rows, batch_first=True, padding_value=NO_TARGET)
        return replace(self._sequences.__getitems__(indices), targets=targets)

    def steps(self, index: int, begin: int, end: int) -> Batch:
        """The steps from ``begin`` to before ``end`` of a sequence with their tags, as a batch of one."""
        return replace(self._sequences.steps(index, begin, end), targets=self._tags[index][None, begin:end])


class NumberEncoder(Saved):
    """Scaling and tags, fitted on the training sequences.

    Attributes:
        sequences: What was fitted on the values.
        tags: The tags.
    """

    kind: Literal["numbers"] = "numbers"
    sequences: SequenceEncoder
    tags: Labels
    answer_key: ClassVar[str] = "tagged"

    @property
    def settings(self) -> ReadingSettings:
        """How sequences are read."""
        return self.sequences.settings

    @property
    def channels(self) -> int:
        """Values per step that the network reads."""
        return self.sequences.channels

    @classmethod
    def fit(cls, train: Steps, data: TagData) -> NumberEncoder:
        """Fits scaling, what replaces missing values, and the tags.

        Args:
            train: The training split only.
            data: ``scaling`` and ``missing`` are used.

        Raises:
            DataError: There are no sequences, they have no tags, or all tags are the same.
        """
        if train.targets is None:
            raise DataError("The training sequences have no tags; expected a tag for each step.")
        settings = ReadingSettings(scaling=data.scaling, missing=data.missing)
        tags = Labels.fit([tag for tags in train.targets for tag in tags])
        return cls(sequences=SequenceEncoder.fit(_examples(train, settings), settings), tags=tags)

    def read(self, paths: Sequence[Path]) -> Steps:
        """Reads files of any kind that has sequences of numbers; tags are whole numbers or missing."""
        found = readers.read(paths, self.settings, targets="steps")
        targets = None
        if found.targets is not None:
            targets = [[str(int(tag)) if float(tag).is_integer() else str(tag) for tag in row] for row in found.targets]
        return Records(list(found.inputs), targets, found.origins)

    def sources(self, paths: Sequence[Path], aside: Sequence[str]) -> list[Source]:
        """The same files in pieces, without tags."""
        return sequences.sources(paths, self.settings, "steps", aside)

    def parsed(self, texts: Sequence[str], origins: Sequence[str]) -> Steps:
        """Raises DataError: the steps are numbers."""
        raise DataError("This tagger reads sequences of numbers, not lines of text. Name the files.")

    def from_values(self, values: Any) -> Steps:
        """Sequences without tags, as :func:`holdfast.tasks.values.sequences_in_memory` takes them."""
        found = sequences_in_memory(values, self.sequences)
        return Records(list(found.inputs), None, found.origins)

    def encode(self, steps: Steps) -> SequenceDataset | StepDataset:
        """The scaled sequences, and the class of each step; ``UNSEEN`` for a tag that is not in the training data.

        Raises:
            DataError: A sequence has another number of tags than steps, or of values per step than in training.
        """
        sequences = self.sequences.encode(_examples(steps, self.settings))
        if steps.targets is None:
            return sequences
        places = {tag: place for place, tag in enumerate(self.tags.classes)}
        for inputs, tags, origin in zip(steps.inputs, steps.targets, steps.origins, strict=True):
            if len(tags) != len(inputs):
                raise DataError(f"{origin} has {len(inputs)} steps and {len(tags)} tags; expected one for each step.")
        classes = [torch.tensor([places.get(tag, UNSEEN) for tag in tags]) for tags in steps.targets]
        return StepDataset(sequences, classes)

    @staticmethod
    def step_tokens(sequence: Array) -> None:
        """None: a step consists of numbers."""

    def arguments(self, batch: Batch) -> tuple[Tensor | None, ...]:
        """The arguments of the model."""
        return batch.inputs, batch.lengths

    def example(self, size: int) -> tuple[Tensor, ...]:
        """Example arguments for the model."""
        return (torch.zeros(size, size, self.channels),)

    def answers(self, batch: Batch, tags: Tensor) -> list[dict[str, Any]]:
        """The tags of each sequence, also as one text.

        Args:
            batch: B sequences.
            tags: The predicted tag of each step, [B, T], int64.
        """
        lengths = [tags.shape[1]] * len(tags) if batch.lengths is None else batch.lengths.tolist()
        answers = []
        for row, length in zip(tags.tolist(), lengths, strict=True):
            names = [self.tags.classes[tag] for tag in row[:length]]
            answers.append({"tags": names, "tagged": " ".join(names)})
        return answers


def _examples(steps: Steps, settings: ReadingSettings) -> Examples:
    """The sequences alone, checked."""
    inputs, gaps = list(map(np.asarray, steps.inputs)), settings.missing != "error"
    return Examples(inputs, None, steps.origins, gaps=gaps, weights=steps.weights)
