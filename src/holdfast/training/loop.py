"""The training loop, a ladder of three: ``fit`` -> ``run_epoch`` -> ``train_step``."""

from __future__ import annotations

import math
import time
import warnings
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from holdfast.engines.devices import choose_device
from holdfast.errors import DataError, HoldfastWarning, OptionError
from holdfast.settings import TrainSettings
from holdfast.tasks.task import Metrics, Task
from holdfast.training.checkpoint import Checkpoint
from holdfast.training.determinism import (
    reproducible,
    seed_everything,
    untouched_random_state,
)
from holdfast.training.history import History
from holdfast.training.interrupt import Interrupt, TrainingInterrupted, deferred_interrupt
from holdfast.training.nest import map_tensors
from holdfast.training.progress import Plan, Progress, QuietProgress
from holdfast.training.run_directory import RunDirectory, resume_command
from holdfast.training.running import Running
from holdfast.training.state import Training

if TYPE_CHECKING:
    from holdfast.data import Batch
    from holdfast.tasks.task import Epochs


def fit(
    model: nn.Module,
    task: Task,
    train: Epochs,
    validation: Epochs | None,
    settings: TrainSettings,
    *,
    run: RunDirectory | None = None,
    progress: Progress | None = None,
) -> History:
    """Trains a model; afterwards it has the weights of the epoch with the best validation score.

    The global random generators are seeded with ``settings.seed`` (the initial values are the caller's: seed before the
    model is built). All that a run depends on is in its checkpoint, as far as the model keeps it in its
    ``state_dict``, so a run that was killed ends with the same bits.

    Args:
        model: Moved to the device of the settings.
        task: What is learned.
        train: The training batches.
        validation: The validation batches, each run from a zero state unless it goes on with the one before; None keeps
            the latest weights.
        settings: How to train.
        run: Where to keep history and checkpoints; a checkpoint that is there is gone on from. None keeps nothing.
        progress: What to tell the person; None for nothing.

    Returns:
        The rows of the history, from the start of the run.

    Raises:
        OptionError: A setting is wrong or needs validation batches that are not there.
        DataError: There are no training batches, or fewer than ``len(train)`` says.
        RunError: The loss is no longer finite, or the checkpoint was written under another setup.
        ModelFileError: The checkpoint is damaged, is of another model, or cannot be written.
        TrainingInterrupted: Ctrl-C was pressed; the update under way is done and stored.
    """
    _check(train, validation, settings)
    device = choose_device(settings.device)
    mode = model.training
    progress = progress or QuietProgress()
    with reproducible(settings.threads), deferred_interrupt() as interrupt:
        seed_everything(settings.seed, stream=1)
        updates = settings.max_steps or settings.epochs * len(train)
        training = Training(model.to(device), task, settings, updates, device)
        session = _start(training, train, validation, run, progress, interrupt)
        epochs = math.ceil(updates / len(train))
        progress.begin(Plan(epochs, len(train), updates, training.step, task.score))
        try:
            while not training.finished:
                run_epoch(session)
        finally:
            progress.end()
            model.train(mode)
        losses = [row["train"]["loss"] for row in session.history if row["event"] == "epoch"]
        if (reason := training.why_nothing_was_learned(losses)) is not None:
            warnings.warn(reason, HoldfastWarning, stacklevel=2)
        training.restore_best()
    return session.history


@dataclass(frozen=True)
class Session:
    """What an epoch needs: the training and its surroundings."""

    training: Training
    train: Epochs
    validation: Epochs | None
    history: History
    checkpoint: Checkpoint | None
    progress: Progress
    interrupt: Interrupt
    origin: float
    """The clock's reading when training began, as if it had never been stopped."""
    go_on: str
    """The command that goes on with the run; empty where none is kept."""

    def seconds(self) -> float:
        """Time spent training so far."""
        return time.monotonic() - self.origin

    def save(self) -> None:
        """Writes the checkpoint, where one is kept."""
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
        raise TrainingInterrupted(f"{at}; the checkpoint is written. Go on by `{self.go_on}`.")


def run_epoch(session: Session) -> None:
    """Trains until the end of the epoch that is under way, then validates, records and stores.

    Args:
        session: At any position of the epoch, its last batch included.
    """
    training, train = session.training, session.train
    training.model.train()
    for batch in islice(train.epoch(training.epoch - 1, training.batch), training.updates - training.step):
        train_step(training, batch)
        session.progress.update(training, len(batch))
        _log(session)
        if session.interrupt.requested:
            session.save()
            session.stop()
        if session.checkpoint is not None and session.checkpoint.due():
            session.save()
    if training.batch < len(train) and training.step < training.updates:
        raise DataError(
            f"epoch {training.epoch} ended after {training.batch} batches; expected the {len(train)} of len(train)."
        )
    _end_epoch(session)
    session.save()
    if session.interrupt.requested and not training.finished:
        session.stop()


