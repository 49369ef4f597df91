"""Times Holdfast's layers, torch.nn's and Keras's, after checking that all give the same numbers.

    make bench-peers bench
    python -m benchmarks --cases GRU --peers torch.nn --pairs 5 --json build/benchmark.json

Contenders run in turn, so a machine that gets slower or faster affects all of them equally; Keras runs in its own
processes, which wait during the other turns. A ratio is the median of a peer's time divided by ours. GFLOP/s count
2 B T G H (I + H) operations for a forward pass (G gates), and three times that, without the gradient of the input, for
a training step. They are compared with the machine's peak of multiply-adds.
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
    parser.add_argument("--cases", nargs="*", default=[""], metavar="TEXT", help="cases with this in the title")
    parser.add_argument(
        "--peers", nargs="*", metavar="PEER", choices=PEERS, help=f"some of {', '.join(PEERS)}; default: all"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads per contender")
    parser.add_argument("--pairs", type=int, default=9, help="most rounds per case")
    parser.add_argument("--budget", type=float, default=10.0, help="seconds per pass; at least 3 rounds run")
    parser.add_argument("--environments", type=Path, default=ROOT, help="folder of .venv-keras-jax and so on")
    parser.add_argument("--mnist", type=Path, help="folder of MNIST's files; default: generated images")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    parser.add_argument("--list", action="store_true", help="print the titles and measure nothing")
    args = parser.parse_args()
    chosen = [case for case in cases.all_cases() if any(text.lower() in case.title.lower() for text in args.cases)]
    if args.list or not chosen:
        print("\n".join(case.title for case in cases.all_cases()))
        return 0 if args.list else 2
    if hasattr(os, "sched_setaffinity"):  # some peers take as many threads as there are processors
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])
    torch.set_num_threads(args.threads)

    settings = Settings(args.threads, args.pairs, args.budget, args.peers, args.environments, args.mnist)
    results = about(args.threads)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("", total=len(chosen))
            for case in chosen:
                settings.progress = lambda text, t=case.title: progress.update(task, description=f"{t}: {text}")
                result = measure(case, settings)
                results["cases"].append(result)
                progress.advance(task)
                progress.print(table.line(result), highlight=False, soft_wrap=True)
    finally:
        settings.close()
    peak = results["fma_peak_gflops"]
    results["fma_peak_gflops"] = {
        threads: max(peak[threads], again) for threads, again in fma_peak(args.threads).items()
    }
    for name, worker in settings.workers.items():
        if isinstance(worker, Worker):
            results["versions"] |= {name: worker.versions}
        else:
            results["skipped"][name] = worker
    shown = Console()
    shown.width = max(shown.width, table.WIDTH)
    shown.print(table.terminal(results))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    wrong = [f"{case['name']} {tuple(case['shape'])}: {case['wrong']}" for case in results["cases"] if "wrong" in case]
    for text in wrong:
        console.print(f"Wrong numbers: {text}", style="red", highlight=False)
    return 1 if wrong else 0


def about(threads: int) -> dict[str, Any]:
    """Date, machine, versions and peak, for the results."""
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
    """GFLOP/s of multiply-adds with one thread and with all: the best of eight short runs. Empty without kernels."""
    if not _native:
        return {}
    return {str(n): max(_native.fma_peak(n, 0.1) for _ in range(8)) for n in sorted({1, threads})}


def processor() -> str:
    """The processor's name, as precise as the system gives it."""
    file = Path("/proc/cpuinfo")
    result = re.search(r"model name\s*: (.+)", file.read_text()) if file.exists() else None
    return result[1] if result else platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main())
