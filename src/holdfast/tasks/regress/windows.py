"""Long sequences, cut into windows for training: the state is carried from window to window.

    t         0 1 2 3 4 5 6 7 8 9      B = 2 sequences, windows of 4 steps
    row 0     a a a a|b b b b|c c      batch b continues batch a, in the same rows
    row 1     a a a a|b b b            a sequence that has ended has length 0

Gradients stop at the edges of the windows: truncated back-propagation through time (Williams & Peng 1990).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import pad

from holdfast.data.batch import Batch, row_ranges
from holdfast.data.batches import Dataset, Indices


@dataclass(frozen=True, eq=False)
class WindowBatch(Batch):
    """The next window of a few sequences, with targets per step.

    Attributes:
        fresh: Whether the sequences begin here; else each row continues the same row of the previous batch.
    """

    fresh: bool

    @property
    def goes_on(self) -> bool:
        """Whether the rows continue the previous batch."""
        return not self.fresh


class WindowBatches:
    """The windows of every epoch. The order depends only on the seed and the number of the epoch.

    Sequences of about the same length go side by side, so each epoch has the same number of batches.
    """

    def __init__(self, dataset: Dataset, batch_size: int, window: int, seed: int) -> None:
        """Sets how an epoch is cut.

        Args:
            dataset: Sequences with targets per step.
            batch_size: Sequences side by side.
            window: Steps per batch.
            seed: The seed of the orders.
        """
        self._dataset, self.batch_size, self._window, self._seed = dataset, batch_size, window, seed
        self._count = sum(len(range(0, steps, window)) for _, steps in self._groups(0))

    def __len__(self) -> int:
        """Batches per epoch."""
        return self._count

    def epoch(self, number: int, start: int = 0) -> Iterator[WindowBatch]:
        """The batches of one epoch.

        Args:
            number: The epoch, from 0.
            start: Number of batches to skip, to resume within an epoch.
        """
        return (chunks[0] for chunks in self.chunks(number, start, 1, [0]))

    def chunks(self, number: int, start: int, count: int, mine: Sequence[int]) -> Iterator[dict[int, WindowBatch]]:
        """Some chunks of the sequences of each batch; see :class:`holdfast.tasks.epochs.ChunkedEpochs`."""
        skipped = 0
        for indices, steps in self._groups(number):
            begins = range(0, steps, self._window)
            left = begins[max(0, start - skipped) :]
            skipped += len(begins)
            if not left:
                continue
            ranges = row_ranges(len(indices), count)
            wanted = {chunk: indices[slice(*ranges[chunk])] for chunk in mine}
            parts = {chunk: self._dataset.__getitems__(rows) for chunk, rows in wanted.items() if len(rows)}
            for begin in left:
                end = min(begin + self._window, steps)
                yield {chunk: _cut(part, begin, end) for chunk, part in parts.items()}

    def _groups(self, number: int) -> list[tuple[Indices, int]]:
        """The sequences that go side by side in an epoch, and the steps of the longest of each group."""
        lengths = np.asarray(self._dataset.lengths)
        generator = np.random.default_rng((self._seed, number))
        order = generator.permutation(len(lengths))
        order = order[np.argsort(lengths[order], kind="stable")]
        groups = [order[begin : begin + self.batch_size] for begin in range(0, len(order), self.batch_size)]
        return [(groups[k], int(lengths[groups[k]].max())) for k in generator.permutation(len(groups)).tolist()]


def _cut(rows: Batch, begin: int, end: int) -> WindowBatch:
    """The steps from ``begin`` to before ``end`` of some sequences; those that have ended before are padded."""
    inputs, targets = rows.inputs[:, begin:end], rows.known_targets[:, begin:end]
    lengths = rows.lengths
    missing = end - begin - inputs.shape[1]
    if missing:  # a sequence in another chunk is longer than all of these
        lengths = torch.full((len(rows),), rows.inputs.shape[1]) if lengths is None else lengths
        inputs, targets = pad(inputs, (0, 0, 0, missing)), pad(targets, (0, 0, 0, missing), value=torch.nan)
    if lengths is not None:
        lengths = (lengths - begin).clamp(0, end - begin)
    return WindowBatch(inputs, lengths, targets, fresh=begin == 0, weights=rows.weights)
