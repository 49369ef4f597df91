"""Names and versions from the arguments of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.errors import HoldfastError
from holdfast.serve.naming import Place, places


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("runs/digits", "versions/1", "versions/10", "versions/9", "mixed/1"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "model.safetensors").touch()
    (tmp_path / "versions" / "notes").mkdir()
    (tmp_path / "mixed" / "2").mkdir()
    (tmp_path / "mixed" / "2" / "net.onnx").touch()
    (tmp_path / "a=b.safetensors").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("runs/digits", [("digits", "1", "runs/digits")]),
        ("runs/digits/model.safetensors", [("digits", "1", "runs/digits/model.safetensors")]),
        ("eyes=runs/digits", [("eyes", "1", "runs/digits")]),
        ("eyes@2024-b=runs/digits", [("eyes", "2024-b", "runs/digits")]),
        (
            "versions",
            [("versions", "1", "versions/1"), ("versions", "9", "versions/9"), ("versions", "10", "versions/10")],
        ),
        ("v=mixed", [("v", "1", "mixed/1"), ("v", "2", "mixed/2/net.onnx")]),
        ("c=a=b.safetensors", [("c", "1", "a=b.safetensors")]),
    ],
)
def test_names(root: Path, argument: str, expected: list[tuple[str, str, str]]) -> None:
    assert places([argument]) == [Place(name, version, Path(path)) for name, version, path in expected]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["none"], "There is no model none. Give a run, a model file, or NAME=PATH."),
        (["a=none"], "There is no model none. Give a run, a model file, or NAME=PATH."),
        (
            ["a=b.safetensors"],
            "a=b.safetensors would be served as 'a=b'; expected a name of letters, digits, '.', '_' ",
        ),
        (["v@3=versions"], "versions is a folder of versions; name it by v=versions, without a version."),
        (
            ["runs/digits", "digits=versions/1"],
            "runs/digits and versions/1 are both the model 'digits' in version '1'; name one of them by NAME=PATH or ",
        ),
    ],
)
def test_errors(root: Path, arguments: list[str], error: str) -> None:
    with pytest.raises(HoldfastError) as caught:
        places(arguments)
    assert str(caught.value)[: len(error)] == error


def test_a_version_without_a_model(root: Path) -> None:
    (root / "mixed" / "3").mkdir()
    with pytest.raises(HoldfastError, match=r"mixed/3 has 0 files; expected model\.safetensors, or one model file"):
        places(["mixed"])
