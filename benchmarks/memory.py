"""How much memory one training step takes at its peak: ``python -m benchmarks.memory CONTENDER THREADS``.

A process measures one step, its first of that size, so that nothing is left over from another.
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

STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    name, threads = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(threads)
    case = next(case for case in cases.all_cases() if case.group == "memory")
    B, _, I, H = case.shape  # noqa: E741
    build(name, replace(case, shape=(B, 2, I, H))).training()  # starts threads, fills caches
    layer = build(name, case)
    FORGET.write_text("5")  # the peak starts again from here
    before = mib("VmRSS")
    layer.training()
    print(json.dumps({"mib": mib("VmHWM") - before}))


def build(name: str, case: Case) -> layers.Layer:
    given = layers.numbers(case)
    found = layers.our_contender(case, given) if name == "holdfast" else layers.peer(name, case, given)
    assert isinstance(found, layers.Layer)
    return found


def mib(key: str) -> float:
    found = re.search(rf"{key}:\s+(\d+) kB", STATUS.read_text())
    assert found
    return int(found[1]) / 1024


def peak(name: str, threads: int) -> float:
    """MiB that the memory in use grows by at most, measured in a process of its own.

    Raises:
        Unavailable: The system does not tell, or the process failed.
    """
    if not FORGET.exists():
        raise Unavailable("the system does not tell the peak of its memory")
    command = [sys.executable, "-m", "benchmarks.memory", name, str(threads)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"its process ended: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return float(json.loads(done.stdout)["mib"])


if __name__ == "__main__":
    main()
