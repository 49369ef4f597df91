"""Branches and loops of ONNX that are decided when a network runs; the graphs inside them are networks of their own.

The values from around such a graph that it uses are inputs of its network, behind those that the operator hands it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.errors import OptionError, ShapeError

MAX_ROUNDS = 1_000_000
"""Of one loop in one call; a file can ask for more than would ever end."""


class Branch(nn.Module):
    """``If``: one of two networks, by a condition.

    Inputs: the condition, one truth value; and the values that the networks take. Outputs: those of the network.
    """

    def __init__(self, then: nn.Module, otherwise: nn.Module) -> None:
        """Keeps the networks.

        Args:
            then: The one that runs where the condition holds.
            otherwise: The other.
        """
        super().__init__()
        self.then, self.otherwise = then, otherwise

    def forward(self, condition: Tensor, *values: Tensor | None) -> tuple[Any, ...]:
        """As the class says."""
        return _called(self.then if _holds("If", condition) else self.otherwise, *values)


class Loop(nn.Module):
    """``Loop``: a network over and over, each time with the values that it gave before.

    Inputs: the number of rounds, and a condition to begin with (None for no limit); what the first round takes; and the
    values from around it. Outputs: what the last round gave, and the further outputs of all rounds one behind the
    other.

    The network takes the number of the round, the condition, and these values; it gives the condition to go on, what
    the next round takes, and the further outputs.
    """

    def __init__(self, body: nn.Module, carried: int) -> None:
        """Keeps the network.

        Args:
            body: The network.
            carried: How many values each round hands to the next.
        """
        super().__init__()
        _check_counts(carried)
        self.body, self.carried = body, carried

    def forward(self, count: Tensor | None, condition: Tensor | None, *values: Tensor | None) -> tuple[Any, ...]:
        """As the class says."""
        rounds = MAX_ROUNDS + 1 if count is None else int(count)
        if count is not None and rounds > MAX_ROUNDS:
            raise ShapeError(f"Loop is asked for {rounds:,} rounds; expected at most {MAX_ROUNDS:,}.")
        state, around = list(values[: self.carried]), values[self.carried :]
        going = condition is None or _holds("Loop", condition)
        given: list[tuple[Any, ...]] = []
        number = 0
        while going and number < rounds:
            if number == MAX_ROUNDS:
                raise ShapeError(f"Loop goes on after {MAX_ROUNDS:,} rounds; expected its condition to end before.")
            at = torch.tensor(number, dtype=torch.int64)
            going_on, *found = _called(self.body, at, torch.tensor(True), *state, *around)
            state = found[: self.carried]
            given.append(tuple(found[self.carried :]))
            going = _holds("Loop", going_on)
            number += 1
        further = len(getattr(self.body, "outputs", ())) - 1 - self.carried
        columns = zip(*given, strict=True) if given else [()] * further
        return (*state, *(torch.stack(column) if column else torch.zeros(0) for column in columns))


class Scan(nn.Module):
    """``Scan``: a network at every step of sequences.

    Inputs: the values that go from step to step, as they are at first; the sequences; and the values from around it.
    Outputs: the values after the last step, and the further outputs of all steps.
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
        """Keeps the network.

        Args:
            body: The network; it takes the values that go along, a step of each sequence, and the values from around.
            carried: How many values go from step to step.
            scanned: How many sequences there are.
            axes: The axis of each sequence that its steps are along; 0 for each where it is left out.
            backwards: For each sequence 1 if its last step comes first.
            out_axes: As ``axes``, of the further outputs.
            out_backwards: As ``backwards``, of these.
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
        """As the class says."""
        state = list(values[: self.carried])
        sequences, around = values[self.carried :][: self.scanned], values[self.carried + self.scanned :]
        steps = [
            (one.flip(axis) if turned else one).unbind(axis)
            for one, axis, turned in zip(sequences, self.axes, self.backwards, strict=True)
        ]
        if len({len(one) for one in steps}) > 1:
            raise ShapeError(f"Scan got sequences of {[len(one) for one in steps]} steps; expected equally many.")
        given: list[Sequence[Any]] = []
        for step in zip(*steps, strict=True):
            found = _called(self.body, *state, *step, *around)
            state = list(found[: self.carried])
            given.append(found[self.carried :])
        further = len(getattr(self.body, "outputs", ())) - self.carried
        columns = zip(*given, strict=True) if given else [()] * further
        return (*state, *(self._joined(number, column) for number, column in enumerate(columns)))

    def _joined(self, number: int, column: Sequence[Tensor]) -> Tensor:
        if not column:
            return torch.zeros(0)
        turned = number < len(self.out_backwards) and self.out_backwards[number]
        axis = self.out_axes[number] if number < len(self.out_axes) else 0
        return torch.stack(list(reversed(column)) if turned else list(column), axis)


def _called(network: nn.Module, *values: Tensor | None) -> tuple[Any, ...]:
    found = network(*values)
    return found if isinstance(found, tuple) else (found,)


def _holds(op: str, condition: Tensor) -> bool:
    if condition.numel() != 1:
        raise ShapeError(f"{op} got a condition of shape {tuple(condition.shape)}; expected one truth value.")
    return bool(condition)


def _check_counts(*counts: int) -> None:
    if not all(isinstance(count, int) and count >= 0 for count in counts):
        raise OptionError(f"A loop has {counts} values; expected whole numbers from 0 on.")
