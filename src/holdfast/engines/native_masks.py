"""The random masks of a call, drawn by compiled code: the same bits as :func:`holdfast.cells.draw_noise` draws."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from holdfast import cells
from holdfast.cells import CellSpec, Noise
from holdfast.cells.noise import Draw, draw_by_numpy

_NAMES = {torch.bool: "draw_u8", torch.float32: "draw_f32", torch.float64: "draw_f64"}


def draw_noise(spec: CellSpec, batch: int, steps: int, like: Tensor) -> Noise | None:
    """As :func:`holdfast.cells.draw_noise`, in less time where Holdfast has its kernels.

    Args:
        spec: The cell.
        batch: B.
        steps: T.
        like: A tensor whose device the masks have, and whose dtype those of dropout have.
    """
    return cells.draw_noise(spec, batch, steps, like, draw_by_kernels)


def draw_by_kernels(bits: np.random.SFC64) -> Draw:
    """What draws masks from the state of NumPy's generator, and does not change it."""
    try:
        from holdfast.runtime import _native
    except ImportError:  # installed without it
        return draw_by_numpy(bits)
    generator = _native.MaskGenerator(*bits.state["state"]["state"].tolist())

    def draw(probability: float, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        if dtype not in _NAMES:
            return draw(probability, shape, torch.bool).to(dtype).div_(probability)
        values = torch.empty(shape, dtype=dtype)
        getattr(generator, _NAMES[dtype])(probability, values.numel(), values.data_ptr())
        return values

    return draw
