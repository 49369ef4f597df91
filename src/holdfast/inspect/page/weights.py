"""The weights of a page: float32, little endian, in base64."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

Places = list[tuple[str, int, int]]


def in_order(tensors: Mapping[str, Tensor], names: Iterable[str]) -> tuple[Places, list[Tensor]]:
    """The places of tensors in one list of numbers; two names of one tensor have one place.

    Args:
        tensors: Of a model, by name.
        names: Those that its chain has.

    Returns:
        The name, the first number and the count of numbers of each; and the tensors that are stored.
    """
    places: Places = []
    stored: list[Tensor] = []
    known: dict[tuple[int, torch.Size], int] = {}
    end = 0
    for name in names:
        tensor = tensors[name]
        key = (tensor.data_ptr(), tensor.shape)
        if key not in known:
            known[key] = end
            stored.append(tensor)
            end += tensor.numel()
        places.append((name, known[key], tensor.numel()))
    return places, stored


def encoded(stored: Iterable[Tensor]) -> str:
    """The numbers of tensors, one after the other, as text."""
    arrays = [tensor.detach().cpu().to(torch.float32).contiguous().numpy().astype("<f4") for tensor in stored]
    return base64.b64encode(b"".join(array.tobytes() for array in arrays)).decode("ascii")
