"""The tests mirror the package: what is in ``src/holdfast/FOLDER`` is tested in ``tests/FOLDER``.

``test_NAME.py`` or ``test_NAME_MORE.py`` tests the module ``NAME`` of that folder; any other name tests the folder.
"""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src" / "holdfast"

MODULES = {path.relative_to(SOURCE).with_suffix("") for path in SOURCE.rglob("*.py") if path.stem != "__init__"}
FOLDERS = {path.parent.relative_to(SOURCE) for path in SOURCE.rglob("*.py")}
FILES = sorted(path.relative_to(TESTS) for path in TESTS.rglob("test_*.py"))
# What is not in the package: the pages, the kernels, damaged files for every reader, and the repository itself.
BESIDE = {Path("docs"), Path("native"), Path("mutation")}
OF_THE_REPOSITORY = {"test_benchmarks.py", "test_build.py", "test_imports.py", "test_mirror.py", "test_wheels.py"}


def why_misplaced(file: Path) -> str | None:
    """What is wrong with the place of a file of tests, or None."""
    folder, name = file.parent, file.stem.removeprefix("test_")
    if folder in BESIDE or str(file) in OF_THE_REPOSITORY:
        return None
    if folder not in FOLDERS:
        return f"src/holdfast has no folder {folder}"
    if any(module.parent == folder and f"{name}_".startswith(f"{module.name}_") for module in MODULES):
        return None
    if name == folder.name:
        return None
    elsewhere = [str(module) for module in MODULES if module.name == name]
    if len(elsewhere) == 1:
        return f"{name} is in {elsewhere[0]}"
    return f"src/holdfast has no module {name}" if folder == Path() else None


@pytest.mark.parametrize("file", FILES, ids=str)
def test_every_file_of_tests_is_where_its_module_is(file: Path) -> None:
    assert why_misplaced(file) is None


def test_every_folder_of_the_package_has_tests() -> None:
    tested = {folder for file in FILES for folder in (file.parent, *file.parents)}
    assert tested >= {module.parent for module in MODULES}


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("metrics/test_tagging.py", "src/holdfast has no folder metrics"),
        ("data/test_storage.py", "storage is in files/storage"),
        ("layers/test_unrolling.py", "unrolling is in engines/unrolling"),
        ("test_layers_and_cells.py", "src/holdfast has no module layers_and_cells"),
        ("engines/test_native_speed.py", None),
        ("engines/test_extremes.py", None),
    ],
)
def test_the_rule_catches(file: str, reason: str | None) -> None:
    assert why_misplaced(Path(file)) == reason
