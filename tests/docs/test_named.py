"""Everything that CONTRIBUTING, the READMEs, the docs and the comments name exists: files, names, commands, options."""

from __future__ import annotations

import importlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel

from holdfast import recipes
from holdfast.cli import app
from holdfast.errors import MissingLibraryError

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("benchmarks", "docs", "examples", "native", "src", "tests")
PAGES = [ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("README*.md")), *sorted(ROOT.glob("docs/*.md"))]
CODE = sorted(path for folder in FOLDERS for end in ("py", "h", "cpp") for path in ROOT.glob(f"{folder}/**/*.{end}"))
ELSEWHERE = {"gradcheck"}  # from torch
# A key of a recipe, such as `train.epochs`; not a file or an attribute of a model in memory.
KEY = r"(?<![\w./])(?:data|model|train|predict)(?:\.[a-z_]+)+(?![\w.(/-])"
ENDINGS = (".csv", ".json", ".keras", ".md", ".onnx", ".pt", ".safetensors", ".toml")
# The names under which the docs import modules.
IMPORTED = {
    "formats": "holdfast.interop.formats",
    "keras_files": "holdfast.interop.keras.files",
    "onnx_files": "holdfast.interop.onnx.files",
    "recipes": "holdfast.recipes",
    "runtime": "holdfast.runtime",
    "tf1": "holdfast.tf1",
}


def spans(path: Path) -> Iterator[tuple[int, str]]:
    """The code spans of a page outside of its fenced blocks, with their lines."""
    text = re.sub(
        r"^ *(`{3,}).*?^ *\1 *$", lambda m: "\n" * m[0].count("\n"), path.read_text("utf-8"), flags=re.M | re.S
    )
    for found in re.finditer(r"`([^`]+)`", text):
        yield text[: found.start()].count("\n") + 1, " ".join(found[1].split())


def commands(path: Path) -> Iterator[tuple[int, str]]:
    """The commands in console blocks and in code spans, with their lines."""
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        prompted = re.match(r"\$ ((?:holdfast|make) .*?)(?:  +#.*)?$", line.strip())
        if match := prompted or re.match(r"(make [\w-]+)  +#", line):
            yield number, match[1]
    yield from ((line, span) for line, span in spans(path) if span.startswith(("holdfast ", "make ")))


def exists(name: str) -> bool:
    """Whether a path exists; NAME in it matches any name."""
    return any(ROOT.glob(name.rstrip("/").replace("NAME", "*")))


def where(path: Path, line: int, named: str) -> str:
    return f"{path.relative_to(ROOT)}, line {line}, names `{named}`"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_paths_of_the_pages(path: Path) -> None:
    named = [(line, span) for line, span in spans(path) if re.fullmatch(rf"({'|'.join(FOLDERS)})/[\w./*-]*", span)]
    assert [where(path, line, span) + ", which does not exist" for line, span in named if not exists(span)] == []


def test_paths_of_the_comments() -> None:
    faults = []
    for path in CODE:
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
            if path.suffix == ".py" and path.is_relative_to(ROOT / "tests"):
                continue  # tests also name files that do not exist
            for named in re.findall(r"(?<![\w/.:-])((?:native|src/holdfast|tests|docs|benchmarks)/[\w/]+\.\w+)", line):
                if not exists(named):
                    faults.append(where(path, number, named) + ", which does not exist")
    assert faults == []


def test_headers_named_in_the_comments_of_the_kernels() -> None:
    """Comments name the files beside them without a folder: ``layer.h``, ``kernels.cpp``."""
    existing = {path.name for folder in ("native", "tests/native") for path in (ROOT / folder).iterdir()}
    faults = [
        where(path, number, name) + ", which does not exist"
        for path in CODE
        if path.suffix in (".h", ".cpp")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        for name in re.findall(r"(?<![\w/<.])(\w+\.(?:h|cpp))\b", line.partition("//")[2])
        if name not in existing
    ]
    assert faults == []


def tree(text: str) -> list[str]:
    """The paths in the file tree of a README; the indented ones are in the folder above them."""
    block = text.partition("## What is where\n")[2].partition("```text\n")[2].partition("```")[0]
    paths, folder = [], ""
    for indent, names in re.findall(r"^( *)([\w./]+(?:, [\w./]+)*)(?= {2,}\S|$)", block, re.MULTILINE):
        folder = folder if indent else names
        paths += [folder + name for name in names.split(", ")] if indent else [names]
    return paths


