"""Runs of small recipes by several processes of this machine, as torchrun starts them."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from holdfast import experiment, recipes
from holdfast.files import storage
from holdfast.training import Listener
from holdfast.training.state import Training
from tones import RATE, save, tone

# Each run is a process of its own. They are copies of one process that has imported torch, which takes two seconds.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])

SMALL = {
    "digits": ["train.max_steps=8", "model.dropout=0.2"],
    "addition": ["train.limit=small", "train.max_steps=6"],
    "sine": ["train.limit=small", "train.max_steps=6"],
    "cosine": ["train.limit=small", "train.max_steps=6", "train.batch_size=1"],
    "dates": ["train.limit=small", "train.epochs=1", "data.examples=120", "train.max_steps=4"],
    "tones": ["train.max_steps=4", "train.batch_size=5"],
    "letters": ["train.max_steps=9", "train.batch_size=5"],
}
"""One recipe of each task; ``letters`` is a language model with carried state and restarts."""


def letters(folder: Path) -> dict[str, Any]:
    """The recipe of a language model of a generated text, which is written into the folder."""
    text = folder / "letters.txt"
    if not text.exists():
        drawn = np.random.default_rng(0).choice(list("abc .\n"), 4000)
        text.write_text("".join(drawn))
    data = {"source": "files", "train": [str(text)], "validation": 0.1, "test_fraction": 0.1}
    return {
        "name": "letters",
        "task": "generate",
        "data": data,
        "model": {"cell": "lstm", "hidden_size": 16, "dropout": 0.1},
        "train": {"carry_state": True, "learning_rate": 0.01},
    }


def tones(folder: Path) -> dict[str, Any]:
    """The recipe of a model that names tones, whose recordings are written into the folder."""
    lines = ["path,text"]
    for number in range(16):
        pitches = {"low": 400, "high": 2000}
        words = [list(pitches)[number >> bit & 1] for bit in range(1 + number % 3)]
        save(folder / f"{number}.wav", np.concatenate([tone(pitches[word], 0.1) for word in words]))
        lines.append(f"{number}.wav,{' '.join(words)}")
    (folder / "tones.csv").write_text("\n".join(lines) + "\n")
    table = [str(folder / "tones.csv")]
    return {
        "name": "tones",
        "task": "transcribe",
        "data": {"train": table, "test": table, "unit": "words", "validation": 0.2, "audio": {"rate": RATE}},
        "model": {"hidden_size": 8},
    }


MADE = {"letters": letters, "tones": tones}


def train(
    name: str, folder: Path, chunks: int, *more: str, resume: bool = False, listeners: Sequence[Listener] = ()
) -> None:
    """Trains a small recipe in this process, or with those that belong to it."""
    values = [*SMALL[name], "train.threads=1", f"train.chunks={chunks}", *more]
    if name in MADE:
        recipe = recipes.changed(recipes.from_dict(MADE[name](folder.parent), name), values)
    else:
        recipe = recipes.load(name, values)
    experiment.train(recipe, folder, resume=resume, listeners=listeners)


def run(count: int, what: Callable[..., None], *arguments: Any, ends: Sequence[int] = ()) -> None:
    """Calls a function in several processes that belong together, and waits until all have ended.

    Args:
        count: The number of processes.
        what: The function, by name in its module.
        *arguments: Its arguments.
        ends: The exit codes to expect; all 0 if there are none.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [PROCESSES.Process(target=_member, args=(rank, count, port, what, arguments)) for rank in range(count)]
    for process in started:
        process.start()
    for process in started:
        process.join(300)
    assert [process.exitcode for process in started] == list(ends or [0] * count)


def _member(rank: int, count: int, port: int, what: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    meeting = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in meeting.items()}
    torch.set_num_threads(1)
    what(*arguments)


def result(folder: Path) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]]:
    """The weights and the history of a run, without its seconds."""
    tensors, _ = storage.read(folder / "model.safetensors", "model")
    rows = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return tensors, [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def assert_equal(one: Path, other: Path) -> None:
    """Asserts that two runs ended with the same bits and the same history."""
    weights, rows = result(one)
    others, other_rows = result(other)
    assert weights.keys() == others.keys()
    for name, tensor in weights.items():
        assert torch.equal(tensor, others[name]), name
    assert rows == other_rows


class At(Listener):
    """Sends a signal to its own process after an update."""

    def __init__(self, step: int, number: int) -> None:
        self._step, self._number = step, number

    def update(self, training: Training, sequences: int) -> None:
        if training.step == self._step:
            os.kill(os.getpid(), self._number)
