"""The random masks of a sequence, drawn before it starts.

A cell is a function of its inputs, parameters and masks. As the masks are drawn beforehand, every engine uses the same
ones, and so does a recomputation of the same steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields

import numpy as np
import torch
from torch import Tensor

from holdfast.cells import calling
from holdfast.cells.spec import CellSpec

_EVERY_STEP = {"every_step": True}  # [T, B, ...]: a mask for each step


@dataclass(frozen=True)
class Noise:
    """The masks of one batch of sequences, or (after :meth:`at`) of one step of it. None: that option is off.

    The metadata of each field says whether it has a mask for every step; no other code lists these fields.

    Attributes:
        state: Dropout of h on its way into the products, 0 or 1 / keep, the same at every step: [B, O] for all gates,
            or [B, gates, O] with a mask for each, in the order of :attr:`CellSpec.gates`.
        candidate: Dropout of the candidate, [T, B, H], 0 or 1 / keep.
        zoneout_h: True where a unit of h keeps its old value, [T, B, O].
        zoneout_c: True where a unit of c keeps its old value, [T, B, H].

    Example:
        >>> masks = Noise(zoneout_h=torch.zeros(7, 2, 4, dtype=torch.bool))
        >>> masks.at(3).zoneout_h.shape, masks.at(slice(2, 5)).zoneout_h.shape
        (torch.Size([2, 4]), torch.Size([3, 2, 4]))
    """

    state: Tensor | None = None
    candidate: Tensor | None = field(default=None, metadata=_EVERY_STEP)
    zoneout_h: Tensor | None = field(default=None, metadata=_EVERY_STEP)
    zoneout_c: Tensor | None = field(default=None, metadata=_EVERY_STEP)

    def at(self, steps: int | slice) -> Noise:
        """The masks of one step or of a range of steps, as views."""
        return self._map(lambda mask, every_step: mask[steps] if every_step else mask)

    def to(self, dtype: torch.dtype) -> Noise:
        """The same masks with numbers in another dtype; boolean masks stay."""
        return self._map(lambda mask, _: mask if mask.dtype == torch.bool else mask.to(dtype))

    def named(self) -> Iterator[tuple[str, Tensor]]:
        """The name and the mask of each field that is not None; the attributes have the shapes."""
        for name, _ in _FIELDS:
            if (mask := getattr(self, name)) is not None:
                yield name, mask

    def _map(self, change: Callable[[Tensor, bool], Tensor]) -> Noise:
        """Applies ``change`` to each mask and to whether it has a mask for every step."""
        masks = ((getattr(self, name), every_step) for name, every_step in _FIELDS)
        return Noise(*(None if mask is None else change(mask, every_step) for mask, every_step in masks))


_FIELDS = tuple((mask.name, bool(mask.metadata)) for mask in fields(Noise))


# Draws a mask of a shape and dtype: with a probability True or, in a dtype of numbers, 1 / probability; else 0.
Draw = Callable[[float, tuple[int, ...], torch.dtype], Tensor]


def draw_by_numpy(bits: np.random.SFC64) -> Draw:
    """Draws masks on the CPU by one of NumPy's generators.

    torch takes 6 ns per value, as long as all the sums in a step of a small LSTM; this takes 0.5 ns. Eight random bits
    decide; if they equal the threshold, in one of 256 cases, another 64 bits decide.

    Args:
        bits: The generator, seeded from torch's random state.
    """

    def draw(probability: float, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        size = math.prod(shape)
        whole, rest = divmod(probability * 256, 1)
        drawn = bits.random_raw(-(-size // 8)).view(np.uint8)[:size]
        values = drawn < int(whole)
        undecided = np.flatnonzero(drawn == int(whole))
        values[undecided] = bits.random_raw(len(undecided)) < rest * 2.0**64
        if dtype == torch.bool:
            return torch.from_numpy(values).view(shape)
        numbers = torch.from_numpy(values.view(np.uint8))  # torch converts these in a third of the time
        return numbers.to(dtype).div_(probability).view(shape)

    return draw


def _draw_by_torch(device: torch.device) -> Draw:
    """Draws masks by torch's operators, which can be recorded and transformed."""

    def draw(probability: float, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        values = torch.rand(shape, device=device) < probability
        return values if dtype == torch.bool else values.to(dtype).div_(probability)

    return draw


def draw_noise(
    spec: CellSpec, batch: int, steps: int, like: Tensor, draw_by: Callable[[np.random.SFC64], Draw] = draw_by_numpy
) -> Noise | None:
    """Draws the masks of ``batch`` sequences of ``steps`` steps from torch's random state.

    Args:
        spec: The cell.
        batch: B.
        steps: T.
        like: A tensor whose device the masks have, and whose dtype those of dropout have.
        draw_by: What draws on the CPU in a plain call, such as :func:`draw_by_numpy`.

    Returns:
        The masks, or None when the cell has no random part.

    Example:
        >>> spec = CellSpec(kind="lstm", input_size=3, hidden_size=4, recurrent_dropout=0.5)
        >>> draw_noise(spec, 2, 7, torch.zeros(())).state.shape
        torch.Size([2, 4])
    """
    if not spec.is_random:
        return None
    O, H = spec.output_size, spec.hidden_size  # noqa: E741 (O is the output size everywhere)
    if like.device.type == "cpu" and calling.is_plain():
        draw = draw_by(np.random.SFC64(int(torch.empty((), dtype=torch.int64).random_())))
    else:
        draw = _draw_by_torch(like.device)

    def keep(*shape: int) -> Tensor | None:
        return draw(1 - spec.recurrent_dropout, shape, like.dtype) if spec.recurrent_dropout else None

    def zone(p: float, *shape: int) -> Tensor | None:
        return draw(p, shape, torch.bool) if p else None

    mode = spec.recurrent_dropout_mode
    per_gate = (len(spec.gates),) if mode == "gates" else ()
    return Noise(
        state=None if mode == "candidate" else keep(batch, *per_gate, O),
        candidate=keep(steps, batch, H) if mode == "candidate" else None,
        zoneout_h=zone(spec.zoneout_h, steps, batch, O),
        zoneout_c=zone(spec.zoneout_c, steps, batch, H),
    )


def dropped(x: Tensor, mask: Tensor | None) -> Tensor:
    """``x`` times the mask; ``x`` itself without a mask."""
    return x if mask is None else x * mask


def dropped_state(h: Tensor, mask: Tensor | None) -> Tensor:
    """The state that enters the products: [B, O], or [B, gates, O] where each gate has its own mask."""
    return dropped(h if mask is None or mask.dim() == 2 else h[:, None], mask)


def zoned(old: Tensor, new: Tensor, mask: Tensor | None, probability: float) -> Tensor:
    """Zoneout: the old value where the mask is true; without a mask (evaluation), the expected value of both."""
    if mask is not None:
        return torch.where(mask, old, new)
    return new + probability * (old - new) if probability else new
