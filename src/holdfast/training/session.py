"""What an epoch of training works with: the training, its data, history, checkpoint and listeners."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.training.checkpoint import Checkpoint
from holdfast.training.history import History, read_rows
from holdfast.training.interrupt import Interrupt, TrainingInterrupted
from holdfast.training.listener import Listener
from holdfast.training.run_directory import RunDirectory, resume_command
from holdfast.training.running import Running
from holdfast.training.state import Training

if TYPE_CHECKING:
    from holdfast.tasks.epochs import Epochs


@dataclass(frozen=True)
class Session:
    """Everything that an epoch needs."""

    training: Training
    train: Epochs
    validation: Epochs | None
    history: History
    checkpoint: Checkpoint | None
    listeners: tuple[Listener, ...]
    """The history first."""
    interrupt: Interrupt
    origin: float
    """When training began, on the monotonic clock, as if it had never been stopped."""
    resume: str
    """The command that resumes the run; empty when no run is kept."""

    def seconds(self) -> float:
        """Time spent training so far."""
        return time.monotonic() - self.origin

    def row(self, event: str, running: Running) -> dict[str, Any]:
        """A row of the history."""
        training = self.training
        return {
            "event": event,
            "epoch": training.epoch,
            "step": training.step,
            "learning_rate": training.learning_rate,
            **running.norms.report(),
            "train": running.report(training.processes),
            "seconds": round(self.seconds(), 3),
        }

    def due(self) -> bool:
        """Whether this process wants a checkpoint: the first one does from time to time, if one is kept."""
        return self.checkpoint is not None and self.training.processes.first and self.checkpoint.due()

    def save(self) -> None:
        """Writes the checkpoint, if one is kept."""
        if self.checkpoint is not None:
            self.checkpoint.write(self.training, self.history, self.seconds())

    def stop(self) -> None:
        """Ends the run on request; the checkpoint must have been written.

        Raises:
            TrainingInterrupted: Always.
        """
        at = f"Stopped after update {self.training.step} of {self.training.updates}"
        if self.checkpoint is None:
            raise TrainingInterrupted(f"{at}; without a run directory nothing was stored.")
        raise TrainingInterrupted(f"{at}; the checkpoint is written. Resume by `{self.resume}`.")


def start(
    training: Training,
    train: Epochs,
    validation: Epochs | None,
    run: RunDirectory | None,
    listeners: Sequence[Listener],
    interrupt: Interrupt,
) -> Session:
    """Starts at the beginning, or at the checkpoint of the run directory."""
    checkpoint, rows, digest, seconds = None, 0, None, 0.0
    first = training.processes.first
    if run is not None:
        setup: dict[str, Any] = training.settings.model_dump(exclude={"report"})
        setup |= {"train_batches": len(train), "validation_batches": len(validation) if validation else 0}
        every = training.settings.checkpoint_seconds
        checkpoint = Checkpoint(run.checkpoint_path, every=every, setup=setup)
        if run.checkpoint_path.exists():
            rows, digest, seconds = checkpoint.read(training)
    training.processes.wait()  # all have read the checkpoint before one may be written
    history = History(run.history_path if run and first else None, keep=rows, digest=digest)
    if run and not first:  # the first process writes the file; the others know its rows
        history.extend(read_rows(run.history_path)[:rows])
    origin = time.monotonic() - seconds
    resume = resume_command(run.path) if run else ""
    watching = (history, *(listeners if first else ()))
    return Session(training, train, validation, history, checkpoint, watching, interrupt, origin, resume)
