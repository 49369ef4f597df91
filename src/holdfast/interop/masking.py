"""A recurrent layer under any mask, as Keras means it: a step that is masked does not count, wherever it stands.

The layers of Holdfast skip steps past a row's length. Any other mask is brought to that form: the steps that count are
moved to the front of their row in the order of time, and the outputs are moved back.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from holdfast.cells import calling


class Compacted(NamedTuple):
    """A batch whose rows have the steps that count at the front.

    Attributes:
        inputs: [B, T, I].
        lengths: How many steps count in each row, [B].
        places: Where each step went, [B, T]; None when none was moved.
    """

    inputs: Tensor
    lengths: Tensor
    places: Tensor | None


def compacted(inputs: Tensor, mask: Tensor) -> Compacted:
    """Moves the steps that count to the front.

    Args:
        inputs: [B, T, I].
        mask: [B, T], true where a step counts.
    """
    lengths = mask.sum(1)
    # Padding at the end alone is by far the usual case; a model that is traced is to work for any mask.
    if calling.can_read(mask) and not (mask[:, 1:] & ~mask[:, :-1]).any():
        return Compacted(inputs, lengths, None)
    # As whole numbers, since ONNX adds up no booleans.
    places = torch.where(mask, mask.long().cumsum(1), lengths[:, None] + (~mask).long().cumsum(1)) - 1
    moved = torch.zeros_like(inputs).scatter(1, places[:, :, None].expand_as(inputs), inputs)
    return Compacted(moved, lengths, places)


def spread(outputs: Tensor, mask: Tensor, places: Tensor | None, *, repeat: bool, reverse: bool = False) -> Tensor:
    """The outputs of a compacted batch where their steps stood.

    Args:
        outputs: [B, T, O], of a layer that ran over :class:`Compacted` inputs with their lengths.
        mask: [B, T], as it was given.
        places: Those of :class:`Compacted`.
        repeat: What stands at a step that does not count: the output before it (zero before the first), or zero.
        reverse: Whether the layer ran from the last step to the first, so that "before" is a later step.
    """
    if places is not None:
        outputs = _taken(outputs, places)
    if not repeat:
        return outputs
    steps = torch.arange(mask.shape[1], device=mask.device)
    if reverse:
        last = mask.shape[1] - 1 - _running_maximum(torch.where(mask, mask.shape[1] - 1 - steps, -1).flip(1)).flip(1)
        known = last < mask.shape[1]
    else:
        last = _running_maximum(torch.where(mask, steps, -1))
        known = last >= 0
    held = _taken(outputs, last.clamp(0, mask.shape[1] - 1))
    return held * known[:, :, None].to(held.dtype)


def _running_maximum(x: Tensor) -> Tensor:
    """The largest value so far, [B, T]."""
    if not (calling.is_traced() or torch.compiler.is_exporting()):
        return x.cummax(1).values
    steps = torch.arange(x.shape[1], device=x.device)  # ONNX, for which models are traced, has no running maximum
    return torch.where(steps[:, None] >= steps, x[:, None], -1).amax(2)


def _taken(x: Tensor, steps: Tensor) -> Tensor:
    """These steps [B, T] of each row of [B, T, ...]."""
    return x.gather(1, steps[:, :, None].expand(-1, -1, x.shape[2]))
