"""The native engine as an operator of torch's, for calls that something looks at.

A compiler, an exporter, a tracer or a dispatch mode sees operators, not what is written to memory beside them. For them
``holdfast::recurrent`` is a request and ``holdfast::recurrent_backward`` its gradients; everything in them is a tensor,
a number or text, so that a graph or a program with them can be saved. Whoever loads one imports Holdfast first. Plain
calls go by :mod:`holdfast.engines.function`, which costs less.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from holdfast.cells import CellSpec, Noise, calling, make_spec
from holdfast.engines.composition import composed
from holdfast.engines.function import (
    Gradient,
    differentiable,
    differentiable_gradients,
    needs_reference,
)
from holdfast.engines.lengths import check_lengths
from holdfast.engines.memory import Memory
from holdfast.engines.native import NativeEngine
from holdfast.engines.reference import ReferenceEngine
from holdfast.engines.request import Request, Result, new_steps, result_dtype, time_first
from holdfast.errors import EngineError


class RecordableEngine(NativeEngine):
    """The native engine as ``engine="auto"`` meets it: for plain calls the kernels, for others the operator."""

    def why_not(self, request: Request) -> str | None:
        """As :meth:`NativeEngine.why_not`, and why the kernels cannot serve the way in which they are called."""
        if not request.plain:
            if calling.is_transformed():
                return "torch.func or forward-mode derivatives transform this call, and kernels cannot be transformed."
            if not calling.is_plain() and calling.is_exported_to_onnx():
                return "a file of ONNX cannot hold the kernels."
            if elsewhere := calling.foreign(differentiable(request)):
                return f"{elsewhere}, whose values are not where the kernels look for them."
        return self.why_not_in(result_dtype(request), request)

    def run(self, request: Request) -> Result:
        """Runs a request for which :meth:`why_not` returned None."""
        if request.plain or (calling.is_plain() and not calling.is_fake(request.inputs)):
            return super().run(request)
        return run(request)


def run(request: Request) -> Result:
    """Runs a request as the operator ``holdfast::recurrent``, which every way of calling but torch.func records."""
    noise = request.noise or Noise()
    found = torch.ops.holdfast.recurrent(
        request.inputs,
        list(request.state),
        list(request.parameters.values()),
        request.lengths,
        noise.state,
        noise.candidate,
        noise.zoneout_h,
        noise.zoneout_c,
        description(request.spec),
        request.reverse,
        request.return_states,
        request.memory,
        request.segment,
        result_dtype(request) == torch.bfloat16,
        torch.is_grad_enabled() and not calling.is_traced(),  # a trace runs in both ways; backward can do without
    )
    return _result(request, found)


def _result(request: Request, found: Sequence[Tensor]) -> Result:
    parts = len(request.state)
    states = tuple(found[1 + parts : 1 + 2 * parts]) if request.return_states else None
    return Result(found[0], tuple(found[1 : 1 + parts]), states)


@calling.constant
def description(spec: CellSpec) -> str:
    """A cell as the operators take it: JSON with its kind, its sizes and the options that are not at their defaults."""
    sizes = {"kind": spec.kind, "input_size": spec.input_size, "hidden_size": spec.hidden_size, "bias": spec.bias}
    return json.dumps({**sizes, **spec.computing_options()}, default=lambda number: number.item())  # a NumPy number


@lru_cache(256)
def _spec(description: str) -> CellSpec:
    options = json.loads(description)
    return make_spec(options.pop("kind"), options)


_REQUEST = (
    "Tensor inputs, Tensor[] state, Tensor[] parameters, Tensor? lengths, Tensor? state_mask, Tensor? candidate, "
    "Tensor? zoneout_h, Tensor? zoneout_c, str cell, bool reverse, bool return_states, str memory, int? segment, "
    "bool rounded"
)
_ARGUMENTS = 13  # before ``rounded``


def _request(
    inputs: Tensor,
    state: Sequence[Tensor],
    parameters: Sequence[Tensor],
    lengths: Tensor | None,
    state_mask: Tensor | None,
    candidate: Tensor | None,
    zoneout_h: Tensor | None,
    zoneout_c: Tensor | None,
    cell: str,
    reverse: bool,
    return_states: bool,
    memory: str,
    segment: int | None,
) -> Request:
    spec = _spec(cell)
    masks = (state_mask, candidate, zoneout_h, zoneout_c)
    return Request(
        spec,
        inputs,
        tuple(state),
        dict(zip(spec.parameter_names, parameters, strict=True)),
        lengths,
        None if all(mask is None for mask in masks) else Noise(*masks),
        reverse,
        return_states,
        cast(Memory, memory),
        segment,
    )


def _checked_lengths(request: Request) -> Tensor | None:
    batch, steps, _ = request.inputs.shape
    return check_lengths(request.lengths, batch, steps, request.inputs.device)


def _kernels(request: Request, rounded: bool) -> NativeEngine | None:
    """The native engine; None where it cannot run a request, as on another device, where a program may have gone."""
    return None if _why_no_kernels(request, rounded) else NativeEngine()


def _why_no_kernels(request: Request, rounded: bool) -> str | None:
    return NativeEngine().why_not_in(torch.bfloat16 if rounded else request.inputs.dtype, request)


def _keeps(request: Request, keep: bool) -> bool:
    """Whether forward hands over what backward needs; under ``memory="recompute"``, backward makes it anew."""
    return keep and request.memory != "recompute" and request.inputs.device.type == "cpu"


@torch.library.custom_op("holdfast::recurrent", mutates_args=(), schema=f"({_REQUEST}, bool keep) -> Tensor[]")
@torch.no_grad()
def _forward(*arguments: Any) -> list[Tensor]:
    """The result of a request, and with ``keep`` what its backward needs."""
    request, (rounded, keep) = _request(*arguments[:_ARGUMENTS]), arguments[_ARGUMENTS:]
    request.lengths = _checked_lengths(request)
    engine = _kernels(request, rounded)
    kept: tuple[Tensor, ...] = ()
    if engine is None:
        with torch.autocast(request.inputs.device.type, torch.bfloat16, enabled=rounded):
            result = ReferenceEngine().run(request)
    elif _keeps(request, keep):
        result, kept = composed(engine, rounded=rounded).forward(request)
    else:
        result = composed(engine, rounded=rounded).compute(request)
    found = [result.outputs, *result.state, *(result.states or ())]
    if _keeps(request, keep):
        outputs, values = kept or (result.outputs.float(), request.inputs.new_empty(0))
        found += [outputs, values] if rounded else [values]
    return [_in_memory(tensor) for tensor in found]


@_forward.register_fake
def _shapes(*arguments: Any) -> list[Tensor]:
    """What :func:`_forward` gives, without values."""
    request, (rounded, keep) = _request(*arguments[:_ARGUMENTS]), arguments[_ARGUMENTS:]
    x, sizes = request.inputs, request.spec.state_sizes.values()
    batch, steps, _ = x.shape
    dtype = torch.bfloat16 if rounded else x.dtype
    found = [new_steps(x, request.spec.output_size, dtype)]
    found += [x.new_empty(batch, size, dtype=dtype) for size in sizes]
    if request.return_states:
        found += [new_steps(x, size, dtype) for size in sizes]
    if _keeps(request, keep):
        wide = torch.float32 if rounded else x.dtype
        if rounded:
            found.append(new_steps(x, request.spec.output_size, wide))
        values = batch * steps * NativeEngine().kept_values(request.spec, wide)
        found.append(x.new_empty(values, dtype=wide))
    return found


@torch.library.custom_op(
    "holdfast::recurrent_backward",
    mutates_args=(),
    schema=f"({_REQUEST}, Tensor?[] gradients, Tensor outputs, Tensor[] kept, bool[] wanted) -> Tensor[]",
)
@torch.no_grad()
def _backward(*arguments: Any) -> list[Tensor]:
    """The gradients that are wanted, in the order of :func:`differentiable`."""
    request, (rounded, given, outputs, kept, flags) = _request(*arguments[:_ARGUMENTS]), arguments[_ARGUMENTS:]
    request.lengths = _checked_lengths(request)
    names = _wanted(request, flags)
    engine = _kernels(request, rounded)
    if engine is None:
        if request.inputs.numel():
            raise EngineError(
                "holdfast::recurrent_backward has no kernels here for what was recorded on a machine that had them: "
                f"{_why_no_kernels(request, rounded)} Record the backward pass on this machine and device."
            )
        return [torch.zeros_like(differentiable(request)[name]) for name in names]  # of no rows, or no steps
    gradients = composed(engine, rounded=rounded, memory=request.memory)
    if not kept:
        _, kept = gradients.forward(request)
    else:  # backward writes over what was kept, and autograd may come back
        kept = (kept[0] if rounded else outputs, kept[-1].clone())
    found = gradients.backward(request, kept, _gradient(request, given, names))
    return [_in_memory(found[name]) for name in names]


@_backward.register_fake
def _shapes_backward(*arguments: Any) -> list[Tensor]:
    """What :func:`_backward` gives, without values."""
    request, flags = _request(*arguments[:_ARGUMENTS]), arguments[-1]
    tensors = differentiable(request)
    return [
        new_steps(request.inputs, request.spec.input_size) if name == "inputs" else tensors[name].new_empty(shape)
        for name in _wanted(request, flags)
        for shape in [tensors[name].shape]
    ]


def _in_memory(tensor: Tensor) -> Tensor:
    """A result as its description without values says that it lies in memory."""
    return time_first(tensor) if tensor.ndim == 3 else tensor.contiguous()


def _wanted(request: Request, flags: Sequence[bool]) -> list[str]:
    return list(itertools.compress(differentiable(request), flags))


def _gradient(request: Request, given: Sequence[Tensor | None], wanted: Sequence[str]) -> Gradient:
    parts = len(request.state)
    return Gradient(given[0], tuple(given[1 : 1 + parts]), tuple(given[1 + parts :]), frozenset(wanted))


def _save(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    """Keeps for backward what :func:`_differentiate` reads."""
    x, state, parameters, *optional = inputs[:8]
    results = 1 + len(state) * (2 if inputs[10] else 1)
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*output[results:])
    ctx.counts, ctx.values = (len(state), len(parameters)), inputs[8:-1]
    ctx.save_for_backward(x, *state, *parameters, *optional, output[0], *output[results:])


def _differentiate(ctx: Any, gradients: list[Tensor | None]) -> tuple[Any, ...]:
    """The gradients by ``holdfast::recurrent_backward``, or where that does not do, by the reference."""
    remaining = iter(ctx.saved_tensors)
    x = next(remaining)
    state, parameters, optional = (list(itertools.islice(remaining, n)) for n in (*ctx.counts, 6))
    *optional, outputs = optional
    *values, rounded = ctx.values
    arguments = (x, state, parameters, *optional, *values)
    request = _request(*arguments)
    parts = ctx.counts[0]
    results = 1 + parts * (2 if request.return_states else 1)
    flags = [ctx.needs_input_grad[0], *ctx.needs_input_grad[1], *ctx.needs_input_grad[2]]
    names = _wanted(request, flags)
    gradient = _gradient(request, gradients[:results], names)
    if all(one is None for one in gradients[:results]):
        found: dict[str, Tensor] = {}
    elif needs_reference(gradient) or _kernels(request, rounded) is None:
        found = differentiable_gradients(request, gradient)
    else:
        given = torch.ops.holdfast.recurrent_backward(
            *arguments, rounded, gradients[:results], outputs, list(remaining), flags
        )
        found = dict(zip(names, given, strict=True))
    of_x, *others = (found.get(name) for name in differentiable(request))
    return (of_x, others[:parts], others[parts:], *[None] * (len(ctx.values) + 6))


_forward.register_autograd(_differentiate, setup_context=_save)


def _products(inputs: Sequence[int], parameters: Sequence[Sequence[int]], cell: str) -> tuple[int, int]:
    """Multiplications and additions of the input product and of the products in the loop, over all steps."""
    sizes = dict(zip(_spec(cell).parameter_names, parameters, strict=True))
    rows = 2 * inputs[0] * inputs[1]  # padding is counted: lengths are values, and only shapes are known
    return rows * math.prod(sizes["weight_ih"]), rows * sum(
        math.prod(sizes[name]) for name in ("weight_hh", "weight_hr") if name in sizes
    )


@register_flop_formula(torch.ops.holdfast.recurrent)
def _flops(inputs: Any, state: Any, parameters: Any, *others: Any, out_shape: Any = None, **_: Any) -> int:
    return sum(_products(inputs, parameters, others[5]))


@register_flop_formula(torch.ops.holdfast.recurrent_backward)
def _flops_backward(inputs: Any, state: Any, parameters: Any, *others: Any, out_shape: Any = None, **_: Any) -> int:
    of_inputs, of_steps = _products(inputs, parameters, others[5])
    return of_inputs * (2 if others[-1][0] else 1) + 2 * of_steps
