"""A tiny task, data and model for the tests of training; a run that can be killed (see test_kill.py)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from holdfast.data import Batch
from holdfast.files import storage
from holdfast.settings import TrainSettings
from holdfast.tasks.task import TaskStep
from holdfast.training import RunDirectory, fit, seed_everything
from holdfast.training.listener import Listener, Plan
from holdfast.training.run_directory import is_run
from holdfast.training.state import Training

CLASSES = 3


class ToyBatches:
    """Batches of 8 noisy sequences [8, 5, 4]; ``pause`` seconds before each."""

    def __init__(self, count: int = 6, *, seed: int = 0, pause: float = 0.0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.targets = torch.randint(CLASSES, (count, 8), generator=generator)
        self.inputs = torch.randn(count, 8, 5, 4, generator=generator)
        self.inputs[..., :CLASSES] += nn.functional.one_hot(self.targets, CLASSES)[:, :, None]
        self.pause, self.seed = pause, seed

    def __len__(self) -> int:
        return len(self.inputs)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(1000 * self.seed + number))
        for index in order[start:].tolist():
            time.sleep(self.pause)
            yield Batch(self.inputs[index], None, self.targets[index])


class ToyModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(4, 6, batch_first=True)
        self.dropout = nn.Dropout(0.3)
        self.norm = nn.BatchNorm1d(6)
        self.out = nn.Linear(6, CLASSES)

    def forward(self, x: torch.Tensor, state: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        outputs, state = self.rnn(x, state)
        return self.out(self.norm(self.dropout(outputs[:, -1]))), state


class Hits:
    def __init__(self) -> None:
        self.hits = torch.zeros(2, dtype=torch.int64)

    def update(self, outputs: torch.Tensor, batch: Batch) -> None:
        right = (outputs.argmax(1) == batch.targets).sum().cpu()
        self.hits += torch.stack([right, torch.tensor(len(batch))])

    def compute(self) -> dict[str, float]:
        return {"accuracy": float(self.hits[0] / self.hits[1])}

    def state_dict(self) -> dict[str, Any]:
        return {"hits": self.hits}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.hits = state["hits"]


class ToyTask:
    score = "accuracy"
    higher_is_better = True

    def loss(self, model: nn.Module, batch: Batch, state: Any = None) -> TaskStep:
        outputs, final = model(batch.inputs, None if state is None else state["layers"][0])
        loss = nn.functional.cross_entropy(outputs, batch.targets)
        return TaskStep(loss, outputs, {"layers": [final], "unused": (None, final[0])})

    def metrics(self) -> Hits:
        return Hits()


class Recorder(Listener):
    """Keeps everything; ``act`` is called at every update."""

    def __init__(self, act: Any = None) -> None:
        self.updates: list[int] = []
        self.rows: list[dict[str, Any]] = []
        self.act = act

    def begin(self, plan: Plan) -> None:
        self.plan = plan

    def update(self, training: Training, sequences: int) -> None:
        self.updates.append(training.step)
        if self.act is not None:
            self.act(training)

    def epoch(self, row: dict[str, Any]) -> None:
        self.rows.append(row)

    def end(self) -> None:
        self.ended = True


def settings(**values: Any) -> TrainSettings:
    plain = {"schedule": "constant", "clip_norm": 0}  # which the tests compare with plain loops
    return TrainSettings(**{"epochs": 3, "threads": 1, "device": "cpu", "learning_rate": 0.02, **plain, **values})


def without_time(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


def run_in(folder: Path | str, recipe: Mapping[str, Any]) -> RunDirectory:
    """The run in a folder, gone on with where one has begun."""
    return RunDirectory(folder, recipe, resume=is_run(Path(folder)))


def toy_model() -> ToyModel:
    seed_everything(7)
    return ToyModel()


def main(folder: str, pause: float, optimizer: str, schedule: str, ready: Callable[[], object]) -> None:
    """Trains into a folder, going on with what is there; calls ``ready`` before training begins."""
    options = {"momentum": 0.9} if optimizer == "SGD" else {}
    how = settings(
        epochs=6,
        optimizer=optimizer,
        optimizer_options=options,
        schedule=schedule,
        warmup_steps=0 if schedule == "one-cycle" else 10,
        clip_norm=0.5,
        carry_state=True,
        log_every=4,
        checkpoint_seconds=0.02,
    )
    with run_in(folder, {"name": "toy", "train": how.model_dump()}) as run:
        model = toy_model()
        ready()
        fit(model, ToyTask(), ToyBatches(12, pause=pause), ToyBatches(3, seed=1), how, run=run)
        storage.write(Path(run.model_path), model.state_dict(), {}, "model")
