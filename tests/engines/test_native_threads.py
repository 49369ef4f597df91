"""The native engine with several threads: the results of the reference, and the same bits for the same threads."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.engines.native_runs import fitting, threads

import holdfast
from holdfast.cells import Kind
from holdfast.engines import ENGINES
from holdfast.engines.native import NativeEngine
from variants import VARIANTS
from verification import converted, filled_with_nan, make_request, results_and_gradients, tolerance

pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_any_number_of_threads_for_any_batch(kind: Kind, count: int) -> None:
    """Few rows: the threads share the units; many: the rows; each within the tolerance, and twice the same bits.

    There is enough work that all of them are taken.
    """
    for batch, hidden, lengths in ((1, 450, None), (3, 260, [12, 0, 7]), (33, 80, [*range(2, 13)] * 3)):
        request = make_request(
            kind, batch=batch, steps=12, hidden_size=hidden, lengths=lengths, training=True, zoneout_h=0.2
        )
        single = converted(request, torch.float32)
        cotangents = {"outputs": torch.randn(batch, 12, hidden), "final h": torch.randn(batch, hidden)}
        expected = results_and_gradients(ENGINES["reference"], converted(single, torch.float64), cotangents)
        with threads(count):
            first, second = (results_and_gradients(NativeEngine(), single, cotangents) for _ in range(2))
        for name, value in expected.items():
            a, b = first[name], second[name]
            assert a is not None
            assert b is not None
            assert value is not None
            assert torch.equal(a, b), name
            difference = float((a - value).abs().max() / value.abs().max().clamp(min=1))
            assert difference <= tolerance(single, name), name


# What has threads wait for one another between the stages of a step, and the plain cells beside it.
THREADED = [name for name in VARIANTS if name in ("rnn", "gru", "lstm") or "everything" in name or "reset" in name]
THREADED += ["rnn layer norm", "gru layer norm", "lstm layer norm", "lstm projection, clipped"]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("name", THREADED)
def test_threads_share_units_in_stages(isa: str, name: str, count: int) -> None:
    """Fewer rows than keep all threads busy, and enough work that all of them are taken."""
    kind, options = VARIANTS[name]
    few, more = (300, 150) if kind == "rnn" else (150, 60)
    for batch, steps, units, lengths in ((3, 13, few, [9, 13, 0]), (26, 5, more, None)):
        request = make_request(
            kind,
            batch=batch,
            steps=steps,
            input_size=10,
            hidden_size=units,
            lengths=lengths,
            training=True,
            reverse=lengths is None,
            **fitting(options, units),
        )
        cotangents = {"outputs": torch.randn(batch, steps, request.spec.output_size, dtype=torch.float64)}
        expected = results_and_gradients(ENGINES["reference"], request, cotangents)
        with threads(count), filled_with_nan():
            first, second = (results_and_gradients(ENGINES["native"], request, cotangents) for _ in range(2))
        for part, value in expected.items():
            a, b = first[part], second[part]
            assert a is not None
            assert b is not None
            assert value is not None
            assert torch.equal(a, b), part
            difference = float((a - value).abs().max() / value.abs().max().clamp(min=1))
            assert difference <= tolerance(request, part), part


@pytest.mark.parametrize("options", [{}, {"layer_norm": True, "proj_size": 20}])
def test_the_threads_change_rounding_alone_and_the_same_threads_not_even_that(options: dict[str, Any]) -> None:
    layer = holdfast.LSTM(7, 33, batch_first=True, engine="native", **options)
    x, lengths = torch.randn(9, 6, 7), [6, 1, 4, 0, 3, 6, 2, 5, 5]
    found = []
    for count in (1, 2, 2, 5, 20):
        layer.zero_grad()
        with threads(count):
            outputs = layer(x, lengths=lengths)[0]
            outputs.square().sum().backward()
        found.append([outputs.detach(), *(p.grad.clone() for p in layer.parameters() if p.grad is not None)])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(found[1], found[2], strict=True))
