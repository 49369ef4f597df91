"""Long sequences with targets per step, cut for training into windows at random places.

    t         0 1 2 3 4 5 6 7 8 9
    epoch 0   a a|b b b b|c c c c
    epoch 1   a a a|b b b b|c c c

Each window starts from a zero state, so a network also learns what to say in the first steps of a sequence, wherever
it begins; and one long sequence gives many rows per batch. Every step comes once per epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from holdfast.data.batch import Batch, row_ranges
from holdfast.data.batches import Indices
from holdfast.data.defaults import batch_size
from holdfast.data.disk.ahead import read_ahead
from holdfast.errors import OptionError
from holdfast.settings import TrainSettings

FEW_SEQUENCES, SHORTEST, LONGEST, PARTS = 16, 50, 200, 8
"""``auto`` cuts fewer than 16 sequences, into windows of an eighth of the longest one, at least 50 and at most 200."""


def window_for(setting: int | Literal["auto"], lengths: Indices) -> int:
    """The most steps of a window in training; 0 for whole sequences.

    Args:
        setting: The field ``data.window``.
        lengths: Steps of each training sequence.

    Example:
        >>> [window_for("auto", np.array(lengths)) for lengths in ([5000], [900, 60], [60], [500] * 30)]
        [200, 112, 50, 0]
    """
    if setting != "auto":
        return setting
    longest = int(lengths.max(initial=0))
    window = min(max(longest // PARTS, SHORTEST), LONGEST)
    return window if len(lengths) < FEW_SEQUENCES and longest > window else 0


class Cuttable(Protocol):
    """Encoded sequences of which some steps can be read."""

    @property
    def lengths(self) -> Indices:
        """Steps of each sequence, [N]."""

    @property
    def on_disk(self) -> bool:
        """Whether they are on disk."""

    def steps(self, index: int, begin: int, end: int) -> Batch:
        """The steps from ``begin`` to before ``end`` of a sequence with its targets, as a batch of one."""


class CutBatches:
    """The batches of every epoch. Cuts and order depend only on the seed and the number of the epoch."""

    def __init__(self, dataset: Cuttable, training: TrainSettings, window: int, *, no_target: float) -> None:
        """Sets how an epoch is cut.

        Args:
            dataset: Sequences with targets per step.
            training: ``batch_size``, windows per batch, and the seed of cuts and orders are read.
            window: The most steps of a window.
            no_target: What fills the targets past the length of a row.

        Raises:
            OptionError: ``window`` is below 1.
        """
        if window < 1:
            raise OptionError(f"CutBatches got window = {window}; expected at least 1.")
        self._window, self._seed, self._no_target = window, training.seed, no_target
        self._dataset = dataset
        self._lengths: list[int] = dataset.lengths.tolist()
        self._windows = len(self._cut(0))
        self.batch_size = batch_size(training.batch_size, self._windows)

    def __len__(self) -> int:
        """Batches per epoch."""
        return -(-self._windows // self.batch_size)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch.

        Args:
            number: The epoch, from 0.
            start: Number of batches to skip, to resume within an epoch.
        """
        return (chunks[0] for chunks in self.chunks(number, start, 1, [0]))

    def chunks(self, number: int, start: int, count: int, mine: Sequence[int]) -> Iterator[dict[int, Batch]]:
        """Some chunks of the rows of each batch; see :class:`holdfast.tasks.epochs.ChunkedEpochs`."""
        chunks = self._chunks(number, start, count, mine)
        return read_ahead(chunks) if self._dataset.on_disk else chunks

    def _chunks(self, number: int, start: int, count: int, mine: Sequence[int]) -> Iterator[dict[int, Batch]]:
        windows = self._cut(number)
        for begin in range(start * self.batch_size, len(windows), self.batch_size):
            batch = windows[begin : begin + self.batch_size]
            ranges = row_ranges(len(batch), count)
            parts = {chunk: batch[slice(*ranges[chunk])] for chunk in mine}
            yield {chunk: self._batch(rows) for chunk, rows in parts.items() if rows}

    def _cut(self, number: int) -> list[tuple[int, int, int]]:
        """The windows of an epoch in random order: sequence, first step, and the step after the last one."""
        generator = np.random.default_rng((self._seed, number))
        windows: list[tuple[int, int, int]] = []
        for index, steps in enumerate(self._lengths):
            windows += [(index, *ends) for ends in pairwise(_places(steps, self._window, generator))]
        return [windows[place] for place in generator.permutation(len(windows))]

    def _batch(self, windows: Sequence[tuple[int, int, int]]) -> Batch:
        rows = [self._dataset.steps(*window) for window in windows]
        lengths = torch.tensor([end - begin for _, begin, end in windows])
        weights = [row.weights for row in rows if row.weights is not None]
        return Batch(
            _padded([row.inputs[0] for row in rows], 0),
            None if (lengths == lengths[0]).all() else lengths,
            _padded([row.known_targets[0] for row in rows], self._no_target),
            weights=torch.cat(weights) if weights else None,
        )


def _places(steps: int, window: int, generator: np.random.Generator) -> list[int]:
    """Where a sequence begins, is cut, and ends. The number of cuts depends on its length alone."""
    parts = -(-steps // window)
    if parts < 2:
        return [0, steps]
    width = -(-steps // parts)
    if width < 2:
        return list(range(steps + 1))
    first = int(generator.integers(1, width))
    return [0, *(first + part * steps // parts for part in range(parts)), steps]


def _padded(rows: list[Tensor], value: float) -> Tensor:
    return pad_sequence(rows, batch_first=True, padding_value=value)
