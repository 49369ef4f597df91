"""Makes the source trees of the two distributions from the repository: ``python wheels/stage.py FOLDER``.

``FOLDER/holdfast-runtime`` has what needs no torch, and the kernels; ``FOLDER/holdfast`` has all else and depends on
it. Each is a tree that any tool for Python builds: ``python -m build FOLDER/holdfast-runtime``. The repository itself
builds one distribution with everything, which is what ``pip install .`` in a checkout installs.
"""

from __future__ import annotations

import shutil
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tomli_w

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "holdfast"
HERE = ROOT / "wheels"
RUNTIME, WHOLE = "holdfast-runtime", "holdfast"
_LEFT_OUT = ("__pycache__", "*.so", "*.so.*")


def contents() -> tuple[list[Path], list[Path]]:
    """The files of ``src/holdfast`` that holdfast-runtime has, and those that holdfast has.

    Raises:
        ValueError: ``contents.toml`` names a file that does not exist.
    """
    listed = tomllib.loads((HERE / "contents.toml").read_text("utf-8"))
    every = {path for path in PACKAGE.rglob("*") if path.is_file() and not _is_left_out(path)}
    chosen = _matching(listed["runtime"]) - _matching(listed["not_runtime"])
    return sorted(every & chosen), sorted(every - chosen)


def _matching(patterns: Iterable[str]) -> set[Path]:
    found: set[Path] = set()
    for pattern in patterns:
        matches = set(PACKAGE.glob(pattern))
        if not matches:
            raise ValueError(f"wheels/contents.toml names {pattern!r}, and src/holdfast has no such file.")
        found |= matches
    return found


def _is_left_out(path: Path) -> bool:
    return any(part.match(pattern) for part in (path, *path.parents) for pattern in _LEFT_OUT)


def projects() -> dict[str, dict[str, Any]]:
    """The ``pyproject.toml`` of each distribution, by its name."""
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    runtime = tomllib.loads((HERE / "runtime.toml").read_text("utf-8"))
    project = whole["project"]
    version = project["version"]
    runtime["project"] |= {key: project[key] for key in ("version", "classifiers", "urls", "authors") if key in project}
    project["dependencies"] = [f"{RUNTIME}=={version}", *project["dependencies"]]
    build = {"requires": ["scikit-build-core>=0.10"], "build-backend": "scikit_build_core.build"}
    settings = {"minimum-version": "build-system.requires", "wheel": {"cmake": False, "packages": ["src/holdfast"]}}
    return {
        RUNTIME: runtime,
        WHOLE: {"build-system": build, "project": project, "tool": {"scikit-build": settings}},
    }


def stage(folder: Path) -> None:
    """Writes both trees; what was there before is removed."""
    of_runtime, of_whole = contents()
    for name, project in projects().items():
        place = folder / name
        shutil.rmtree(place, ignore_errors=True)
        for path in of_runtime if name == RUNTIME else of_whole:
            _copy(path, place / path.relative_to(ROOT))
        (place / "pyproject.toml").write_text(tomli_w.dumps(project), "utf-8")
        _copy(ROOT / "LICENSE", place / "LICENSE")
        _copy(HERE / "runtime.md" if name == RUNTIME else ROOT / "README.md", place / "README.md")
    runtime = folder / RUNTIME
    _copy(ROOT / "CMakeLists.txt", runtime / "CMakeLists.txt")
    for source, target in (("native", "native"), ("tests/native", "tests/native"), ("wheels/licenses", "licenses")):
        shutil.copytree(ROOT / source, runtime / target)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


if __name__ == "__main__":
    stage(Path(sys.argv[1]))
