"""Programs of TensorFlow 1, run in the process of the tests."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import numpy as np
import pytest

from holdfast.tf1.graph import old_libraries, runner
from holdfast.tf1.graph.command_flags import FLAGS
from holdfast.tf1.graph.graph import reset_default_graph, session_stack

Program = Callable[..., ModuleType]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    """Runs a text as a program, with arguments, in a folder of its own; returns its module."""
    monkeypatch.chdir(tmp_path)
    for name, value in (("argv", sys.argv), ("path", list(sys.path)), ("meta_path", list(sys.meta_path))):
        monkeypatch.setattr(sys, name, value)
    for name in [name for name in sys.modules if name == "__main__" or name.partition(".")[0] == "tensorflow"]:
        monkeypatch.setitem(sys.modules, name, sys.modules[name])  # to have it back after the test
    for name in ("array", "asarray"):
        monkeypatch.setattr(np, name, getattr(np, name))
    removed = [(import_module(place), names) for place, names in old_libraries._NAMES.items()]
    given = [(module, name) for module, names in removed for name in names if name not in module.__dict__]
    loaded = set(sys.modules)
    reset_default_graph()
    FLAGS.__dict__.update(_defined={}, _parsed=False, _others=[])

    def run(text: str, *arguments: str, name: str = "program.py") -> ModuleType:
        Path(name).write_text(dedent(text), "utf-8")
        return runner.run(runner.read(Path(name)), name, arguments)

    yield run
    for name in [name for name in sys.modules if name.partition(".")[0] == "tensorflow"]:
        del sys.modules[name]
    for name in sys.modules.keys() - loaded & old_libraries._MOVED.keys():
        del sys.modules[name]
    for module, name in given:
        module.__dict__.pop(name, None)
    session_stack().clear()
    reset_default_graph()
