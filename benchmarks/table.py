"""Shows results on the terminal and in the README: ``python -m benchmarks.table RESULTS.json README.md``."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks import cases

Result = dict[str, Any]  # all results, a case or a pass, as in the JSON file

START, END = "<!-- benchmarks: written by benchmarks/table.py -->", "<!-- end of benchmarks -->"
WIDTH = 150  # of the table on the terminal
BESIDE_TORCH, BEST_KERAS = "torch.nn", "Keras on TensorFlow or JAX"


def main() -> None:
    results, readme = Path(sys.argv[1]), Path(sys.argv[2])
    text = readme.read_text("utf-8")
    if text.count(START) != 1 or text.count(END) != 1:
        raise SystemExit(f"{readme} has no place for the table: expected a line '{START}' and a line '{END}'.")
    readme.write_text(placed(text, markdown(json.loads(results.read_text("utf-8")))), "utf-8")


def placed(text: str, section: str) -> str:
    """The text with the section between the two marks."""
    before, _, rest = text.partition(START)
    return f"{before}{START}\n{section}{END}{rest.partition(END)[2]}"


def title(case: Result) -> str:
    """Name and shape of a case."""
    return f"{case['name']} ({', '.join(map(str, case['shape']))})"


def line(case: Result) -> str:
    """A case in one line, printed while others are still running."""
    if "wrong" in case:
        return f"{title(case)}: WRONG, {case['wrong']}"
    parts = []
    for which, result in case["passes"].items():
        ratios = ", ".join(f"{name} x {peer['ratio']:.2f}" for name, peer in result["peers"].items())
        parts.append(f"{which} {time(result['ms'])} ({ratios})")
    parts += [f"without {name}: {reason}" for name, reason in case["skipped"].items()]
    return f"{title(case)}: {'; '.join(parts)}"


def terminal(results: Result) -> Table:
    """The table of everything that was timed."""
    shown = Table(title=f"Holdfast on {machine(results)}")
    for heading in ("case (B, T, I, H)", "pass", "peer"):
        shown.add_column(heading, no_wrap=True)
    for heading in ("peer", "holdfast", "ratio", "GFLOP/s", "of peak"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for case in results["cases"]:
        for which, result in case["passes"].items():
            for name, peer in result["peers"].items():
                full = f"{name}, {peer['setting']}" if "setting" in peer else name
                times = time(peer["ms"]), time(result["ms"]), f"{peer['ratio']:.2f}"
                shown.add_row(title(case), which, full, *times, *speed(result, results))
            if not result["peers"]:
                shown.add_row(title(case), which, "", "", time(result["ms"]), "", *speed(result, results))
        for name, mib in case.get("peak_mib", {}).items():
            shown.add_row(title(case), "memory", name, f"{mib:.0f} MiB")
    return shown


def time(ms: float) -> str:
    """Milliseconds, or seconds if it is 1 s or more, with three digits."""
    return f"{ms:.3g} ms" if ms < 999.5 else f"{ms / 1e3:.3g} s"


def machine(results: Result) -> str:
    """Processor, instruction set, threads, peak."""
    count, peak = results["threads"], results["fma_peak_gflops"]
    parts = [results["machine"]["processor"], results["instruction_set"], counted(count)]
    parts += [f"multiply-adds at most {peak[str(count)]:.0f} GFLOP/s" if peak else ""]
    if "1" in peak and count != 1:
        parts[-1] += f" ({peak['1']:.0f} with one thread)"
    return ", ".join(filter(None, parts))


def counted(threads: int) -> str:
    """Threads, in words."""
    return f"{threads} thread{'' if threads == 1 else 's'}"


def speed(result: Result, results: Result) -> tuple[str, str]:
    """GFLOP/s of a pass, and its share of the peak."""
    if "gflops" not in result:
        return "", ""
    peak = results["fma_peak_gflops"].get(str(results["threads"]))
    return (
        f"{result['gflops']:.{0 if result['gflops'] >= 10 else 1}f}",
        f"{100 * result['gflops'] / peak:.0f} %" if peak else "",
    )


def markdown(results: Result) -> str:
    """The README's section."""
    by_group: dict[str, list[Result]] = {}
    for case in results["cases"]:
        if case["passes"]:
            by_group.setdefault(case["group"], []).append(case)
    blocks = [introduction(results)]
    if "layers" in by_group:
        blocks.append("\n".join(layer_rows(by_group["layers"], results)))
    if "variants" in by_group:
        heading = "The cost of an option: our time with it divided by our plain LSTM's, forward / training step."
        blocks += [heading, "\n".join(variant_rows(by_group["variants"]))]
    last = [sentence(case) for group in ("bfloat16", "memory", "epoch") for case in by_group.get(group, [])]
    blocks += ["\n".join(wrapped(f"- {text}", indent="  ") for text in last)] if last else []
    return "\n\n".join(blocks) + "\n"


