"""What CONTRIBUTING, the README, the docs and the comments name is there: files, names, make targets, options."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from holdfast.cli import app

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("benchmarks", "docs", "examples", "native", "src", "tests")
PAGES = [ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("README*.md")), *sorted(ROOT.glob("docs/*.md"))]
CODE = sorted([*ROOT.glob("native/*.*"), *ROOT.glob("src/**/*.py"), *ROOT.glob("tests/**/*.py")])
ELSEWHERE = {"gradcheck"}  # of torch


def spans(path: Path) -> Iterator[tuple[int, str]]:
    """The spans of code of a page, without its fenced blocks, with their lines."""
    text = re.sub(
        r"^ *(`{3,}).*?^ *\1 *$", lambda m: "\n" * m[0].count("\n"), path.read_text("utf-8"), flags=re.M | re.S
    )
    for found in re.finditer(r"`([^`]+)`", text):
        yield text[: found.start()].count("\n") + 1, " ".join(found[1].split())


def commands(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of console blocks and the spans that are commands."""
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        prompted = re.match(r"\$ ((?:holdfast|make) .*?)(?:  +#.*)?$", line.strip())
        if match := prompted or re.match(r"(make [\w-]+)  +#", line):
            yield number, match[1]
    yield from ((line, span) for line, span in spans(path) if span.startswith(("holdfast ", "make ")))


def exists(name: str) -> bool:
    """Whether a path is there; NAME in it stands for whatever is there of that kind."""
    return any(ROOT.glob(name.rstrip("/").replace("NAME", "*")))


def where(path: Path, line: int, named: str) -> str:
    return f"{path.relative_to(ROOT)}, line {line}, names `{named}`"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_paths_of_the_pages(path: Path) -> None:
    named = [(line, span) for line, span in spans(path) if re.fullmatch(rf"({'|'.join(FOLDERS)})/[\w./*-]*", span)]
    assert [where(path, line, span) + ", which is not there" for line, span in named if not exists(span)] == []


def test_paths_of_the_comments() -> None:
    faults = []
    for path in CODE:
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
            if path.suffix == ".py" and path.is_relative_to(ROOT / "tests"):
                continue  # tests speak of files that are made up, too
            for named in re.findall(r"(?<![\w/.:-])((?:native|src/holdfast|tests|docs|benchmarks)/[\w/]+\.\w+)", line):
                if not exists(named):
                    faults.append(where(path, number, named) + ", which is not there")
    assert faults == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_commands_and_their_options(path: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    known = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    faults = []
    for line, command in commands(path):
        words = re.split(r"\s+\|", command)[0].split()
        if words[0] == "make":
            faults += [where(path, line, command)] if words[1] not in targets else []
            continue
        if words[1].startswith(("-", "[")):
            continue
        if words[1] not in known:
            faults.append(f"{where(path, line, command)}, and there is no such command")
            continue
        options = {
            option for parameter in known[words[1]].params for option in (*parameter.opts, "--help", "--version")
        }
        given = [word.partition("=")[0] for word in words[2:] if re.match(r"--?[a-z]", word)]
        faults += [f"{where(path, line, command)}, which has no {word}" for word in given if word not in options]
    assert faults == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_dotted_names(path: Path) -> None:
    """Names that begin with ``holdfast.`` are there, whatever stands in brackets behind them."""
    faults = []
    for line, span in spans(path):
        match = re.match(r"(holdfast(?:\.[A-Za-z_]\w*)+)", span)
        if match and not resolves(match[1]) and "no-run" not in span:
            faults.append(where(path, line, span) + ", which is not there")
    assert faults == []


def resolves(name: str) -> bool:
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("holdfast"):
                return True  # it needs a library that is not here
            continue
        for part in parts[count:]:
            if not hasattr(found, part) and part not in getattr(found, "__annotations__", {}):
                return False
            found = getattr(found, part, None)
        return True
    return False


def items() -> Iterator[tuple[int, str]]:
    """The numbered items of CONTRIBUTING's recipes, with their first lines."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    for found in re.finditer(r"^\d\. .*\n(?: {3}.*\n)*", text[text.index("## Recipes") :], re.MULTILINE):
        yield text[: text.index("## Recipes") + found.start()].count("\n") + 1, found[0]


def test_names_in_the_recipes_of_contributing_are_defined_where_they_are_said_to_be() -> None:
    """A name stands in one of the files that its item names; what is defined elsewhere moved."""
    faults = []
    for line, item in items():
        named = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", item)]
        files = [path for one in named if "/" in one for path in ROOT.glob(one.replace("NAME", "*")) if path.is_file()]
        text = "\n".join(path.read_text("utf-8") for path in files)
        for name in named:
            word = re.fullmatch(r"(?:[A-Z]\w*\.)?([A-Za-z_]\w*)(?:\(.*\)(?: -> \w+)?)?", name)
            if not word or word[1] in ELSEWHERE or not files or (ROOT / name).exists():
                continue
            if not is_defined(word[1], text):
                faults.append(f"CONTRIBUTING.md, line {line}, names `{name}`; none of the files of its item defines it")
    assert faults == []


def is_defined(name: str, text: str) -> bool:
    """Whether a Python or C++ text defines a name, as a function, a class, a variable or a field."""
    python = rf"^\s*(?:def|class) {name}\b|^\s*{name}\s*(?::[^:]|=[^=])"
    native = rf"\b[\w>]+[ *&]+{name}\s*[(;=]"
    return re.search(f"{python}|{native}", text, re.MULTILINE) is not None


def test_the_rules_catch() -> None:
    assert not exists("src/holdfast/runtime.py")
    assert exists("src/holdfast/tasks/NAME.py")
    assert not resolves("holdfast.LSTN")
    assert resolves("holdfast.Predictor.predict")
    assert is_defined("LAYERS", "LAYERS: dict[str, type] = {}")
    assert not is_defined("LAYERS", "from holdfast.layers import LAYERS\nlayers = LAYERS[settings.cell]()")
