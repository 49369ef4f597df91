"""Docs that fail when they lie: their Python runs, their links lead somewhere, their tables are complete."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

import holdfast
from holdfast.cells import ACTIVATIONS, CellSpec, gru, lstm, rnn
from holdfast.interop.format_table import FORMATS
from holdfast.interop.layouts import LAYOUTS

ROOT = Path(__file__).resolve().parents[2]
# The code of the Chinese pages is that of the English ones: test_chinese compares them.
RUNNABLE = sorted({ROOT / "README.md", *ROOT.glob("docs/**/*.md")} - {*ROOT.glob("docs/zh/**/*.md")})
FOLDERS = ("benchmarks", "docs", "examples", "native", "src", "tests")
MARKDOWN = sorted([*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in ROOT.glob(f"{folder}/**/*.md"))])
CELLS = ROOT / "docs" / "cells.md"
MOST_NOT_RUN = 2  # in one file


class Block(NamedTuple):
    """A fenced block: the words behind its fence, its text, and the number of its first line in the file."""

    info: str
    text: str
    line: int


def blocks(markdown: str) -> Iterator[Block]:
    lines = markdown.splitlines()
    k = 0
    while k < len(lines):
        fence = re.match(r"( *)(`{3,}|~{3,})(.*)", lines[k])
        k += 1
        if fence:
            start = k
            while k < len(lines) and not re.fullmatch(rf" *{fence[2]}[`~]* *", lines[k]):
                k += 1
            assert k < len(lines), f"The fence in line {start} is never closed."
            yield Block(fence[3].strip(), textwrap.dedent("\n".join(lines[start:k]) + "\n"), start + 1)
            k += 1


def without_code(markdown: str) -> str:
    """The text without fenced blocks and without spans of code."""
    fenced = re.sub(r"^ *(`{3,}|~{3,}).*?^ *\1[`~]* *$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"(`+).+?\1", "", fenced)


def run(path: Path) -> dict[str, object]:
    """Runs the Python of a file, in order and in one namespace; a traceback names the lines of the file."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(path.read_text("utf-8")):
        if block.info == "python":
            exec(compile("\n" * (block.line - 1) + block.text, path, "exec"), namespace)
    return namespace


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the docs write goes to a temporary folder."""
    monkeypatch.chdir(tmp_path)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", RUNNABLE, ids=name_of)
def test_python_in_the_docs_runs(path: Path) -> None:
    if path.name == "keras.md":
        pytest.importorskip("keras", reason="needs keras: pip install 'holdfast[keras]'")
    run(path)


SCORED = ("SequenceClassifier", "SequenceRegressor", "SequenceTagger", "Forecaster", "TextClassifier")


@pytest.mark.parametrize("name", SCORED)
def test_the_readme_needs_ten_lines_from_the_import_to_a_score(name: str) -> None:
    programs = [block.text for block in blocks((ROOT / "README.md").read_text("utf-8")) if block.info == "python"]
    (program,) = (text for text in programs if f"from holdfast import {name}\n" in text)
    assert len(program.splitlines()) <= 10
    assert re.search(r"^print\(\w+\.score\(", program, re.MULTILINE)
    exec(compile(program, name, "exec"), {"__name__": "__main__"})  # alone, without the blocks above it


@pytest.mark.parametrize("path", RUNNABLE, ids=name_of)
def test_no_python_escapes(path: Path) -> None:
    infos = [block.info for block in blocks(path.read_text("utf-8"))]
    about_python = [info for info in infos if info.lower().startswith(("py", "ipython"))]
    assert set(about_python) <= {"python", "python no-run"}
    assert about_python.count("python no-run") <= MOST_NOT_RUN
    assert all(infos), "A fence without a language: write ```text where there is none."


@pytest.mark.parametrize("path", RUNNABLE, ids=name_of)
def test_python_that_is_not_run_is_python(path: Path) -> None:
    for block in blocks(path.read_text("utf-8")):
        if block.info == "python no-run":
            compile("\n" * (block.line - 1) + block.text, path, "exec")


@pytest.mark.parametrize("path", MARKDOWN, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    text = without_code(path.read_text("utf-8"))
    targets = re.findall(r"\]\(\s*<?([^)\s>]+)", text) + re.findall(r"^\[[^]]+\]:\s*<?([^\s>]+)", text, re.MULTILINE)
    dead = []
    for target in targets:
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        inside = linked.is_relative_to(ROOT) and linked.exists()
        if not inside or (anchor and linked.suffix == ".md" and anchor not in anchors(linked)):
            dead.append(target)
    assert not dead


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a file."""
    text = re.sub(r"^ *(`{3,}).*?^ *\1 *$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", text, re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = sum(re.fullmatch(rf"{re.escape(slug)}(-\d+)?", other) is not None for other in found)
        found.add(f"{slug}-{number}" if number else slug)
    return found


# docs/cells.md


@pytest.fixture(scope="module")
def cells_text() -> str:
    return CELLS.read_text("utf-8")


@pytest.fixture(scope="module")
def of_the_docs() -> dict[str, object]:
    """Everything that the Python of docs/cells.md defines."""
    return run(CELLS)


@pytest.mark.parametrize("module", [rnn, lstm, gru], ids=lambda module: module.__name__)
def test_equations_are_those_of_the_code(module: object, cells_text: str) -> None:
    """The first indented block of a cell's docstring is a block of the docs, letter by letter."""
    assert module.__doc__
    equations = re.search(r"(?:^    \S.*\n)+", module.__doc__, re.MULTILINE)
    assert equations
    assert textwrap.dedent(equations[0]) in [block.text for block in blocks(cells_text)]


def test_every_option_activation_and_parameter_is_described(cells_text: str) -> None:
    sizes = {"kind", "input_size", "hidden_size"}
    names = {field.name for field in dataclasses.fields(CellSpec)} - sizes | set(ACTIVATIONS)
    lstm_spec = CellSpec(kind="lstm", input_size=2, hidden_size=3, proj_size=1, peepholes=True, layer_norm=True)
    names |= set(lstm_spec.parameter_shapes())
    assert [name for name in sorted(names) if not re.search(rf"`{name}[`=]", cells_text)] == []


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize(("steps", "batch", "hidden"), [(1, 1, 1), (12, 3, 5)])
def test_backward_passes_by_hand(
    kind: str, steps: int, batch: int, hidden: int, of_the_docs: dict[str, object]
) -> None:
    """The functions that the docs define, on other shapes and numbers than the docs' own, against autograd."""
    by_hand = of_the_docs[f"{kind.lower()}_backward"]
    layer = getattr(holdfast, kind)(2, hidden, dtype=torch.float64)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(steps, batch, 2, dtype=torch.float64, requires_grad=True)
    parts = 2 if kind == "LSTM" else 1
    state = [torch.randn(batch, hidden, dtype=torch.float64, requires_grad=True) for _ in range(parts)]
    hx = tuple(part[None] for part in state)
    outputs, final = layer(x, hx if kind == "LSTM" else hx[0])
    gradients = [torch.randn_like(outputs)] + [torch.randn_like(state[0])] * (parts - 1)
    results = [outputs] + ([final[1][0]] if kind == "LSTM" else [])
    torch.autograd.backward(results, gradients)

    with torch.no_grad():
        found = by_hand(*layer.parameters(), x, *state, *gradients)  # type: ignore[operator]
    tensors = {"x": x, **dict(zip(("h0", "c0"), state, strict=False)), **dict(layer.named_parameters())}
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        torch.testing.assert_close(found[name], tensor.grad, rtol=1e-9, atol=1e-12, msg=lambda m, n=name: f"{n}: {m}")


def table(text: str) -> dict[str, list[float]]:
    """The table that examples/vanishing_gradient.py prints: the numbers of each line by the line's name."""
    rows = [re.fullmatch(r"(.{27}) ((?: *[-+.\de]+)+)", line) for line in text.strip().splitlines()]
    assert all(rows)
    return {row[1].strip(): [float(number) for number in row[2].split()] for row in rows if row}


def test_the_table_of_the_vanishing_gradient_is_what_is_measured(cells_text: str) -> None:
    program = ROOT / "examples" / "vanishing_gradient.py"
    (printed,) = (block.text for block in blocks(cells_text) if block.text.startswith("steps back"))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, program], capture_output=True, encoding="utf-8", env=environment, check=True, timeout=300
    )
    measured, told = table(done.stdout), table(printed)
    assert measured.keys() == told.keys()
    for name, numbers in told.items():
        assert measured[name] == pytest.approx(numbers, rel=0.2), name


