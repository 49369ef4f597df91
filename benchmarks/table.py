"""Shows results: on the terminal, and in the README. ``python -m benchmarks.table RESULTS.json README.md``."""

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

Found = dict[str, Any]  # results, a case or a pass, as in the JSON file

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


def title(case: Found) -> str:
    """Name and shape of a case."""
    return f"{case['name']} ({', '.join(map(str, case['shape']))})"


def line(case: Found) -> str:
    """A case in a line, while others are still running."""
    if "wrong" in case:
        return f"{title(case)}: WRONG, {case['wrong']}"
    parts = []
    for which, found in case["passes"].items():
        ratios = ", ".join(f"{name} x {peer['ratio']:.2f}" for name, peer in found["peers"].items())
        parts.append(f"{which} {time(found['ms'])} ({ratios})")
    parts += [f"without {name}: {reason}" for name, reason in case["skipped"].items()]
    return f"{title(case)}: {'; '.join(parts)}"


def terminal(results: Found) -> Table:
    """Everything that was timed."""
    shown = Table(title=f"Holdfast on {machine(results)}")
    for heading in ("case (B, T, I, H)", "pass", "peer"):
        shown.add_column(heading, no_wrap=True)
    for heading in ("peer", "holdfast", "ratio", "GFLOP/s", "of peak"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for case in results["cases"]:
        for which, found in case["passes"].items():
            for name, peer in found["peers"].items():
                full = f"{name}, {peer['setting']}" if "setting" in peer else name
                times = time(peer["ms"]), time(found["ms"]), f"{peer['ratio']:.2f}"
                shown.add_row(title(case), which, full, *times, *speed(found, results))
            if not found["peers"]:
                shown.add_row(title(case), which, "", "", time(found["ms"]), "", *speed(found, results))
        for name, mib in case.get("peak_mib", {}).items():
            shown.add_row(title(case), "memory", name, f"{mib:.0f} MiB")
    return shown


def time(ms: float) -> str:
    """Milliseconds, or seconds from one on, with three digits."""
    return f"{ms:.3g} ms" if ms < 999.5 else f"{ms / 1e3:.3g} s"


def machine(results: Found) -> str:
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


def speed(found: Found, results: Found) -> tuple[str, str]:
    """GFLOP/s of a pass, and the part of the peak that it is."""
    if "gflops" not in found:
        return "", ""
    peak = results["fma_peak_gflops"].get(str(results["threads"]))
    return (
        f"{found['gflops']:.{0 if found['gflops'] >= 10 else 1}f}",
        f"{100 * found['gflops'] / peak:.0f} %" if peak else "",
    )


def markdown(results: Found) -> str:
    """The README's section."""
    by_group: dict[str, list[Found]] = {}
    for case in results["cases"]:
        if case["passes"]:
            by_group.setdefault(case["group"], []).append(case)
    blocks = [introduction(results)]
    if "layers" in by_group:
        blocks.append("\n".join(layer_rows(by_group["layers"], results)))
    if "variants" in by_group:
        told = "What an option costs: our time with it divided by that of our plain LSTM, forward / training step."
        blocks += [told, "\n".join(variant_rows(by_group["variants"]))]
    last = [sentence(case) for group in ("bfloat16", "memory", "epoch") for case in by_group.get(group, [])]
    blocks += ["\n".join(f"- {text}" for text in last)] if last else []
    return "\n\n".join(blocks) + "\n"


def introduction(results: Found) -> str:
    """Where the figures come from."""
    versions = results["versions"]
    names = [f"torch {versions['torch']}"]
    keras = [versions[name] for name in cases.KERAS if name in versions]
    if keras:
        backends = {key: value for found in keras for key, value in found.items() if key not in ("keras", "torch")}
        names += [f"Keras {keras[0]['keras']}", *(f"{key} {value}" for key, value in backends.items())]
    told = (
        f"{machine(results)}; {', '.join(names)}; float32; {results['date']}. The figures beside a peer are its time "
        "divided by ours, forward / training step (the gradients of all parameters), medians of runs in turn that gave "
        "the same numbers; above 1, Holdfast is faster."
    )
    return textwrap.fill(told, 120, break_on_hyphens=False, break_long_words=False)


def layer_rows(found: Sequence[Found], results: Found) -> Iterator[str]:
    """A line for each layer and shape."""
    yield f"| layer (B, T, I, H) | GFLOP/s | of the peak | {BESIDE_TORCH} | {BEST_KERAS} |"
    yield "|---|---|---|---|---|"
    for case in found:
        speeds = [speed(passed, results) for passed in case["passes"].values()]
        beside = [ratios(case, [cases.TORCH]), ratios(case, ["keras-tensorflow", "keras-jax"])]
        cells = [title(case), *(" / ".join(filter(None, column)) for column in zip(*speeds, strict=True)), *beside]
        yield f"| {' | '.join(cells)} |"


def ratios(case: Found, peers: Sequence[str]) -> str:
    """The ratios of all passes to the fastest of some peers."""
    each = []
    for passed in case["passes"].values():
        there = [passed["peers"][name]["ratio"] for name in peers if name in passed["peers"]]
        each += [f"{min(there):.2f}"] if there else []
    return " / ".join(each)


def variant_rows(found: Sequence[Found]) -> Iterator[str]:
    """A line for each option, a column for each shape."""
    shapes = list(dict.fromkeys(tuple(case["shape"]) for case in found))
    yield f"| option | {' | '.join(str(shape) for shape in shapes)} |"
    yield "|---|" + "---|" * len(shapes)
    for name in dict.fromkeys(case["name"] for case in found):
        cells = []
        for shape in shapes:
            case = next((case for case in found if case["name"] == name and tuple(case["shape"]) == shape), None)
            costs = [1 / passed["peers"][cases.PLAIN]["ratio"] for passed in case["passes"].values()] if case else []
            cells.append(" / ".join(f"{cost:.2f}" for cost in costs))
        yield f"| {name} | {' | '.join(cells)} |"


def sentence(case: Found) -> str:
    """What cannot be in a column."""
    if case["group"] == "bfloat16":
        return f"{title(case)} beside our float32: {ratios(case, [cases.FLOAT32])}."
    (passed,) = case["passes"].values()
    if case["group"] == "epoch":
        times = [f"{name} {peer['ms'] / 1e3:.1f} s ({peer['ratio']:.2f})" for name, peer in passed["peers"].items()]
        return (
            f"{case['name']}, 60,000 images, {case['shape'][3]} units: {passed['ms'] / 1e3:.1f} s; {', '.join(times)}."
        )
    sizes = ", ".join(f"{name} {mib:.0f} MiB" for name, mib in case.get("peak_mib", {}).items())
    longer = passed["peers"].get(cases.RECOMPUTE)
    slower = f" Recomputing takes {longer['ratio']:.2f} times as long as keeping everything." if longer else ""
    return f"Memory of a training step, {title(case)}: {sizes}.{slower}" if sizes else f"{title(case)}.{slower}"


def documented(text: str) -> str:
    """The section that a README has now."""
    found = re.search(rf"{re.escape(START)}\n(.*){re.escape(END)}", text, re.DOTALL)
    return found[1] if found else ""


if __name__ == "__main__":
    main()
