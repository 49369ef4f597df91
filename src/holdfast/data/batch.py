"""A batch: a few sequences, padded to the longest of them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from typing import Self

import torch
from torch import Tensor

from holdfast.errors import DataError


@dataclass(frozen=True, eq=False)
class Batch:
    """A few sequences, padded to the longest of them. Tasks with more in a batch extend this class.

    Attributes:
        inputs: [B, T, C], float32, or ids [B, T], int64; zero past the length of a row.
        lengths: Steps of each row, [B], int64; None when every row has all T steps.
        targets: What is learned, [B, ...], such as the class of each row, int64; None without targets.
        weights: The weight of each row in the loss, [B], float32; None where all rows count alike.
    """

    inputs: Tensor
    lengths: Tensor | None
    targets: Tensor | None
    weights: Tensor | None = field(default=None, kw_only=True)

    def __len__(self) -> int:
        """The number of sequences, B."""
        return len(self.inputs)

    @property
    def goes_on(self) -> bool:
        """Whether each row continues the same row of the previous batch, for a task that cuts its sequences."""
        return False

    @property
    def known_targets(self) -> Tensor:
        """The targets, for callers that need them.

        Raises:
            DataError: The sequences have no labels.
        """
        if self.targets is None:
            raise DataError("The sequences have no labels; expected one for each, to train on or to measure against.")
        return self.targets

    def to(self, device: torch.device | str) -> Self:
        """The same batch on a device."""
        return replace(self, **{name: value.to(device) for name, value in self._tensors().items()})

    def rows(self, begin: int, end: int) -> Self:
        """Some rows of the batch, with its padding; for classes whose tensors all have the rows as first dimension.

        Args:
            begin: The first row.
            end: The row after the last one.
        """
        return replace(self, **{name: value[begin:end] for name, value in self._tensors().items()})

    def _tensors(self) -> dict[str, Tensor]:
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, Tensor)}


def weighted_mean(losses: Tensor, weights: Tensor | None) -> Tensor:
    """The mean of the losses of rows [B], a scalar: each times its weight [B], divided by B."""
    return losses.mean() if weights is None else (losses * weights).mean()


def row_ranges(rows: int, count: int) -> list[tuple[int, int]]:
    """The rows [begin, end) of each of ``count`` chunks of a batch, as equal as possible, the larger ones first.

    Example:
        >>> row_ranges(5, 2), row_ranges(1, 2)
        ([(0, 3), (3, 5)], [(0, 1), (1, 1)])
    """
    ends = [-(-rows * number // count) for number in range(count + 1)]
    return list(pairwise(ends))
