"""Holdfast's layers beside torch.nn's and Keras', after checking that all give the same numbers.

    make bench-peers bench
    python -m benchmarks --cases GRU --peers torch.nn --pairs 5 --json build/benchmark.json

Contenders run in turn, Keras in processes of its own that wait meanwhile, so that a machine that gets slower or faster
meets all alike; a ratio is the median of a peer's time divided by ours. GFLOP/s count 2 B T G H (I + H) operations
forward (G gates), for a training step three times that without the gradient of the input, and are held against the
multiply-adds that the machine does at most.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import sys
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import holdfast
from benchmarks import cases, table
from benchmarks.run import Settings, measure
from benchmarks.workers import ROOT, Worker

try:
    from holdfast.runtime import _native
except ImportError:  # installed without its kernels
    _native = None  # type: ignore[assignment]

PEERS = (cases.TORCH, cases.CELL_LOOP, *cases.KERAS)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", nargs="*", default=[""], metavar="TEXT", help="those with one of these in the title")
    parser.add_argument("--peers", nargs="*", metavar="PEER", choices=PEERS, help=f"of {', '.join(PEERS)}")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of all")
    parser.add_argument("--pairs", type=int, default=9, help="rounds of a case, at most")
    parser.add_argument("--budget", type=float, default=10.0, help="seconds for a pass of a case, if 3 rounds fit in")
    parser.add_argument("--environments", type=Path, default=ROOT, help="folder with .venv-keras-jax and so on")
    parser.add_argument("--mnist", type=Path, help="folder with MNIST's files; without it images are generated")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    parser.add_argument("--list", action="store_true", help="print the titles and measure nothing")
    asked = parser.parse_args()
    chosen = [case for case in cases.all_cases() if any(text.lower() in case.title.lower() for text in asked.cases)]
    if asked.list or not chosen:
        print("\n".join(case.title for case in cases.all_cases()))
        return 0 if asked.list else 2
    if hasattr(os, "sched_setaffinity"):  # some peers take as many threads as there are processors
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: asked.threads])
    torch.set_num_threads(asked.threads)

    settings = Settings(asked.threads, asked.pairs, asked.budget, asked.peers, asked.environments, asked.mnist)
    results = about(asked.threads)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("", total=len(chosen))
            for case in chosen:
                settings.progress = lambda text, t=case.title: progress.update(task, description=f"{t}: {text}")
                found = measure(case, settings)
                results["cases"].append(found)
                progress.advance(task)
                progress.print(table.line(found), highlight=False, soft_wrap=True)
    finally:
        settings.close()
    peak = results["fma_peak_gflops"]
    results["fma_peak_gflops"] = {
        threads: max(peak[threads], again) for threads, again in fma_peak(asked.threads).items()
    }
    for name, worker in settings.workers.items():
        if isinstance(worker, Worker):
            results["versions"] |= {name: worker.versions}
        else:
            results["skipped"][name] = worker
    shown = Console()
    shown.width = max(shown.width, table.WIDTH)
    shown.print(table.terminal(results))
    if asked.json:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    wrong = [f"{case['name']} {tuple(case['shape'])}: {case['wrong']}" for case in results["cases"] if "wrong" in case]
    for text in wrong:
        console.print(f"Wrong numbers: {text}", style="red", highlight=False)
    return 1 if wrong else 0


def about(threads: int) -> dict[str, Any]:
    """What the results are of."""
    return {
        "date": datetime.date.today().isoformat(),
        "machine": {"processor": processor(), "system": f"{platform.system()} {platform.machine()}"},
        "instruction_set": _native.chosen() if _native else "",
        "threads": threads,
        "versions": {"holdfast": holdfast.__version__, "torch": torch.__version__, "python": platform.python_version()},
        "fma_peak_gflops": fma_peak(threads),
        "skipped": {},
        "cases": [],
    }


def fma_peak(threads: int) -> dict[str, float]:
    """GFLOP/s of multiply-adds with one thread and with all: the best of some short runs. Empty without kernels."""
    if not _native:
        return {}
    return {str(n): max(_native.fma_peak(n, 0.1) for _ in range(8)) for n in sorted({1, threads})}


def processor() -> str:
    """Its name, as far as the system tells."""
    file = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", file.read_text()) if file.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main())
