"""What an engine computes, what it returns, and the interface of engines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from holdfast.cells import CellSpec, Noise, calling
from holdfast.engines.check import autocast_dtype, check, fits
from holdfast.engines.memory import Memory


@dataclass(slots=True)  # not frozen: making a frozen one takes three times as long
class Request:
    """One layer in one direction over one batch of sequences.

    The tensors are checked when a request is made, because engines read addresses: shapes, dtypes and devices fit
    together. The caller checks the values of ``lengths``.

    Attributes:
        spec: The cell.
        inputs: [B, T, I], any strides.
        state: The initial state: h [B, O], and for the LSTM c [B, H].
        parameters: As :meth:`CellSpec.parameter_shapes` names and shapes them; DropConnect has already set dropped
            recurrent weights to 0.
        lengths: int64 [B] on the device of ``inputs``, or None when all rows have T steps.
        noise: The masks of this batch; None while evaluating.
        reverse: Run each row from its own last step to its first.
        return_states: Also return the state after every step.
        memory: What to keep for the backward pass.
        segment: Steps per segment of ``memory="recompute"``; None for the square root of T.
        suffix: What follows the names of the parameters where the caller keeps them, such as ``"_l0_reverse"``; error
            messages include it.
        plain: Whether the call is plain: nothing traces, compiles or transforms it, and all tensors are torch's own,
            whose memory holds their values. Set when the request is made.

    Raises:
        ShapeError: A tensor does not have the shape, dtype or device that the other tensors require.
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
            return  # operators check when they run: torch's own, and Holdfast's by making a request
        tensors = (self.spec, self.inputs, self.state, self.parameters, self.lengths, self.noise)
        if not fits(*tensors):
            check(*tensors, suffix=self.suffix)

    def with_tensors(self, inputs: Tensor, state: tuple[Tensor, ...], parameters: Mapping[str, Tensor]) -> Request:
        """The same request with other tensors, which are not checked: autograd saves them and puts them back.

        Args:
            inputs: In the shape of the present ones, like all others: [T, B, I].
            state: The parts of the initial state, each [B, H].
            parameters: By name.
        """
        other = object.__new__(Request)
        for name in _FIELDS:
            setattr(other, name, getattr(self, name))
        other.inputs, other.state, other.parameters = inputs, state, parameters
        return other


_FIELDS = tuple(field.name for field in fields(Request))


class Result(NamedTuple):
    """What an engine returns, in the dtype of :func:`result_dtype`.

    Tensors with T steps have the shape [B, T, ...] and are in memory time first, [T, B, ...], as in torch.nn's layers.
    So a layer's output is contiguous if the caller wants time first, and a dropout after the layer, which draws in the
    order of memory, drops the same elements as after a layer of torch.nn.

    Attributes:
        outputs: [B, T, O], zero past a row's length.
        state: The state after each row's last step, as in the request.
        states: With ``return_states``, the state after every step: h [B, T, O], and for the LSTM c [B, T, H]. Past its
            length, a row has its final state, or with ``reverse`` its initial state.
    """

    outputs: Tensor
    state: tuple[Tensor, ...]
    states: tuple[Tensor, ...] | None = None


def new_steps(like: Tensor, size: int, dtype: torch.dtype | None = None) -> Tensor:
    """Memory for one part of a result, [B, T, size], uninitialised; ``like`` is the input, [B, T, I]."""
    batch, steps, _ = like.shape
    return like.new_empty_strided((batch, steps, size), (size, batch * size, 1), dtype=dtype)


def time_first(steps: Tensor) -> Tensor:
    """The same values [B, T, size] with the memory order of a result."""
    return steps.transpose(0, 1).contiguous().transpose(0, 1)


def result_dtype(request: Request) -> torch.dtype:
    """The dtype of a result of the request: autocast's if it is on, else the input's."""
    return autocast_dtype(request.inputs.device.type) or request.inputs.dtype


class Engine(Protocol):
    """A way to compute a layer.

    Autograd must be able to go back through the results of ``run``: :mod:`holdfast.engines.reference` uses torch's
    operations, and an engine that computes its own gradients calls
    :func:`holdfast.engines.composition.run_with_gradients`.
    """

    name: str

    def why_not(self, request: Request) -> str | None:
        """One sentence that says why this engine cannot run the request, or None when it can."""

    def run(self, request: Request) -> Result:
        """Runs a request for which ``why_not`` returned None."""
