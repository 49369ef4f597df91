"""Starts the processes that read changed files, and counts what became of the files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

BEGIN_ANEW = 75
"""The status of a process that wants another to go on."""

ROOT = Path(__file__).parents[2]
SECONDS, MEGABYTES = 2, 500
WAIT = 120


class Outcome(NamedTuple):
    subject: str
    change: str
    kind: str
    message: str
    seconds: float
    megabytes: float

    @property
    def fault(self) -> str:
        """What is wrong with it; empty for a clean error and for a file that was accepted."""
        if self.kind not in ("clean", "accepted"):
            return f"{self.kind}: {self.message}"
        if self.seconds > SECONDS:
            return f"{self.seconds:.1f} s"
        return f"{self.megabytes:.0f} MB" if self.megabytes > MEGABYTES else ""


def outcomes(group: str, count: int) -> Iterator[Outcome]:
    """What becomes of ``count`` changed files for each reader of a group."""
    done, subject = 0, ""
    while True:
        status, errors = 0, ""
        with tempfile.TemporaryFile("w+") as log:
            command = [sys.executable, "-m", "tests.mutation.child", group, str(count), str(done)]
            environment = {**os.environ, "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, cwd=ROOT, env=environment) as child:
                assert child.stdout is not None
                for line in child.stdout:
                    found = Outcome(*json.loads(line))
                    done, subject = done + 1, found.subject
                    yield found
                status = child.wait(WAIT)
            log.seek(0)
            errors = log.read()[-1000:]
        if not status:
            return
        if status == BEGIN_ANEW:
            continue
        if status > 0:
            raise RuntimeError(f"the process of {group} ended with status {status}: {errors}")
        name = signal.Signals(-status).name
        yield Outcome(subject, f"number {done} of the group", "failure", f"the process ended by {name} {errors}", 0, 0)
        done += 1


def counts(found: Iterable[Outcome]) -> dict[str, dict[str, int]]:
    """For each reader: files tried, clean errors, accepted, and each sort of fault."""
    table: dict[str, dict[str, int]] = {}
    for one in found:
        row = table.setdefault(
            one.subject, dict.fromkeys(("tried", "clean", "accepted", "failures", "over 2 s", "over 500 MB"), 0)
        )
        row["tried"] += 1
        row["failures" if one.kind == "failure" else one.kind] += 1
        row["over 2 s"] += one.seconds > SECONDS
        row["over 500 MB"] += one.megabytes > MEGABYTES
    return table
