"""What one layer computed in one direction, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LayerRecording:
    """What one layer computed in one direction; times are in the order of the sequence, also for a reversed direction.

    Attributes:
        cell: ``"RNN"``, ``"GRU"``, ``"LSTM"``, or the name of a cell of your own.
        gates: Every gate and the candidate, [B, T, H] each, by name: ``input``, ``forget``, ``candidate``, ``output``
            of the LSTM (``forget`` also with coupled gates); ``reset``, ``update``, ``candidate`` of the GRU;
            ``candidate`` of the RNN. For a cell of your own, what its method ``gates`` gives; empty without one.
        states: The state after every step: ``hidden`` [B, T, O], and ``cell`` [B, T, H] of the LSTM. Past its length, a
            row has its final state, or in a reversed direction its initial state.
        output: The output of the layer in this direction, [B, T, O].
        initial: The state before the first step, [B, size] each, by the names of ``states``.
        inputs: The input of the layer, [B, T, I].
        lengths: Steps in each row, [B], int64; None where all rows have T. Past a row's length, gates and output are 0.
        reverse: Whether each row ran from its last step to its first.
    """

    cell: str
    gates: dict[str, Tensor]
    states: dict[str, Tensor]
    output: Tensor
    initial: dict[str, Tensor]
    inputs: Tensor
    lengths: Tensor | None = None
    reverse: bool = False

    @property
    def within(self) -> Tensor:
        """Which steps are within the lengths of their rows, [B, T], bool."""
        batch, steps = self.output.shape[:2]
        if self.lengths is None:
            return torch.ones(batch, steps, dtype=torch.bool, device=self.output.device)
        return torch.arange(steps, device=self.output.device) < self.lengths[:, None]


def joined(parts: Sequence[LayerRecording]) -> LayerRecording:
    """Several calls of a layer as one recording; each call continues the one before."""
    first = parts[0]
    if len(parts) == 1:
        return first
    return LayerRecording(
        cell=first.cell,
        gates={name: torch.cat([part.gates[name] for part in parts], 1) for name in first.gates},
        states={name: torch.cat([part.states[name] for part in parts], 1) for name in first.states},
        output=torch.cat([part.output for part in parts], 1),
        initial=first.initial,
        inputs=torch.cat([part.inputs for part in parts], 1),
        lengths=None if all(part.lengths is None for part in parts) else sum(map(_lengths, parts), start=_zero(first)),
        reverse=first.reverse,
    )


def _lengths(part: LayerRecording) -> Tensor:
    return part.within.sum(1) if part.lengths is None else part.lengths


def _zero(part: LayerRecording) -> Tensor:
    return torch.zeros(part.output.shape[0], dtype=torch.int64, device=part.output.device)
