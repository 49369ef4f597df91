"""Autograd around an engine that computes its gradients itself (:class:`GradientEngine`)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from holdfast.cells import calling
from holdfast.engines.reference import ReferenceEngine
from holdfast.engines.request import Request, Result

_PLACEHOLDER = torch.empty(0)  # instead of a tensor that autograd saves


class Gradient(NamedTuple):
    """The gradients of a result's tensors, with their shapes; None for a tensor that the loss does not use.

    ``wanted`` holds the names of :func:`differentiable` that need a gradient. ``again`` is true when ``backward`` was
    called before with the same kept tensors, because autograd goes back through one graph more than once.
    """

    outputs: Tensor | None
    state: tuple[Tensor | None, ...]
    states: tuple[Tensor | None, ...]
    wanted: frozenset[str]
    again: bool = False

    @property
    def received(self) -> tuple[Tensor | None, ...]:
        """All of them, in the order of the result's tensors."""
        return self.outputs, *self.state, *self.states


class HasGradients(Protocol):
    """Computes results and their gradients."""

    def forward(self, request: Request) -> tuple[Result, tuple[Tensor, ...]]:
        """The result, and the tensors that ``backward`` needs; tensors of the result may be among them."""

    def backward(self, request: Request, kept: tuple[Tensor, ...], gradient: Gradient) -> Mapping[str, Tensor]:
        """Gradients by the names of :func:`differentiable`, at least those in ``gradient.wanted``."""


class GradientEngine(HasGradients, Protocol):
    """An engine that computes its own gradients has these methods and :class:`~holdfast.engines.request.Engine`'s."""

    def compute(self, request: Request) -> Result:
        """The result, without anything for a backward pass."""

    def rounding(self) -> GradientEngine:
        """The same engine, with the operands of its products rounded to bfloat16; requests and results are float32.

        It is called only if ``why_not`` accepts requests with results in bfloat16.
        """


def differentiable(request: Request) -> dict[str, Tensor]:
    """Every tensor of a request that can have a gradient: ``inputs``, ``state.0``, ..., ``weight_ih``, ...."""
    state = {f"state.{k}": part for k, part in enumerate(request.state)}
    return {"inputs": request.inputs, **state, **request.parameters}


def record(engine: HasGradients, request: Request) -> Result:
    """Runs ``engine.forward`` so that autograd calls ``engine.backward``.

    The reference computes gradients that are differentiated again, and many gradients at once: see
    :func:`differentiable_gradients`.
    """
    tensors = differentiable(request)
    flat = _EngineFunction.apply(engine, request, tuple(tensors), *tensors.values())  # type: ignore[no-untyped-call]
    parts = len(request.state)
    states = tuple(flat[1 + parts :]) if request.return_states else None
    return Result(flat[0], tuple(flat[1 : 1 + parts]), states)


def needs_reference(received: Iterable[Tensor | None]) -> bool:
    """Whether only torch's own operations can do a backward pass that received these gradients.

    This is so if its result is differentiated again (``create_graph=True``), holds many gradients at once
    (``is_grads_batched=True``, ``torch.func.vmap``), or has a forward-mode derivative.
    """
    return torch.is_grad_enabled() or calling.is_batched(*received)


def differentiable_gradients(request: Request, gradient: Gradient) -> dict[str, Tensor]:
    """The gradients of ``gradient.wanted`` from the reference, which runs the request again.

    They can be differentiated if autograd records.
    """
    received = gradient.received
    create_graph = torch.is_grad_enabled()
    with torch.enable_grad(), _autocast_of(request, received):
        # Views: the backward pass stops at them and does not enter the graph that made the tensors.
        views = {name: x.view_as(x) if name in gradient.wanted else x for name, x in differentiable(request).items()}
        parts = len(request.state)
        inputs, *others = views.values()
        parameters = dict(zip(request.parameters, others[parts:], strict=True))
        result = ReferenceEngine().run(request.with_tensors(inputs, tuple(others[:parts]), parameters))
        results = (result.outputs, *result.state, *(result.states or ()))
        pairs = [(y, g) for y, g in zip(results, received, strict=True) if g is not None and y.requires_grad]
        wanted = {name: x for name, x in views.items() if name in gradient.wanted}
        computed = torch.autograd.grad(
            [y for y, _ in pairs],
            list(wanted.values()),
            [g for _, g in pairs],
            create_graph=create_graph,
            allow_unused=True,
        )
    return {
        name: torch.zeros_like(x) if g is None else g for (name, x), g in zip(wanted.items(), computed, strict=True)
    }


def _autocast_of(request: Request, gradients: Iterable[Tensor | None]) -> torch.autocast:
    """The autocast of the forward pass; it was on if the result and a tensor of the request differ in dtype."""
    dtype = next(g.dtype for g in gradients if g is not None)
    changed = any(tensor.dtype != dtype for tensor in differentiable(request).values())
    return torch.autocast(request.inputs.device.type, dtype if changed else None, enabled=changed)


def plain_apply(function: type[torch.autograd.Function]) -> Callable[..., tuple[Tensor, ...]]:
    """``function.apply`` without torch.func's checks, for calls that are plain (:func:`calling.is_plain`)."""
    apply: Callable[..., tuple[Tensor, ...]] = super(torch.autograd.Function, function).apply  # type: ignore[misc]
    return apply


class _EngineFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, engine: HasGradients, request: Request, names: tuple[str, ...], *tensors: Tensor) -> Any:
        result, kept = engine.forward(request)
        ctx.engine, ctx.names, ctx.parts, ctx.again = engine, names, len(request.state), False
        # save_for_backward notices a tensor that is changed in place before the backward pass, and avoids a reference
        # cycle: a result on ctx would live until the next garbage collection.
        ctx.save_for_backward(*tensors, *kept)
        ctx.request = request.with_tensors(_PLACEHOLDER, (), {})
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
        if needs_reference(gradients):
            gradients_by_name: Mapping[str, Tensor] = differentiable_gradients(request, gradient)
        else:
            ctx.again = True
            gradients_by_name = ctx.engine.backward(request, kept, gradient)
        return (None, None, None, *(gradients_by_name[name] if name in wanted else None for name in names))
