"""The training loop, a ladder of three: ``fit`` -> ``run_epoch`` -> ``train_step``."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import TYPE_CHECKING

import torch
from torch import nn

from holdfast.data.defaults import ResolvedTrainSettings, resolve
from holdfast.engines.devices import choose_device
from holdfast.errors import DataError, HoldfastWarning, OptionError
from holdfast.settings import TrainSettings
from holdfast.tasks.epochs import ChunkedEpochs
from holdfast.tasks.task import Metrics, Task
from holdfast.training.chunks import Sums, add_over_chunks, whole_gradient
from holdfast.training.determinism import (
    reproducible,
    seed_everything,
    untouched_random_state,
)
from holdfast.training.ending import why_unfinished
from holdfast.training.history import History
from holdfast.training.interrupt import deferred_interrupt
from holdfast.training.listener import Listener, Plan
from holdfast.training.processes import joined
from holdfast.training.run_directory import RunDirectory
from holdfast.training.running import Running
from holdfast.training.session import Session, start
from holdfast.training.state import Training

if TYPE_CHECKING:
    from holdfast.data import Batch
    from holdfast.tasks.epochs import Epochs


def fit(
    model: nn.Module,
    task: Task,
    train: Epochs,
    validation: Epochs | None,
    settings: TrainSettings,
    *,
    run: RunDirectory | None = None,
    listeners: Sequence[Listener] = (),
) -> History:
    """Trains a model; afterwards it has the weights of the epoch with the best validation score.

    ``settings.seed`` seeds the global random generators (for the same initial values, seed before you build the model).
    The checkpoint holds everything that a run depends on, if the model keeps its state in ``state_dict``. So a run that
    was killed and resumed ends with the same bits.

    Args:
        model: Moved to the device of the settings.
        task: What is learned.
        train: The training batches.
        validation: The validation batches. Each starts from a zero state unless it continues the one before. With None,
            the model keeps the latest weights.
        settings: How to train. What is ``auto`` is chosen by :func:`holdfast.data.defaults.resolve`.
        run: The folder for history and checkpoints; training resumes from its checkpoint, if it has one.
        listeners: Called in this order, after the history has recorded a row.

    Returns:
        The rows of the history, from the start of the run.

    Raises:
        OptionError: A setting is wrong, or needs validation batches and there are none.
        DataError: There are no training batches, or fewer than ``len(train)``.
        RunError: The loss is no longer finite, or the checkpoint was written with another setup.
        ModelFileError: The checkpoint is damaged, belongs to another model, or cannot be written.
        TrainingInterrupted: Ctrl-C was pressed; the current update is finished and stored.
    """
    _check(train, validation, settings)
    device = choose_device(settings.device)
    mode = model.training
    with joined() as processes, reproducible(settings.threads), deferred_interrupt() as interrupt:
        chosen = resolve(settings, len(train), processes.size)
        seed_everything(chosen.seed, stream=1)
        updates = chosen.max_steps or chosen.epochs * len(train)
        training = Training(model.to(device), task, chosen, updates, device, processes)
        session = start(training, train, validation, run, listeners, interrupt)
        epochs = math.ceil(updates / len(train))
        with ExitStack() as endings:  # each listener ends, also where the end of another one fails
            for listener in reversed(session.listeners):
                endings.callback(listener.end)
            endings.callback(model.train, mode)
            plan = Plan(epochs, len(train), updates, training.step, task.score)
            for listener in session.listeners:
                listener.begin(plan)
            while not training.finished:
                run_epoch(session)
            reason = _why_unsuccessful(session, chosen)
            training.restore_best()
        if reason is not None and processes.first:
            warnings.warn(reason, HoldfastWarning, stacklevel=2)
    return session.history


def _why_unsuccessful(session: Session, settings: ResolvedTrainSettings) -> str | None:
    """Why nothing was learned, or why there was more to learn; None if neither is so."""
    rows = [row for row in session.history if row["event"] == "epoch"]
    reason = session.training.why_nothing_was_learned([row["train"]["loss"] for row in rows])
    return why_unfinished(rows, settings) if reason is None and settings.limit != "small" else reason


def run_epoch(session: Session) -> None:
    """Trains to the end of the current epoch, then validates, records and stores.

    Args:
        session: At any batch of the epoch, also after its last one.

    Raises:
        DataError: The epoch has fewer batches than its length says.
    """
    training, train = session.training, session.train
    training.model.train()
    for pieces in islice(_pieces(training, train), training.updates - training.step):
        sums = train_step(training, pieces, stop=session.interrupt.requested, save=session.due())
        for listener in session.listeners:
            listener.update(training, sums.rows)
        _log(session)
        if sums.stop or (training.whole and session.interrupt.requested):
            session.save()
            session.stop()
        if sums.save:
            session.save()
    if training.batch < len(train) and training.step < training.updates:
        raise DataError(
            f"epoch {training.epoch} ended after {training.batch} batches; expected the {len(train)} of len(train)."
        )
    _end_epoch(session)
    session.save()
    if training.processes.any(session.interrupt.requested) and not training.finished:
        session.stop()


def _pieces(training: Training, train: Epochs) -> Iterator[Mapping[int, Batch]]:
    """The rest of the batches of the current epoch, each as the chunks of this process, by number."""
    number, start = training.epoch - 1, training.batch
    if training.whole:
        return ({0: batch} for batch in train.epoch(number, start))
    if not isinstance(train, ChunkedEpochs):
        raise OptionError(
            f"{type(train).__name__} gives whole batches only, and training in chunks or by several processes needs "
            "its method `chunks` (holdfast.tasks.epochs.ChunkedEpochs). Add it, or train in one process with chunks = "
            "1."
        )
    return train.chunks(number, start, training.chunks, training.mine)


def train_step(
    training: Training, batch: Batch | Mapping[int, Batch], *, stop: bool = False, save: bool = False
) -> Sums:
    """One update: forward, backward, clip (by value, then by norm), step.

    Args:
        training: Between two updates.
        batch: On any device; several processes, or several chunks, have the chunks of this process by number instead.
        stop: Whether this process was asked to stop after the update.
        save: Whether this process wants a checkpoint after the update.

    Returns:
        The loss, and what all processes want.

    Raises:
        RunError: The loss is not finite.
        OptionError: ``carry_state`` is on, and the task returns no final state.
    """
    settings = training.settings
    training.optimizer.zero_grad()
    pieces = batch if isinstance(batch, Mapping) else {0: batch}
    if training.whole:
        sums = whole_gradient(training, pieces[0], stop=stop, save=save)
    else:
        sums = add_over_chunks(training, pieces, stop=stop, save=save)
    training.add_loss(sums.loss, sums.rows)
    if settings.clip_value:
        nn.utils.clip_grad_value_(training.parameters, settings.clip_value)
    if settings.clip_norm:
        training.add_norm(nn.utils.clip_grad_norm_(training.parameters, settings.clip_norm))
    training.learning_rate = float(training.optimizer.param_groups[0]["lr"])
    training.optimizer.step()
    training.schedule.after_update()
    training.step += 1
    training.batch += 1
    training.average_weights()
    return sums


def validate(
    model: nn.Module, task: Task, batches: Epochs, device: torch.device, metrics: Metrics | None = None
) -> dict[str, float]:
    """Measures a model without changing it, its random numbers or its mode.

    Args:
        model: On ``device``.
        task: What is learned.
        batches: What to measure on. A batch starts from a zero state, or from the state of the batch it continues.
        device: Where to compute.
        metrics: Collects the metrics, for a caller who needs more than the numbers; None for the task's own.

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
        raise DataError("there are no validation batches; pass None to train without validation.")
    if validation is None and settings.schedule == "plateau":
        raise OptionError(
            "schedule 'plateau' needs a validation score, and there are no validation sequences; "
            "hold some out (validation = 0.1) or use another schedule."
        )
    if validation is None and settings.patience:
        raise OptionError(
            f"patience = {settings.patience} needs a validation score, and there are no validation sequences; "
            "hold some out (validation = 0.1) or set patience = 0."
        )


def _log(session: Session) -> None:
    """Records the updates since the last log row, when a row is due."""
    training = session.training
    if training.since_log is None or training.step % training.settings.log_every:
        return
    training.read_losses()
    row = session.row("log", training.since_log)
    for listener in session.listeners:
        listener.log(row)
    training.since_log = Running(training.task)


def _end_epoch(session: Session) -> None:
    """Validates, records the epoch, and moves on to the next one or to the end."""
    training = session.training
    training.read_losses()
    row = session.row("epoch", training.this_epoch)
    validation = session.validation
    if validation is not None:
        row["validation"] = training.processes.from_first(
            lambda: validate(training.measured, training.task, validation, training.device)
        )
        row["best"] = training.take_score(row["validation"])
        row["seconds"] = round(session.seconds(), 3)
    for listener in session.listeners:
        listener.epoch(row)
    patience = training.settings.patience
    out_of_patience = patience > 0 and training.epochs_without_gain >= patience
    training.finished = training.step >= training.updates or out_of_patience
    training.epoch, training.batch = training.epoch + 1, 0
    training.this_epoch = Running(training.task)