def test_the_tree_of_the_readme() -> None:
    paths = tree((ROOT / "README.md").read_text("utf-8"))
    assert [path for path in paths if not (ROOT / path).exists()] == []
    folders = [f"src/holdfast/{path.parent.name}/" for path in ROOT.glob("src/holdfast/*/__init__.py")]
    assert sorted(set(folders) - set(paths)) == [], "folders of the package that the tree does not name"


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
            faults.append(f"{where(path, line, command)}, which is not a command")
            continue
        options = {
            option for parameter in known[words[1]].params for option in (*parameter.opts, "--help", "--version")
        }
        given = [word.partition("=")[0] for word in words[2:] if re.match(r"--?[a-z]", word)]
        faults += [f"{where(path, line, command)}, which has no {word}" for word in given if word not in options]
    assert faults == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_dotted_names(path: Path) -> None:
    """Names that begin with ``holdfast.`` or with an imported module exist, whatever follows them in brackets."""
    faults = []
    for line, span in spans(path):
        match = re.match(rf"(holdfast|{'|'.join(IMPORTED)})((?:\.[A-Za-z_]\w*)+)", span)
        if match and not span.endswith(".toml") and not resolves(IMPORTED.get(match[1], match[1]) + match[2]):
            faults.append(where(path, line, span) + ", which does not exist")
    assert faults == []


def test_dotted_names_of_the_comments_and_docstrings() -> None:
    faults = []
    for path in CODE:
        if path.is_relative_to(ROOT / "tests"):
            continue
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
            for name in re.findall(r"`~?(holdfast(?:\.[A-Za-z_]\w*)+)[`(]", line):
                if not resolves(name):
                    faults.append(where(path, number, name) + ", which does not exist")
    assert faults == []


def fields(kind: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The keys of a recipe, with those of its tables: ``train.epochs``."""
    for name, field in kind.model_fields.items():
        yield prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from fields(field.annotation, f"{prefix}{name}.")


def key_exists(key: str) -> bool:
    """Whether some recipe has a key; the keys within its free tables are arguments of torch and of the cells."""
    known = {field for kind in recipes.RECIPES.values() for field in fields(kind)}
    free = ("train.optimizer_options.", "model.options.")
    return key in known or key.startswith(free)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_keys_of_recipes(path: Path) -> None:
    keys = [(line, key) for line, span in spans(path) for key in re.findall(KEY, span) if not key.endswith(ENDINGS)]
    assert [where(path, line, key) + ", which no recipe has" for line, key in keys if not key_exists(key)] == []


def resolves(name: str) -> bool:
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("holdfast"):
                return True  # it needs a library that is not installed
            continue
        except MissingLibraryError:
            return True
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
    """A name is defined in one of the files that its item names."""
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
    assert tree("## What is where\n```text\nsrc/\n  a.py, b/   what\nnative/     c\n```") == [
        "src/",
        "src/a.py",
        "src/b/",
        "native/",
    ]
    assert not key_exists("train.epoch")
    assert key_exists("train.epochs")
    assert key_exists("data.audio.stack")
    assert not resolves("holdfast.interop.formats.reads")
    assert not exists("src/holdfast/runtime.py")
    assert exists("src/holdfast/tasks/NAME.py")
    assert not resolves("holdfast.LSTN")
    assert resolves("holdfast.Predictor.predict")
    assert is_defined("LAYERS", "LAYERS: dict[str, type] = {}")
    assert not is_defined("LAYERS", "from holdfast.layers import LAYERS\nlayers = LAYERS[settings.cell]()")


def test_extras_that_texts_name_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    notebooks = sorted(ROOT.glob("examples/**/*.ipynb"))
    named = {
        (path.relative_to(ROOT).as_posix(), extra.strip())
        for path in [*PAGES, *CODE, *notebooks, *ROOT.glob("docs/tutorials/*.md")]
        if path != Path(__file__)
        for found in re.findall(r"holdfast\[([a-z0-9, ]+)\]", path.read_text("utf-8"))
        for extra in found.split(",")
    }
    assert len(named) > 20
    assert not [(path, extra) for path, extra in named if extra not in extras]
