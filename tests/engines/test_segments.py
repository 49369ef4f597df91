"""``memory="recompute"`` of an engine with gradients of its own: equal to keep, in every option, in far less memory."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import holdfast
from holdfast.engines import ENGINES, Request
from holdfast.engines.native import NativeEngine
from variants import VARIANTS
from verification import (
    converted,
    differentiable,
    filled_with_nan,
    make_request,
    named_results,
    results_and_gradients,
    verify,
)

_native = pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")

SUPPORTED = {
    name: spec for name, spec in VARIANTS.items() if ENGINES["native"].why_not(make_request(spec[0], **spec[1])) is None
}
# The lengths of 7 steps, those of a segment, and whether there are masks.
CASES: list[tuple[list[int] | None, int | None, bool]] = [
    (None, None, True),
    ([7, 0, 3], 3, False),
    ([4, 2, 4], 1, True),
    ([7, 1, 6], 50, True),
    ([0, 0, 0], None, False),
]


def both(request: Request) -> list[dict[str, Tensor | None]]:
    """Results and gradients, kept and recomputed, of one loss."""
    results = named_results(request.spec, ENGINES["native"].run(request))
    cotangents = {name: torch.randn(result.shape, dtype=torch.float64) for name, result in results.items()}
    return [
        results_and_gradients(ENGINES["native"], replace(request, memory=m), cotangents) for m in ("keep", "recompute")
    ]


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "reverse"])
@pytest.mark.parametrize("name", SUPPORTED)
def test_every_variant_in_segments(name: str, reverse: bool) -> None:
    kind, options = SUPPORTED[name]
    for lengths, segment, training in CASES:
        request = make_request(
            kind, steps=7, lengths=lengths, training=training, reverse=reverse, return_states=True, **options
        )
        with filled_with_nan():
            verify("native", replace(request, memory="recompute", segment=segment))


@pytest.mark.parametrize("isa", _native.instruction_sets())
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_recompute_gives_the_bits_of_keep(kind: Any, isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all but what is summed over the steps, segment by segment: the gradients of the parameters."""
    monkeypatch.setitem(ENGINES, "native", NativeEngine(isa))
    for batch, hidden, lengths in ((1, 63, None), (9, 20, None), (6, 33, [30, 0, 17, 5, 6, 7])):
        for reverse, dtype in itertools.product((False, True), (torch.float32, torch.float64)):
            request = make_request(
                kind,
                batch=batch,
                steps=30,
                hidden_size=hidden,
                lengths=lengths,
                reverse=reverse,
                training=True,
                dtype=dtype,
                zoneout_h=0.2,
            )
            keep, recompute = both(request)
            for name, value in keep.items():
                other = recompute[name]
                assert value is not None
                assert other is not None
                if name.removeprefix("gradient of ") not in request.parameters:
                    assert torch.equal(other, value), name


