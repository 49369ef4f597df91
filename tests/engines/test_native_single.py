"""Calls of one step of few rows, which read the weights where they are."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from tests.engines.native_runs import fitting, threads
from torch import Tensor

from holdfast.cells import Kind, make_spec
from holdfast.engines import ENGINES
from holdfast.engines.native import NativeEngine
from variants import VARIANTS
from verification import converted, make_request, results_and_gradients, tolerance, verify

pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")

# rows, inputs, units: one of everything; a vector and less, and more; several vectors; odd numbers and even ones
SIZES = [(1, 1, 1), (3, 3, 5), (7, 9, 63), (33, 17, 40)]


def in_place(kind: Kind, batch: int, steps: int, **options: object) -> bool:
    spec = make_spec(kind, {"input_size": 3, "hidden_size": 4, **options})
    cell = NativeEngine().cell(spec, torch.float32, reverse=False)
    assert cell is not None
    return cell.kernels.in_place(batch, steps)


@pytest.mark.usefixtures("nan_filled")
@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_on_every_instruction_set(isa: str, name: str) -> None:
    kind, options = VARIANTS[name]
    modes = itertools.product((False, True), (torch.float64, torch.float32))
    for (batch, inputs, units), (training, dtype) in itertools.product(SIZES, modes):
        request = make_request(
            kind,
            batch=batch,
            steps=1,
            input_size=inputs,
            hidden_size=units,
            training=training,
            return_states=training,
            dtype=dtype,
            **fitting(options, units),
        )
        verify("native", request)


@pytest.mark.usefixtures("nan_filled")
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("batch", [*range(1, 20), 64, 65, 256, 257])
def test_every_number_of_rows(isa: str, kind: Kind, batch: int) -> None:
    verify("native", make_request(kind, batch=batch, steps=1, input_size=21, hidden_size=37, dtype=torch.float32))


@pytest.mark.usefixtures("nan_filled")
@pytest.mark.parametrize(
    "layout",
    [
        lambda x: x.permute(2, 1, 0).contiguous().permute(2, 1, 0),  # values with a stride
        lambda x: x.repeat_interleave(2, 0)[::2],  # every other row
        lambda x: x[:1].expand(x.shape),  # rows with stride 0
    ],
)
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_inputs_with_strides(isa: str, kind: Kind, layout: Callable[[Tensor], Tensor]) -> None:
    request = make_request(kind, batch=5, steps=1, input_size=9, hidden_size=20)
    verify("native", replace(request, inputs=layout(request.inputs)))


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_any_number_of_threads(isa: str, kind: Kind, count: int) -> None:
    """There is enough work that all of them are taken. The same bits for any number."""
    units = 700 if kind == "rnn" else 420
    request = converted(make_request(kind, batch=3, steps=1, input_size=300, hidden_size=units), torch.float32)
    cotangents = {"outputs": torch.randn(3, 1, units), "final h": torch.randn(3, units)}
    expected = results_and_gradients(ENGINES["reference"], converted(request, torch.float64), cotangents)
    with threads(1):
        alone = results_and_gradients(NativeEngine(), request, cotangents)
    with threads(count):
        found = results_and_gradients(NativeEngine(), request, cotangents)
    for name, value in expected.items():
        a, b = found[name], alone[name]
        assert a is not None
        assert b is not None
        assert value is not None
        assert torch.equal(a, b), name
        difference = float((a - value).abs().max() / value.abs().max().clamp(min=1))
        assert difference <= tolerance(request, name), name


def test_which_calls_read_the_weights_in_place() -> None:
    for name, (kind, options) in VARIANTS.items():
        stages = "layer_norm" in options or "proj_size" in options or not options.get("reset_after", True)
        assert in_place(kind, 5, 1, **options) is not stages, name
    assert in_place("lstm", 64, 1)
    assert not in_place("lstm", 65, 1)
    assert in_place("lstm", 128, 1, hidden_size=300)
    assert not in_place("lstm", 129, 1, hidden_size=300)
    assert in_place("lstm", 64, 1, hidden_size=512)
    assert not in_place("lstm", 65, 1, hidden_size=512)
    assert in_place("lstm", 16, 1, hidden_size=1024)
    assert not in_place("lstm", 17, 1, hidden_size=1024)
    assert not in_place("lstm", 1, 2)
