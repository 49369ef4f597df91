"""Recurrent layers with a cell of your own, run over time by :func:`holdfast.unroll`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holdfast.cells.nested_state import State, describe
from holdfast.cells.parameter_names import layer_suffix
from holdfast.engines.lengths import Lengths
from holdfast.engines.memory import Memory
from holdfast.engines.unrolling import unroll
from holdfast.errors import OptionError
from holdfast.layers.chain.own import Own, OwnTensor
from holdfast.layers.directions import merged
from holdfast.layers.layer_options import Merge


class OwnLayer(nn.Module):
    """Layers of a cell of your own, batch first; each layer has its own cell for each direction.

    Args:
        name: The name of the cell.
        make: Called with ``(inputs, units, **options)``; gives a cell as :func:`holdfast.unroll` takes it.
        input_size: I, values per step.
        sizes: The units of each layer.
        bidirectional: Whether each layer also runs from the end to the start.
        merge: How two directions become one output, as in :class:`holdfast.LSTM`.
        dropout: Dropout probability between layers.
        locked_dropout: Whether ``dropout`` drops the same units at every step.
        residual: Add each layer's input to its output, from the second layer on.
        memory: What is kept for the backward pass, as in :func:`holdfast.unroll`.
        **options: Further arguments of the cell.

    Raises:
        OptionError: The cell cannot be made with these arguments, or a step of it does not give an output and a state.
    """

    unroll_observer: Callable[..., tuple[Any, ...]] | None = None  # unrolls the cells, to look inside

    def __init__(
        self,
        name: str,
        make: Callable[..., nn.Module],
        input_size: int,
        sizes: Sequence[int],
        *,
        bidirectional: bool = False,
        merge: Merge = "concat",
        dropout: float = 0.0,
        locked_dropout: bool = False,
        residual: bool = False,
        memory: Memory = "keep",
        **options: Any,
    ) -> None:
        super().__init__()
        self.name, self.input_size, self.bidirectional, self.merge = name, input_size, bidirectional, merge
        self.dropout, self.locked_dropout, self.residual, self.memory = dropout, locked_dropout, residual, memory
        self.num_directions = 1 + bidirectional
        self.cells = nn.ModuleList()
        width = input_size
        for number, units in enumerate(sizes):
            for _ in range(self.num_directions):
                self.cells.append(_made(name, make, width, units, options))
            output = _output_size(name, self.cells[-1], width)
            output *= self.num_directions if merge == "concat" else 1
            if residual and number and output != width:
                raise OptionError(
                    f"residual needs layers of one width: layer {number} takes {width} values and gives {output}."
                )
            width = output
        self.output_size = width

    def forward(self, input: Tensor, state: Any = None, lengths: Lengths | None = None) -> tuple[Tensor, Any]:
        """Runs the layers over a batch of sequences.

        Args:
            input: [B, T, I].
            state: A state that this returned; None for the cells' own.
            lengths: Steps in each row, [B]; None when all rows have T.

        Returns:
            The outputs [B, T, O], and the state: the state of the cell of each layer and direction, as a tuple.
        """
        x, states, run = input, [], self.unroll_observer or unroll
        for first in range(0, len(self.cells), self.num_directions):
            outputs = []
            for place in range(first, first + self.num_directions):
                before = None if state is None else state[place]
                reverse = place > first
                output, after = run(self.cells[place], x, before, lengths, reverse=reverse, memory=self.memory)
                outputs.append(output)
                states.append(after)
            out = merged(outputs, self.merge)
            x = x + out if self.residual and first else out
            if self.dropout and first + self.num_directions < len(self.cells):
                x = self._dropped(x)
        return x, tuple(states)

    def suffix(self, cell: nn.Module) -> str:
        """The suffix of the layer and direction that one of the cells computes, as :func:`layer_suffix` gives it."""
        place = next(place for place, known in enumerate(self.cells) if known is cell)
        return layer_suffix(*divmod(place, self.num_directions))

    def _dropped(self, x: Tensor) -> Tensor:
        if self.locked_dropout:
            return x * F.dropout(x.new_ones(x.shape[0], 1, x.shape[2]), self.dropout, self.training)
        return F.dropout(x, self.dropout, self.training)

    def last_hidden(self, state: Any) -> Tensor:
        """The hidden state of the last layer, its directions merged as the outputs are: [B, output_size].

        Args:
            state: The final state from :meth:`forward`.

        Raises:
            OptionError: The first tensor of the cell's state does not have the size of its output.
        """
        hidden = merged([_first_tensor(part) for part in state[-self.num_directions :]], self.merge)
        if hidden.shape[-1] != self.output_size:
            raise OptionError(
                f"The first tensor in the state of the cell {self.name!r} has {hidden.shape[-1]} values and its output "
                f"{self.output_size}: it is not the hidden state. Put that first, or set model.head = last_output."
            )
        return hidden

    def part(self, name: str = "") -> Own:
        """The layers as a part of a chain.

        Args:
            name: The name of the layers in the module that contains them.
        """
        prefix = f"{name}." if name else ""
        tensors = tuple(OwnTensor(prefix + key, tuple(value.shape)) for key, value in self.state_dict().items())
        return Own("cell", self.name, self.input_size, self.output_size, tensors)

    def extra_repr(self) -> str:
        """The name of the cell and the sizes."""
        return f"{self.name}, {self.input_size}, {self.output_size}"


def _made(name: str, make: Callable[..., nn.Module], inputs: int, units: int, options: dict[str, Any]) -> nn.Module:
    try:
        cell = make(inputs, units, **options)
    except TypeError as error:
        given = ", ".join(["input_size", "hidden_size", *options])
        raise OptionError(f"The cell {name!r} cannot be made with ({given}): {error}.") from error
    if not isinstance(cell, nn.Module) or not hasattr(cell, "initial_state"):
        raise OptionError(
            f"The cell {name!r} is {describe(cell)}; expected a module with initial_state(batch, dtype, device) and "
            "forward(x, state) -> (output, state)."
        )
    return cell


def _output_size(name: str, cell: nn.Module, inputs: int) -> int:
    """The values in a step of a cell's output, from a step on zeros, which changes no random number of the program."""
    like = next((parameter for parameter in cell.parameters()), torch.empty(0))
    x = torch.zeros(2, 1, inputs, dtype=like.dtype, device=like.device)
    was_training = cell.training
    cell.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            output, _ = unroll(cell, x)
    except TypeError as error:
        raise OptionError(f"A step of the cell {name!r} failed: {error}.") from error
    finally:
        cell.train(was_training)
    if output.ndim != 3 or output.shape[:2] != (2, 1):
        shape = (2, *output.shape[2:])
        raise OptionError(f"The output of the cell {name!r} for x [2, {inputs}] has shape {shape}; expected [2, O].")
    return int(output.shape[-1])


def _first_tensor(state: State) -> Tensor:
    while not isinstance(state, Tensor):
        state = next(iter(state.values())) if isinstance(state, dict) else state[0]
    return state
