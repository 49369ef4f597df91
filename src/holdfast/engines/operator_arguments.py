"""A request as the arguments of an operator of torch: tensors, numbers and text, which a saved graph can hold."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor

from holdfast.cells import CellSpec, Noise, calling, make_spec
from holdfast.engines.function import Gradient, differentiable
from holdfast.engines.lengths import check_lengths
from holdfast.engines.memory import Memory
from holdfast.engines.request import Request, result_dtype

SCHEMA = (
    "Tensor inputs, Tensor[] state, Tensor[] parameters, Tensor? lengths, Tensor? state_mask, Tensor? candidate, "
    "Tensor? zoneout_h, Tensor? zoneout_c, str cell, bool reverse, bool return_states, str memory, int? segment, "
    "bool rounded"
)
"""The arguments of a request. ``rounded``: whether the products' operands and the result are rounded to bfloat16."""

_FIELDS = tuple(field.name for field in dataclasses.fields(CellSpec))
_COUNT = 13  # of arguments before ``rounded``


def description(spec: CellSpec) -> str:
    """A cell as the operators take it: JSON with its kind, its sizes and the options that are not at their defaults."""
    if torch.compiler.is_compiling():
        return _description_of(*[getattr(spec, name) for name in _FIELDS])
    return _description(spec)


@calling.constant
def _description_of(*values: Any) -> str:
    """The description of a cell with these fields: older versions of torch.compile cannot take the cell itself."""
    return _description(CellSpec(**dict(zip(_FIELDS, values, strict=True))))


def _description(spec: CellSpec) -> str:
    sizes = {"kind": spec.kind, "input_size": spec.input_size, "hidden_size": spec.hidden_size, "bias": spec.bias}
    return json.dumps({**sizes, **spec.computing_options()}, default=lambda number: number.item())  # a NumPy number


@lru_cache(256)
def spec_from(description: str) -> CellSpec:
    """The inverse of :func:`description`."""
    options = json.loads(description)
    return make_spec(options.pop("kind"), options)


def to_arguments(request: Request) -> tuple[Any, ...]:
    """The arguments that :data:`SCHEMA` lists."""
    noise = request.noise or Noise()
    return (
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
    )


def from_arguments(arguments: Sequence[Any]) -> tuple[Request, bool, tuple[Any, ...]]:
    """The request, ``rounded``, and the arguments after those of :data:`SCHEMA`."""
    rounded, *others = arguments[_COUNT:]
    return _request(*arguments[:_COUNT]), rounded, tuple(others)


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
    spec = spec_from(cell)
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


def check_request_lengths(request: Request) -> None:
    """Checks the values of the lengths, which are unknown while a graph is recorded.

    Raises:
        ShapeError: As :func:`holdfast.engines.lengths.check_lengths`.
    """
    batch, steps, _ = request.inputs.shape
    request.lengths = check_lengths(request.lengths, batch, steps, request.inputs.device)


def wanted_names(request: Request, flags: Sequence[bool]) -> list[str]:
    """The tensors that need a gradient; ``flags`` has one value for each of :func:`differentiable`."""
    return list(itertools.compress(differentiable(request), flags))


def to_gradient(request: Request, received: Sequence[Tensor | None], wanted: Sequence[str]) -> Gradient:
    """The gradients of an operator's results, in the order of the results."""
    parts = len(request.state)
    return Gradient(received[0], tuple(received[1 : 1 + parts]), tuple(received[1 + parts :]), frozenset(wanted))
