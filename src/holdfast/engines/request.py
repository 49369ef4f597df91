"""What an engine is asked to compute, what it gives back, and what it must be able to say about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from holdfast.cells import CellSpec, Noise
from holdfast.memory import Memory


@dataclass(slots=True)  # not frozen, which takes three times as long to make, and nobody changes one
class Request:
    """One layer in one direction over one batch of sequences.

    Everything was checked before: an engine meets only shapes, lengths and options that fit together.

    Attributes:
        spec: The cell.
        inputs: [B, T, I], any strides.
        state: The initial state: h [B, O], and for the LSTM c [B, H].
        parameters: As :meth:`CellSpec.parameter_shapes` names and shapes them; recurrent weights that DropConnect
            drops are 0 in them already.
        lengths: int64 [B] on the device of ``inputs``, or None when all rows have T steps.
        noise: The masks of this batch; None while evaluating.
        reverse: Run each row from its own last step to its first.
        return_states: Also give the state after every step.
        memory: What to keep for the backward pass.
        segment: Steps in a segment of ``memory="recompute"``; None for the square root of T.
    """

    spec: CellSpec
    inputs: Tensor
    state: tuple[Tensor, ...]
    parameters: Mapping[str, Tensor]
    lengths: Tensor | None = None
    noise: Noise | None = None
    reverse: bool = False
    return_states: bool = False
    memory: Memory = "keep"
    segment: int | None = None


class Result(NamedTuple):
    """What an engine gives back, in the dtype that :func:`result_dtype` says.

    Attributes:
        outputs: [B, T, O], zero past a row's length.
        state: The state after each row's last step, as in the request.
        states: With ``return_states``, the state after every step: h [B, T, O], and for the LSTM c [B, T, H]. Past a
            row's length stands the state that it has there: its final one, or with ``reverse`` its initial one.
    """

    outputs: Tensor
    state: tuple[Tensor, ...]
    states: tuple[Tensor, ...] | None = None


def result_dtype(request: Request) -> torch.dtype:
    """The dtype that a result of the request has now: autocast's where it is on, else the input's."""
    device = request.inputs.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return request.inputs.dtype


class Engine(Protocol):
    """A way to compute a layer.

    ``run`` gives results that autograd can go back through: :mod:`holdfast.engines.reference` by being made of torch's
    operations, an engine with gradients of its own through :func:`holdfast.engines.function.run_with_gradients`.
    """

    name: str

    def why_not(self, request: Request) -> str | None:
        """One sentence that says why this engine cannot run the request, or None when it can."""

    def run(self, request: Request) -> Result:
        """Runs a request that ``why_not`` has nothing against."""
