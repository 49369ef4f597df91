"""The native engine on extreme values against the reference: saturation, infinities, NaN, and 1e-45 to 3e38."""

from __future__ import annotations

import itertools
import math
import os
import random
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import holdfast
from extremes import differences, random_cotangents, spread_extremes
from holdfast.cells import ACTIVATIONS
from holdfast.engines import Request
from holdfast.engines.native import NativeEngine
from holdfast.engines.reference import ReferenceEngine
from holdfast.runtime.kernels import function
from variants import PARAMETRISED, VARIANTS
from verification import make_request, results_and_gradients

_native = pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")

ISAS = [isa for isa in _native.instruction_sets() if isa not in ("avx512_amx", "avx512_bf16")]
NAMES = [name for name in (*ACTIVATIONS, *PARAMETRISED) if function(name) and name != "exponential"]
COUNT = int(os.environ.get("HOLDFAST_SWEEP", "15"))  # random cells; `make sweep` has 300


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> str:
    """Each instruction set in turn."""
    return str(request.param)


def difference(isa: str, request: Request, seed: int = 1) -> list[str]:
    """Where the kernels differ from the reference in results and gradients: one sentence for each tensor."""
    cotangents = random_cotangents(request, seed)
    got = results_and_gradients(NativeEngine(isa), request, cotangents)
    return differences(got, request, cotangents, seed)


def random_request(seed: int) -> Request:
    """A random variant of a cell, of random sizes, with extreme values."""
    choose = random.Random(seed)
    kind, options = VARIANTS[choose.choice(list(VARIANTS))]
    options = dict(options)
    if choose.random() < 0.4 and "layer_norm" not in options:
        options.setdefault("activation", choose.choice(NAMES))
        if kind != "rnn":
            options.setdefault("recurrent_activation", choose.choice(NAMES))
    units = choose.choice([1, 2, 3, 5, 8, 17, 33])
    steps, batch = choose.randint(1, 5), choose.randint(1, 4)
    request = make_request(
        kind,
        batch=batch,
        steps=steps,
        input_size=choose.choice([1, 2, 7, 20]),
        hidden_size=max(units, 3) if {"proj_size", "layer_norm"} & {*options} else units,
        lengths=[choose.randint(0, steps) for _ in range(batch)] if choose.random() < 0.4 else None,
        training=choose.random() < 0.5,
        reverse=choose.random() < 0.3,
        return_states=choose.random() < 0.3,
        dtype=choose.choice([torch.float32, torch.float32, torch.float64]),
        seed=seed,
        **options,
    )
    return spread_extremes(replace(request, memory=choose.choice(["keep", "keep", "recompute"])), seed)


def test_random_cells_with_extreme_values(isa: str) -> None:
    problems = []
    for seed in range(COUNT):
        request = random_request(seed)
        about = f"seed {seed}, {request.spec.kind}, {request.inputs.dtype}"
        problems += [f"{about}: {problem}" for problem in difference(isa, request, seed)]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_large_inputs_saturate_and_their_gradients_vanish(isa: str, kind: Any, dtype: torch.dtype) -> None:
    """Of two opposite inputs, so that every sum is large, of either sign."""
    for size, units in itertools.product((1e2, 1e9, 3e38), (1, 3, 20)):
        request = make_request(kind, batch=2, steps=1, input_size=1, hidden_size=units, dtype=dtype)
        request.inputs[:] = torch.tensor([size, -size], dtype=dtype)[:, None, None]
        request.parameters["weight_ih"].sign_()
        assert difference(isa, request) == []
        if kind == "rnn":
            got = results_and_gradients(NativeEngine(isa), request, random_cotangents(request, 1))
            for name in ("inputs", "state.0", "weight_ih", "weight_hh", "bias_ih"):
                gradient = got[f"gradient of {name}"]
                assert gradient is not None
                assert not gradient.any()


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "gru reset before", "lstm peepholes", "lstm projection"])
def test_one_huge_recurrent_weight(isa: str, name: str) -> None:
    kind, options = VARIANTS[name]
    for size, units, where in ((1e30, 8, (0, 0)), (3e38, 3, (2, 1)), (1e15, 8, (-1, -1))):
        request = make_request(kind, batch=3, steps=6, input_size=4, hidden_size=units, dtype=torch.float32, **options)
        request.parameters["weight_hh"][where] = size
        assert difference(isa, request) == []


@pytest.mark.parametrize("name", [name for name, (_, options) in VARIANTS.items() if "elu" not in str(options)])
def test_an_infinite_value_reaches_no_other_unit_or_row(isa: str, name: str) -> None:
    """With one input, sums are infinite and not NaN; a vector's lanes beyond the last unit hold infinity times 0."""
    kind, options = VARIANTS[name]
    sizes: dict[str, Any] = {"batch": 3, "steps": 3, "input_size": 1, "hidden_size": 5, "lengths": [3, 1, 2]}
    for value, training in ((math.inf, True), (-math.inf, False), (math.nan, False)):
        request = make_request(kind, **sizes, training=training, dtype=torch.float32, **options)
        request.inputs[0, 1] = value
        if training:
            request.state[-1][1, 1] = value
        cotangents = random_cotangents(request, 1)
        expected = results_and_gradients(ReferenceEngine(), request, cotangents)
        for what, got in results_and_gradients(NativeEngine(isa), request, cotangents).items():
            other = expected[what]
            if got is not None and other is not None:
                torch.testing.assert_close(got, other, rtol=1e-3, atol=1e-4, equal_nan=True, msg=what)


@pytest.mark.parametrize("name", [name for name in VARIANTS if "layer norm" in name or "everything" in name])
def test_layer_norm_of_values_whose_squares_overflow(isa: str, name: str) -> None:
    kind, options = VARIANTS[name]
    for size in (1e10, 1e19, 1e25, 1e37):
        request = make_request(kind, batch=3, steps=2, input_size=4, hidden_size=20, dtype=torch.float32, **options)
        h, *c = request.state
        request = replace(request, inputs=request.inputs * size, state=(h * size, *c))
        outputs = results_and_gradients(ReferenceEngine(), request, None)["outputs"]
        assert outputs is not None
        assert bool(outputs.isfinite().all())
        assert difference(isa, request) == []


def test_the_gradient_of_a_saturated_unit_is_zero(isa: str) -> None:
    layer = holdfast.RNN(1, 1)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.fill_(1.0 if name.startswith("weight") else 0.0)
    x = torch.full((1, 1, 1), -1e9, requires_grad=True)
    parameters = {name.removesuffix("_l0"): parameter for name, parameter in layer.named_parameters()}
    NativeEngine(isa).run(Request(layer.specs[0], x, (torch.zeros(1, 1),), parameters)).outputs.sum().backward()
    assert float(layer.weight_ih_l0.grad) == 0.0
    assert float(x.grad) == 0.0


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_one_huge_weight_beside_torch(isa: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradients of torch.nn's layer are finite, and so are these."""
    theirs = getattr(torch.nn, kind)(4, 8)
    with torch.no_grad():
        theirs.weight_hh_l0[0, 0] = 1e30
    ours = getattr(holdfast, kind)(4, 8, engine="native")
    ours.load_state_dict(theirs.state_dict())
    monkeypatch.setitem(holdfast.engines.ENGINES, "native", NativeEngine(isa))
    x = torch.randn(5, 3, 4)
    found: list[list[Tensor]] = []
    for layer in (ours, theirs):
        layer(x)[0].sum().backward()
        found.append([p.grad for p in layer.parameters()])
    for got, expected in zip(*found, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
