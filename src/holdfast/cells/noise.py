"""The random masks of a sequence, drawn before it starts.

A cell is a function of its inputs, parameters and masks: drawing them beforehand lets every engine, and a
recomputation of the same steps, see the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from holdfast.cells.spec import CellSpec


@dataclass(frozen=True)
class Noise:
    """The masks of one batch of sequences, or (after :meth:`at`) of one step of it. None: that option is off.

    Attributes:
        state: Dropout of h on its way into the products, [B, O], 0 or 1 / keep, the same at every step.
        candidate: Dropout of the candidate, [T, B, H], 0 or 1 / keep.
        zoneout_h: True where a unit of h keeps its old value, [T, B, O].
        zoneout_c: True where a unit of c keeps its old value, [T, B, H].
    """

    state: Tensor | None = None
    candidate: Tensor | None = None
    zoneout_h: Tensor | None = None
    zoneout_c: Tensor | None = None

    def at(self, t: int) -> Noise:
        """The masks of step ``t``."""
        candidate, zoneout_h, zoneout_c = (
            None if mask is None else mask[t] for mask in (self.candidate, self.zoneout_h, self.zoneout_c)
        )
        return Noise(self.state, candidate, zoneout_h, zoneout_c)


def draw_noise(spec: CellSpec, batch: int, steps: int, like: Tensor) -> Noise | None:
    """Draws the masks of ``batch`` sequences of ``steps`` steps from torch's random state.

    Args:
        spec: The cell.
        batch: B.
        steps: T.
        like: The masks get this tensor's dtype (dropout) and device.

    Returns:
        The masks, or None when the cell has no random part.
    """
    if not spec.is_random:
        return None
    O, H = spec.output_size, spec.hidden_size  # noqa: E741 (O is the output size everywhere)

    def keep(*shape: int) -> Tensor | None:
        p = spec.recurrent_dropout
        return like.new_empty(shape).bernoulli_(1 - p).div_(1 - p) if p else None

    def zone(p: float, *shape: int) -> Tensor | None:
        return torch.empty(shape, dtype=torch.bool, device=like.device).bernoulli_(p) if p else None

    on_state = spec.recurrent_dropout_mode == "state"
    return Noise(
        state=keep(batch, O) if on_state else None,
        candidate=None if on_state else keep(steps, batch, H),
        zoneout_h=zone(spec.zoneout_h, steps, batch, O),
        zoneout_c=zone(spec.zoneout_c, steps, batch, H),
    )


def dropped(x: Tensor, mask: Tensor | None) -> Tensor:
    """``x`` with the mask applied, or ``x`` itself where there is none."""
    return x if mask is None else x * mask


def zoned(old: Tensor, new: Tensor, mask: Tensor | None, probability: float) -> Tensor:
    """Zoneout: the old value where the mask says so; without a mask (evaluation), the expected value of both."""
    if mask is not None:
        return torch.where(mask, old, new)
    return new + probability * (old - new) if probability else new
