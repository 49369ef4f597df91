"""Reads changed files in a process of its own: ``python -m tests.mutation.child GROUP COUNT SKIPPED``.

It prints a line of JSON for each file: subject, what was done, outcome, message, seconds of the processor and megabytes
beyond what was in use before. The process that started it goes on behind a file that ends this one.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from tests.mutation.changes import changed
from tests.mutation.run import BEGIN_ANEW
from tests.mutation.subjects import Subject, subjects

from holdfast.errors import HoldfastError

ADDRESSES = 8 * 2**30
SECONDS = 20
KEPT = 100 * 2**20
_trim = ctypes.CDLL(None).malloc_trim


def main(group: str, count: int, skipped: int) -> None:
    warnings.simplefilter("ignore")
    number = 0
    for subject in subjects(group).values():
        tried = max(1, count // subject.slow)
        if skipped >= number + tried:
            number += tried
            continue
        with tempfile.TemporaryDirectory() as place:
            _try(subject, Path(place), range(max(0, skipped - number), tried))
        number += tried


def _try(subject: Subject, folder: Path, numbers: range) -> None:
    """The files of one reader, after the valid one."""
    subject.make(folder)
    target = folder / subject.target
    subject.read(target)  # must be accepted; what is loaded for it is not counted
    valid = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    names = subject.changed or (subject.target,)
    _trim(0)
    before = _status("VmRSS")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ADDRESSES, resource.getrlimit(resource.RLIMIT_AS)[1]))
    for number in numbers:
        shutil.rmtree(folder)
        for path, content in valid.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        name = names[number % len(names)]
        path = folder / name
        what, content = changed(valid[path], f"{subject.name} {name}", number, subject.layers)
        path.unlink()
        path.mkdir() if content is None else path.write_bytes(content)
        del content
        _trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        children, start = _children(), _spent()
        outcome, message = _outcome(subject.read, target)
        seconds = _spent() - start
        signal.setitimer(signal.ITIMER_PROF, 0)
        own, started = _status("VmHWM"), _children()
        # Until it runs its program, a new process counts as large as this one: only what is larger is its own.
        most = max(own - before, started if started > max(children, own) else 0)
        print(json.dumps([subject.name, f"{number} {what}", outcome, message, seconds, most / 2**20]), flush=True)
        _trim(0)
        if _status("VmRSS") - before > KEPT:  # freed, but kept for later by a library: it would hide what is taken next
            sys.exit(BEGIN_ANEW)


def _outcome(read: Callable[[Path], object], path: Path) -> tuple[str, str]:
    try:
        read(path)
    except HoldfastError as error:
        message = str(error)
        clean = message.strip() and "\n" not in message and len(message) < 2000
        return ("clean" if clean else "failure"), message[:500]
    except BaseException as error:
        return "failure", repr(error)[:500]
    return "accepted", ""


def _spent() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _children() -> int:
    """The most memory that one of the processes started by this one had, in bytes."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def _status(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
