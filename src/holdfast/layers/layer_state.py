"""How a layer's state and its input's layout look from outside, and how from inside.

Inside, everything is batch first and a state is one tuple of tensors for each layer and direction; outside, it is as
torch.nn has it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from holdfast.cells import NAMES, CellSpec
from holdfast.errors import ShapeError

CellState = tuple[Tensor, ...]  # h [B, O], and for the LSTM c [B, H]


class Layout(NamedTuple):
    """Where the batch and the time stand in what the caller gave, and so in what they get back."""

    batched: bool
    time_first: bool

    def inward(self, x: Tensor) -> Tensor:
        """[T, B, I], [B, T, I] or [T, I] -> [B, T, I], without a copy."""
        if not self.batched:
            return x[None]
        return x.transpose(0, 1) if self.time_first else x

    def outward(self, y: Tensor) -> Tensor:
        """[..., B, T, O] -> as the input was laid out, without a copy."""
        if not self.batched:
            return y.squeeze(-3)
        return y.transpose(-3, -2) if self.time_first else y

    def state_outward(self, state: Tensor) -> Tensor:
        """[..., B, size] -> the same, or [..., size] for an input without a batch."""
        return state if self.batched else state.squeeze(-2)


LAYOUTS = {(batched, first): Layout(batched, first) for batched in (False, True) for first in (False, True)}
"""Every layout there is, by its fields: a call takes one rather than making it."""


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
        hx: What the caller gave; None for zeros.
        like: The input, [B, T, I].
        batched: Whether the caller's input had a batch.
        weight: A parameter, whose dtype and device zeros have.

    Returns:
        ``len(specs) * directions`` states.

    Raises:
        ShapeError: ``hx`` does not have the right parts or shapes.
    """
    name = NAMES[specs[0].kind]
    batch = like.shape[0]
    if hx is None:  # no engine writes into what it is given: one tensor stands for all of its size
        zeros: dict[int, Tensor] = {}
        states = []
        for spec in specs:
            for size in spec.state_sizes.values():
                if size not in zeros:
                    zeros[size] = weight.new_zeros(batch, size)
            states += [tuple([zeros[size] for size in spec.state_sizes.values()])] * directions
        return states
    letters = list(specs[0].state_sizes)
    parts = (hx,) if len(letters) == 1 else hx
    if not isinstance(parts, tuple | list) or len(parts) != len(letters):
        got = f"a {type(parts).__name__}" + (f" of {len(parts)}" if isinstance(parts, tuple | list) else "")
        raise ShapeError(f"{name} state is {got}; expected the pair (h0, c0).")
    columns = []
    for letter, part in zip(letters, parts, strict=True):
        rows = [part] if is_uniform(specs) else part
        groups = [specs] if is_uniform(specs) else [[spec] for spec in specs]
        if not isinstance(rows, tuple | list) or len(rows) != len(groups):
            raise ShapeError(
                f"{name} state {letter}0 is not a sequence of {len(specs)} tensors; the layers have different sizes: "
                "give one tensor (num_directions, batch, size) a layer."
            )
        column: list[Tensor] = []
        for number, (row, group) in enumerate(zip(rows, groups, strict=True)):
            label = f"{letter}0" if is_uniform(specs) else f"{letter}0[{number}]"
            column += _checked(name, label, row, group, directions, letter, like, batched)
        columns.append(column)
    return list(zip(*columns, strict=True))


def _checked(
    name: str,
    label: str,
    part: Any,
    group: Sequence[CellSpec],
    directions: int,
    letter: str,
    like: Tensor,
    batched: bool,
) -> list[Tensor]:
    size = group[0].state_sizes[letter]
    stack = "num_layers * num_directions" if len(group) > 1 or "[" not in label else "num_directions"
    width = "proj_size" if letter == "h" and group[0].proj_size else "hidden_size"
    shape: tuple[int, ...] = (len(group) * directions, like.shape[0], size)
    words = f"({stack}, batch, {width})"
    if not batched:
        shape, words = (shape[0], size), f"({stack}, {width})"
    if not isinstance(part, Tensor):
        raise ShapeError(f"{name} state {label} is a {type(part).__name__}; expected a tensor {words} = {shape}.")
    if part.shape != shape:
        raise ShapeError(f"{name} state {label} has shape {tuple(part.shape)}; expected {words} = {shape}.")
    return list(part if batched else part[:, None])


def join(
    specs: Sequence[CellSpec], directions: int, states: Sequence[CellState], outward: Callable[[Tensor], Tensor]
) -> Any:
    """The inverse of :func:`split`: a state, or per-step states, as the caller sees them.

    Args:
        specs: The layers' cells.
        directions: 1 or 2.
        states: One for each layer and direction.
        outward: What is done to each stacked tensor, such as :meth:`Layout.state_outward`.
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
    """[parts, B, size]; or, of per-step states, [parts, B, T, size] with the memory of each time first, as it was."""
    if parts[0].ndim == 2:
        return torch.stack(tuple(parts))
    return torch.stack([part.transpose(0, 1) for part in parts]).transpose(1, 2)


def pack(x: Tensor, like: PackedSequence) -> PackedSequence:
    """The outputs [B, T, O] packed in exactly the order of the packed input."""
    if like.sorted_indices is not None:
        x = x[like.sorted_indices]
    rows = [x[:size, t] for t, size in enumerate(like.batch_sizes.tolist())]
    return PackedSequence(torch.cat(rows), like.batch_sizes, like.sorted_indices, like.unsorted_indices)
