"""Times Holdfast and its peers in turn, after checking that all give the same numbers.

    make bench-peers bench
    python -m benchmarks --cases GRU "one row" --peers torch.nn --threads 2 --budget 2
    python -m benchmarks --json build/benchmark.json --resume   # continues a run that was interrupted

Contenders run in turn, so a machine that gets slower or faster affects all of them equally. A ratio is the median over
the rounds of a peer's time divided by ours, with its quartiles in brackets. "Products alone" is the time of nothing but
the matrix products, by torch, divided by ours. A processor with AVX-512 is measured a second time limited to AVX2.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from benchmarks import cases, instruction_sets, results, terminal
from benchmarks.run import Settings, measure
from benchmarks.workers import ROOT, Worker


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", nargs="*", default=[""], metavar="TEXT", help="cases with this in the title")
    parser.add_argument(
        "--peers",
        nargs="*",
        metavar="PEER",
        choices=cases.PEERS,
        help=f"some of {', '.join(cases.PEERS)}; default: all",
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads per contender")
    parser.add_argument("--pairs", type=int, default=9, help="most rounds per pass")
    parser.add_argument("--budget", type=float, default=4.0, help="seconds per pass; at least 3 rounds run")
    parser.add_argument("--isa", nargs="*", metavar="NAME", help="instruction sets; default: the best, and AVX2")
    parser.add_argument("--environments", type=Path, default=ROOT, help="folder of .venv-keras-jax and so on")
    parser.add_argument("--mnist", type=Path, help="folder of MNIST's files; default: generated images")
    parser.add_argument("--json", type=Path, help="write the results to this file, after each case")
    parser.add_argument("--resume", action="store_true", help="keep the cases in that file and measure the others")
    parser.add_argument("--no-table", action="store_true", help="print only one line per case")
    parser.add_argument("--list", action="store_true", help="print the titles and measure nothing")
    args = parser.parse_args()
    if args.resume and not args.json:
        parser.error("--resume needs --json FILE")
    if args.list or not selected(args.cases):
        print("\n".join(case.title for case in cases.all_cases()))
        return 0 if args.list else 2
    if hasattr(os, "sched_setaffinity"):  # some peers take as many threads as there are processors
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        file = args.json or Path(folder) / "results.json"
        if not args.resume:
            results.save(results.new(args.threads), file)
        for name in args.isa or instruction_sets.wanted():
            if name == instruction_sets.current():
                measure_all(args, file)
            else:
                again = ["--isa", name, "--json", file, "--resume", "--no-table"]
                command = [sys.executable, "-m", "benchmarks", *sys.argv[1:], *again]
                environment = {**os.environ, **instruction_sets.environment(name)}
                subprocess.run(command, env=environment, check=True)
        return report(results.load(file), args.no_table)


def selected(texts: list[str]) -> list[cases.Case]:
    """The cases with one of the texts in their titles."""
    return [case for case in cases.all_cases() if any(text.lower() in case.title.lower() for text in texts)]


def measure_all(args: argparse.Namespace, file: Path) -> None:
    """Measures the selected cases with the instruction set of this process and adds them to the file."""
    measured, name = results.resumed(file, args.threads), instruction_sets.current()
    limited = instruction_sets.limited()
    wanted = [case for case in selected(args.cases) if not (limited and case.one_set)]
    settings = Settings(args.threads, args.pairs, args.budget, args.peers, args.environments, args.mnist, limited)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # The progress is redrawn between turns, never by a thread of its own during one.
    progress = Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False)
    try:
        with progress:
            task = progress.add_task("", total=len(wanted))
            for number, case in enumerate(wanted, start=1):
                if not results.has(measured, case, name):
                    settings.progress = partial(show, progress, task, case.title)
                    result = {"instruction_set": name, **measure(case, settings)}
                    measured["cases"].append(result)
                    note_workers(measured, settings)
                    results.save(measured, file)
                    text = f"{number}/{len(wanted)} {terminal.line(result, measured['skipped'])}"
                    progress.print(text, highlight=False, soft_wrap=True, markup=False)
                progress.advance(task)
    finally:
        settings.close()


def show(progress: Progress, task: TaskID, title: str, text: str) -> None:
    """Says what is being done."""
    progress.update(task, description=f"{title}: {text}", refresh=True)


def note_workers(measured: results.Result, settings: Settings) -> None:
    """Adds the versions of the peers in other environments, or why they are missing."""
    for name, worker in settings.workers.items():
        if isinstance(worker, Worker):
            measured["versions"][name] = worker.versions
        else:
            measured["skipped"][name] = worker


def report(measured: results.Result, no_table: bool) -> int:
    """Prints the table and what is wrong; returns the exit status."""
    if not no_table:
        console = Console()
        console.width = max(console.width, terminal.WIDTH)
        console.print(terminal.table(measured))
        for name, reason in measured["skipped"].items():
            console.print(f"Without {name}: {reason}", highlight=False)
    wrong = [f"{terminal.title(case)}: {case['wrong']}" for case in measured["cases"] if "wrong" in case]
    for text in wrong if not no_table else []:
        Console(stderr=True).print(f"Wrong numbers: {text}", style="red", highlight=False)
    return 1 if wrong and not no_table else 0


if __name__ == "__main__":
    sys.exit(main())
