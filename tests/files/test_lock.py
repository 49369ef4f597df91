"""The lock of a file: one holder at a time, and it ends with the process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from holdfast.files import lock

PROGRAM = """
import os, sys
from holdfast.files import lock
print(getattr(lock, sys.argv[2])(os.open(sys.argv[1], os.O_RDWR)))
"""


def elsewhere(path: Path, how: str = "take") -> str:
    """Whether another process, which then ends, gets the lock."""
    command = [sys.executable, "-c", PROGRAM, str(path), how]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_one_process_has_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    assert elsewhere(path) == "True"
    assert lock.take(descriptor)
    assert elsewhere(path) == "False"
    os.close(descriptor)
    assert elsewhere(path) == "True"


def test_several_processes_share_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    descriptor = os.open(path, os.O_RDONLY)
    assert lock.share(descriptor)
    assert [elsewhere(path, how) for how in ("share", "take")] == ["True", "False"]
    os.close(descriptor)
    descriptor = os.open(path, os.O_RDWR)
    assert lock.take(descriptor)
    assert elsewhere(path, "share") == "False"
    os.close(descriptor)
