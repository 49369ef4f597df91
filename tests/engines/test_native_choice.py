"""When the native engine is chosen, and what it says when it cannot run."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import holdfast
from holdfast.engines import ENGINES, Request
from holdfast.engines.memory import MEMORY_POLICIES
from holdfast.engines.native import NativeEngine
from holdfast.errors import EngineError
from verification import converted, make_request

_native: Any = pytest.importorskip(
    "holdfast.runtime._native", reason="Holdfast was installed without its native kernels"
)


def on_meta(request: Request) -> Request:
    state = tuple(part.to("meta") for part in request.state)
    parameters = {name: value.to("meta") for name, value in request.parameters.items()}
    return replace(request, inputs=request.inputs.to("meta"), state=state, parameters=parameters)


def test_why_not() -> None:
    def reason(request: Any) -> str | None:
        return ENGINES["native"].why_not(request)

    assert reason(make_request()) is None
    assert reason(make_request(activation=torch.sin)) == "an activation is a callable, which the kernels cannot call."
    assert reason(make_request(activation="silu")) == (
        "the kernels have no silu, whose derivative does not follow from its value."
    )
    for name in ("elu(-1)", "leaky_relu(-0.1)", "thresholded_relu(-1)", "scaled_tanh(0)", "gelu", "mish"):
        assert reason(make_request("rnn", activation=name)) == (
            f"the kernels have no {name}, whose derivative does not follow from its value."
        )
        assert reason(make_request(output_activation=name)) is not None
    half = converted(make_request(), torch.float16)
    assert reason(half) == "the kernels compute in float32, float64 and bfloat16, and the input is torch.float16."
    assert all(reason(replace(make_request(), memory=memory)) is None for memory in MEMORY_POLICIES)
    assert reason(on_meta(make_request())) == "the kernels run on the CPU, and the input is on meta."
    empty = make_request(batch=0)
    assert reason(empty) == "there is nothing to compute in an input of shape (0, 5, 2)."


def test_auto_takes_the_native_engine_and_says_so() -> None:
    layer = holdfast.LSTM(3, 4, 2, batch_first=True)
    told = holdfast.explain(layer, torch.zeros(2, 5, 3))
    assert told.engine == "native"
    elsewhere = "it computes on CUDA, and the input is on cpu."
    unrecorded = "it serves traces of torch.jit and files of ONNX, and this call makes neither."
    reasons = {"recorded": unrecorded, "cudnn": elsewhere, "reference": "native comes first."}
    assert told.choices[0].reasons == reasons
    own = holdfast.explain(holdfast.LSTM(3, 4, activation=torch.sin), torch.zeros(2, 5, 3))
    reason = "an activation is a callable, which the kernels cannot call."
    assert own.choices[0].reasons == {"recorded": unrecorded, "native": reason, "cudnn": elsewhere}
    assert own.engine == "reference"


def test_the_dot_product_of_bfloat16_is_chosen_only_where_it_is_faster_than_float() -> None:
    sets, processors = _native.instruction_sets(), Path("/proc/cpuinfo")
    if not {"avx512_bf16", "avx512"} <= set(sets) or not processors.exists():
        pytest.skip("needs Linux and a processor with AVX512-BF16, with all its instruction sets compiled")
    intel = "GenuineIntel" in processors.read_text()
    assert (sets.index("avx512") < sets.index("avx512_bf16")) == intel
    if not os.environ.get("HOLDFAST_ISA"):
        assert _native.chosen() == sets[0]


def test_an_instruction_set_that_is_not_here_is_named() -> None:
    with pytest.raises(EngineError, match="There are no kernels for 'sse9'; this processor can run: "):
        NativeEngine("sse9").run(make_request())


def test_an_instruction_set_that_is_not_compiled_is_named_with_what_compiles_it() -> None:
    other = "neon" if "neon" not in _native.instruction_sets() else "avx2"
    with pytest.raises(EngineError) as caught:
        NativeEngine(other).run(make_request())
    said = str(caught.value)
    assert said.startswith(f"This installation has kernels for {_native.instruction_sets()[0]}")
    assert said.endswith(
        f", not for {other}. Install Holdfast again with HOLDFAST_ISAS=native, which compiles all that the processor "
        f"has, or with HOLDFAST_ISAS={other}."
    )
