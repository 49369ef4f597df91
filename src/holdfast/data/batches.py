"""Encoded sequences, in memory or on disk, and the batches that are cut from them.

The order of an epoch depends only on the seed and the number of the epoch. No global random state is read or changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from holdfast.data.batch import Batch, row_ranges
from holdfast.data.disk.ahead import read_ahead
from holdfast.data.disk.columns import Column, sizes
from holdfast.data.examples import Array
from holdfast.errors import OptionError, ShapeError

Indices = npt.NDArray[np.int64]
T = TypeVar("T")


class Dataset(Protocol):
    """The source of batches: encoded examples in memory."""

    @property
    def lengths(self) -> Indices:
        """Steps of each example, [N]."""

    def __len__(self) -> int: ...

    def __getitems__(self, indices: Indices) -> Batch:
        """The examples at these positions, in this order, as one batch."""


class Weighted:
    """A data set whose rows have weights in the loss.

    Attributes:
        lengths: Those of the data set.

    Raises:
        ShapeError: There are not as many weights as examples.
    """

    def __init__(self, dataset: Dataset, weights: Array) -> None:
        """Adds weights to a data set.

        Args:
            dataset: N examples.
            weights: [N]; a mean of 1 keeps the scale of the loss.

        Raises:
            ShapeError: The numbers of examples and weights differ.
        """
        if len(weights) != len(dataset):
            raise ShapeError(f"Weighted got {len(dataset)} examples and {len(weights)} weights; expected one for each.")
        self.on_disk = getattr(dataset, "on_disk", False)
        self._dataset, self._weights = dataset, torch.from_numpy(np.asarray(weights, dtype=np.float32))
        self.lengths = dataset.lengths

    def __len__(self) -> int:
        """The number of examples, N."""
        return len(self._dataset)

    def __getitems__(self, indices: Indices) -> Batch:
        """The examples at these positions, in this order, as one batch with weights."""
        return replace(self._dataset.__getitems__(indices), weights=self._weights[torch.from_numpy(indices)])

    def steps(self, index: int, begin: int, end: int) -> Batch:
        """As the method of the data set, with the weight; only if it has this method.

        Args:
            index: The position of the sequence.
            begin: The first step.
            end: The step after the last one.
        """
        part: Batch = self._dataset.steps(index, begin, end)  # type: ignore[attr-defined]
        return replace(part, weights=self._weights[index : index + 1])


class SequenceDataset:
    """Encoded sequences; indexed by lists of positions, it gives batches.

    The values keep their type (uint8 images take one byte per pixel) and become float32 batch by batch.

    Attributes:
        channels: Values per step, C.
        lengths: Steps of each sequence, [N], int64.
        targets: What is learned of each sequence, [N, ...], such as its class, int64; None without targets.
        origins: Where each sequence came from; empty if unknown.

    Raises:
        ShapeError: There are not as many targets or origins as sequences.
    """

    def __init__(
        self,
        inputs: Array | Sequence[Array],
        targets: Tensor | None = None,
        *,
        scale: Callable[[Array], Array] | None = None,
        origins: Sequence[str] = (),
    ) -> None:
        """Keeps the sequences.

        Args:
            inputs: An array [N, T, C], or N arrays [T_i, C] of unequal lengths, in memory or on disk.
            targets: What is learned of each sequence, [N, ...].
            scale: Turns values [..., C] into float32 [..., C]; None only converts.
            origins: Where each sequence came from, N names or none.

        Raises:
            ShapeError: The arguments disagree in number.
        """
        if (targets is not None and len(targets) != len(inputs)) or len(origins) not in (0, len(inputs)):
            got = f"{0 if targets is None else len(targets)} targets and {len(origins)} origins"
            raise ShapeError(f"SequenceDataset got {len(inputs)} sequences, {got}; expected as many of each, or none.")
        self.targets = targets
        self.origins: Sequence[str] = origins if isinstance(origins, Column) else list(origins)
        self.on_disk = isinstance(inputs, Column)
        self._scale = scale or _to_float32
        self._starts: Indices | None = None
        self._column: Column[Array] | None = None
        if isinstance(inputs, Column):
            self._column, self.lengths = inputs, sizes(inputs)
            self._values = np.zeros((0, *inputs[0].shape[1:]) if len(inputs) else (0, 0), dtype=np.float32)
        elif isinstance(inputs, np.ndarray):
            self._values = np.ascontiguousarray(inputs)
            self.lengths = np.full(len(inputs), inputs.shape[1], dtype=np.int64)
        else:
            self.lengths = np.array([len(sequence) for sequence in inputs], dtype=np.int64)
            self._starts = np.cumsum(self.lengths) - self.lengths
            self._values = np.concatenate(inputs) if len(inputs) else np.zeros((0, 0), dtype=np.float32)
        self.channels = int(self._values.shape[-1])

    def __len__(self) -> int:
        """The number of sequences, N."""
        return len(self.lengths)

    def __getitem__(self, index: int) -> Batch:
        """One sequence, as a batch of one."""
        return self.__getitems__([range(len(self))[index]])

    def __getitems__(self, indices: Sequence[int] | Indices) -> Batch:
        """The sequences at these positions, in this order, as one batch."""
        chosen = np.asarray(indices, dtype=np.int64)
        targets = None if self.targets is None else self.targets[torch.from_numpy(chosen)]
        if self._column is None and self._starts is None:
            return Batch(torch.from_numpy(self._scale(self._values[chosen])), None, targets)
        lengths = self.lengths[chosen]
        longest = int(lengths.max(initial=0))
        filled = np.arange(longest) < lengths[:, None]
        inputs = np.zeros((len(chosen), longest, self.channels), dtype=np.float32)
        inputs[filled] = self._scale(self._steps(chosen, longest, filled))
        return Batch(torch.from_numpy(inputs), None if filled.all() else torch.from_numpy(lengths), targets)

    def steps(self, index: int, begin: int, end: int) -> Batch:
        """Some steps of a sequence without targets, as a batch of one.

        Args:
            index: The position of the sequence.
            begin: The first step.
            end: The step after the last one.
        """
        if self._column is not None:
            values = self._column.steps(index, begin, end)
        elif self._starts is not None:
            first = int(self._starts[index])
            values = self._values[first + begin : first + end]
        else:
            values = self._values[index, begin:end]
        return Batch(torch.from_numpy(self._scale(values))[None], None, None)

    def _steps(self, chosen: Indices, longest: int, filled: Array) -> Array:
        """The steps of some sequences, one after another."""
        if self._column is not None:
            parts = [self._column[int(index)] for index in chosen]
            steps: Array = np.concatenate(parts) if parts else self._values
        else:
            starts = cast(Indices, self._starts)
            steps = self._values[(starts[chosen, None] + np.arange(longest))[filled]]
        return steps


def _to_float32(values: Array) -> Array:
    return values.astype(np.float32)


class Batches:
    """The batches of each epoch over a data set."""

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        bucket: int = 0,
        drop_last: bool = False,
    ) -> None:
        """Sets how an epoch is divided into batches.

        Args:
            dataset: The sequences.
            batch_size: Sequences in a batch.
            shuffle: Whether each epoch has an order of its own; else all keep the order of the data set.
            seed: The seed of the orders; each order depends only on it and on the number of the epoch.
            bucket: Within each window of this number of batches, sort by length before cutting, so that a batch has
                little padding; then, if shuffling, shuffle the batches. 0 for no sorting.
            drop_last: Leave out the sequences that do not fill a batch, so that all batches have the same size.

        Raises:
            OptionError: A number is out of range.
        """
        for name, value, least in [("batch_size", batch_size, 1), ("bucket", bucket, 0), ("seed", seed, 0)]:
            if value < least:
                raise OptionError(f"Batches got {name} = {value}; expected at least {least}.")
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.bucket = bucket
        self.drop_last = drop_last

    def __len__(self) -> int:
        """Batches per epoch."""
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + (1 if rest and not self.drop_last else 0)

    def order(self, number: int) -> list[Indices]:
        """The positions in the data set that each batch of an epoch holds.

        Args:
            number: The epoch, from 0.
        """
        generator = np.random.default_rng((self.seed, number))
        count = len(self.dataset)
        order = generator.permutation(count) if self.shuffle else np.arange(count)
        order = order[: len(self) * self.batch_size]
        if self.bucket:
            window = self.bucket * self.batch_size
            lengths = self.dataset.lengths
            for begin in range(0, len(order), window):
                part = order[begin : begin + window]
                order[begin : begin + window] = part[np.argsort(lengths[part], kind="stable")]
        batches = [order[begin : begin + self.batch_size] for begin in range(0, len(order), self.batch_size)]
        if self.bucket and self.shuffle:
            batches = [batches[index] for index in generator.permutation(len(batches))]
        return batches

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch.

        Args:
            number: The epoch, from 0.
            start: Number of batches to skip, to resume within an epoch; their data is not read.

        Raises:
            OptionError: ``start`` is negative or beyond the epoch's batches.
        """
        return self._read(self.dataset.__getitems__(indices) for indices in self._from(number, start))

    def chunks(self, number: int, start: int, count: int, mine: Sequence[int]) -> Iterator[dict[int, Batch]]:
        """Some chunks of the rows of each batch; see :class:`holdfast.tasks.epochs.ChunkedEpochs`.

        Only their rows are read, and each chunk is padded to its own longest row.

        Args:
            number: The epoch, as for :meth:`epoch`.
            start: Number of batches to skip, as for :meth:`epoch`.
            count: The number of chunks of a batch.
            mine: The chunks to give, as numbers from 0.

        Raises:
            OptionError: As for :meth:`epoch`.
        """
        order = self._from(number, start)
        return self._read(self._chunked(indices, row_ranges(len(indices), count), mine) for indices in order)

    def _read(self, batches: Iterator[T]) -> Iterator[T]:
        """The batches; those of a set on disk are read ahead."""
        return read_ahead(batches) if getattr(self.dataset, "on_disk", False) else batches

    def _chunked(self, indices: Indices, ranges: list[tuple[int, int]], mine: Sequence[int]) -> dict[int, Batch]:
        """The chunks of a batch that have rows."""
        wanted = {chunk: indices[slice(*ranges[chunk])] for chunk in mine}
        return {chunk: self.dataset.__getitems__(rows) for chunk, rows in wanted.items() if len(rows)}

    def _from(self, number: int, start: int) -> list[Indices]:
        """The order of an epoch without its first batches."""
        if not 0 <= start <= len(self):
            raise OptionError(f"Batches.epoch got start = {start}; expected 0 to {len(self)}, the batches of an epoch.")
        return self.order(number)[start:]
