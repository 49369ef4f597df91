"""A recurrent layer under any mask, as Keras means it: a step that is masked does not count, wherever it stands.

The layers of Holdfast skip steps past a row's length. Any other mask is brought to that form: the steps that count are
moved to the front of their row in the order of time, and the outputs are moved back.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Compacted(NamedTuple):
    """A batch whose rows have the steps that count at the front.

    Attributes:
        inputs: [B, T, I].
        lengths: How many steps count in each row, [B].
        order: Where each step stood, [B, T]; None when none was moved.
    """

    inputs: Tensor
    lengths: Tensor
    order: Tensor | None


def compacted(inputs: Tensor, mask: Tensor) -> Compacted:
    """Moves the steps that count to the front.

    Args:
        inputs: [B, T, I].
        mask: [B, T], true where a step counts.
    """
    lengths = mask.sum(1)
    if not (mask[:, 1:] & ~mask[:, :-1]).any():  # padding at the end alone, by far the usual case
        return Compacted(inputs, lengths, None)
    order = torch.argsort(~mask, dim=1, stable=True)
    return Compacted(torch.take_along_dim(inputs, order[:, :, None], 1), lengths, order)


def spread(outputs: Tensor, mask: Tensor, order: Tensor | None, *, repeat: bool, reverse: bool = False) -> Tensor:
    """The outputs of a compacted batch where their steps stood.

    Args:
        outputs: [B, T, O], of a layer that ran over :class:`Compacted` inputs with their lengths.
        mask: [B, T], as it was given.
        order: That of :class:`Compacted`.
        repeat: What stands at a step that does not count: the output before it (zero before the first), or zero.
        reverse: Whether the layer ran from the last step to the first, so that "before" is a later step.
    """
    if order is not None:
        back = torch.argsort(order, dim=1)
        outputs = torch.take_along_dim(outputs, back[:, :, None], 1)
    if not repeat:
        return outputs
    steps = torch.arange(mask.shape[1], device=mask.device)
    if reverse:
        last = torch.where(mask, steps, len(steps)).flip(1).cummin(1).values.flip(1)
        known = last < len(steps)
    else:
        last = torch.where(mask, steps, -1).cummax(1).values
        known = last >= 0
    held = torch.take_along_dim(outputs, last.clamp(0, len(steps) - 1)[:, :, None], 1)
    return held * known[:, :, None].to(held.dtype)
