"""What the build compiles, and what it says where something that it needs is missing: one line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SEARCHED = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
CMAKE, NINJA = (shutil.which(name, path=SEARCHED) for name in ("cmake", "ninja"))

pytestmark = pytest.mark.skipif(not (CMAKE and NINJA), reason="CMake and Ninja are not installed")

WAY_OUT = "HOLDFAST_NO_NATIVE=1 installs the slower engine in pure PyTorch."


def configure(folder: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs CMake in a folder, with further environment variables and without a HOLDFAST_ISAS of the tests' own."""
    settings = [f"-DCMAKE_MAKE_PROGRAM={NINJA}", f"-DPython_EXECUTABLE={sys.executable}", *options]
    environment = {name: value for name, value in os.environ.items() if name != "HOLDFAST_ISAS"}
    return subprocess.run(
        [str(CMAKE), "-S", str(ROOT), "-B", str(folder / "build"), "-G", "Ninja", *settings],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def complaint(folder: Path, *options: str, compiler: str, **variables: str) -> str:
    """The lines about Holdfast in what CMake says, which must fail."""
    done = configure(folder, *options, CXX=compiler, **variables)
    assert done.returncode != 0
    assert len(done.stderr.splitlines()) < 10, done.stderr
    return "\n".join(line.strip() for line in done.stderr.splitlines() if "Holdfast" in line)


def test_no_compiler(tmp_path: Path) -> None:
    assert complaint(tmp_path, compiler="/nonexistent") == (
        "Holdfast cannot build its native kernels: there is no C++ compiler. Install one (Debian, Ubuntu: apt install "
        f"g++; macOS: xcode-select --install). {WAY_OUT}"
    )


@pytest.fixture
def compiler() -> str:
    found = shutil.which("g++")
    if not found:
        pytest.skip("g++ is not installed")
    return found


def test_a_compiler_that_is_too_old(tmp_path: Path, compiler: str) -> None:
    old = tmp_path / "old"
    old.write_text(f'#!/bin/sh\nexec {compiler} -U__GNUC__ -D__GNUC__=9 "$@"\n')
    old.chmod(0o755)
    said = complaint(tmp_path, compiler=str(old))
    assert said.startswith(f"Holdfast cannot build its native kernels: {old} is GNU 9.")
    assert said.endswith(
        ", and they need GCC 11, Clang 14, Apple's Clang 15, or newer. "
        f"Install a newer one, or name another with CXX=... {WAY_OUT}"
    )


def test_a_compiler_without_openmp(tmp_path: Path, compiler: str) -> None:
    said = complaint(tmp_path, "-DCMAKE_DISABLE_FIND_PACKAGE_OpenMP=ON", compiler=compiler)
    assert said == (
        f"Holdfast cannot build its native kernels: {compiler} has no OpenMP. Install it (Clang on Debian, Ubuntu: apt "
        "install libomp-dev; macOS: brew install libomp, and set OpenMP_ROOT to what `brew --prefix libomp` prints). "
        f"{WAY_OUT}"
    )


def test_an_instruction_set_without_kernels(tmp_path: Path, compiler: str) -> None:
    assert complaint(tmp_path, "-DHOLDFAST_ISAS=avx2,sse9", compiler=compiler).startswith(
        "Holdfast has no kernels for HOLDFAST_ISAS=sse9. Use best, native, all, or names among "
    )


def test_the_environment_says_which_instruction_sets(tmp_path: Path, compiler: str) -> None:
    assert "HOLDFAST_ISAS=sse9" in complaint(tmp_path, "-DHOLDFAST_ISAS=all", compiler=compiler, HOLDFAST_ISAS="sse9")


def test_the_best_instruction_set_or_all_of_this_processor(tmp_path: Path, compiler: str) -> None:
    def compiled(**variables: str) -> list[str]:
        done = configure(tmp_path, CXX=compiler, **variables)
        assert done.returncode == 0, done.stderr
        (line,) = (line for line in done.stdout.splitlines() if "Kernels for " in line)
        return line.partition("Kernels for ")[2].split(", ")

    best = compiled()
    native = compiled(HOLDFAST_ISAS="native")  # in the same folder, as `make test` after `make demo`
    needs_others = native[0] in ("avx512_amx", "avx512_bf16")
    assert best == ([native[0], "avx512"] if needs_others else native[:1])
    assert compiled(HOLDFAST_ISAS=native[-1]) == native[-1:]
    everything = compiled(HOLDFAST_ISAS="all")
    assert [isa for isa in native if isa in everything] == native
    assert everything[-1] == "scalar"


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_demo_installs_the_best_and_test_all_and_neither_drops_what_the_other_needs(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("CMakeLists.txt", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    (tmp_path / "src").mkdir()
    python, log = tmp_path / ".venv/bin/python", tmp_path / "log"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\ncase "$*" in *" -e "*) echo "$HOLDFAST_ISAS ${{*##* }}" >> {log} ;; esac\n')
    python.chmod(0o755)

    def installed(stamp: str, **variables: str) -> list[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("HOLDFAST_", "MAKE"))}
        log.write_text("")
        subprocess.run(["make", f".venv/{stamp}"], cwd=tmp_path, env={**environment, **variables}, check=True)
        return log.read_text().splitlines()

    def change() -> None:  # everything becomes 100 seconds older, and CMakeLists.txt only 50
        for file in tmp_path.rglob("*"):
            age(file, 100)
        age(tmp_path / "CMakeLists.txt", -50)

    def age(file: Path, seconds: float) -> None:
        then = file.stat().st_mtime - seconds
        os.utime(file, (then, then))

    assert installed(".installed") == ["best ."]
    assert installed(".installed") == []
    assert installed(".installed-dev") == ["native .[dev]"]
    assert installed(".installed") == []
    change()
    assert installed(".installed") == ["native ."]
    change()
    assert installed(".installed-dev", HOLDFAST_ISAS="all") == ["all .[dev]"]
    assert installed(".installed") == []


def test_no_headers_of_python(tmp_path: Path, compiler: str) -> None:
    said = complaint(tmp_path, "-DCMAKE_DISABLE_FIND_PACKAGE_Python=ON", compiler=compiler)
    assert said == (
        "Holdfast cannot build its native kernels: the C headers of Python 3.11 or newer are missing. Install them "
        f"(Debian, Ubuntu: apt install python3-dev). {WAY_OUT}"
    )
