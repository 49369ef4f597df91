"""Public models for audio as it comes: forty steps with the state carried on, against onnxruntime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from holdfast.interop.onnx import files as onnx_files
from holdfast.interop.onnx.runtime import Runtime, relative_difference

STEPS = 40


class Stream(NamedTuple):
    """How a model is called.

    A step has a name, a shape and a scale; then come the inputs that stay, and for each state its shape and output.
    """

    step: tuple[str, tuple[int, ...]]
    scale: float
    fixed: dict[str, int]
    states: dict[str, tuple[tuple[int, ...], str]]


VAD = {"state": ((2, 1, 128), "stateN")}
STREAMS = {
    "gtcrn_simple": Stream(
        ("mix", (1, 257, 1, 2)),
        1.0,
        {},
        {
            "conv_cache": ((2, 1, 16, 16, 33), "conv_cache_out"),
            "tra_cache": ((2, 3, 1, 1, 16), "tra_cache_out"),
            "inter_cache": ((2, 1, 33, 16), "inter_cache_out"),
        },
    ),
    "silero_vad": Stream(("input", (1, 576)), 0.3, {"sr": 16000}, VAD),
    "silero_vad_16k_op15": Stream(("input", (1, 576)), 0.3, {"sr": 16000}, VAD),
    "silero_vad_half": Stream(("input", (1, 576)), 0.3, {}, VAD),
    "silero_vad_openvino_16k": Stream(("input", (1, 576)), 0.3, {}, VAD),
    "silero_vad_op18_ifless": Stream(("input", (1, 288)), 0.3, {"sr": 8000}, VAD),
    "silero_vad_16k_sequence": Stream(
        ("input", (4, 576)), 0.3, {}, {"h": ((1, 1, 128), "hn"), "c": ((1, 1, 128), "cn")}
    ),
}


@pytest.mark.parametrize("name", STREAMS)
def test_forty_steps(name: str, conformance: Callable[[str], Path]) -> None:
    path = conformance("onnx-models") / f"{name}.onnx"
    if not path.is_file():
        pytest.skip(f"needs {path.name} beside the other public models")
    stream, network, runtime = STREAMS[name], onnx_files.read(path), Runtime(path)
    generator = torch.Generator().manual_seed(0)
    own: dict[str, Tensor] = {key: torch.zeros(shape) for key, (shape, _) in stream.states.items()}
    own |= {key: torch.tensor(value) for key, value in stream.fixed.items()}
    theirs = dict(own)
    for _ in range(STEPS):
        step = {stream.step[0]: stream.scale * torch.randn(stream.step[1], generator=generator)}
        expected = runtime.run(theirs | step)
        with torch.inference_mode():
            found = network(*((own | step)[key] for key in network.inputs))
        assert relative_difference(found, expected) < 1e-5
        for key, (_, output) in stream.states.items():
            own[key] = found[network.outputs.index(output)]
            theirs[key] = expected[network.outputs.index(output)]