def introduction(results: Result) -> str:
    """The sentences above the table: machine, versions, and what the figures mean."""
    versions = results["versions"]
    names = [f"torch {versions['torch']}"]
    keras = [versions[name] for name in cases.KERAS if name in versions]
    if keras:
        backends = {key: value for peer in keras for key, value in peer.items() if key not in ("keras", "torch")}
        names += [f"Keras {keras[0]['keras']}", *(f"{key} {value}" for key, value in backends.items())]
    text = (
        f"{machine(results)}; {', '.join(names)}; float32; {results['date']}. The figures of a peer are its time "
        "divided by ours, forward / training step (with the gradients of all parameters): above 1, Holdfast is faster. "
        "They are medians of runs in turn, of layers that gave the same numbers."
    )
    return wrapped(text)


def wrapped(text: str, indent: str = "") -> str:
    """A paragraph in lines of at most 120 characters, those after the first indented."""
    return textwrap.fill(text, 120, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)


def layer_rows(group: Sequence[Result], results: Result) -> Iterator[str]:
    """A line for each layer and shape."""
    yield f"| layer (B, T, I, H) | GFLOP/s | of the peak | {BESIDE_TORCH} | {BEST_KERAS} |"
    yield "|---|---|---|---|---|"
    for case in group:
        speeds = [speed(passed, results) for passed in case["passes"].values()]
        beside = [ratios(case, [cases.TORCH]), ratios(case, ["keras-tensorflow", "keras-jax"])]
        cells = [title(case), *(" / ".join(filter(None, column)) for column in zip(*speeds, strict=True)), *beside]
        yield f"| {' | '.join(cells)} |"


def ratios(case: Result, peers: Sequence[str]) -> str:
    """The ratios of all passes to the fastest of these peers."""
    each = []
    for passed in case["passes"].values():
        there = [passed["peers"][name]["ratio"] for name in peers if name in passed["peers"]]
        each += [f"{min(there):.2f}"] if there else []
    return " / ".join(each)


def variant_rows(group: Sequence[Result]) -> Iterator[str]:
    """A line for each option, a column for each shape."""
    shapes = list(dict.fromkeys(tuple(case["shape"]) for case in group))
    yield f"| option | {' | '.join(str(shape) for shape in shapes)} |"
    yield "|---|" + "---|" * len(shapes)
    for name in dict.fromkeys(case["name"] for case in group):
        cells = []
        for shape in shapes:
            case = next((case for case in group if case["name"] == name and tuple(case["shape"]) == shape), None)
            costs = [1 / passed["peers"][cases.PLAIN]["ratio"] for passed in case["passes"].values()] if case else []
            cells.append(" / ".join(f"{cost:.2f}" for cost in costs))
        yield f"| {name} | {' | '.join(cells)} |"


def sentence(case: Result) -> str:
    """A result that does not fit into the columns of a table."""
    if case["group"] == "bfloat16":
        return f"{title(case)}: {ratios(case, [cases.FLOAT32])} times as fast as our float32."
    (passed,) = case["passes"].values()
    if case["group"] == "epoch":
        times = [f"{name} {peer['ms'] / 1e3:.1f} s ({peer['ratio']:.2f})" for name, peer in passed["peers"].items()]
        return (
            f"{case['name']}, 60,000 images, {case['shape'][3]} units: {passed['ms'] / 1e3:.1f} s; {', '.join(times)}."
        )
    sizes = ", ".join(f"{name.replace(', ', ' with ')} {mib:.0f} MiB" for name, mib in case.get("peak_mib", {}).items())
    longer = passed["peers"].get(cases.RECOMPUTE)
    slower = f" Recomputing takes {longer['ratio']:.2f} times as long as keeping everything." if longer else ""
    return f"Memory of a training step, {title(case)}: {sizes}.{slower}" if sizes else f"{title(case)}.{slower}"


def documented(text: str) -> str:
    """The current section of a README."""
    match = re.search(rf"{re.escape(START)}\n(.*){re.escape(END)}", text, re.DOTALL)
    return match[1] if match else ""


if __name__ == "__main__":
    main()
