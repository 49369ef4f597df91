"""Recurrent layers under any mask, with Keras's meaning: a masked step does not count, at any position.

Holdfast's layers skip only the steps past a row's length. So the steps that count move to the front of their row, in
their order, and the outputs move back.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from holdfast.cells import calling


class Compacted(NamedTuple):
    """A batch in which the steps that count are at the front of each row.

    Attributes:
        inputs: [B, T, I].
        lengths: The number of steps that count in each row, [B].
        places: The new position of each step, [B, T]; None if no step moved.
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
    # Padding at the end only is the usual case. A traced model must work for any mask.
    if calling.can_read(mask) and not (mask[:, 1:] & ~mask[:, :-1]).any():
        return Compacted(inputs, lengths, None)
    # As whole numbers, since ONNX adds up no booleans.
    places = torch.where(mask, mask.long().cumsum(1), lengths[:, None] + (~mask).long().cumsum(1)) - 1
    moved = torch.zeros_like(inputs).scatter(1, places[:, :, None].expand_as(inputs), inputs)
    return Compacted(moved, lengths, places)


def spread(outputs: Tensor, mask: Tensor, places: Tensor | None, *, repeat: bool, reverse: bool = False) -> Tensor:
    """The outputs of a compacted batch at the original positions of their steps.

    Args:
        outputs: [B, T, O], of a layer that ran over :class:`Compacted` inputs with their lengths.
        mask: [B, T], the original mask.
        places: The attribute of :class:`Compacted`.
        repeat: Whether the output at a masked step is the previous output (zero before the first); else it is zero.
        reverse: Whether the layer ran from the last step to the first: the output before a step is then a later one.
    """
    if places is not None:
        outputs = _at_steps(outputs, places)
    if not repeat:
        return outputs
    steps = torch.arange(mask.shape[1], device=mask.device)
    if reverse:
        last = mask.shape[1] - 1 - _running_maximum(torch.where(mask, mask.shape[1] - 1 - steps, -1).flip(1)).flip(1)
        known = last < mask.shape[1]
    else:
        last = _running_maximum(torch.where(mask, steps, -1))
        known = last >= 0
    held = _at_steps(outputs, last.clamp(0, mask.shape[1] - 1))
    return held * known[:, :, None].to(held.dtype)


def _running_maximum(x: Tensor) -> Tensor:
    """The largest value up to each step, [B, T]."""
    if not (calling.is_traced() or torch.compiler.is_exporting()):
        return x.cummax(1).values
    steps = torch.arange(x.shape[1], device=x.device)  # models are traced for ONNX, which has no running maximum
    return torch.where(steps[:, None] >= steps, x[:, None], -1).amax(2)


def _at_steps(x: Tensor, steps: Tensor) -> Tensor:
    """The given steps [B, T] of each row of [B, T, ...]."""
    return x.gather(1, steps[:, :, None].expand(-1, -1, x.shape[2]))
