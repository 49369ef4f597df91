"""The gates and states of every step of a request: what the kernels keep for the backward pass, or the reference's.

The kernels keep the gates of all steps where a training call needs them, so recording them costs one such call and a
copy. Where another engine computes a request, the gates follow from the states before each step, and the reference's
equations give those of all steps at once.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from holdfast.cells import BoundCell, CellSpec, activation, make_spec
from holdfast.cells.activation_names import parse_activation
from holdfast.engines import ENGINES, select
from holdfast.engines.lengths import without_padding
from holdfast.engines.native import NativeEngine
from holdfast.engines.request import Request, Result, new_steps, result_dtype

Gates = dict[str, Tensor]
"""Every gate and the candidate by its letter in the equations of the cell, [B, T, H] each; 0 past a row's length."""


class RecordedRun(NamedTuple):
    """A request that was run.

    Attributes:
        result: Its result, with the state after every step.
        gates: The gates of every step.
    """

    result: Result
    gates: Gates


def run_recorded(engine_name: str, request: Request) -> RecordedRun:
    """Runs a request and returns its gates too.

    Args:
        engine_name: The engine, as :func:`holdfast.engines.select` takes it. If it cannot return the state of every
            step, the first one that can runs the request.
        request: A request without random masks.
    """
    request = replace(request, return_states=True)
    name = engine_name if engine_name == "auto" or _runs(engine_name, request) else "auto"
    engine = select(name, request)
    if isinstance(engine, NativeEngine) and _keeps_gates(request):
        return kept_by_kernels(engine, request)
    result = engine.run(request)
    return RecordedRun(result, by_reference(request, result))


def states_before(request: Request, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The state before every step of a row, from the state after every step: [B, T, size] each.

    Past a row's length the values have no meaning.
    """
    if request.reverse:  # past its length, a reversed row has its initial state
        return tuple(
            torch.cat([after[:, 1:], initial[:, None].to(after)], 1)
            for after, initial in zip(states, request.state, strict=True)
        )
    return tuple(
        torch.cat([initial[:, None].to(after), after[:, :-1]], 1)
        for after, initial in zip(states, request.state, strict=True)
    )


def by_reference(request: Request, result: Result) -> Gates:
    """The gates of every step by the equations of the reference, all steps at once.

    Args:
        request: The request.
        result: Its result, with the state after every step.
    """
    assert result.states is not None  # the request asks for them
    x = request.inputs.transpose(0, 1)
    if request.lengths is not None:
        x = without_padding(x, request.lengths)
    cell = BoundCell(request.spec, request.parameters)
    prepared = cell.prepare(x).transpose(0, 1).flatten(0, 1)
    before = tuple(part.flatten(0, 1) for part in states_before(request, result.states))
    gates = cell.gates(prepared, before)
    batch, steps, _ = request.inputs.shape
    return _within(request, {name: gate.view(batch, steps, -1) for name, gate in gates.items()})


def kept_by_kernels(engine: NativeEngine, request: Request) -> RecordedRun:
    """The gates as the kernels computed and kept them.

    ``native/sequence.h`` says how they are in memory: per step, per panel of units, per row, the slots of ``units``
    vectors of units. Rows are in the order of ``Rows`` in ``native/threads.cpp``: with lengths on one thread, the
    longest first; without lengths, their own order.

    Args:
        engine: The native engine.
        request: A request that it can run, in float32 or float64, which asks for the state after every step.
    """
    spec, x = request.spec, request.inputs
    batch, steps, _ = x.shape
    kept = x.new_empty(batch * steps * engine.kept_values(spec, x.dtype))
    y = new_steps(x, spec.output_size)
    result = engine.compute(request, y, kept, threads=None if request.lengths is None else 1)
    panels = _Panels.of(engine, spec, x.dtype)
    count = steps * batch * panels.slots * panels.padded
    slots = kept[:count].view(steps, panels.number, batch, panels.slots, panels.padded // panels.number)
    if request.lengths is not None:
        slots = slots.index_select(2, request.lengths.argsort(descending=True, stable=True).argsort())
    by_slot = slots.permute(3, 2, 0, 1, 4).reshape(panels.slots, batch, steps, panels.padded)[..., : spec.hidden_size]
    gates = {name: _value(spec, name, stored) for name, stored in zip(spec.gates, by_slot, strict=False)}
    if spec.coupled_gates:
        gates = {"i": gates["i"], "f": 1 - gates["i"], "g": gates["g"], "o": gates["o"]}
    return RecordedRun(result, _within(request, gates))


def _runs(engine_name: str, request: Request) -> bool:
    return ENGINES[engine_name].why_not(request) is None


def _keeps_gates(request: Request) -> bool:
    """Whether the kernels run the request as it is: nothing traces it, and nothing is rounded to bfloat16."""
    plain_dtype = request.inputs.dtype in (torch.float32, torch.float64)
    return request.plain and plain_dtype and result_dtype(request) == request.inputs.dtype


class _Panels(NamedTuple):
    """How the kernels arrange a step of a row: ``number`` panels of ``slots`` times some units, ``padded`` in all."""

    slots: int
    padded: int
    number: int

    @classmethod
    def of(cls, engine: NativeEngine, spec: CellSpec, dtype: torch.dtype) -> _Panels:
        slots = 4 if spec.kind == "gru" else len(spec.gates)  # the GRU's last slot is W_hn h + b_hn
        of_size = cache(lambda units: _padded(engine, spec, dtype, units, slots))
        padded = of_size(spec.hidden_size)
        if spec.kind != "rnn":
            return cls(slots, padded, padded // of_size(1))  # one unit takes one vector, and a panel has one
        lanes = of_size(1) // 2
        in_pairs = (-(-spec.hidden_size // lanes) + 1) // 2
        return cls(slots, padded, padded // (lanes * (2 if in_pairs % 2 else 4)))


def _padded(engine: NativeEngine, spec: CellSpec, dtype: torch.dtype, units: int, slots: int) -> int:
    """The units of a cell of that size with the padding of its last panel."""
    plain = make_spec(spec.kind, {"input_size": 1, "hidden_size": units, "coupled_gates": spec.coupled_gates})
    return engine.kept_values(plain, dtype) // (slots + (spec.kind == "lstm"))  # c before the step follows the slots


def _value(spec: CellSpec, gate: str, stored: Tensor) -> Tensor:
    """The value of an activation: of ELU the kernels keep the argument (native/activations.h)."""
    name = spec.activation if gate in ("g", "n", "h") else spec.recurrent_activation
    keeps_argument = isinstance(name, str) and parse_activation(name)[0] in ("elu", "selu")
    return activation(name)(stored) if keeps_argument else stored


def _within(request: Request, gates: Gates) -> Gates:
    """The gates with zeros past each row's length."""
    if request.lengths is None:
        return gates
    steps = torch.arange(request.inputs.shape[1], device=request.inputs.device)
    within = (steps < request.lengths[:, None])[:, :, None]
    return {name: torch.where(within, gate, torch.zeros_like(gate)) for name, gate in gates.items()}
