"""Scoring 10 million rows: ``python -m benchmarks.scoring``, or ``make scoring``.

It generates a Parquet file of short sequences and a small classifier, and prints:

- rows per second and peak memory of ``holdfast predict --out``, and those of a plain loop over batches in memory;
- whether a run that is killed at random moments and started again gives the same bytes;
- whether shares computed by several processes are the whole.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars
import torch

STEPS, HIDDEN, BATCH = 8, 16, 256
COLUMNS = [f"s{k}" for k in range(STEPS)]
GROUP = 2**20
"""Rows that are generated at once."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--shards", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("build/scoring"))
    parser.add_argument("--loop", type=Path, help=argparse.SUPPRESS)  # the plain loop, in a process of its own
    options = parser.parse_args()
    if options.loop:
        loop(options.loop, options.folder / "model.safetensors", options.threads)
        return
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    rows, model = make_rows(folder, options.rows), make_model(folder)
    whole = folder / "whole.parquet"
    seconds, peak = finished(command(model, rows, whole, options.threads))
    print(f"holdfast predict --out: {options.rows / seconds:,.0f} rows/s, {seconds:.0f} s, peak memory {peak:,.0f} MiB")
    looped = [sys.executable, "-m", "benchmarks.scoring", "--loop", str(rows), "--folder", str(folder)]
    seconds, peak = finished([*looped, "--threads", str(options.threads)])
    print(f"a plain loop in memory: {options.rows / seconds:,.0f} rows/s, {seconds:.0f} s, peak memory {peak:,.0f} MiB")
    stopped(command(model, rows, folder / "killed.parquet", options.threads), options.kills, seconds)
    same = digest(folder / "killed.parquet") == digest(whole)
    print(f"killed {options.kills} times: {'the same bytes' if same else 'OTHER BYTES'}")
    shared = folder / "shares"
    for number in range(1, options.shards + 1):
        finished([*command(model, rows, shared, options.threads), "--shard", f"{number}/{options.shards}"])
    union = equal(shared, whole)
    print(f"{options.shards} shares: {'the whole' if union else 'NOT THE WHOLE'}")
    sys.exit(0 if same and union else 1)


def make_rows(folder: Path, count: int) -> Path:
    """A file of random sequences, a row each."""
    path = folder / f"rows-{count}.parquet"
    if not path.exists():
        parts = []
        for number, begin in enumerate(range(0, count, GROUP)):
            values = np.random.default_rng(number).normal(size=(min(GROUP, count - begin), STEPS)).astype(np.float32)
            parts.append(folder / f"rows-{number}.parquet")
            polars.DataFrame({name: values[:, k] for k, name in enumerate(COLUMNS)}).write_parquet(parts[-1])
        polars.scan_parquet(parts).sink_parquet(path)
        for part in parts:
            part.unlink()
    return path


def make_model(folder: Path) -> Path:
    """A small LSTM that tells whether the sum of a sequence is positive."""
    path = folder / "model.safetensors"
    if not path.exists():
        from holdfast import SequenceClassifier

        X = np.random.default_rng(0).normal(size=(2000, STEPS, 1)).astype(np.float32)
        classifier = SequenceClassifier(hidden_size=HIDDEN, epochs=3, random_state=0)
        classifier.fit(X, np.where(X.sum((1, 2)) > 0, "up", "down")).save(path)
    return path


def command(model: Path, rows: Path, out: Path, threads: int) -> list[str]:
    """The command that scores the rows."""
    arguments = [str(model), str(rows), "--out", str(out), "--threads", str(threads), "-q", "--force"]
    return [sys.executable, "-m", "holdfast", "predict", *arguments]


def finished(command: Sequence[str]) -> tuple[float, float]:
    """Runs a command; returns its seconds and its peak memory in MiB."""
    began = time.monotonic()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return time.monotonic() - began, usage.ru_maxrss / 1024


def stopped(command: Sequence[str], kills: int, seconds: float) -> None:
    """Runs a command, kills it at random moments, and starts it again until it ends by itself."""
    out = Path(command[command.index("--out") + 1])
    out.unlink(missing_ok=True)
    moments = random.Random(0)
    for _ in range(kills):
        process = subprocess.Popen([word for word in command if word != "--force"])
        try:
            process.wait(moments.uniform(2, 2 + seconds / kills))
            raise SystemExit(f"The process ended with {process.returncode} before it was killed; take more rows.")
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
    finished([word for word in command if word != "--force"])


def loop(rows: Path, model_path: Path, threads: int) -> None:
    """Reads all rows, runs the model over batches and writes all answers, as a person would for rows that fit."""
    from holdfast.tasks import model_file

    torch.set_num_threads(threads)
    task, model = model_file.load(model_path)
    frame = polars.read_parquet(rows)
    inputs = torch.from_numpy(task.encoder.scaling.apply(frame.to_numpy()[:, :, None]))
    labels, probabilities = [], []
    with torch.inference_mode():
        for batch in inputs.split(BATCH):
            scores, _ = model(batch, None)
            probabilities.append(scores.softmax(1))
            labels.append(scores.argmax(1))
    answers = {"label": torch.cat(labels).numpy(), "probability": torch.cat(probabilities)[:, 1].numpy()}
    polars.DataFrame(answers).write_parquet(rows.with_name("loop.parquet"))


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def equal(folder: Path, whole: Path) -> bool:
    """Whether the parts in a folder, one after another, are the rows of a file."""
    begin = 0
    scan = polars.scan_parquet(whole)
    for part in sorted(folder.glob("part-*.parquet")):
        frame = polars.read_parquet(part)
        if not scan.slice(begin, frame.height).collect().equals(frame):
            return False
        begin += frame.height
    manifest = json.loads((folder / "_scoring.json").read_text())
    return begin == int(scan.select(polars.len()).collect().item()) == manifest["rows"]


if __name__ == "__main__":
    main()
