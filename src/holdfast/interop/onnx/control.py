"""Branches and loops that are decided when a network runs; the graphs inside them are networks.

The outer values that such a graph uses are inputs of its network, after the inputs that the operator hands to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.errors import OptionError, ShapeError

MAX_ROUNDS = 1_000_000
"""The largest number of rounds of one loop per call; a file can ask for more than would ever end."""


class Branch(nn.Module):
    """``If``: one of two networks, by a condition.

    Inputs: the condition, one truth value; and the values that the networks take. Outputs: those of the network.
    """

    def __init__(self, then: nn.Module, otherwise: nn.Module) -> None:
        """Stores the networks for a true condition and for a false one."""
        super().__init__()
        self.then, self.otherwise = then, otherwise

    def forward(self, condition: Tensor, *values: Tensor | None) -> tuple[Any, ...]:
        """Runs one network; see the class."""
        return _call(self.then if _is_true("If", condition) else self.otherwise, *values)


class Loop(nn.Module):
    """``Loop``: runs a network again and again; each round takes the values that the round before gave.

    Inputs: the number of rounds and a condition for the first round, None for no limit; what the first round takes;
    and the outer values. Outputs: what the last round gave, and the further outputs of all rounds, stacked.

    The network takes the number of the round, the condition, and these values. It gives the condition for the next
    round, what the next round takes, and the further outputs.
    """

    def __init__(self, body: nn.Module, carried: int) -> None:
        """Stores the network; ``carried`` is the number of values that each round hands to the next."""
        super().__init__()
        _check_counts(carried)
        self.body, self.carried = body, carried

    def forward(self, count: Tensor | None, condition: Tensor | None, *values: Tensor | None) -> tuple[Any, ...]:
        """Runs the loop; see the class."""
        rounds = MAX_ROUNDS + 1 if count is None else int(count)
        if count is not None and rounds > MAX_ROUNDS:
            raise ShapeError(f"Loop asks for {rounds:,} rounds; expected at most {MAX_ROUNDS:,}.")
        state, outer = list(values[: self.carried]), values[self.carried :]
        going = condition is None or _is_true("Loop", condition)
        further: list[Sequence[Any]] = []
        while going and len(further) < rounds:
            if len(further) == MAX_ROUNDS:
                raise ShapeError(f"Loop goes on after {MAX_ROUNDS:,} rounds; expected its condition to become false.")
            number = torch.tensor(len(further), dtype=torch.int64)
            next_condition, *outputs = _call(self.body, number, torch.tensor(True), *state, *outer)
            state = outputs[: self.carried]
            further.append(outputs[self.carried :])
            going = _is_true("Loop", next_condition)
        columns = _columns(self.body, further, 1 + self.carried)
        return (*state, *(torch.stack(column) if column else torch.zeros(0) for column in columns))


class Scan(nn.Module):
    """``Scan``: runs a network at every step of sequences.

    Inputs: the first values of those that go from step to step; the sequences; and the outer values. Outputs: the
    values after the last step, and the further outputs of all steps, stacked.
    """

    def __init__(
        self,
        body: nn.Module,
        carried: int,
        scanned: int,
        axes: Sequence[int] | None = None,
        backwards: Sequence[int] | None = None,
        out_axes: Sequence[int] | None = None,
        out_backwards: Sequence[int] | None = None,
    ) -> None:
        """Stores the network.

        Args:
            body: The network; it takes the values that go along, a step of each sequence, and the outer values.
            carried: The number of values that go from step to step.
            scanned: The number of sequences.
            axes: The axis of the steps of each sequence; None for axis 0 everywhere.
            backwards: For each sequence, 1 if its last step comes first.
            out_axes: The same as ``axes``, for the further outputs.
            out_backwards: The same as ``backwards``, for the further outputs.
        """
        super().__init__()
        _check_counts(carried, scanned)
        self.body, self.carried, self.scanned = body, carried, scanned
        self.axes, self.backwards = list(axes or [0] * scanned), list(backwards or [0] * scanned)
        if len(self.axes) != scanned or len(self.backwards) != scanned or not scanned:
            raise OptionError(
                f"Scan has {scanned} sequences, axes {self.axes} and directions {self.backwards}; expected at least "
                "one sequence, and a number of each for every one."
            )
        self.out_axes, self.out_backwards = list(out_axes or []), list(out_backwards or [])

    def forward(self, *values: Tensor) -> tuple[Any, ...]:
        """Runs the loop; see the class."""
        state = list(values[: self.carried])
        sequences, outer = values[self.carried :][: self.scanned], values[self.carried + self.scanned :]
        steps = [
            (sequence.flip(axis) if flipped else sequence).unbind(axis)
            for sequence, axis, flipped in zip(sequences, self.axes, self.backwards, strict=True)
        ]
        lengths = [len(sequence) for sequence in steps]
        if len(set(lengths)) > 1:
            raise ShapeError(f"Scan got sequences of {lengths} steps; expected equally many.")
        further: list[Sequence[Any]] = []
        for step in zip(*steps, strict=True):
            outputs = _call(self.body, *state, *step, *outer)
            state = list(outputs[: self.carried])
            further.append(outputs[self.carried :])
        columns = _columns(self.body, further, self.carried)
        return (*state, *(self._stacked(number, column) for number, column in enumerate(columns)))

    def _stacked(self, number: int, column: Sequence[Tensor]) -> Tensor:
        if not column:
            return torch.zeros(0)
        flipped = number < len(self.out_backwards) and self.out_backwards[number]
        axis = self.out_axes[number] if number < len(self.out_axes) else 0
        return torch.stack(list(reversed(column)) if flipped else list(column), axis)


def _call(network: nn.Module, *values: Tensor | None) -> tuple[Any, ...]:
    outputs = network(*values)
    return outputs if isinstance(outputs, tuple) else (outputs,)


def _columns(body: nn.Module, further: Sequence[Sequence[Any]], first: int) -> list[tuple[Any, ...]]:
    """The values of each further output over all rounds; ``first`` is the place of the first of them."""
    return list(zip(*further, strict=True)) if further else [()] * (len(getattr(body, "outputs", ())) - first)


def _is_true(op: str, condition: Tensor) -> bool:
    if condition.numel() != 1:
        raise ShapeError(f"{op} got a condition of shape {tuple(condition.shape)}; expected one truth value.")
    return bool(condition)


def _check_counts(*counts: int) -> None:
    if not all(isinstance(count, int) and count >= 0 for count in counts):
        raise OptionError(f"A loop has {counts} values; expected whole numbers from 0 on.")
