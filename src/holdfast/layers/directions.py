"""Two directions of a layer as one output."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from holdfast.layers.layer_options import Merge


def merged(directions: Sequence[Tensor], merge: Merge) -> Tensor:
    """The outputs of all directions, [..., O] each, as one tensor.

    Args:
        directions: One or two tensors.
        merge: How two become one.
    """
    if len(directions) == 1:
        return directions[0]
    forwards, backwards = directions
    if merge == "concat":
        if forwards.ndim == 3:  # outputs, whose memory order is time first and stays so
            return torch.cat([part.transpose(0, 1) for part in directions], -1).transpose(0, 1)
        return torch.cat([forwards, backwards], -1)
    if merge == "product":
        return forwards * backwards
    return (forwards + backwards) / (2 if merge == "mean" else 1)
