"""Imports go one way, and ``import holdfast`` is light.

The folders of the package are the levels. A new folder, or a new file beside them, fails these tests until it has its
place in ``ORDER``; a new file in a folder needs no line here.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import holdfast
from holdfast.tasks import NAMES

SOURCE = Path(holdfast.__file__).parent

# From the bottom up: each imports only from those before it. Files of one folder may import one another.
ORDER = (
    "errors",
    "lazy",
    "register",
    "files",
    "cells",
    "runtime.scaling",
    "layers.chain",  # a description, read by the runtime without torch
    "runtime",
    "engines",
    "layers",
    "decoding",
    "settings",
    "inspect.figures",  # arrays in, pictures out: tasks and estimators draw with them
    "data",
    "tasks",
    "recipes",
    "training",
    "predictor",
    "inspect",
    "interop",
    "keras",
    "tf1",
    "conversion",
    "estimators",
    "experiment",
    "scoring",
    "distributed",
    "serve",
    "doctor",
    "terminal",
    "cli",
    "__main__",
)
# These know nothing of networks. Of those before them, they import one another and ``runtime.scaling`` alone.
LEAVES = ("lazy", "errors", "register", "files", "decoding", "settings", "inspect.figures", "data")

RANK = {name: rank for rank, name in enumerate(ORDER)}


def modules() -> dict[str, Path]:
    """Every module of the package, by its name without ``holdfast.``; the package itself is ``""``."""
    found = {}
    for path in sorted([*SOURCE.rglob("*.py"), *SOURCE.rglob("*.pyi")]):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(module: str, path: Path) -> Iterator[tuple[str, int]]:
    """The modules of the package that a file imports, at its top or inside a function, with their lines."""
    known = modules()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}, line {node.lineno}: a relative import; write the whole name"
            # `from holdfast import storage` imports a module, `from holdfast import LSTM` the package itself.
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name.removeprefix("holdfast.") in known else str(node.module) for name in whole]
        else:
            continue
        for name in names:
            if name == "holdfast" or name.startswith("holdfast."):
                yield name.removeprefix("holdfast").removeprefix("."), node.lineno


def top(module: str) -> str:
    """The entry of ``ORDER`` that a module belongs to."""
    parts = module.split(".")
    names = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
    return next((name for name in names if name in RANK), names[-1])


def wrong(module: str, imported: str) -> str | None:
    """Why ``module`` must not import ``imported``, or None."""
    here, there = top(module), top(imported)
    if not module:  # the package's own __init__ gives each public name when it is asked for, and loads nothing
        return None
    if not there:
        return "import from the module that has the name, not from the package"
    if here == there or there == f"{here}.{imported.rpartition('.')[2]}":
        return None
    if RANK[there] >= RANK[here]:
        return f"{there} does not come before {here}"
    if here in LEAVES and there not in LEAVES and imported != "runtime.scaling":
        return f"{here} knows nothing of {there}"
    return None


def test_every_folder_has_its_place() -> None:
    present = {module.partition(".")[0] for module in modules()} - {""}
    placed = {name.partition(".")[0] for name in ORDER}
    assert present <= placed, f"say in ORDER where these stand: {sorted(present - placed)}"
    assert placed <= present, f"ORDER names what is not there: {sorted(placed - present)}"


def test_the_root_is_small() -> None:
    assert len([module for module in modules() if "." not in module and (SOURCE / f"{module}.py").exists()]) <= 10


@pytest.mark.parametrize("module", modules())
def test_imports_go_one_way(module: str) -> None:
    path = modules()[module]
    problems = [
        f"{path.relative_to(SOURCE)}, line {line}, imports holdfast.{imported}: {reason}"
        for imported, line in imports(module, path)
        if (reason := wrong(module, imported)) is not None
    ]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    ("module", "imported", "reason"),
    [
        ("cells.lstm", "engines.unrolling", "engines does not come before cells"),
        ("errors", "cells", "cells does not come before errors"),
        ("runtime.network", "layers.kinds", "layers does not come before runtime"),
        ("layers.kinds", "tasks.classify.task", "tasks does not come before layers"),
        ("data.batches", "tasks", "tasks does not come before data"),
        ("data.batches", "layers.kinds", "data knows nothing of layers"),
        ("data.encoders", "runtime.stream", "data knows nothing of runtime"),
        ("files.storage", "", "import from the module that has the name, not from the package"),
    ],
)
def test_the_rule_catches(module: str, imported: str, reason: str) -> None:
    assert wrong(module, imported) == reason


def test_no_file_is_called_utils_or_as_a_library() -> None:
    names = {part for module in modules() for part in module.split(".")}
    assert not names & {"utils", "helpers", "common", "misc", "torch", "numpy", "rich", "typer", "pydantic"}


def loaded_by(program: str) -> set[str]:
    """The modules that a program loads beyond the standard library, in a process of its own."""
    program = f"import sys; {program}; print(*sorted(set(sys.modules) - set(sys.stdlib_module_names)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name for name in done.stdout.split() if top(name) not in sys.stdlib_module_names}


def test_import_holdfast_loads_nothing_else() -> None:
    assert loaded_by("import holdfast") == loaded_by("pass") | {"holdfast", "holdfast.lazy"}


def test_every_public_name_is_there_and_is_what_a_type_checker_sees() -> None:
    tree = ast.parse((SOURCE / "__init__.py").read_text("utf-8"))
    seen = {alias.name: n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for alias in n.names}
    for name in set(holdfast.__all__) - {"__version__"}:
        home = sys.modules[seen[name]] if getattr(holdfast, name) else None
        assert getattr(holdfast, name) is getattr(home, name)
    assert set(holdfast.__all__) <= set(dir(holdfast))
    with pytest.raises(AttributeError, match="module 'holdfast' has no attribute 'LSTN'"):
        holdfast.LSTN  # noqa: B018  (asking for it is the test)


def test_the_layers_load_torch_and_nothing_beside_it() -> None:
    """No optional library, none of the readers, none of the command line: what training needs comes with training."""
    beside = {top(name) for name in loaded_by("import holdfast; holdfast.LSTM") - loaded_by("import torch")}
    assert beside <= {"holdfast", "torch", "triton"}  # torch for CUDA brings triton


def test_the_layers_load_nothing_above_them() -> None:
    names = [name for name in loaded_by("import holdfast; holdfast.LSTM") if name.startswith("holdfast.")]
    loaded = {top(name.removeprefix("holdfast.")) for name in names}
    assert loaded <= {name for name, rank in RANK.items() if rank <= RANK["layers"]}


OPTIONAL = ("h5py", "kaldi_native_fbank", "keras", "onnx", "polars", "sacrebleu", "soundfile", "soxr", "starlette")
OPTIONAL += ("tokenizers", "uvicorn", "websockets")
FOR_PICTURES = ("PIL", "jinja2", "matplotlib")  # required, and loaded when a picture or a report is made


def test_the_demo_needs_no_optional_library(tmp_path: Path) -> None:
    """What ``make demo`` installs is enough for it and for its report."""
    program = f"""
