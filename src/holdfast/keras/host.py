"""Holdfast's native kernels for a backend of Keras other than torch: two functions without a state.

Such a backend has its own autograd. It calls :func:`forward` and keeps :class:`Kept` among its own tensors. For the
gradients it calls :func:`backward` with these and the tensors of the forward call. Both functions take and return torch
tensors that share the backend's memory.

:mod:`holdfast.keras.torch_backend` does the work around the kernels: the layout of weights and masked steps. For the
backward pass its operations run again, recorded by autograd, around an engine that returns the kept result.

The settings of torch do not change: a call uses ``torch.get_num_threads()`` threads, whichever thread of the backend
makes it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from holdfast.engines.function import Gradient, record
from holdfast.engines.native import NativeEngine
from holdfast.engines.reference import ReferenceEngine
from holdfast.engines.request import Request, Result
from holdfast.keras import torch_backend
from holdfast.keras.computation import Arrays, Computation, Outcome
from holdfast.runtime import kernels

_NATIVE = NativeEngine()
_DTYPES = ("float32", "float64")
MASKS = ("mask", "state_mask")  # the tensors without gradients


class Kept(NamedTuple):
    """What backward needs besides the tensors of the call.

    Attributes:
        y: The outputs as the kernels wrote them, [B, T, H].
        gates: B * T * :func:`kept_values` values; backward writes over them.
    """

    y: Tensor
    gates: Tensor


@cache
def why_not(computation: Computation, dtype: str) -> str | None:
    """One sentence that says why the kernels cannot run a computation on the host, or None if they can."""
    if dtype not in _DTYPES:
        return f"on this backend the kernels compute in {' and '.join(_DTYPES)}, and the layer computes in {dtype}."
    if reason := kernels.why_not(computation.spec):
        return reason
    return _NATIVE.why_not(torch_backend.example(computation, dtype, "cpu"))


def kept_values(computation: Computation, dtype: torch.dtype) -> int:
    """The number of values of :attr:`Kept.gates` per step and row."""
    return _NATIVE.kept_values(computation.spec, dtype)


def outputs_are_kept(computation: Computation, masked: bool) -> bool:
    """Whether :attr:`Outcome.outputs` and :attr:`Kept.y` are the same tensor."""
    return computation.sequences and not masked


def forward(
    computation: Computation, arrays: Arrays, y: Tensor | None = None, gates: Tensor | None = None
) -> tuple[Outcome, Kept]:
    """Runs a computation for which :func:`why_not` returned None.

    Args:
        computation: The computation.
        arrays: Its tensors.
        y: Memory for :attr:`Kept.y`; None for new memory.
        gates: Memory for :attr:`Kept.gates`; None if no backward follows.

    Returns:
        The result, and what backward needs.

    Raises:
        ShapeError: The tensors do not fit the cell or one another.
    """
    B, T, _ = arrays.inputs.shape
    if y is None:
        y = arrays.kernel.new_empty(B, T, computation.spec.output_size)
    with torch.no_grad():
        outcome = torch_backend.run(computation, arrays, _Into(y, gates))
    return outcome, Kept(y, arrays.kernel.new_empty(0) if gates is None else gates)


def gates_size(computation: Computation, inputs: Tensor) -> int:
    """The number of values of :attr:`Kept.gates`."""
    B, T, _ = inputs.shape
    return B * T * kept_values(computation, inputs.dtype)


def backward(
    computation: Computation, arrays: Arrays, kept: Kept, gradient: Outcome, wanted: Collection[str] | None = None
) -> dict[str, Tensor]:
    """The gradients of the tensors, by name.

    Args:
        computation: The computation.
        arrays: The tensors of the forward call.
        kept: What forward returned; this call overwrites ``kept.gates``.
        gradient: The gradients of the result; None for parts without one.
        wanted: The names of the tensors to differentiate by; None for all but the masks.
    """
    tensors = by_name(arrays)
    leaves = {
        name: tensor.detach().requires_grad_()
        for name, tensor in tensors.items()
        if name not in MASKS and (wanted is None or name in wanted)
    }
    with torch.enable_grad():
        outcome = torch_backend.run(computation, from_names({**tensors, **leaves}), _Replayed(kept))
    pairs = [pair for pair in zip(flat(outcome), flat(gradient), strict=True) if pair[1] is not None]
    results, gradients = zip(*pairs, strict=True)
    inputs = list(leaves.values())
    of_leaves = torch.autograd.grad(results, inputs, gradients, allow_unused=True, materialize_grads=True)
    return dict(zip(leaves, of_leaves, strict=True))


def by_name(arrays: Arrays) -> dict[str, Any]:
    """The tensors of a call that are not None, by name; the parts of the state are ``state.0`` and ``state.1``."""
    state = {f"state.{k}": part for k, part in enumerate(arrays.state)}
    others = arrays._asdict()
    del others["state"]
    return {name: tensor for name, tensor in {**others, **state}.items() if tensor is not None}


def from_names(tensors: Mapping[str, Any]) -> Arrays:
    """The inverse of :func:`by_name`."""
    state = tuple(tensors[name] for name in ("state.0", "state.1") if name in tensors)
    return Arrays(state=state, **{name: tensor for name, tensor in tensors.items() if not name.startswith("state.")})


def flat(outcome: Outcome) -> list[Any]:
    """The tensors of an outcome, in order: ``last``, ``outputs``, ``state``."""
    return [outcome.last, outcome.outputs, *outcome.state]


class _Into:
    """The kernels as an engine that writes into given memory."""

    name = _NATIVE.name

    def __init__(self, y: Tensor, gates: Tensor | None) -> None:
        self._y, self._gates = y, gates

    def why_not(self, request: Request) -> str | None:
        return _NATIVE.why_not(request)

    def run(self, request: Request) -> Result:
        if not request.inputs.numel():  # no rows
            return ReferenceEngine().run(request)
        return _NATIVE.compute(request, self._y, self._gates)


class _Replayed:
    """The kernels as an engine whose forward ran already: it returns the kept result."""

    name = _NATIVE.name

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def why_not(self, request: Request) -> str | None:
        return _NATIVE.why_not(request)

    def run(self, request: Request) -> Result:
        if not request.inputs.numel():
            return ReferenceEngine().run(request)
        return record(self, request)

    def forward(self, request: Request) -> tuple[Result, tuple[Tensor, ...]]:
        # The backward pass does not read the values of the final state.
        return Result(self._kept.y, tuple(map(torch.empty_like, request.state))), tuple(self._kept)

    def backward(self, request: Request, kept: tuple[Tensor, ...], gradient: Gradient) -> Mapping[str, Tensor]:
        return _NATIVE.backward(request, kept, gradient)
