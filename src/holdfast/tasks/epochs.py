"""Where the batches of training come from: the interfaces of what gives the batches of every epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from holdfast.data import Batch


class Epochs(Protocol):
    """The batches of every epoch; :class:`holdfast.data.Batches` is an example."""

    def __len__(self) -> int:
        """The number of batches per epoch."""

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The batches of epoch ``number`` (from 0), without the first ``start``."""


@runtime_checkable
class ChunkedEpochs(Epochs, Protocol):
    """The batches of every epoch, also by chunks of their rows; several processes share these."""

    def chunks(self, number: int, start: int, count: int, mine: Sequence[int]) -> Iterator[dict[int, Batch]]:
        """As :meth:`Epochs.epoch`, but some chunks of each batch.

        Args:
            number: The epoch, from 0.
            start: Batches to leave out.
            count: The number of chunks that the rows of each batch are divided into.
            mine: The numbers of the chunks that are wanted.

        Yields:
            For each batch its chunks, by number; a chunk without rows is missing.
        """


class SizedEpochs(Epochs, Protocol):
    """The batches of every epoch, of a known size; :class:`holdfast.data.Batches` is an example."""

    @property
    def batch_size(self) -> int:
        """Sequences per batch."""
