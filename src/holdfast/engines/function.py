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
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from holdfast.cells import calling
from holdfast.engines.reference import ReferenceEngine
from holdfast.engines.request import Request, Result

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

    Where the gradient itself is to be differentiated, or many gradients are asked for at once, the reference computes
    it: see :func:`differentiable_gradients`.
    """
    tensors = differentiable(request)
    flat = _EngineFunction.apply(engine, request, tuple(tensors), *tensors.values())  # type: ignore[no-untyped-call]
    parts = len(request.state)
    states = tuple(flat[1 + parts :]) if request.return_states else None
    return Result(flat[0], tuple(flat[1 : 1 + parts]), states)


def needs_reference(gradient: Gradient) -> bool:
    """Whether a backward pass is one that only torch's own operations can do.

    That is so where its result is to be differentiated again (``create_graph=True``), stands for many gradients at once
    (``is_grads_batched=True``, ``torch.func.vmap``), or carries a forward-mode derivative.
    """
    return torch.is_grad_enabled() or calling.is_batched(gradient.outputs, *gradient.state, *gradient.states)


def differentiable_gradients(request: Request, gradient: Gradient) -> dict[str, Tensor]:
    """The gradients of ``gradient.wanted`` by way of the reference, which runs the request again.

    They can be differentiated where autograd records.
    """
    given = [gradient.outputs, *gradient.state, *gradient.states]
    create_graph = torch.is_grad_enabled()
    with torch.enable_grad(), _autocast_of(request, given):
        # Views, so that the way back ends at them and the graph that made the tensors stays as it is.
        own = {name: x.view_as(x) if name in gradient.wanted else x for name, x in differentiable(request).items()}
        parts = len(request.state)
        inputs, *others = own.values()
        parameters = dict(zip(request.parameters, others[parts:], strict=True))
        result = ReferenceEngine().run(request.with_tensors(inputs, tuple(others[:parts]), parameters))
        results = (result.outputs, *result.state, *(result.states or ()))
        pairs = [(y, g) for y, g in zip(results, given, strict=True) if g is not None and y.requires_grad]
        wanted = {name: x for name, x in own.items() if name in gradient.wanted}
        found = torch.autograd.grad(
            [y for y, _ in pairs],
            list(wanted.values()),
            [g for _, g in pairs],
            create_graph=create_graph,
            allow_unused=True,
        )
    return {name: torch.zeros_like(x) if g is None else g for (name, x), g in zip(wanted.items(), found, strict=True)}


def _autocast_of(request: Request, gradients: list[Tensor | None]) -> torch.autocast:
    """Autocast as it was in forward, told by the dtypes: a result has another than what it was computed from."""
    dtype = next(g.dtype for g in gradients if g is not None)
    changed = any(tensor.dtype != dtype for tensor in differentiable(request).values())
    return torch.autocast(request.inputs.device.type, dtype if changed else None, enabled=changed)


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
        if needs_reference(gradient):
            found: Mapping[str, Tensor] = differentiable_gradients(request, gradient)
        else:
            ctx.again = True
            found = ctx.engine.backward(request, kept, gradient)
        return (None, None, None, *(found[name] if name in wanted else None for name in names))
