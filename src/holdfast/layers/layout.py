"""How the caller lays out the input of a layer, and so its results; inside a layer, everything is [B, T, ...]."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from holdfast.errors import ShapeError


class Layout(NamedTuple):
    """Whether the caller's input has a batch, and whether time comes first in it."""

    batched: bool
    time_first: bool

    def inward(self, x: Tensor) -> Tensor:
        """[T, B, I], [B, T, I] or [T, I] -> [B, T, I], without a copy."""
        if not self.batched:
            return x[None]
        return x.transpose(0, 1) if self.time_first else x

    def outward(self, y: Tensor) -> Tensor:
        """[..., B, T, O] -> the layout of the input, without a copy."""
        if not self.batched:
            return y.squeeze(-3)
        return y.transpose(-3, -2) if self.time_first else y

    def state_outward(self, state: Tensor) -> Tensor:
        """[..., B, size] -> the same, or [..., size] for an input without a batch."""
        return state if self.batched else state.squeeze(-2)


LAYOUTS = {(batched, first): Layout(batched, first) for batched in (False, True) for first in (False, True)}
"""Every layout by its fields; looking one up is faster than making it."""


def check_input(name: str, x: Any, input_size: int, batch_first: bool) -> None:
    """Refuses an input that is not a dense tensor [T, B, I], [B, T, I] or [T, I].

    Raises:
        ShapeError: It is not; the message begins with ``name``.
    """
    if not isinstance(x, Tensor):
        raise ShapeError(f"{name} input is a {type(x).__name__}; expected a tensor or a PackedSequence.")
    if x.layout is not torch.strided or x.is_nested:
        got = "nested" if x.is_nested else f"of layout {x.layout}"
        raise ShapeError(
            f"{name} input is a tensor that is {got}; expected a dense one: call to_dense() or, for rows of "
            "different lengths, to_padded_tensor(0.0), and give their lengths."
        )
    if x.ndim not in (2, 3) or x.shape[-1] != input_size:
        order = "(batch, time, input_size)" if batch_first else "(time, batch, input_size)"
        raise ShapeError(
            f"{name} input has shape {tuple(x.shape)}; expected {order}, or (time, input_size) without a batch, "
            f"with input_size = {input_size}."
        )


def pack(x: Tensor, like: PackedSequence) -> PackedSequence:
    """The outputs [B, T, O], packed in exactly the order of the packed input."""
    if like.sorted_indices is not None:
        x = x[like.sorted_indices]
    rows = [x[:size, t] for t, size in enumerate(like.batch_sizes.tolist())]
    return PackedSequence(torch.cat(rows), like.batch_sizes, like.sorted_indices, like.unsorted_indices)