def test_the_program_in_the_docs_is_the_example(cells_text: str) -> None:
    (program,) = (block.text for block in blocks(cells_text) if "def report(" in block.text)
    example = (ROOT / "examples" / "vanishing_gradient.py").read_text("utf-8")
    assert example.endswith("import holdfast\n\n" + program)


# docs/convert.md


def rows_of(head: str) -> list[list[str]]:
    """The cells of the table in docs/convert.md that has this head, row by row."""
    text = (ROOT / "docs" / "convert.md").read_text("utf-8")
    table = re.search(rf"^\| {re.escape(head)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert table
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]


def test_the_table_of_gate_orders_is_that_of_the_code() -> None:
    expected = [
        [
            layout.name,
            *(" ".join(layout.gates[kind]) for kind in ("lstm", "gru", "rnn")),
            "inputs by rows" if layout.transposed else "rows by inputs",
            " ".join(layout.peepholes) or "none",
        ]
        for layout in LAYOUTS
    ]
    assert rows_of("layout") == expected


def test_the_table_of_formats_is_that_of_the_code() -> None:
    expected = [
        [
            f"`{one.name}`",
            ", ".join(f"`{end}`" for end in one.extensions),
            "yes",
            "yes" if one.writes else "no",
            one.carries,
        ]
        for one in FORMATS.values()
    ]
    assert rows_of("format") == expected
