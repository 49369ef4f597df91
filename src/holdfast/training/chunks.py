"""The gradient of a batch as a sum over chunks of its rows, in an order that does not depend on who computes them.

A batch is divided into a fixed number of chunks. The gradient of each is computed alone, with random numbers that
depend on the seed, the update and the number of the chunk only; then they are added pairwise, as the leaves of a binary
tree. A process computes the chunks that it owns, adds those that form whole branches of the tree, and the processes
exchange the branches. So any number of processes gives the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import torch

from holdfast.training.chunk_tree import Branch, branches, owned, total
from holdfast.training.determinism import seed_everything
from holdfast.training.processes import Processes, added, exchange, joined_segments

if TYPE_CHECKING:
    from holdfast.data import Batch
    from holdfast.training.state import Training

_LEADING = 5  # values before the gradient: loss, amount, rows, stop, save


@dataclass(frozen=True)
class Sums:
    """What the processes know after they have added their chunks."""

    loss: torch.Tensor
    """The mean loss of the batch, a scalar."""
    rows: int
    """The sequences of the batch."""
    stop: bool
    """Whether one of them was asked to stop."""
    save: bool
    """Whether one of them wants a checkpoint."""


def whole_gradient(training: Training, batch: Batch, *, stop: bool, save: bool) -> Sums:
    """Computes the gradient of an update from its batch in one piece; the arguments are those of add_over_chunks."""
    batch = batch.to(training.device)
    result = training.task.loss(training.model, batch, training.carried.get(0))
    torch.autograd.backward(result.loss)
    training.keep(0, batch, result)
    return Sums(result.loss, len(batch), stop, save)


def add_over_chunks(training: Training, pieces: Mapping[int, Batch], *, stop: bool, save: bool) -> Sums:
    """Computes the gradient of an update, and leaves it in the parameters.

    Args:
        training: Between two updates, with gradients of None.
        pieces: The rows of this process's chunks, by chunk; a chunk without rows is missing.
        stop: Whether this process was asked to stop after the update.
        save: Whether this process wants a checkpoint after the update.

    Returns:
        The loss of the whole batch, and what all processes want.
    """
    processes, whole = training.processes, (0, training.chunks)
    layout = _Layout(training.parameters, processes.size)
    flags = torch.tensor([float(stop), float(save)])

    def leaf(branch: Branch) -> torch.Tensor | None:
        chunk, after = branch
        if after - chunk > 1:
            return None
        values = layout.zeros()
        if chunk in pieces:
            _add_chunk(training, chunk, pieces[chunk], layout, values)
        return values

    own = [total(branch, leaf) for branch in branches(training.mine, whole)]
    if processes.alone:
        summed = own[0]
        summed[3:_LEADING] = flags
    elif training.settings.exact:
        summed = _summed_exactly(own, flags, whole, processes, layout)
    else:
        summed = own[0] if own else layout.zeros()
        for more in own[1:]:
            summed += more
        summed[3:_LEADING] = flags
        added(summed)
    layout.give(summed)
    if not processes.alone:
        training.check_buffers()
    loss, amount, rows, stops, saves = summed[:_LEADING].cpu()
    return Sums(loss / amount if amount else loss, int(rows), bool(stops > 0), bool(saves > 0))


def _add_chunk(training: Training, chunk: int, batch: Batch, layout: _Layout, values: torch.Tensor) -> None:
    """Computes one chunk: its loss and gradient, times its amount."""
    settings = training.settings
    seed_everything(settings.seed, stream=(2, training.step, chunk))
    batch = batch.to(training.device)
    result = training.task.loss(training.model, batch, training.carried.get(chunk))
    amount = len(batch) if result.amount is None else result.amount
    torch.autograd.backward(result.loss * amount)
    layout.take(values)
    values[:3] = torch.tensor([float(result.loss.detach()) * amount, amount, len(batch)])
    training.keep(chunk, batch, result)


class _Layout:
    """Where the gradients lie in one vector: loss and flags, which parameters have one, and their values.

    Args:
        parameters: The parameters.
        size: The number of processes, of which the length is a multiple.
    """

    def __init__(self, parameters: Sequence[torch.nn.Parameter], size: int) -> None:
        self._parameters = parameters
        self._begin = _LEADING + len(parameters)
        values = self._begin + sum(parameter.numel() for parameter in parameters)
        self._length = -(-values // size) * size
        self._dtype = torch.float32
        for parameter in parameters:
            self._dtype = torch.promote_types(self._dtype, parameter.dtype)
        self._device = parameters[0].device

    def zeros(self) -> torch.Tensor:
        """A vector without anything."""
        return torch.zeros(self._length, dtype=self._dtype, device=self._device)

    def take(self, vector: torch.Tensor) -> None:
        """Moves the gradients of the parameters into a vector."""
        begin = self._begin
        for number, parameter in enumerate(self._parameters):
            if parameter.grad is not None:
                vector[_LEADING + number] = 1
                vector[begin : begin + parameter.numel()] = parameter.grad.flatten()
                parameter.grad = None
            begin += parameter.numel()

    def give(self, vector: torch.Tensor) -> None:
        """Gives the parameters the gradients of a vector, divided by its amount."""
        begin, amount = self._begin, vector[1].clamp(min=torch.finfo(self._dtype).tiny)
        present = vector[_LEADING : self._begin].tolist()
        for number, parameter in enumerate(self._parameters):
            if present[number]:
                gradient = vector[begin : begin + parameter.numel()] / amount
                parameter.grad = gradient.view_as(parameter).to(parameter.dtype)
            begin += parameter.numel()


def _summed_exactly(
    own: list[torch.Tensor], flags: torch.Tensor, whole: Branch, processes: Processes, layout: _Layout
) -> torch.Tensor:
    """The sum of all chunks in the order of the tree: each process adds up one segment of it."""
    chunks = whole[1]
    of_each = [branches(owned(chunks, Processes(rank, processes.size)), whole) for rank in range(processes.size)]
    rows = torch.stack(own) if own else layout.zeros().new_empty(0, layout.zeros().numel())
    received = exchange(rows, [len(mine) for mine in of_each])
    known = dict(zip(chain.from_iterable(of_each), received, strict=True))
    summed = joined_segments(total(whole, known.get).contiguous(), processes.size)
    both = flags.to(summed)
    added(both)
    summed[3:_LEADING] = both
    return summed
