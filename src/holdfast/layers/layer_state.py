"""A layer's state in two forms.

Inside a layer, it is one tuple of tensors for each layer and direction. For the caller, it is as in torch.nn: one
tensor h, or for the LSTM a pair (h, c), each with all layers and directions stacked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from holdfast.cells import NAMES, CellSpec
from holdfast.engines.check import check_state_part, check_state_parts, size_name
from holdfast.errors import ShapeError

CellState = tuple[Tensor, ...]  # h [B, O], and for the LSTM c [B, H]


def is_uniform(specs: Sequence[CellSpec]) -> bool:
    """Whether all layers have the same sizes, so that their states can be one tensor."""
    return len(specs) == 1 or all(spec.state_sizes == specs[0].state_sizes for spec in specs)


def split(
    specs: Sequence[CellSpec], directions: int, hx: Any, like: Tensor, batched: bool, weight: Tensor
) -> list[CellState]:
    """The initial state of each layer and direction.

    Args:
        specs: The layers' cells.
        directions: 1 or 2.
        hx: The caller's state; None for zeros.
        like: The input, [B, T, I].
        batched: Whether the caller's input had a batch.
        weight: A parameter; zeros get its dtype and device.

    Returns:
        ``len(specs) * directions`` states.

    Raises:
        ShapeError: ``hx`` does not have the right parts or shapes.
    """
    name = NAMES[specs[0].kind]
    if hx is None:
        return _zeros(specs, directions, weight, like.shape[0])
    letters = list(specs[0].state_sizes)
    parts = (hx,) if len(letters) == 1 else hx
    check_state_parts(name, parts, len(letters), "the pair (h0, c0)")
    uniform = is_uniform(specs)
    groups = [specs] if uniform else [[spec] for spec in specs]
    stack = "num_layers * num_directions" if uniform else "num_directions"
    columns = []
    for letter, part in zip(letters, parts, strict=True):
        tensors = [part] if uniform else part
        if not isinstance(tensors, tuple | list) or len(tensors) != len(groups):
            raise ShapeError(
                f"{name} state {letter}0 is not a sequence of {len(specs)} tensors; the layers have different sizes: "
                "give one tensor (num_directions, batch, size) per layer."
            )
        column: list[Tensor] = []
        for number, (tensor, group) in enumerate(zip(tensors, groups, strict=True)):
            label = f"{letter}0" if uniform else f"{letter}0[{number}]"
            count, width, size = len(group) * directions, size_name(group[0], letter), group[0].state_sizes[letter]
            axes = {stack: count, "batch": like.shape[0], width: size} if batched else {stack: count, width: size}
            check_state_part(name, label, tensor, axes)
            column.extend(tensor if batched else tensor[:, None])
        columns.append(column)
    return list(zip(*columns, strict=True))


def _zeros(specs: Sequence[CellSpec], directions: int, weight: Tensor, batch: int) -> list[CellState]:
    """States of zeros. No engine writes into its initial state, so parts of one size share one tensor."""
    zeros: dict[int, Tensor] = {}
    states = []
    for spec in specs:
        for size in spec.state_sizes.values():
            if size not in zeros:
                zeros[size] = weight.new_zeros(batch, size)
        states += [tuple([zeros[size] for size in spec.state_sizes.values()])] * directions
    return states


def join(
    specs: Sequence[CellSpec], directions: int, states: Sequence[CellState], outward: Callable[[Tensor], Tensor]
) -> Any:
    """The inverse of :func:`split`: a state, or per-step states, in the caller's form.

    Args:
        specs: The layers' cells.
        directions: 1 or 2.
        states: One for each layer and direction.
        outward: Applied to each stacked tensor, such as :meth:`~holdfast.layers.layout.Layout.state_outward`.
    """
    columns: list[Any] = []
    for column in zip(*states, strict=True):
        if len(column) == 1:
            columns.append(outward(column[0].unsqueeze(0)))  # faster than indexing
        elif is_uniform(specs):
            columns.append(outward(_stacked(column)))
        else:
            starts = range(0, len(column), directions)
            columns.append(tuple(outward(_stacked(column[k : k + directions])) for k in starts))
    return columns[0] if len(columns) == 1 else tuple(columns)


def _stacked(parts: Sequence[Tensor]) -> Tensor:
    """[parts, B, size]; or for per-step states [parts, B, T, size], where time stays first in memory."""
    if parts[0].ndim == 2:
        return torch.stack(tuple(parts))
    return torch.stack([part.transpose(0, 1) for part in parts]).transpose(1, 2)
