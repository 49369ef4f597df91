"""The memory of the native engine: training does not leak, and a kernel without memory raises an error."""

from __future__ import annotations

import gc
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import holdfast

pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the memory that a process has now")
def test_ten_thousand_training_steps_leak_nothing() -> None:
    layers = [holdfast.LSTM(8, 16, batch_first=True, engine="native", memory=m) for m in ("keep", "recompute")]
    x = torch.randn(2, 4, 8)

    def kilobytes_after(count: int) -> int:
        for k in range(count):
            layers[k % 5 == 0](x)[0].sum().backward()
        gc.collect()
        found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
        assert found is not None
        return int(found[1])

    before = kilobytes_after(500)
    assert kilobytes_after(10_000) - before < 4096  # one leaked array of gates a call would be ten times that


OUT_OF_MEMORY = """
import re, resource, torch
from holdfast.cells import make_spec
from holdfast.engines import ENGINES, Request

torch.set_num_threads(1)
spec = make_spec("lstm", {"input_size": 8, "hidden_size": 4000})
parameters = {name: torch.zeros(shape) for name, shape in spec.parameter_shapes().items()}
request = Request(spec, torch.zeros(1, 2, 8), (torch.zeros(1, 4000), torch.zeros(1, 4000)), parameters)
_, hard = resource.getrlimit(resource.RLIMIT_AS)
now = int(re.search(r"VmSize:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (now + 2**26, hard))  # the weights, packed, take four times as much
with torch.no_grad():
    try:
        ENGINES["native"].run(request)
    except MemoryError as error:
        print("MemoryError")
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    print(float(ENGINES["native"].run(request).outputs.abs().max()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the memory that a process has now")
def test_without_memory_for_its_work_a_kernel_raises_and_can_be_called_again() -> None:
    done = subprocess.run([sys.executable, "-c", OUT_OF_MEMORY], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["MemoryError", "0.0"]
