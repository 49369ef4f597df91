"""The file of results: what was measured where. It is written after each case, so a run can continue it."""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.cases import Case

Result = dict[str, Any]  # all results, a case or a pass, as in the JSON file


def new(threads: int) -> Result:
    """Results without cases: date, machine and versions."""
    versions = {name: version(name) for name in ("holdfast", "torch", "onnxruntime")}
    return {
        "date": datetime.date.today().isoformat(),
        "machine": {"processor": processor(), "system": f"{platform.system()} {platform.machine()}"},
        "threads": threads,
        "versions": versions | {"python": platform.python_version()},
        "skipped": {},
        "cases": [],
    }


def resumed(path: Path, threads: int) -> Result:
    """The results in a file, to add cases to them, or new ones if there is no file.

    Raises:
        SystemExit: The file is from another machine, other versions or another number of threads.
    """
    if not path.exists():
        return new(threads)
    results, here = load(path), new(threads)
    for key in ("machine", "threads", "versions"):
        before, now = results[key], here[key]
        if before != now and not (key == "versions" and now.items() <= before.items()):
            raise SystemExit(f"{path} has other {key} ({before}) than this run ({now}); start again without --resume.")
    return results


def load(path: Path) -> Result:
    """The results in a file."""
    results: Result = json.loads(path.read_text("utf-8"))
    return results


def save(results: Result, path: Path) -> None:
    """Writes the file; it is complete at any time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new_file = path.with_suffix(".new")
    new_file.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    os.replace(new_file, path)


def has(results: Result, case: Case, instruction_set: str) -> bool:
    """Whether a case was measured with an instruction set."""
    key = [case.name, list(case.shape), instruction_set]
    return any([done["name"], done["shape"], done["instruction_set"]] == key for done in results["cases"])


def sets(results: Result) -> list[str]:
    """The instruction sets of the results, the best first."""
    return list(dict.fromkeys(case["instruction_set"] for case in results["cases"]))


def processor() -> str:
    """The processor's name, as precise as the system gives it."""
    file = Path("/proc/cpuinfo")
    result = re.search(r"model name\s*: (.+)", file.read_text()) if file.exists() else None
    return result[1] if result else platform.processor() or platform.machine()
