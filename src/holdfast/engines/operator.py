"""The native engine as an operator of torch, for calls that a compiler, exporter, tracer or dispatch mode records.

These see operators, and miss anything else that is written to memory. For them, ``holdfast::recurrent`` is a request
and ``holdfast::recurrent_backward`` its gradients. Their arguments can be saved with a graph or a program; a program
that loads one must import Holdfast first. Plain calls go through :mod:`holdfast.engines.function`, which costs less.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from holdfast.cells import calling
from holdfast.engines.composition import composed
from holdfast.engines.function import differentiable, differentiable_gradients, needs_reference
from holdfast.engines.native import NativeEngine
from holdfast.engines.operator_arguments import (
    SCHEMA,
    check_request_lengths,
    from_arguments,
    to_arguments,
    to_gradient,
    wanted_names,
)
from holdfast.engines.operator_flops import backward_flops, forward_flops
from holdfast.engines.reference import ReferenceEngine
from holdfast.engines.request import Request, Result, new_steps, result_dtype, time_first
from holdfast.errors import EngineError


class RecordableEngine(NativeEngine):
    """The native engine for every kind of call: plain calls run the kernels, others the operator."""

    def why_not(self, request: Request) -> str | None:
        """As :meth:`NativeEngine.why_not`, with one more sentence for kinds of calls that kernels cannot serve."""
        if not request.plain:
            if calling.is_transformed():
                return "torch.func or forward-mode derivatives transform this call, and kernels cannot be transformed."
            if not calling.is_plain() and calling.is_exported_to_onnx():
                return "a file of ONNX cannot hold the kernels."
            if tensor_elsewhere := calling.foreign(differentiable(request)):
                return f"{tensor_elsewhere}, whose values are not where the kernels look for them."
        return self.why_not_in(result_dtype(request), request)

    def run(self, request: Request) -> Result:
        """Runs a request for which :meth:`why_not` returned None."""
        if request.plain or (calling.is_plain() and not calling.is_fake(request.inputs)):
            return super().run(request)
        return run(request)


def run(request: Request) -> Result:
    """Runs a request as the operator ``holdfast::recurrent``, which every kind of call but torch.func records."""
    # A trace is run later both with and without gradients; its backward pass can do without what forward keeps.
    keep = torch.is_grad_enabled() and not calling.is_traced()
    results = torch.ops.holdfast.recurrent(*to_arguments(request), keep)
    parts = len(request.state)
    states = tuple(results[1 + parts : 1 + 2 * parts]) if request.return_states else None
    return Result(results[0], tuple(results[1 : 1 + parts]), states)


def _kernels(request: Request, rounded: bool) -> NativeEngine | None:
    """The native engine; None if it cannot run the request, as after a program was moved to another device."""
    return None if _why_no_kernels(request, rounded) else NativeEngine()


def _why_no_kernels(request: Request, rounded: bool) -> str | None:
    return NativeEngine().why_not_in(torch.bfloat16 if rounded else request.inputs.dtype, request)


def _returns_kept(request: Request, keep: bool) -> bool:
    """Whether forward also returns what backward needs; with ``memory="recompute"``, backward computes it again."""
    return keep and request.memory != "recompute" and request.inputs.device.type == "cpu"


@torch.library.custom_op("holdfast::recurrent", mutates_args=(), schema=f"({SCHEMA}, bool keep) -> Tensor[]")
@torch.no_grad()
def _forward(*arguments: Any) -> list[Tensor]:
    """The result of a request, and with ``keep`` what its backward needs."""
    request, rounded, (keep,) = from_arguments(arguments)
    check_request_lengths(request)
    engine = _kernels(request, rounded)
    kept: tuple[Tensor, ...] = ()
    if engine is None:
        with torch.autocast(request.inputs.device.type, torch.bfloat16, enabled=rounded):
            result = ReferenceEngine().run(request)
    elif _returns_kept(request, keep):
        result, kept = composed(engine, rounded=rounded).forward(request)
    else:
        result = composed(engine, rounded=rounded).compute(request)
    tensors = [result.outputs, *result.state, *(result.states or ())]
    if _returns_kept(request, keep):
        outputs, values = kept or (result.outputs.float(), request.inputs.new_empty(0))
        tensors += [outputs, values] if rounded else [values]
    return [_in_memory_order(tensor) for tensor in tensors]


@_forward.register_fake
def _forward_shapes(*arguments: Any) -> list[Tensor]:
    """The results of :func:`_forward` without values."""
    request, rounded, (keep,) = from_arguments(arguments)
    x, sizes = request.inputs, request.spec.state_sizes.values()
    batch, steps, _ = x.shape
    dtype = torch.bfloat16 if rounded else x.dtype
    tensors = [new_steps(x, request.spec.output_size, dtype)]
    tensors += [x.new_empty(batch, size, dtype=dtype) for size in sizes]
    if request.return_states:
        tensors += [new_steps(x, size, dtype) for size in sizes]
    if _returns_kept(request, keep):
        kernel_dtype = torch.float32 if rounded else x.dtype
        if rounded:
            tensors.append(new_steps(x, request.spec.output_size, kernel_dtype))
        values = batch * steps * NativeEngine().kept_values(request.spec, kernel_dtype)
        tensors.append(x.new_empty(values, dtype=kernel_dtype))
    return tensors


@torch.library.custom_op(
    "holdfast::recurrent_backward",
    mutates_args=(),
    schema=f"({SCHEMA}, Tensor?[] gradients, Tensor outputs, Tensor[] kept, bool[] wanted) -> Tensor[]",
)
@torch.no_grad()
def _backward(*arguments: Any) -> list[Tensor]:
    """The gradients that are wanted, in the order of :func:`differentiable`."""
    request, rounded, (received, outputs, kept, flags) = from_arguments(arguments)
    check_request_lengths(request)
    names = wanted_names(request, flags)
    engine = _kernels(request, rounded)
    if engine is None:
        if request.inputs.numel():
            raise EngineError(
                "holdfast::recurrent_backward has no kernels here for what was recorded on a machine that had them: "
                f"{_why_no_kernels(request, rounded)} Record the backward pass on this machine and device."
            )
        return [torch.zeros_like(differentiable(request)[name]) for name in names]  # of no rows, or no steps
    engine_with_gradients = composed(engine, rounded=rounded, memory=request.memory)
    if not kept:
        _, kept = engine_with_gradients.forward(request)
    else:  # a copy: backward writes over it, and autograd may call backward again
        kept = (kept[0] if rounded else outputs, kept[-1].clone())
    gradients = engine_with_gradients.backward(request, kept, to_gradient(request, received, names))
    return [_in_memory_order(gradients[name]) for name in names]


@_backward.register_fake
def _backward_shapes(*arguments: Any) -> list[Tensor]:
    """The results of :func:`_backward` without values."""
    request, _, (*_, flags) = from_arguments(arguments)
    tensors = differentiable(request)
    return [
        new_steps(request.inputs, request.spec.input_size) if name == "inputs" else tensors[name].new_empty(shape)
        for name in wanted_names(request, flags)
        for shape in [tensors[name].shape]
    ]


def _in_memory_order(tensor: Tensor) -> Tensor:
    """A result with the strides that the functions without values promise."""
    return time_first(tensor) if tensor.ndim == 3 else tensor.contiguous()


def _save(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    """Keeps for backward what :func:`_differentiate` reads."""
    x, state, parameters, *optional = inputs[:8]
    results = 1 + len(state) * (2 if inputs[10] else 1)
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*output[results:])
    ctx.counts, ctx.values = (len(state), len(parameters)), inputs[8:-1]
    ctx.save_for_backward(x, *state, *parameters, *optional, output[0], *output[results:])


def _differentiate(ctx: Any, gradients: list[Tensor | None]) -> tuple[Any, ...]:
    """The gradients by ``holdfast::recurrent_backward``, or where it cannot compute them, by the reference."""
    saved = iter(ctx.saved_tensors)
    x = next(saved)
    state, parameters, optional = (list(itertools.islice(saved, count)) for count in (*ctx.counts, 6))
    *optional, outputs = optional
    arguments = (x, state, parameters, *optional, *ctx.values)
    request, rounded, _ = from_arguments(arguments)
    parts = ctx.counts[0]
    received = gradients[: 1 + parts * (2 if request.return_states else 1)]
    flags = [ctx.needs_input_grad[0], *ctx.needs_input_grad[1], *ctx.needs_input_grad[2]]
    names = wanted_names(request, flags)
    gradient = to_gradient(request, received, names)
    if all(part is None for part in received):
        computed: dict[str, Tensor] = {}
    elif needs_reference(received) or _kernels(request, rounded) is None:
        computed = differentiable_gradients(request, gradient)
    else:
        wanted = torch.ops.holdfast.recurrent_backward(*arguments, received, outputs, list(saved), flags)
        computed = dict(zip(names, wanted, strict=True))
    of_inputs, *others = (computed.get(name) for name in differentiable(request))
    return (of_inputs, others[:parts], others[parts:], *[None] * (len(ctx.values) + 6))


_forward.register_autograd(_differentiate, setup_context=_save)
register_flop_formula(torch.ops.holdfast.recurrent)(forward_flops)
register_flop_formula(torch.ops.holdfast.recurrent_backward)(backward_flops)
