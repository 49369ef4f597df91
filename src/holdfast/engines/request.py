"""What an engine is asked to compute, what it gives back, and what it must be able to say about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from holdfast.cells import CellSpec, Noise, calling
from holdfast.engines.check import autocast_dtype, check, fits
from holdfast.engines.memory import Memory


@dataclass(slots=True)  # not frozen, which takes three times as long to make, and nobody changes one
class Request:
    """One layer in one direction over one batch of sequences.

    The tensors are checked when a request is made: an engine reads addresses, and meets only tensors whose shape, dtype
    and device fit together. The values of ``lengths`` are checked by the caller.

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
        suffix: What follows the names of the parameters where the caller keeps them, such as ``"_l0_reverse"``; errors
            name them so.
        plain: Whether the call is a plain one: nothing traces, compiles or transforms it, and all tensors are torch's
            own, whose memory holds their values. Found when the request is made.

    Raises:
        ShapeError: A tensor does not have the shape, dtype or device that the others call for.
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
    suffix: str = ""
    plain: bool = field(init=False)

    def __post_init__(self) -> None:
        self.plain = calling.is_plain() and calling.are_plain((self.inputs, *self.state, *self.parameters.values()))
        if torch.compiler.is_compiling():
            return  # torch's operators check it when it runs, and Holdfast's makes a request then
        tensors = (self.spec, self.inputs, self.state, self.parameters, self.lengths, self.noise)
        if not fits(*tensors):
            check(*tensors, suffix=self.suffix)

    def with_tensors(self, inputs: Tensor, state: tuple[Tensor, ...], parameters: Mapping[str, Tensor]) -> Request:
        """The same request of other tensors, which are not checked: autograd takes them out and puts them back."""
        other = object.__new__(Request)
        for name in _FIELDS:
            setattr(other, name, getattr(self, name))
        other.inputs, other.state, other.parameters = inputs, state, parameters
        return other


_FIELDS = tuple(field.name for field in fields(Request))


class Result(NamedTuple):
    """What an engine gives back, in the dtype that :func:`result_dtype` says.

    Tensors with T steps lie in memory time first, [T, B, ...], as those of torch.nn's layers do, and are seen as
    [B, T, ...]. So a layer's output is contiguous where the caller wants time first, and a dropout after the layer,
    which draws in the order of memory, drops the same elements as after a layer of torch.nn.

    Attributes:
        outputs: [B, T, O], zero past a row's length.
        state: The state after each row's last step, as in the request.
        states: With ``return_states``, the state after every step: h [B, T, O], and for the LSTM c [B, T, H]. Past a
            row's length stands the state that it has there: its final one, or with ``reverse`` its initial one.
    """

    outputs: Tensor
    state: tuple[Tensor, ...]
    states: tuple[Tensor, ...] | None = None


def new_steps(like: Tensor, size: int, dtype: torch.dtype | None = None) -> Tensor:
    """Memory for one part of a result, [B, T, size], uninitialised; ``like`` is the input, [B, T, I]."""
    batch, steps, _ = like.shape
    return like.new_empty_strided((batch, steps, size), (size, batch * size, 1), dtype=dtype)


def time_first(steps: Tensor) -> Tensor:
    """The same values [B, T, size] in memory as a result's are."""
    return steps.transpose(0, 1).contiguous().transpose(0, 1)


def result_dtype(request: Request) -> torch.dtype:
    """The dtype that a result of the request has now: autocast's where it is on, else the input's."""
    return autocast_dtype(request.inputs.device.type) or request.inputs.dtype


class Engine(Protocol):
    """A way to compute a layer.

    ``run`` gives results that autograd can go back through: :mod:`holdfast.engines.reference` by being made of torch's
    operations, an engine with gradients of its own through :func:`holdfast.engines.composition.run_with_gradients`.
    """

    name: str

    def why_not(self, request: Request) -> str | None:
        """One sentence that says why this engine cannot run the request, or None when it can."""

    def run(self, request: Request) -> Result:
        """Runs a request for which ``why_not`` returned None."""
