"""What the build says where something that it needs is missing: one line."""

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


def complaint(folder: Path, *options: str, compiler: str | None = None) -> str:
    """The lines about Holdfast in what CMake says, which must fail."""
    settings = [f"-DCMAKE_MAKE_PROGRAM={NINJA}", f"-DPython_EXECUTABLE={sys.executable}", *options]
    environment = os.environ if compiler is None else {**os.environ, "CXX": compiler}
    done = subprocess.run(
        [str(CMAKE), "-S", str(ROOT), "-B", str(folder / "build"), "-G", "Ninja", *settings],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
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
        "Holdfast has no kernels for HOLDFAST_ISAS=sse9. Use native, all, or names among "
    )


def test_the_environment_says_which_instruction_sets(
    tmp_path: Path, compiler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_ISAS", "sse9")
    assert "HOLDFAST_ISAS=sse9" in complaint(tmp_path, "-DHOLDFAST_ISAS=all", compiler=compiler)


def test_no_headers_of_python(tmp_path: Path, compiler: str) -> None:
    said = complaint(tmp_path, "-DCMAKE_DISABLE_FIND_PACKAGE_Python=ON", compiler=compiler)
    assert said == (
        "Holdfast cannot build its native kernels: the C headers of Python 3.11 or newer are missing. Install them "
        f"(Debian, Ubuntu: apt install python3-dev). {WAY_OUT}"
    )