def test_a_segment_is_all_that_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call of the engine, with the steps that it runs: forward all segments, then back, each once again."""
    calls: list[tuple[str, int]] = []
    for name in ("compute", "backward"):
        method = getattr(NativeEngine, name)

        def told(self: Any, request: Request, *rest: Any, name: str = name, method: Any = method, **more: Any) -> Any:
            keeping = name == "compute" and len(rest) == 2
            calls.append((name + (" keeping" if keeping else ""), request.inputs.shape[1]))
            return method(self, request, *rest, **more)

        monkeypatch.setattr(NativeEngine, name, told)
    layer = holdfast.LSTM(3, 4, memory="recompute", engine="native")
    output, _ = layer(torch.randn(10, 2, 3), lengths=[7, 1])  # 3 + 3 + 1 steps
    assert calls == [("compute", 3), ("compute", 3), ("compute", 1)]
    calls.clear()
    output.sum().backward()
    assert calls == [(name, steps) for steps in (1, 3, 3) for name in ("compute keeping", "backward")]
    calls.clear()
    with torch.no_grad():
        layer(torch.randn(10, 2, 3), lengths=[10, 1], return_states=True)
    assert calls == [("compute", 10)]


def test_an_output_that_was_changed_in_place_is_not_what_backward_reads() -> None:
    found = []
    for change in (False, True):
        torch.manual_seed(3)
        layer = holdfast.GRU(3, 4, memory="recompute", segment=2, engine="native")
        output, _ = layer(torch.randn(5, 2, 3))
        total = output.sum()
        if change:
            with torch.no_grad():
                output.zero_()
        total.backward()
        assert layer.weight_hh_l0.grad is not None
        found.append(layer.weight_hh_l0.grad)
    assert torch.equal(*found)


def test_gradients_that_nobody_wants_are_not_computed() -> None:
    request = make_request(steps=7)
    request.parameters["bias_ih"].requires_grad_()
    asked = []

    class Watched(NativeEngine):
        def backward(self, request: Request, kept: Any, gradient: Any) -> Any:
            found = super().backward(request, kept, gradient)
            asked.append(found.keys())
            return found

    Watched().run(replace(request, memory="recompute")).outputs.sum().backward()
    assert len(asked) == 3
    assert all("inputs" not in names for names in asked)
    expected = make_request(steps=7)
    expected.parameters["bias_ih"].requires_grad_()
    ENGINES["reference"].run(expected).outputs.sum().backward()
    torch.testing.assert_close(
        request.parameters["bias_ih"].grad, expected.parameters["bias_ih"].grad, rtol=0, atol=1e-13
    )


def test_going_back_twice_in_segments() -> None:
    request = converted(make_request(peepholes=True, lengths=[2, 5, 0]), torch.float64, requires_grad=True)
    outputs = ENGINES["native"].run(replace(request, memory="recompute")).outputs
    tensors = list(differentiable(request).values())
    first = torch.autograd.grad(outputs.sin().sum(), tensors, retain_graph=True)
    second = torch.autograd.grad(outputs.sin().sum(), tensors)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_explain_says_native() -> None:
    told = holdfast.explain(holdfast.LSTM(3, 4, memory="recompute", segment=3), torch.zeros(5, 2, 3))
    assert told.choices[0].engine == "native"
    assert told.choices[0].reasons["reference"] == "native comes first."


MEASURE = """
import json, re, sys, torch, holdfast
torch.set_num_threads(1)
torch.manual_seed(0)
memory, (batch, steps, inputs, hidden) = sys.argv[1], map(int, sys.argv[2:])
if memory == "torch":
    layer = torch.nn.LSTM(inputs, hidden, batch_first=True)
else:
    layer = holdfast.LSTM(inputs, hidden, batch_first=True, memory=memory, engine="native")

def told(what):  # of this program alone: getrusage would also count the process that started it
    return int(re.search(what + r":\\s+(\\d+) kB", open("/proc/self/status").read())[1]) / 1024

def train(x):
    layer(x)[0].sum().backward()

train(torch.randn(batch, 32, inputs))
before = told("VmRSS")
x = torch.randn(batch, steps, inputs)
train(x)
finite = all(bool(p.grad.isfinite().all() and p.grad.any()) for p in layer.parameters())
print(json.dumps({"megabytes": told("VmHWM") - before, "finite": finite}))
"""


def megabytes(memory: str, *sizes: int) -> float:
    """What a training step of an LSTM adds to the peak memory, its input included, in a process of its own."""
    command = [sys.executable, "-c", MEASURE, memory, *map(str, sizes)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["finite"]
    return float(found["megabytes"])


only_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak memory of a process alone")


@only_linux
def test_keep_needs_no_more_memory_than_torch_and_recompute_a_fifth() -> None:
    sizes = (16, 1024, 64, 128)
    torch_, keep, recompute = (megabytes(memory, *sizes) for memory in ("torch", "keep", "recompute"))
    assert torch_ > 50  # what is measured is there
    assert keep <= torch_
    assert recompute <= torch_ / 5


@only_linux
def test_a_hundred_thousand_steps_train_in_little_more_than_their_input_and_output() -> None:
    batch, steps, inputs, hidden = 4, 100_000, 8, 64
    input_and_output = 4 * batch * steps * (inputs + hidden) / 2**20
    assert megabytes("recompute", batch, steps, inputs, hidden) < 1.15 * input_and_output
