"""Sums of two numbers as sequences of bits, the least significant bit first. Each step has one bit of each number.

The network learns to add: it must carry from step to step.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from holdfast.data.batch import Batch
from holdfast.data.batches import SequenceDataset
from holdfast.data.labels import Labels
from holdfast.data.pieces.numbered_lines import numbered
from holdfast.data.records import Records
from holdfast.data.saved import Saved
from holdfast.errors import DataError
from holdfast.tasks.values import array_of, examples_in, origins

Sums = Records[tuple[int, int], int]

TEST_SUMS = 10_000
"""Number of test sums where there are too many sums to test all of them."""
MOST_BITS_FOR_ALL = 8
"""Up to this number of bits, the test has all sums: at most 16,384."""


def generated(bits: int, count: int, seed: int) -> tuple[Sums, Sums]:
    """Random sums to train on, and sums to test on.

    Up to 8 bits, the test has all sums, as in the program that this task comes from; the network has seen most of them
    in training. With more bits, the test has 10,000 random sums that do not occur in training, in either order.

    Args:
        bits: Bits of a sum; the numbers have one bit less.
        count: The number of sums to train on.
        seed: The same seed gives the same training sums. The test sums depend on ``bits`` alone.
    """
    top = 1 << (bits - 1)
    if bits <= MOST_BITS_FOR_ALL:
        test = [(a, b) for a in range(top) for b in range(top)]
        excluded = set()
    else:
        test = _drawn(np.random.default_rng(bits), top, TEST_SUMS)
        excluded = {pair for a, b in test for pair in ((a, b), (b, a))}
    generator = np.random.default_rng((bits, seed))
    train: list[tuple[int, int]] = []
    while len(train) < count:
        train += [pair for pair in _drawn(generator, top, count - len(train)) if pair not in excluded]
    return added(train, [f"sum {k}" for k in range(count)]), added(test, [f"test sum {k}" for k in range(len(test))])


def added(pairs: Sequence[tuple[int, int]], origins: Sequence[str]) -> Sums:
    """Pairs of numbers with their sums."""
    return Records(list(pairs), [a + b for a, b in pairs], list(origins))


def _drawn(generator: np.random.Generator, top: int, count: int) -> list[tuple[int, int]]:
    return [(a, b) for a, b in generator.integers(0, top, (count, 2)).tolist()]


class SumEncoder(Saved):
    """From sums to bits and back.

    Attributes:
        bits: Bits of a sum.
    """

    kind: Literal["sums"] = "sums"
    bits: int
    channels: ClassVar[int] = 2
    answer_key: ClassVar[str] = "sum"
    tags: ClassVar[Labels] = Labels(classes=["0", "1"])

    def read(self, paths: Sequence[Path]) -> Sums:
        """Reads text files with one sum on each line that is not blank, in the form of :meth:`parsed`.

        Raises:
            MissingDataError: A file does not exist.
            DataError: A line is not two whole numbers, or there is no line.
        """
        rows = [(line, f"{path}, line {number}") for path in paths for number, line in numbered(path) if line.strip()]
        if not rows:
            raise DataError("There is nothing to add; expected files with two whole numbers per line, such as '13 29'.")
        return self.parsed([line for line, _ in rows], [origin for _, origin in rows])

    def parsed(self, texts: Sequence[str], origins: Sequence[str]) -> Sums:
        """Sums from texts such as ``13 29`` or ``13 + 29``.

        Raises:
            DataError: A text is not two whole numbers.
        """
        pairs = []
        for text, origin in zip(texts, origins, strict=True):
            numbers = re.fullmatch(r"\s*([0-9]+)(?:\s*\+\s*|\s+)([0-9]+)\s*", text)
            if not numbers:
                raise DataError(f"{origin} is {text[:40]!r}; expected two whole numbers, such as '13 29'.")
            pairs.append((int(numbers[1]), int(numbers[2])))
        return added(pairs, origins)

    def from_values(self, values: Any) -> Sums:
        """Sums from pairs of whole numbers.

        Raises:
            DataError: A value is not two whole numbers of 0 or more.
        """
        pairs = []
        for origin, value in zip(origins(values := examples_in(values, "a list of pairs")), values, strict=True):
            numbers = array_of(value, origin, "two whole numbers, such as (13, 29)")
            if numbers.shape != (2,) or numbers.dtype.kind not in "ui" or numbers.min() < 0:
                raise DataError(
                    f"{origin} is {value!r:.40}; expected two whole numbers of 0 or more, such as (13, 29)."
                )
            pairs.append((int(numbers[0]), int(numbers[1])))
        return added(pairs, origins(pairs))

    def encode(self, sums: Sums) -> SequenceDataset:
        """The numbers as inputs [N, bits, 2], and the sums, if known, as targets [N, bits].

        Raises:
            DataError: A number has too many bits.
        """
        top = 1 << (self.bits - 1)
        for pair, origin in zip(sums.inputs, sums.origins, strict=True):
            if max(pair) >= top:
                raise DataError(
                    f"{origin} has the number {max(pair)}; the model was trained on numbers from 0 to {top - 1}. "
                    "Train one with more data.bits."
                )
        places = np.arange(self.bits)
        pairs = np.array(sums.inputs, dtype=np.int64).reshape(-1, 1, 2)
        inputs = ((pairs >> places[:, None]) & 1).astype(np.uint8)
        if sums.targets is None:
            return SequenceDataset(inputs)
        totals = np.array(sums.targets, dtype=np.int64)[:, None]
        return SequenceDataset(inputs, torch.from_numpy((totals >> places) & 1))

    def step_tokens(self, pair: tuple[int, int]) -> list[str]:
        """The two bits of each step, such as ``1+0``."""
        return [f"{pair[0] >> place & 1}+{pair[1] >> place & 1}" for place in range(self.bits)]

    def arguments(self, batch: Batch) -> tuple[Tensor | None, ...]:
        """The arguments of the model."""
        return batch.inputs, batch.lengths

    def example(self, size: int) -> tuple[Tensor, ...]:
        """Example arguments for the model."""
        return (torch.zeros(size, self.bits, 2),)

    def answers(self, batch: Batch, tags: Tensor) -> list[dict[str, Any]]:
        """The two numbers of each example and their sum.

        Args:
            batch: B examples.
            tags: The predicted bits of the sum, [B, bits], int64.
        """
        places = 1 << torch.arange(self.bits)
        numbers = (batch.inputs.cpu().long() * places[:, None]).sum(1)
        totals = (tags.cpu() * places).sum(1)
        return [{"numbers": a, "sum": b} for a, b in zip(numbers.tolist(), totals.tolist(), strict=True)]
