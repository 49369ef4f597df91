"""Runs the tests with the oldest and the newest libraries: ``python wheels/compat.py oldest newest``.

``oldest`` installs the least version of every library that ``pyproject.toml`` allows, all extras included, for the
oldest Python; ``newest`` the latest of all, for the newest Python that is installed. Each has an environment of its
own, ``.venv-compat-NAME``. ``make compat`` runs both. ``--torch VERSION`` takes another torch, for example where the
least one is a download of gigabytes; ``--python`` another Python, ``--tests`` other tests.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOR_TESTS = ("captum", "hypothesis", "pandas", "playwright", "pytest", "pytest-xdist")
MINORS = range(11, 21)
"""The Pythons that are looked for: 3.11 and so on."""


def requirements(oldest: bool, torch: str | None) -> list[str]:
    """What pip is to install.

    Args:
        oldest: The least version of each library, else the latest one.
        torch: The version of torch to take in place of that.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    names = re.findall(r"\w+", re.search(r"\[(.*)\]", *extras["all"])[1])
    wanted = {*project["dependencies"], *(line for name in names for line in extras[name])}
    result = list(FOR_TESTS)
    for line in sorted(wanted):
        name, _, version = line.partition(">=")
        exact = torch if name == "torch" and torch else version if oldest else ""
        result.append(f"{name}=={exact}" if exact else name)
    return result


def interpreter(oldest: bool) -> str:
    """The oldest or the newest Python that is installed and that Holdfast supports."""
    for minor in MINORS if oldest else reversed(MINORS):
        program = shutil.which(f"python3.{minor}")
        # A shim of a version manager may be there without its Python.
        if program and subprocess.run([program, "--version"], capture_output=True).returncode == 0:
            return program
    return sys.executable


def run(*command: str | Path, check: bool = True, **variables: str) -> int:
    """Runs a command with further environment variables; its output is shown."""
    print("+", *command, flush=True)
    return subprocess.run([*map(str, command)], env={**os.environ, **variables}, cwd=ROOT, check=check).returncode


def environment(name: str, python: str, torch: str | None) -> Path:
    """The Python of an environment with these libraries and with Holdfast, which is made or brought up to date."""
    place = ROOT / f".venv-compat-{name}"
    if not place.exists():
        run(python, "-m", "venv", place)
    inside = place / "bin" / "python"
    run(inside, "-m", "pip", "install", "--quiet", *requirements(name.startswith("oldest"), torch))
    run(inside, "-m", "pip", "install", "--quiet", "scikit-build-core", "nanobind", "cmake", "ninja")
    command = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "-e", ".")
    run(inside, *command, HOLDFAST_ISAS=os.environ.get("HOLDFAST_ISAS", "native"))
    return inside


def main() -> None:
    """Tests each environment; ends with 1 if a test fails in one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "names", nargs="+", help="oldest, newest; what follows in a name makes an environment of its own"
    )
    parser.add_argument("--python", help="The Python of the environments.")
    parser.add_argument("--torch", help="This version of torch.")
    parser.add_argument("--tests", nargs="*", default=["tests"], help="What pytest runs.")
    chosen = parser.parse_args()
    failed = []
    for name in chosen.names:
        if not re.match(r"oldest|newest", name):
            parser.error(f"there is no environment {name!r}; expected oldest or newest")
        python = environment(name, chosen.python or interpreter(name.startswith("oldest")), chosen.torch)
        run(python, "-m", "pip", "list")
        # A newer library may warn of what the code does; a warning is no failure here.
        options = ("-n", "2", "-q", "-W", "default", "-p", "no:cacheprovider")
        if run(python, "-m", "pytest", *options, *chosen.tests, check=False):
            failed.append(name)
    if failed:
        raise SystemExit(f"Tests fail with: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
