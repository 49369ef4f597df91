"""Missing values: what replaces them before a network reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from pydantic import model_validator
from torch import Tensor

from holdfast.data.saved import Saved
from holdfast.data.settings import Missing


class Filling(Saved):
    """How missing values of sequences are filled, as ``data.missing`` says.

    Attributes:
        kind: ``data.missing``; with ``error`` nothing is filled.
        mean: The mean of each channel over the known values of the training split, C.
        masked: With ``mask``, the channels with missing values in the training split.
    """

    kind: Missing = "error"
    mean: tuple[float, ...] = ()
    masked: tuple[int, ...] = ()

    @classmethod
    def of(cls, kind: Missing, mean: Sequence[float], gaps: Sequence[bool]) -> Filling:
        """The filling for a training split.

        Args:
            kind: ``data.missing``.
            mean: The mean of each channel over its known values, C.
            gaps: Whether values of each channel are missing, C.
        """
        masked = tuple(channel for channel, missing in enumerate(gaps) if missing) if kind == "mask" else ()
        return cls(kind=kind, mean=tuple(mean), masked=masked)

    @model_validator(mode="after")
    def _masks_are_channels(self) -> Self:
        if not all(0 <= place < len(self.mean) for place in self.masked):
            raise ValueError(f"the masks {list(self.masked)} are not among {len(self.mean)} channels")
        return self

    def filled(self, values: Tensor) -> Tensor:
        """Values without gaps.

        Args:
            values: [..., T, C], floating; NaN where a value is missing. The filled values depend only on these T
                steps.

        Returns:
            [..., T, C].
        """
        if self.kind == "error" or not values.isnan().any():
            return values
        mean = torch.tensor(self.mean, dtype=values.dtype, device=values.device)
        if self.kind in ("interpolate", "previous"):
            values = _between(values, straight=self.kind == "interpolate")
        return torch.where(values.isnan(), mean, values)

    def mask(self, values: Tensor) -> Tensor:
        """1 where a value of a masked channel is missing, else 0: [..., T, M] from [..., T, C]."""
        return values[..., list(self.masked)].isnan().to(values.dtype)


NOTHING_FILLED = Filling()
"""For ``data.missing = "error"``."""


def _between(values: Tensor, *, straight: bool) -> Tensor:
    """Values filled from the known values before and after them along T; NaN where a channel has no known value.

    Args:
        values: [..., T, C].
        straight: Whether to interpolate between the two; else the value before is repeated.
    """
    steps = torch.arange(values.shape[-2], device=values.device)[:, None].expand(values.shape)
    known = ~values.isnan()
    last = values.shape[-2]
    before = torch.where(known, steps, -1).cummax(-2).values
    after = torch.where(known, steps, last).flip(-2).cummin(-2).values.flip(-2)
    nearest = torch.where(before < 0, after, before).clamp(max=last - 1)
    following = torch.where(after >= last, nearest, after)
    start, end = values.gather(-2, nearest), values.gather(-2, following)
    if not straight:
        return torch.where(known, values, start)
    share = (steps - nearest).to(values.dtype) / (following - nearest).clamp(min=1)
    return torch.where(known, values, start + share * (end - start))
