"""The peak memory of one training step: ``python -m benchmarks.memory CONTENDER THREADS``.

Each process measures one step, its first of that size, so no memory is left over from another step.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks import cases, layers
from benchmarks.cases import Case
from benchmarks.rounds import Unavailable

STATUS, RESET_PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")
ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    name, threads = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(threads)
    case = next(case for case in cases.all_cases() if case.group == "memory")
    B, _, I, H = case.shape  # noqa: E741
    build(name, replace(case, shape=(B, 2, I, H))).training()  # starts threads and fills caches
    layer = build(name, case)
    RESET_PEAK.write_text("5")  # resets the peak
    before = mib("VmRSS")
    layer.training()
    print(json.dumps({"mib": mib("VmHWM") - before}))


def build(name: str, case: Case) -> layers.Layer:
    given = layers.numbers(case)
    layer = layers.our_contender(case, given) if name == "holdfast" else layers.peer(name, case, given)
    assert isinstance(layer, layers.Layer)
    return layer


def mib(key: str) -> float:
    match = re.search(rf"{key}:\s+(\d+) kB", STATUS.read_text())
    assert match
    return int(match[1]) / 1024


def peak(name: str, threads: int) -> float:
    """The largest growth of the memory in use, in MiB, measured in a separate process.

    Raises:
        Unavailable: The system does not report the peak, or the process failed.
    """
    if not RESET_PEAK.exists():
        raise Unavailable("the system does not report the peak of its memory")
    command = [sys.executable, "-m", "benchmarks.memory", name, str(threads)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"its process ended: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return float(json.loads(done.stdout)["mib"])


if __name__ == "__main__":
    main()
