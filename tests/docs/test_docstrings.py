"""The examples in all docstrings are right. Those of cells, layers, engines, Keras and TensorFlow 1 have own tests."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest
from tests.docs.test_docs import ROOT

from holdfast.errors import MissingLibraryError

TESTED_ELSEWHERE = {"cells", "engines", "keras", "layers", "tf1"}
FILES = [path.relative_to(ROOT / "src") for path in sorted((ROOT / "src" / "holdfast").rglob("*.py"))]
NAMES = [
    ".".join(path.with_suffix("").parts).removesuffix(".__init__")
    for path in FILES
    if path.parts[1] not in TESTED_ELSEWHERE and ">>> " in (ROOT / "src" / path).read_text("utf-8")
]


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_in_docstrings(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        module = import_module(name)
    except MissingLibraryError as error:
        pytest.skip(str(error))
    assert not doctest.testmod(module).failed


def test_every_package_has_its_own_tests_or_is_here() -> None:
    assert {path.parent.name for path in ROOT.glob("tests/*/test_docstrings.py")} - {"docs", "tf1"} <= TESTED_ELSEWHERE
    assert len(NAMES) > 30
