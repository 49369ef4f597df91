"""A run that is killed, at any moment, and resumed ends with the bits and the history of one that was not."""

from __future__ import annotations

import json
import multiprocessing
import random
import signal
import time
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
import torch

from holdfast.files import storage
from holdfast.training import History, fit
from holdfast.training.checkpoint import Checkpoint

from . import standin
from .standin import ToyBatches, ToyTask, run_in, settings, toy_model, without_time

# Each run is a process of its own. They are copies of one process that has imported torch, which takes two seconds.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([standin.__name__])


def start(folder: Path, pause: float, *how: str) -> tuple[ForkServerProcess, Event]:
    """A run in a new process, and the event that training is about to begin."""
    ready = PROCESSES.Event()
    process = PROCESSES.Process(target=standin.main, args=(str(folder), pause, *how, ready.set))
    process.start()
    return process, ready


def finish(started: tuple[ForkServerProcess, Event]) -> None:
    process, _ = started
    process.join(120)
    assert process.exitcode == 0


def result(folder: Path) -> tuple[dict[str, torch.Tensor], list[dict[str, object]]]:
    tensors, _ = storage.read(folder / "model.safetensors", "model")
    rows = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return tensors, without_time(rows)


@pytest.mark.parametrize(("optimizer", "schedule"), [("Adam", "cosine"), ("SGD", "one-cycle")])
def test_sigkill_at_three_random_moments(tmp_path: Path, optimizer: str, schedule: str) -> None:
    finish(start(tmp_path / "whole", 0, optimizer, schedule))
    seed = random.SystemRandom().randrange(10**6)
    generator = random.Random(seed)
    moments = [generator.uniform(0, 0.35) for _ in range(3)]
    print(f"seed {seed}: killed {moments} seconds after training began")
    for moment in moments:
        process, ready = start(tmp_path / "killed", 0.02, optimizer, schedule)
        assert ready.wait(120)
        time.sleep(moment)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    finish(start(tmp_path / "killed", 0, optimizer, schedule))
    (whole, whole_history), (killed, killed_history) = result(tmp_path / "whole"), result(tmp_path / "killed")
    assert whole.keys() == killed.keys()
    for name, tensor in whole.items():
        assert torch.equal(tensor, killed[name]), name
    assert killed_history == whole_history
    assert len(whole_history) == 6 + 72 // 4
    finish(start(tmp_path / "killed", 0, optimizer, schedule))  # after the end: it returns with the same
    assert result(tmp_path / "killed")[1] == whole_history


class Killed(BaseException):
    pass


def train(folder: Path | None, **how: object) -> tuple[dict[str, torch.Tensor], History]:
    chosen = settings(**{"checkpoint_seconds": 0, "log_every": 2, "max_steps": 14, "carry_state": True, **how})
    model = toy_model()
    data = ToyBatches(), ToyBatches(2, seed=1)
    if folder is None:
        return model.state_dict(), fit(model, ToyTask(), *data, chosen)
    with run_in(folder, {"train": chosen.model_dump()}) as run:
        return model.state_dict(), fit(model, ToyTask(), *data, chosen, run=run)


@pytest.mark.parametrize(
    "how",
    [
        {"schedule": "plateau", "warmup_steps": 3, "optimizer": "NAdam"},
        {"schedule": "cosine", "optimizer": "RMSprop", "optimizer_options": {"momentum": 0.5, "centered": True}},
        {"schedule": "one-cycle", "optimizer": "AdamW", "optimizer_options": {"amsgrad": True}, "clip_value": 0.1},
        {"optimizer": "ASGD", "warmup_steps": 20, "patience": 1},
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_death_around_every_write(
    tmp_path: Path, how: dict[str, object], when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    whole, whole_history = train(None, **how)
    write = Checkpoint.write
    deaths = 0

    def dying(self: Checkpoint, *arguments: object) -> None:
        nonlocal writes
        writes += 1
        if when == "before" and writes == 2:  # one write a life, then death with rows that no checkpoint knows
            raise Killed
        write(self, *arguments)  # type: ignore[arg-type]
        if when == "after":
            raise Killed

    while True:
        writes = 0
        monkeypatch.setattr(Checkpoint, "write", dying)
        try:
            resumed, history = train(tmp_path, **how)
            break
        except Killed:
            deaths += 1
    assert deaths >= whole_history[-1]["step"]
    assert without_time(history) == without_time(whole_history)
    assert without_time(History(tmp_path / "history.jsonl", keep=len(history))) == without_time(whole_history)
    for name, tensor in whole.items():
        assert torch.equal(tensor, resumed[name]), name
