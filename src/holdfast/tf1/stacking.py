"""Stacked cells: each takes the outputs of the one below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.cells.nested_state import State, describe
from holdfast.engines import EngineChoice
from holdfast.engines.check import check_state_parts
from holdfast.engines.time_loop import SequenceCell
from holdfast.errors import OptionError, ShapeError
from holdfast.tf1.rnn_cell import RNNCell, RunOptions
from holdfast.tf1.variables import VariableScope, variable_scope


class MultiRNNCell(RNNCell):
    """Stacked cells (``tf.nn.rnn_cell.MultiRNNCell``); each runs over the whole sequence before the next.

    Args:
        cells: The lowest first. One object used twice shares its variables.
        state_is_tuple: Whether the state is a tuple of the cells' states, or one tensor with these side by side.

    Raises:
        OptionError: There are no cells, or their states are tuples and ``state_is_tuple`` is False.

    Example:
        >>> from holdfast import tf1
        >>> cell = MultiRNNCell([tf1.BasicLSTMCell(4), tf1.GRUCell(5)])
        >>> outputs, state = tf1.dynamic_rnn(cell, torch.zeros(2, 7, 3), dtype=torch.float32, scope="multi")
        >>> outputs.shape, state[0].c.shape, state[1].shape
        (torch.Size([2, 7, 5]), torch.Size([2, 4]), torch.Size([2, 5]))
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

    def _split(self, state: State) -> list[State]:
        """The state of each cell."""
        sizes = [cell.state_size for cell in self._cells]
        if not self.state_is_tuple:
            if not isinstance(state, Tensor) or state.shape[-1] != sum(sizes):
                raise ShapeError(f"MultiRNNCell state is {describe(state)}; expected a tensor (batch, {sum(sizes)}).")
            return list(state.split_with_sizes(sizes, 1))
        check_state_parts("MultiRNNCell", state, len(sizes), f"a tuple of {len(sizes)}, one for each cell")
        return list(state)

    def _join(self, states: Sequence[State]) -> State:
        """The inverse of :meth:`_split`."""
        return tuple(states) if self.state_is_tuple else torch.cat(list(states), 1)

    def begin_sequence(self, inputs: Tensor, state: State) -> SequenceCell:
        """The cells for one batch of sequences [T, B, I]."""
        steps = []
        for cell, part in zip(self._cells, self._split(state), strict=True):
            steps.append(cell.begin_sequence(inputs, part))
            inputs = without_memory(inputs, cell.output_size)
        return _StackSteps(self, steps)

    def run(self, inputs: Tensor, state: State, options: RunOptions) -> tuple[Tensor, State]:
        """Runs a batch of sequences, cell by cell."""
        final = []
        for cell, part in zip(self._cells, self._split(state), strict=True):
            inputs, new = cell.run(inputs, part, options)
            final.append(new)
        return inputs, self._join(final)

    def choices(self, inputs: Tensor, state: State, options: RunOptions, part: str) -> Iterator[EngineChoice]:
        """The engine that :meth:`run` uses for each cell."""
        for number, (cell, cell_state) in enumerate(zip(self._cells, self._split(state), strict=True)):
            yield from cell.choices(inputs, cell_state, options, f"{part}/cell_{number}")
            inputs = without_memory(inputs, cell.output_size)


@dataclass(frozen=True)
class _StackSteps:
    stack: MultiRNNCell
    cells: list[SequenceCell]

    def prepare(self, inputs: Tensor) -> Tensor:
        return self.cells[0].prepare(inputs)

    def step(self, t: int, prepared: Tensor, state: State) -> tuple[Tensor, State]:
        new, output = [], prepared
        for number, (cell, part) in enumerate(zip(self.cells, self.stack._split(state), strict=True)):
            output, cell_state = cell.step(t, cell.prepare(output[None])[0] if number else output, part)
            new.append(cell_state)
        return output, self.stack._join(new)


def without_memory(like: Tensor, size: int) -> Tensor:
    """A tensor that differs from ``like`` in its last size and takes no memory; for code that only reads its shape."""
    return like.new_empty(()).expand(*like.shape[:-1], size)
