"""Cells on top of one another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.engines import EngineChoice
from holdfast.engines.unrolling import SequenceCell, State
from holdfast.errors import OptionError, ShapeError
from holdfast.tf1.rnn_cell import How, RNNCell
from holdfast.tf1.variables import VariableScope, variable_scope


class MultiRNNCell(RNNCell):
    """Cells on top of one another (``tf.nn.rnn_cell.MultiRNNCell``); each runs over the whole sequence before the next.

    Args:
        cells: The lowest first. Each must be an object of its own, or they share their variables.
        state_is_tuple: Whether the state is a tuple of the cells' states, or these side by side in one tensor.

    Raises:
        OptionError: There are no cells, or their states are tuples and ``state_is_tuple`` is False.
    """

    default_name = "multi_rnn_cell"

    def __init__(self, cells: Sequence[RNNCell], state_is_tuple: bool = True) -> None:
        super().__init__()
        if not isinstance(cells, Sequence) or not cells:
            raise OptionError(f"MultiRNNCell got cells={cells!r}; expected a list of one cell or more.")
        self.cells, self.state_is_tuple = nn.ModuleList(cells), state_is_tuple
        if not state_is_tuple and not all(isinstance(cell.state_size, int) for cell in cells):
            raise OptionError(
                "MultiRNNCell has state_is_tuple=False and cells whose states are tuples; expected tensors. Make the "
                "cells with state_is_tuple=False too."
            )

    @property
    def _cells(self) -> list[RNNCell]:
        return list(self.cells)  # type: ignore[arg-type]

    @property
    def state_size(self) -> Any:
        """A size for each cell, or their sum."""
        sizes = tuple(cell.state_size for cell in self._cells)
        return sizes if self.state_is_tuple else sum(sizes)

    @property
    def output_size(self) -> int:
        """Of the last cell."""
        return self._cells[-1].output_size

    def make_variables(
        self, depth: int, dtype: torch.dtype, device: Any, scope: str | VariableScope | None = None
    ) -> None:
        """Makes the variables of every cell, under ``multi_rnn_cell/cell_0``, ``cell_1``, ...."""
        if self.built:
            return
        with self._opened(scope):
            for number, cell in enumerate(self._cells):
                with variable_scope(f"cell_{number}"):
                    cell.make_variables(depth, dtype, device)
                depth = cell.output_size
        self.built = True

    def apart(self, state: State) -> list[State]:
        """The state of each cell."""
        sizes = [cell.state_size for cell in self._cells]
        if not self.state_is_tuple:
            if not isinstance(state, Tensor) or state.shape[-1] != sum(sizes):
                got = (
                    f"has shape {tuple(state.shape)}"
                    if isinstance(state, Tensor)
                    else f"is of type {type(state).__name__}"
                )
                raise ShapeError(f"MultiRNNCell state {got}; expected a tensor (batch, {sum(sizes)}).")
            return list(state.split_with_sizes(sizes, 1))
        if not isinstance(state, tuple | list) or len(state) != len(sizes):
            got = f"has {len(state)} parts" if isinstance(state, tuple | list) else f"is of type {type(state).__name__}"
            raise ShapeError(f"MultiRNNCell state {got}; expected a tuple of {len(sizes)}, one for each cell.")
        return list(state)

    def together(self, states: Sequence[State]) -> State:
        """The inverse of :meth:`apart`."""
        return tuple(states) if self.state_is_tuple else torch.cat(list(states), 1)

    def begin_sequence(self, inputs: Tensor, state: State) -> SequenceCell:
        """The cells for one batch of sequences [T, B, I]."""
        begun = []
        for cell, part in zip(self._cells, self.apart(state), strict=True):
            begun.append(cell.begin_sequence(inputs, part))
            inputs = without_memory(inputs, cell.output_size)
        return _StackSteps(self, begun)

    def run(self, inputs: Tensor, state: State, how: How) -> tuple[Tensor, State]:
        """A whole batch of sequences, cell by cell."""
        final = []
        for cell, part in zip(self._cells, self.apart(state), strict=True):
            inputs, new = cell.run(inputs, part, how)
            final.append(new)
        return inputs, self.together(final)

    def choices(self, inputs: Tensor, state: State, how: How, part: str) -> Iterator[EngineChoice]:
        """What :meth:`run` uses for each cell."""
        for number, (cell, of_cell) in enumerate(zip(self._cells, self.apart(state), strict=True)):
            yield from cell.choices(inputs, of_cell, how, f"{part}/cell_{number}")
            inputs = without_memory(inputs, cell.output_size)


@dataclass(frozen=True)
class _StackSteps:
    stack: MultiRNNCell
    cells: list[SequenceCell]

    def prepare(self, inputs: Tensor) -> Tensor:
        return self.cells[0].prepare(inputs)

    def step(self, t: int, prepared: Tensor, state: State) -> tuple[Tensor, State]:
        new, output = [], prepared
        for number, (cell, part) in enumerate(zip(self.cells, self.stack.apart(state), strict=True)):
            output, of_cell = cell.step(t, cell.prepare(output[None])[0] if number else output, part)
            new.append(of_cell)
        return output, self.stack.together(new)


def without_memory(like: Tensor, size: int) -> Tensor:
    """A tensor of the same shape but for its last size, for those who ask a shape only."""
    return like.new_empty(()).expand(*like.shape[:-1], size)
