"""Autograd around an engine that computes its gradients itself.

Such an engine has two methods more than :class:`~holdfast.engines.request.Engine` asks for:

    forward(request) -> (result, kept)              kept: a tuple of the tensors that its backward needs
    backward(request, kept, gradient) -> gradients  gradient: a Result with the gradient of each output, or None for one
                                                    that is not used; gradients: by the names of ``differentiable``,
                                                    at least those that ``gradient.wanted`` has

and its ``run`` is ``return run_with_gradients(self, request)``.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from holdfast.engines.request import Request, Result
from holdfast.errors import EngineError

_NOWHERE = torch.empty(0)  # stands for a tensor that autograd keeps


class Gradient(NamedTuple):
    """The gradients of a result's tensors, shaped as them; None where nothing depends on one.

    ``wanted`` has the names of :func:`differentiable` that a gradient is asked for. ``again`` says that ``backward``
    has been given the same kept tensors before: autograd goes back through the same graph more than once.
    """

    outputs: Tensor | None
    state: tuple[Tensor | None, ...]
    states: tuple[Tensor | None, ...]
    wanted: frozenset[str]
    again: bool = False


class GradientEngine(Protocol):
    """An engine with gradients of its own."""

    @property
    def name(self) -> str:
        """As :class:`~holdfast.engines.request.Engine` has it."""

    def run(self, request: Request) -> Result:
        """The result; where autograd records, one that it can go back through."""

    def forward(self, request: Request) -> tuple[Result, tuple[Tensor, ...]]:
        """The result, and the tensors that ``backward`` needs; tensors of the result may be among them."""

    def backward(self, request: Request, kept: tuple[Tensor, ...], gradient: Gradient) -> Mapping[str, Tensor]:
        """The gradients of at least the tensors that ``gradient.wanted`` names."""


def differentiable(request: Request) -> dict[str, Tensor]:
    """Every tensor of a request that can have a gradient: ``inputs``, ``state.0``, ..., ``weight_ih``, ...."""
    state = {f"state.{k}": part for k, part in enumerate(request.state)}
    return {"inputs": request.inputs, **state, **request.parameters}


def run_with_gradients(engine: GradientEngine, request: Request) -> Result:
    """Runs ``engine.forward`` so that autograd calls ``engine.backward``.

    Taking the second derivative raises an :class:`EngineError`.
    """
    tensors = differentiable(request)
    flat = _EngineFunction.apply(engine, request, tuple(tensors), *tensors.values())  # type: ignore[no-untyped-call]
    parts = len(request.state)
    states = tuple(flat[1 + parts :]) if request.return_states else None
    return Result(flat[0], tuple(flat[1 : 1 + parts]), states)


class _EngineFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, engine: GradientEngine, request: Request, names: tuple[str, ...], *tensors: Tensor) -> Any:
        result, kept = engine.forward(request)
        ctx.engine, ctx.names, ctx.parts, ctx.again = engine, names, len(request.state), False
        # Tensors go through save_for_backward, which notices when one is changed in place before the backward pass, and
        # holds a result without holding itself: kept on ctx, it would live until the next garbage collection.
        ctx.save_for_backward(*tensors, *kept)
        ctx.request = request.with_tensors(_NOWHERE, (), {})
        ctx.set_materialize_grads(False)
        return (result.outputs, *result.state, *(result.states or ()))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        saved, names, parts = ctx.saved_tensors, ctx.names, ctx.parts
        parameters = dict(zip(names[1 + parts :], saved[1 + parts :], strict=False))
        request = ctx.request.with_tensors(saved[0], saved[1 : 1 + parts], parameters)
        kept = saved[len(names) :]
        wanted = frozenset(itertools.compress(names, ctx.needs_input_grad[3:]))
        gradient = Gradient(gradients[0], gradients[1 : 1 + parts], gradients[1 + parts :], wanted, ctx.again)
        ctx.again = True
        create_graph = torch.is_grad_enabled()
        with torch.no_grad() if create_graph else nullcontext():
            found = ctx.engine.backward(request, kept, gradient)
        first = [found[name] if name in wanted else None for name in names]
        if create_graph:  # someone may go on to the second derivative
            first = [g if g is None else _FirstDerivative.apply(ctx.engine.name, g, *saved) for g in first]  # type: ignore[no-untyped-call]
        return (None, None, None, *first)


class _FirstDerivative(torch.autograd.Function):
    """A gradient that cannot be differentiated again, and says so.

    torch's ``once_differentiable`` would do so only where the gradient that came in has a derivative itself; the rest
    of a second derivative would be missing without a word.
    """

    @staticmethod
    def forward(ctx: Any, name: str, gradient: Tensor, *depends_on: Tensor) -> Tensor:
        ctx.name = name
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        raise EngineError(f"The engine {ctx.name!r} has no second derivative. Use engine='reference', which has.")