def train_step(training: Training, batch: Batch) -> None:
    """One update: forward, backward, clip (by value, then by norm), step.

    Args:
        training: Between two updates.
        batch: On any device.

    Raises:
        RunError: The loss is not finite.
        OptionError: The state is to be carried, and the task gives none.
    """
    settings, task = training.settings, training.task
    batch = batch.to(training.device)
    training.optimizer.zero_grad()
    result = task.loss(training.model, batch, training.carried)
    training.add_loss(result.loss, batch)
    torch.autograd.backward(result.loss)
    if settings.clip_value:
        nn.utils.clip_grad_value_(training.parameters, settings.clip_value)
    if settings.clip_norm:
        nn.utils.clip_grad_norm_(training.parameters, settings.clip_norm)
    training.learning_rate = float(training.optimizer.param_groups[0]["lr"])
    training.optimizer.step()
    training.schedule.after_update()
    if settings.carry_state:
        if result.state is None:
            raise OptionError("carry_state is on, and the task gives no final state; set carry_state = false.")
        # contiguous, as it will be when it comes back from a checkpoint
        training.carried = map_tensors(lambda tensor: tensor.detach().contiguous(), result.state)
    training.this_epoch.add_outputs(result.outputs, batch)
    if training.since_log is not None:
        training.since_log.add_outputs(result.outputs, batch)
    training.step += 1
    training.batch += 1
    training.average_weights()


def validate(
    model: nn.Module, task: Task, batches: Epochs, device: torch.device, metrics: Metrics | None = None
) -> dict[str, float]:
    """Measures a model without changing it, its random numbers or its mode.

    Args:
        model: On ``device``.
        task: What is learned.
        batches: What to measure on; a batch starts from a zero state, or goes on with that of the batch before.
        device: Where to compute.
        metrics: What to gather the metrics in, for a caller who wants more of them than numbers; None for the task's.

    Returns:
        ``loss`` (the mean over sequences) and the task's metrics, by name.
    """
    running = Running(task, metrics)
    mode = model.training
    model.eval()
    try:
        with torch.inference_mode(), untouched_random_state():
            state = None
            for batch in batches.epoch(0):
                batch = batch.to(device)
                result = task.loss(model, batch, state if batch.goes_on else None)
                state = result.state
                running.add_loss(float(result.loss), len(batch))
                running.add_outputs(result.outputs, batch)
            return running.report()
    finally:
        model.train(mode)


def _check(train: Epochs, validation: Epochs | None, settings: TrainSettings) -> None:
    if len(train) == 0:
        raise DataError("there are no training batches; expected at least one sequence to train on.")
    if validation is not None and len(validation) == 0:
        raise DataError("there are no validation batches; give None to train without validation.")
    if validation is None and settings.schedule == "plateau":
        raise OptionError(
            "schedule 'plateau' goes by the validation score, and there are no validation sequences; "
            "hold some out (validation = 0.1) or use another schedule."
        )
    if validation is None and settings.patience:
        raise OptionError(
            f"patience = {settings.patience} goes by the validation score, and there are no validation sequences; "
            "hold some out (validation = 0.1) or set patience = 0."
        )


def _start(
    training: Training,
    train: Epochs,
    validation: Epochs | None,
    run: RunDirectory | None,
    progress: Progress,
    interrupt: Interrupt,
) -> Session:
    """Begins at the beginning, or at the checkpoint of the run directory."""
    checkpoint, rows, digest, seconds = None, 0, None, 0.0
    if run is not None:
        setup: dict[str, Any] = training.settings.model_dump()
        setup |= {"train_batches": len(train), "validation_batches": len(validation) if validation else 0}
        every = training.settings.checkpoint_seconds
        checkpoint = Checkpoint(run.checkpoint_path, every=every, setup=setup)
        if run.checkpoint_path.exists():
            rows, digest, seconds = checkpoint.read(training)
    history = History(run.history_path if run else None, keep=rows, digest=digest)
    origin = time.monotonic() - seconds
    go_on = resume_command(run.path) if run else ""
    return Session(training, train, validation, history, checkpoint, progress, interrupt, origin, go_on)


def _log(session: Session) -> None:
    """Records the updates since the last log row, where one is due."""
    training = session.training
    if training.since_log is None or training.step % training.settings.log_every:
        return
    training.read_losses()
    session.history.record(_row(session, "log", training.since_log))
    training.since_log = Running(training.task)


def _end_epoch(session: Session) -> None:
    """Validates, records the epoch, and moves on to the next or to the end."""
    training = session.training
    training.read_losses()
    row = _row(session, "epoch", training.this_epoch)
    if session.validation is not None:
        row["validation"] = validate(training.measured, training.task, session.validation, training.device)
        row["best"] = training.take_score(row["validation"])
        row["seconds"] = round(session.seconds(), 3)
    session.history.record(row)
    session.progress.epoch(session.history[-1])
    patience = training.settings.patience
    out_of_patience = patience > 0 and training.epochs_without_gain >= patience
    training.finished = training.step >= training.updates or out_of_patience
    training.epoch, training.batch = training.epoch + 1, 0
    training.this_epoch = Running(training.task)


def _row(session: Session, event: str, running: Running) -> dict[str, Any]:
    training = session.training
    return {
        "event": event,
        "epoch": training.epoch,
        "step": training.step,
        "learning_rate": training.learning_rate,
        "train": running.report(),
        "seconds": round(session.seconds(), 3),
    }
