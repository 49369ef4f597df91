"""Shows results: ``python -m benchmarks.table RESULTS.json``; or writes them into READMEs, the arguments after it.

A README whose name ends in ``.zh-CN.md`` is written in Chinese.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import cases
from benchmarks.languages import ENGLISH, Language, language_of
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
    for readme in map(Path, sys.argv[2:]):
        text = readme.read_text("utf-8")
        if text.count(START) != 1 or text.count(END) != 1:
            raise SystemExit(f"{readme} has no place for the table: expected a line '{START}' and a line '{END}'.")
        readme.write_text(placed(text, markdown(results, language_of(readme))), "utf-8")


def placed(text: str, section: str) -> str:
    """The text with the section between the two marks."""
    before, _, rest = text.partition(START)
    return f"{before}{START}\n{section}{END}{rest.partition(END)[2]}"


def documented(text: str) -> str:
    """The current section of a README."""
    match = re.search(rf"{re.escape(START)}\n(.*){re.escape(END)}", text, re.DOTALL)
    return match[1] if match else ""


def markdown(results: Result, language: Language = ENGLISH) -> str:
    """The README's section."""
    best, *others = sets(results)
    by_group: dict[str, list[Result]] = {}
    lesser: dict[str, Result] = {}
    for case in results["cases"]:
        if case["passes"] and case["instruction_set"] == best:
            by_group.setdefault(case["group"], []).append(case)
        elif case["passes"]:
            lesser[title(case)] = case
    blocks = [introduction(results, language)]
    if "layers" in by_group:
        blocks.append("\n".join(layer_rows(by_group["layers"], lesser, others[0] if others else "", language)))
    if "cells" in by_group:
        heading = (
            "Cells that are called {steps} times in a loop, compared with torch.nn's cells; H units and as many inputs."
        )
        rows = grid(by_group["cells"], language.say("cell"), cell_label, cases.TORCH, language)
        blocks += [language.paragraph(language.say(heading, steps=cases.CELL_STEPS)), "\n".join(rows)]
    if "variants" in by_group:
        heading = "The cost of an option: our time with it divided by our plain LSTM's, forward / training step."
        rows = grid(by_group["variants"], language.say("option"), option_label, cases.PLAIN, language)
        blocks += [language.say(heading), "\n".join(rows)]
    groups = ("weights", "bfloat16", "memory", "epoch")
    last = [sentence(case, language) for group in groups for case in by_group.get(group, [])]
    blocks += ["\n".join(language.paragraph(f"- {text}", indent="  ") for text in last)] if last else []
    return "\n\n".join(blocks) + "\n"


def introduction(results: Result, language: Language) -> str:
    """The sentences above the table: machine, versions, and what the figures mean."""
    versions: dict[str, str] = {}
    for key, value in results["versions"].items():
        versions |= value if isinstance(value, dict) else {key: value}
    named = [f"{NAMES.get(key, key)} {value}" for key, value in versions.items() if key not in ("holdfast", "python")]
    _, *others = sets(results)
    text = language.say(
        "{machine}; {versions}; float32; {date}. The figures of a peer are its time divided by ours, forward / "
        "training step (with the gradients of all parameters): above 1, Holdfast is faster. They are medians of runs "
        "in turn, of layers that gave the same numbers.",
        machine=machine(results, language),
        versions=language.say(", ").join(named),
        date=results["date"],
    )
    if any(cases.PRODUCTS in passed["peers"] for case in results["cases"] for passed in case["passes"].values()):
        text += language.say(
            " The products are the matrix products alone, by torch.mm; their time divided by ours is above 100 % where "
            "our whole layer takes less time."
        )
    if others:
        text += language.say(
            " onnxruntime has no switch for {lesser}; it always uses the best set of the processor.", lesser=others[0]
        )
    return language.paragraph(text)


def titled(case: Result, language: Language) -> str:
    """Name and shape of a case, as `title` says them in English."""
    return title({**case, "name": language.label(case["name"])})


def layer_rows(
    group: Sequence[Result], lesser: dict[str, Result], lesser_set: str, language: Language
) -> Iterator[str]:
    """A line for each layer and shape; the last columns are of the lesser instruction set, if that was measured."""
    columns = {heading: peers for heading, peers in COLUMNS.items() if any(ratios(case, peers) for case in group)}
    again = {heading: peers for heading, peers in columns.items() if any(ratios(c, peers) for c in lesser.values())}
    headings = [language.say(heading) for heading in ("layer (B, T, I, H)", "time", *columns)]
    headings += [language.say("{set}: {heading}", set=lesser_set, heading=language.say(heading)) for heading in again]
    yield f"| {' | '.join(headings)} |"
    yield "|---" * len(headings) + "|"
    for case in group:
        times = " / ".join(time(passed["ms"]) for passed in case["passes"].values())
        limited = lesser.get(title(case), {"passes": {}})
        cells = [ratios(case, peers) for peers in columns.values()]
        cells += [ratios(limited, peers) for peers in again.values()]
        yield f"| {' | '.join([titled(case, language), times, *cells])} |"


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


def grid(
    group: Sequence[Result],
    corner: str,
    label: Callable[[Result], tuple[str, str]],
    peer: str,
    language: Language,
) -> Iterator[str]:
    """A table with a row and a column for each label; the cost of an option is the inverse of the ratio."""
    table = {label({**case, "name": language.label(case["name"])}): case for case in group}
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


def sentence(case: Result, language: Language) -> str:
    """A result that does not fit into the columns of a table."""
    name, say = titled(case, language), language.say
    if case["group"] in ("bfloat16", "weights"):
        text = "{title}: {ratios} times as fast as our float32."
        return say(text, title=name, ratios=ratios(case, [cases.FLOAT32]))
    (passed,) = case["passes"].values()
    if case["group"] == "epoch":
        times = [
            say("{name} {time} s ({ratio})", name=key, time=f"{peer['ms'] / 1e3:.1f}", ratio=f"{peer['ratio']:.2f}")
            for key, peer in passed["peers"].items()
        ]
        return say(
            "{title}, 60,000 images, {units} units: {time} s; {peers}.",
            title=language.label(case["name"]),
            units=case["shape"][3],
            time=f"{passed['ms'] / 1e3:.1f}",
            peers=say(", ").join(times),
        )
    longer = passed["peers"].get(cases.RECOMPUTE)
    text = " Recomputing takes {ratio} times as long as keeping everything."
    slower = say(text, ratio=f"{longer['ratio']:.2f}") if longer else ""
    peaks = case.get("peak_mib", {}).items()
    sizes = say(", ").join(f"{say(key.replace(', ', ' with '))} {mib:.0f} MiB" for key, mib in peaks)
    return (say("Memory of a training step, {title}: {sizes}.", title=name, sizes=sizes) if sizes else name) + slower


if __name__ == "__main__":
    main()