import os, sys
from importlib.machinery import PathFinder
from pathlib import Path

find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *where: None if name.partition(".")[0] in {OPTIONAL!r} else find(name, *where)
from holdfast import experiment, recipes
assert not set({FOR_PICTURES!r}) & set(sys.modules)
os.environ["HOLDFAST_REPORT"] = "1"
run = experiment.train(recipes.load("digits", ["train.limit=small", "train.epochs=1"]), Path({str(tmp_path / "run")!r}))
assert 0 <= run.results["accuracy"] <= 1
assert (run.path / "report.html").exists()
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_no_task_loads_an_optional_library_when_it_is_imported() -> None:
    for task in NAMES:
        assert not loaded_by(f"import holdfast.tasks.{task}.task") & {*OPTIONAL, *FOR_PICTURES}, task


def test_the_folder_of_a_task_imports_no_other_task() -> None:
    """What several tasks share lies beside their folders, in ``holdfast.tasks``."""
    problems = [
        f"{path.relative_to(SOURCE)}, line {line}, imports holdfast.{imported}"
        for module, path in modules().items()
        for imported, line in imports(module, path)
        if (here := folder_of_a_task(module)) and (there := folder_of_a_task(imported)) and here != there
    ]
    assert not problems, "\n".join(problems)
    names = ("tasks.tag.data", "tasks.tag", "tasks.network", "data")
    assert [folder_of_a_task(name) for name in names] == ["tag", "tag", "", ""]


def folder_of_a_task(module: str) -> str:
    """The task in whose folder a module lies, or ``""``."""
    package, _, rest = module.partition(".")
    name = rest.partition(".")[0]
    return name if package == "tasks" and name in NAMES else ""
