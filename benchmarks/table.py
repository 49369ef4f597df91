"""Shows results: ``python -m benchmarks.table RESULTS.json``; or writes them into a README, as the second argument."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import cases
from benchmarks.results import Result, load, sets
from benchmarks.terminal import figure, line, machine, time, title

START, END = "<!-- benchmarks: written by benchmarks/table.py -->", "<!-- end of benchmarks -->"
# Heading and peers of each column of ratios; of several peers, the fastest counts.
COLUMNS = {
    "of the products": [cases.PRODUCTS],
    "torch.nn": [cases.TORCH],
    "onnxruntime": [cases.ONNXRUNTIME],
    "OpenVINO": [cases.OPENVINO],
    "Keras": cases.KERAS,
}
NAMES = {"torch": "torch", "onnxruntime": "onnxruntime", "openvino": "OpenVINO", "keras": "Keras"}


def main() -> None:
    results = load(Path(sys.argv[1]))
    if len(sys.argv) == 2:
        print("\n".join(line(case, results["skipped"]) for case in results["cases"]))
        return
    readme = Path(sys.argv[2])
    text = readme.read_text("utf-8")
    if text.count(START) != 1 or text.count(END) != 1:
        raise SystemExit(f"{readme} has no place for the table: expected a line '{START}' and a line '{END}'.")
    readme.write_text(placed(text, markdown(results)), "utf-8")


def placed(text: str, section: str) -> str:
    """The text with the section between the two marks."""
    before, _, rest = text.partition(START)
    return f"{before}{START}\n{section}{END}{rest.partition(END)[2]}"


def documented(text: str) -> str:
    """The current section of a README."""
    match = re.search(rf"{re.escape(START)}\n(.*){re.escape(END)}", text, re.DOTALL)
    return match[1] if match else ""


def markdown(results: Result) -> str:
    """The README's section."""
    best, *others = sets(results)
    by_group: dict[str, list[Result]] = {}
    lesser: dict[str, Result] = {}
    for case in results["cases"]:
        if case["passes"] and case["instruction_set"] == best:
            by_group.setdefault(case["group"], []).append(case)
        elif case["passes"]:
            lesser[title(case)] = case
    blocks = [introduction(results)]
    if "layers" in by_group:
        blocks.append("\n".join(layer_rows(by_group["layers"], lesser, others[0] if others else "")))
    if "cells" in by_group:
        heading = (
            f"Cells that are called {cases.CELL_STEPS} times in a loop, compared with torch.nn's cells; H units and as "
            "many inputs."
        )
        blocks += [wrapped(heading), "\n".join(grid(by_group["cells"], "cell", cell_label, cases.TORCH))]
    if "variants" in by_group:
        heading = "The cost of an option: our time with it divided by our plain LSTM's, forward / training step."
        blocks += [heading, "\n".join(grid(by_group["variants"], "option", option_label, cases.PLAIN))]
    groups = ("weights", "bfloat16", "memory", "epoch")
    last = [sentence(case) for group in groups for case in by_group.get(group, [])]
    blocks += ["\n".join(wrapped(f"- {text}", indent="  ") for text in last)] if last else []
    return "\n\n".join(blocks) + "\n"


def introduction(results: Result) -> str:
    """The sentences above the table: machine, versions, and what the figures mean."""
    versions: dict[str, str] = {}
    for key, value in results["versions"].items():
        versions |= value if isinstance(value, dict) else {key: value}
    named = [f"{NAMES.get(key, key)} {value}" for key, value in versions.items() if key not in ("holdfast", "python")]
    _, *others = sets(results)
    text = (
        f"{machine(results)}; {', '.join(named)}; float32; {results['date']}. The figures of a peer are its time "
        "divided by ours, forward / training step (with the gradients of all parameters): above 1, Holdfast is faster. "
        "They are medians of runs in turn, of layers that gave the same numbers."
    )
    if any(cases.PRODUCTS in passed["peers"] for case in results["cases"] for passed in case["passes"].values()):
        text += (
            " The products are the matrix products alone, by torch.mm; their time divided by ours is above 100 % where "
            "our whole layer takes less time."
        )
    if others:
        text += f" onnxruntime has no switch for {others[0]}; it always uses the best set of the processor."
    return wrapped(text)


def wrapped(text: str, indent: str = "") -> str:
    """A paragraph in lines of at most 120 characters, those after the first indented."""
    return textwrap.fill(text, 120, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)


def layer_rows(group: Sequence[Result], lesser: dict[str, Result], lesser_set: str) -> Iterator[str]:
    """A line for each layer and shape; the last columns are of the lesser instruction set, if that was measured."""
    columns = {heading: peers for heading, peers in COLUMNS.items() if any(ratios(case, peers) for case in group)}
    again = {heading: peers for heading, peers in columns.items() if any(ratios(c, peers) for c in lesser.values())}
    headings = ["layer (B, T, I, H)", "time", *columns, *(f"{lesser_set}: {heading}" for heading in again)]
    yield f"| {' | '.join(headings)} |"
    yield "|---" * len(headings) + "|"
    for case in group:
        times = " / ".join(time(passed["ms"]) for passed in case["passes"].values())
        limited = lesser.get(title(case), {"passes": {}})
        cells = [ratios(case, peers) for peers in columns.values()]
        cells += [ratios(limited, peers) for peers in again.values()]
        yield f"| {' | '.join([title(case), times, *cells])} |"


def ratios(case: Result, peers: Sequence[str]) -> str:
    """The ratios of all passes to the fastest of these peers; a dash for a pass that only other peers have."""
    each = []
    for passed in case["passes"].values():
        present = [(passed["peers"][name]["ratio"], name) for name in peers if name in passed["peers"]]
        each.append(figure(min(present)[1], min(present)[0]) if present else "-")
    while each and each[-1] == "-":
        each.pop()
    return " / ".join(each)


def cell_label(case: Result) -> tuple[str, str]:
    """Row and column of a cell in its table."""
    return f"{case['name']}, H = {case['shape'][3]}", f"B = {case['shape'][0]}"


def option_label(case: Result) -> tuple[str, str]:
    """Row and column of an option in its table."""
    return case["name"], f"({', '.join(map(str, case['shape']))})"


def grid(group: Sequence[Result], corner: str, label: Callable[[Result], tuple[str, str]], peer: str) -> Iterator[str]:
    """A table with a row and a column for each label; the cost of an option is the inverse of the ratio."""
    table = {label(case): case for case in group}
    rows, columns = (list(dict.fromkeys(key[k] for key in table)) for k in range(2))
    yield f"| {corner} | {' | '.join(columns)} |"
    yield "|---" * (len(columns) + 1) + "|"
    for row in rows:
        texts = []
        for column in columns:
            passes = table[row, column]["passes"].values() if (row, column) in table else []
            found = [passed["peers"][peer]["ratio"] for passed in passes if peer in passed["peers"]]
            texts.append(" / ".join(f"{1 / ratio if peer == cases.PLAIN else ratio:.2f}" for ratio in found))
        yield f"| {row} | {' | '.join(texts)} |"


def sentence(case: Result) -> str:
    """A result that does not fit into the columns of a table."""
    if case["group"] in ("bfloat16", "weights"):
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


if __name__ == "__main__":
    main()
