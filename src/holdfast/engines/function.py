"""Autograd around an engine that computes its gradients itself.

Such an engine has two methods more than :class:`~holdfast.engines.request.Engine` asks for:

    forward(request) -> (result, kept)              kept: whatever its backward needs, the engine's own business
    backward(request, kept, gradient) -> gradients  gradient: a Result with the gradient of each output, or None for one
                                                    that is not used; gradients: by the names of ``differentiable``

and its ``run`` is ``return run_with_gradients(self, request)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from holdfast.engines.request import Request, Result

_NOWHERE = torch.empty(0)  # stands for a tensor that autograd keeps


@dataclass(frozen=True)
class Gradient:
    """The gradients of a result's tensors, shaped as them; None where nothing depends on one."""

    outputs: Tensor | None
    state: tuple[Tensor | None, ...]
    states: tuple[Tensor | None, ...]


class GradientEngine(Protocol):
    """An engine with gradients of its own."""

    name: str

    def forward(self, request: Request) -> tuple[Result, Any]:
        """The result, and what ``backward`` needs."""

    def backward(self, request: Request, kept: Any, gradient: Gradient) -> Mapping[str, Tensor]:
        """The gradients of the tensors that :func:`differentiable` names, as far as they require one."""


def differentiable(request: Request) -> dict[str, Tensor]:
    """Every tensor of a request that can have a gradient: ``inputs``, ``state.0``, ..., ``weight_ih``, ...."""
    state = {f"state.{k}": part for k, part in enumerate(request.state)}
    return {"inputs": request.inputs, **state, **request.parameters}


def run_with_gradients(engine: GradientEngine, request: Request) -> Result:
    """Runs ``engine.forward`` so that autograd calls ``engine.backward``; a second derivative is refused by torch."""
    tensors = differentiable(request)
    flat = _EngineFunction.apply(engine, request, tuple(tensors), *tensors.values())  # type: ignore[no-untyped-call]
    parts = len(request.state)
    states = tuple(flat[1 + parts :]) if request.return_states else None
    return Result(flat[0], tuple(flat[1 : 1 + parts]), states)


class _EngineFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, engine: GradientEngine, request: Request, names: tuple[str, ...], *tensors: Tensor) -> Any:
        result, ctx.kept = engine.forward(request)
        ctx.engine, ctx.names = engine, names
        # The tensors go through save_for_backward, which notices when one is changed in place before the backward pass.
        ctx.save_for_backward(*tensors)
        ctx.request = replace(request, inputs=_NOWHERE, state=(), parameters={})
        ctx.set_materialize_grads(False)
        return (result.outputs, *result.state, *(result.states or ()))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        tensors = dict(zip(ctx.names, ctx.saved_tensors, strict=True))
        inputs = tensors.pop("inputs")
        state = tuple(tensors.pop(name) for name in ctx.names if name.startswith("state."))
        request = replace(ctx.request, inputs=inputs, state=state, parameters=tensors)
        parts = len(state)
        gradient = Gradient(gradients[0], gradients[1 : 1 + parts], gradients[1 + parts :])
        found = ctx.engine.backward(request, ctx.kept, gradient)
        needed = zip(ctx.names, ctx.needs_input_grad[3:], strict=True)
        return (None, None, None, *(found[name] if wanted else None for name, wanted in needed))
