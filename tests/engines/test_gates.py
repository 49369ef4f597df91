"""The gates that the kernels keep, and those that follow from the states, against the equations step by step."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from tests.engines.native_runs import NAMES, fitting, threads
from torch import Tensor

from holdfast.cells import BoundCell
from holdfast.engines import select
from holdfast.engines.gates import by_reference, kept_by_kernels, run_recorded
from holdfast.engines.native import NativeEngine
from holdfast.engines.reference import ReferenceEngine
from holdfast.engines.request import Request
from holdfast.errors import EngineError
from variants import VARIANTS
from verification import make_request

SIZES = [(1, 1, 1, 1, None), (3, 5, 2, 3, [4, 0, 5]), (13, 3, 5, 63, None), (2, 3, 33, 100, [3, 1])]


def gates_step_by_step(request: Request) -> dict[str, Tensor]:
    """The gates of every step, [B, T, H], computed one after the other by the equations; 0 past the lengths."""
    cell = BoundCell(request.spec, request.parameters)
    batch, steps, _ = request.inputs.shape
    lengths = torch.full((batch,), steps) if request.lengths is None else request.lengths
    found: dict[str, Tensor] = {}
    state = request.state
    for t in reversed(range(steps)) if request.reverse else range(steps):
        prepared, active = cell.prepare(request.inputs[:, t]), (t < lengths)[:, None]
        for letter, gate in cell.gates(prepared, state).items():
            found.setdefault(letter, gate.new_zeros(batch, steps, gate.shape[1]))[:, t] = active * gate
        _, new = cell.step(t, prepared, state)
        state = tuple(torch.where(active, after, before) for after, before in zip(new, state, strict=True))
    return found


def largest_difference(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """Relative to the largest value, where that is above 1: a linear activation can grow without end."""
    assert found.keys() == expected.keys()
    most = max(1.0, *(float(value.abs().max()) for value in expected.values()))
    return max(float((found[name] - expected[name]).abs().max()) for name in expected) / most


@pytest.mark.usefixtures("nan_filled")
@pytest.mark.parametrize("name", VARIANTS)
def test_the_kernels_keep_the_gates_of_every_variant(each_isa: dict[str, NativeEngine], name: str) -> None:
    kind, options = VARIANTS[name]
    for (batch, steps, inputs, units, lengths), reverse in itertools.product(SIZES, (False, True)):
        sizes = {"batch": batch, "steps": steps, "input_size": inputs, "hidden_size": units, "lengths": lengths}
        request = make_request(kind, **sizes, reverse=reverse, return_states=True, **fitting(options, units))
        expected = gates_step_by_step(request)
        for isa, engine in each_isa.items():
            result, gates = kept_by_kernels(engine, request)
            assert largest_difference(gates, expected) < 1e-9, (isa, sizes, reverse)
            torch.testing.assert_close(result.outputs, engine.compute(request).outputs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_the_kernels_keep_the_gates_of_every_activation(name: str) -> None:
    pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")
    for kind, options in (
        ("rnn", {"activation": name, "gate_clip": 0.7}),
        ("gru", {"activation": name}),
        ("gru", {"recurrent_activation": name}),
        ("lstm", {"activation": name}),
        ("lstm", {"recurrent_activation": name, "coupled_gates": True}),
    ):
        request = make_request(kind, steps=3, hidden_size=9, return_states=True, seed=3, **options)
        _, gates = kept_by_kernels(NativeEngine(), request)
        assert largest_difference(gates, gates_step_by_step(request)) < 1e-9, kind


@pytest.mark.parametrize("name", VARIANTS)
def test_gates_follow_from_the_states(name: str) -> None:
    kind, options = VARIANTS[name]
    for lengths, reverse in itertools.product((None, [4, 0, 5]), (False, True)):
        request = make_request(kind, lengths=lengths, reverse=reverse, return_states=True, **options)
        found = by_reference(request, ReferenceEngine().run(request))
        assert largest_difference(found, gates_step_by_step(request)) < 1e-12


def test_many_rows_on_two_threads_keep_their_order() -> None:
    pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")
    lengths = torch.randint(0, 9, (26,)).tolist()
    request = make_request("lstm", batch=26, steps=8, input_size=8, hidden_size=33, lengths=lengths)
    for asked in (request, replace(request, lengths=None)):
        expected = gates_step_by_step(asked)
        with threads(2):
            found = run_recorded("native", asked).gates
        assert largest_difference(found, expected) < 1e-9


def test_padding_that_is_not_a_number_changes_nothing() -> None:
    request = make_request("gru", lengths=[4, 0, 5], return_states=True)
    expected = gates_step_by_step(request)
    inputs = request.inputs.clone()
    inputs[0, 4:], inputs[1] = torch.nan, torch.nan
    for name in ("auto", "reference"):
        assert largest_difference(run_recorded(name, replace(request, inputs=inputs)).gates, expected) < 1e-9


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_other_dtypes_are_recorded_by_the_reference(dtype: torch.dtype) -> None:
    request = make_request("lstm", dtype=dtype)
    result, gates = run_recorded("auto", request)
    assert result.states is not None
    assert gates["f"].dtype == dtype
    assert largest_difference(gates, gates_step_by_step(request)) < 0.02


def test_an_engine_that_cannot_return_states_leaves_the_request_to_another() -> None:
    """cuDNN has no state of every step, and on the CPU it cannot run at all."""
    request = make_request("lstm")
    assert largest_difference(run_recorded("cudnn", request).gates, gates_step_by_step(request)) < 1e-9
    with pytest.raises(EngineError):
        select("cudnn", request)
