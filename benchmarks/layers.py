"""Times Holdfast's layers beside torch.nn's, in one process, after checking that both give the same numbers.

    make bench
    python benchmarks/layers.py --threads 2 --json benchmark.json

The two are run in turn, so that a machine that gets slower or faster meets both alike; the figure is the median of
the ratios. GFLOP/s count 2 B T G H (I + H) operations forward (G gates), three times that for a training step.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

import holdfast

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
SHAPES = [(128, 28, 128, 128), (64, 60, 128, 256), (20, 35, 650, 650), (128, 8, 2, 20)]
TOLERANCE = 1e-4  # of float32 results, relative to the largest value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of both")
    parser.add_argument("--pairs", type=int, default=9, help="timed pairs of runs a case, after one that is not timed")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = [case(kind, shape, arguments.pairs) for kind in GATES for shape in SHAPES]
    machine = f"{platform.processor() or platform.machine()}, {arguments.threads} threads, torch {torch.__version__}"
    table = Table(title=f"Holdfast beside torch.nn, float32, {machine}")
    for heading in ("cell", "B, T, I, H", "pass", "torch.nn ms", "holdfast ms", "GFLOP/s", "torch.nn / holdfast"):
        table.add_column(heading, justify="left" if heading in ("cell", "B, T, I, H", "pass") else "right")
    for row in rows:
        for name in ("forward", "training"):
            peer, ours, ratio, speed = (row[name][key] for key in ("torch_ms", "holdfast_ms", "ratio", "gflops"))
            shape = ", ".join(map(str, row["shape"]))
            table.add_row(row["cell"], shape, name, f"{peer:.2f}", f"{ours:.2f}", f"{speed:.0f}", f"{ratio:.2f}")
    Console().print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine, "cases": rows}, indent=2) + "\n")


def case(kind: str, shape: tuple[int, int, int, int], pairs: int) -> dict[str, Any]:
    """One cell at one shape: checked, then timed forward and as a training step."""
    B, T, I, H = shape  # noqa: E741
    torch.manual_seed(0)
    peer = getattr(torch.nn, kind)(I, H, batch_first=True)
    ours = getattr(holdfast, kind)(I, H, batch_first=True)
    ours.load_state_dict(peer.state_dict())
    x = torch.randn(B, T, I)
    check(f"{kind} {shape}", peer, ours, x)

    def forward(layer: torch.nn.Module) -> None:
        with torch.inference_mode():
            layer(x)

    def training(layer: torch.nn.Module) -> None:
        layer.zero_grad()
        layer(x)[0].sum().backward()

    flops = 2 * B * T * GATES[kind] * H * (I + H)
    return {
        "cell": kind,
        "shape": shape,
        "forward": timed(lambda: forward(peer), lambda: forward(ours), pairs, flops),
        "training": timed(lambda: training(peer), lambda: training(ours), pairs, 3 * flops),
    }


def check(name: str, peer: torch.nn.Module, ours: torch.nn.Module, x: torch.Tensor) -> None:
    """Raises when the two layers differ in an output or a gradient: no speed is printed for a wrong result."""
    found = []
    for layer in (peer, ours):
        layer.zero_grad()
        output = layer(x)[0]
        output.square().mean().backward()
        found.append({"output": output.detach(), **{n: p.grad for n, p in layer.named_parameters()}})
    for key, theirs in found[0].items():
        worst = (theirs - found[1][key]).abs().max() / theirs.abs().max()
        if not worst <= TOLERANCE:
            raise SystemExit(f"{name}: {key} differs by {worst:.1e} of the largest value; no speed is given.")


def timed(peer: Callable[[], None], ours: Callable[[], None], pairs: int, flops: int) -> dict[str, float]:
    """Median milliseconds of each and the median of the ratios, from runs in turn."""
    times = [(seconds(peer), seconds(ours)) for _ in range(pairs + 1)][1:]
    theirs, mine = (statistics.median(column) for column in zip(*times, strict=True))
    ratio = statistics.median(a / b for a, b in times)
    return {"torch_ms": theirs * 1e3, "holdfast_ms": mine * 1e3, "ratio": ratio, "gflops": flops / mine / 1e9}


def seconds(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
