"""Trains an epoch on a set that is larger than the memory, and a tenth of it from memory.

    python -m benchmarks.storage --gigabytes 6 --memory-gigabytes 1.5 --folder /tmp/storage

It writes NumPy arrays (sequences of 25 steps with 64 channels, 128 MB per file), and trains a small classifier for one
epoch: from disk twice (the first start prepares the set, the second one finds it), and on a tenth of the size from disk
and from memory.
Each run is a process of its own. With the right to make control groups (Linux, as root), the runs from disk are limited
to ``--memory-gigabytes`` of memory, page cache included; otherwise the limit is not set, and the page says so.
``anonymous`` is the largest memory of the process without pages of files, which the system can drop at any time.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

STEPS, CHANNELS, AT_ONCE = 25, 64, 10_000
_GROUPS = Path("/sys/fs/cgroup")


def write(folder: Path, size: int) -> int:
    """Writes arrays of about ``size`` bytes, and their labels; returns the number of sequences."""
    folder.mkdir()
    files = max(1, round(size / (AT_ONCE * STEPS * CHANNELS * 8)))
    for number in range(files):
        values = np.random.default_rng(number).normal(size=(AT_ONCE, STEPS, CHANNELS))
        np.save(folder / f"X_{number:03d}.npy", values)
        np.save(folder / f"y_{number:03d}.npy", np.where(values[:, -5:, 0].sum(1) > 0, "up", "down"))
    return files * AT_ONCE


class Memory(threading.Thread):
    """Watches the memory of this process: the largest amounts, in bytes."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most = {"RssAnon": 0, "RssFile": 0, "VmRSS": 0}
        self.start()

    def run(self) -> None:
        """Looks again and again."""
        while True:
            for line in Path("/proc/self/status").read_text().splitlines():
                name, _, value = line.partition(":")
                if name in self.most:
                    self.most[name] = max(self.most[name], int(value.split()[0]) * 1024)
            time.sleep(0.02)


def child(folder: Path, table: str, storage: str, out: str) -> dict[str, Any]:
    """Trains an epoch in this process."""
    memory, began = Memory(), time.monotonic()
    from holdfast import experiment, recipes
    from holdfast.training import Listener

    class Times(Listener):
        began = ended = 0.0

        def begin(self, plan: Any) -> None:
            self.began = time.monotonic()

        def epoch(self, row: Any) -> None:
            self.ended, self.row = time.monotonic(), row

    train_files, test_files = ([str(file) for file in sorted((folder / part).iterdir())] for part in (table, "test"))
    data = {"train": train_files, "test": test_files, "validation": 0, "storage": storage}
    train = {"epochs": 1, "batch_size": 256, "learning_rate": 0.01, "report": False, "threads": 1}
    recipe = recipes.from_dict(
        {"name": out, "task": "classify", "data": data, "model": {"hidden_size": 8}, "train": train}, "storage"
    )
    times = Times()
    trained = experiment.train(recipe, folder / out, data_dir=folder, listeners=[times])
    seconds = times.ended - times.began
    figures = {"start": times.began - began, "epoch": seconds, "per_second": trained.updates * 256 / seconds}
    return {**figures, "cpu": time.process_time(), "loss": times.row["train"]["loss"], **memory.most}


@contextmanager
def group(gigabytes: float) -> Any:
    """A control group with a limit of memory; None where there may be none."""
    old = (_GROUPS / "memory" / "memory.limit_in_bytes").exists()
    place = (_GROUPS / "memory" if old else _GROUPS) / "holdfast-storage"
    try:
        place.mkdir(exist_ok=True)
        (place / ("memory.limit_in_bytes" if old else "memory.max")).write_text(str(int(gigabytes * 1e9)))
    except OSError:
        yield None
        return
    try:
        yield place
    finally:
        place.rmdir()


def run(folder: Path, place: Path | None, *arguments: str) -> dict[str, Any]:
    """Trains in a process of its own, in a control group."""

    def join() -> None:
        if place is not None:
            (place / "cgroup.procs").write_text(str(os.getpid()))

    command = [sys.executable, "-m", "benchmarks.storage", "--folder", str(folder), "--child", *arguments]
    environment = {**os.environ, "HOLDFAST_CACHE": str(folder / "cache")}
    done = subprocess.run(command, env=environment, preexec_fn=join, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        return {"ended": done.returncode}
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if place is not None:
        for name in ("memory.max_usage_in_bytes", "memory.peak"):
            if (place / name).exists():
                result["group"] = int((place / name).read_text())
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=6.0, help="the size of the table")
    parser.add_argument("--memory-gigabytes", type=float, default=1.5, help="the limit for the runs from disk")
    parser.add_argument(
        "--folder", type=Path, required=True, help="a folder for the files; they are deleted at the end"
    )
    parser.add_argument("--child", nargs=3, metavar=("TABLE", "STORAGE", "OUT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(child(options.folder, *options.child)))
        return
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    try:
        began = time.monotonic()
        count = write(folder / "whole", int(options.gigabytes * 1e9))
        write(folder / "tenth", int(options.gigabytes * 1e8))
        write(folder / "test", 1)
        size = sum(file.stat().st_size for file in (folder / "whole").iterdir())
        print(f"{count:,} sequences, {size / 1e9:.2f} GB, written in {time.monotonic() - began:.0f} s", flush=True)
        with group(options.memory_gigabytes) as place:
            limit = f"limited to {options.memory_gigabytes:g} GB" if place else "no control group: not limited"
            for name in ("first", "second"):
                print(f"{name} start from disk, {limit}: {run(folder, place, 'whole', 'disk', name)}", flush=True)
        print(f"a tenth from disk, not limited: {run(folder, None, 'tenth', 'disk', 'tenth-disk')}", flush=True)
        print(f"a tenth from memory: {run(folder, None, 'tenth', 'memory', 'tenth')}", flush=True)
        sizes = [file.stat().st_size for file in (folder / "cache").rglob("*") if file.is_file()]
        print(f"the cache: {sum(sizes) / 1e9:.2f} GB")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
