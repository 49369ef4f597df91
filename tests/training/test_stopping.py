"""Runs that stop before or at their end, and what is then there."""

from __future__ import annotations

import math
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from holdfast.data import Batch
from holdfast.errors import HoldfastWarning, ModelFileError, RunError
from holdfast.tasks.task import TaskStep
from holdfast.training import RunDirectory, TrainingInterrupted, fit
from holdfast.training.state import Training

from .standin import Recorder, ToyBatches, ToyModel, ToyTask, run_in, settings, toy_model, without_time


class Poisoned(ToyTask):
    """A loss that is not a number at one update."""

    def __init__(self, at: int) -> None:
        self.left = at

    def loss(self, model: nn.Module, batch: Batch, state: Any = None) -> TaskStep:
        step = super().loss(model, batch, state)
        self.left -= torch.is_grad_enabled()
        return TaskStep(step.loss * math.nan, step.outputs, step.state) if self.left == 0 else step


def test_a_loss_that_is_not_finite_stops_and_leaves_the_checkpoint(tmp_path: Path) -> None:
    chosen = settings(checkpoint_seconds=0)
    model = toy_model()
    with RunDirectory(tmp_path, {}) as run, pytest.raises(RunError) as error:
        fit(model, Poisoned(9), ToyBatches(), None, chosen, run=run)
    assert str(error.value) == (
        "The loss is nan at update 9 (epoch 2). Try a lower learning_rate (now 0.02) or clip_norm = 1 (now 0), and "
        "check the inputs for values that are not finite. The last checkpoint, if there is one, is unharmed."
    )
    assert all(value.isfinite().all() for value in model.state_dict().values())
    whole = fit(toy_model(), ToyTask(), ToyBatches(), None, chosen)
    with run_in(tmp_path, {}) as run:
        recorder = Recorder()
        history = fit(toy_model(), ToyTask(), ToyBatches(), None, chosen, run=run, listeners=[recorder])
    assert recorder.plan.done == 8
    assert without_time(history) == without_time(whole)


def test_weights_that_are_not_finite_are_never_stored(tmp_path: Path) -> None:
    def poison(training: Training) -> None:
        if training.step == 3:
            with torch.no_grad():
                training.parameters[0][0, 0] = math.inf

    with RunDirectory(tmp_path, {}) as run, pytest.raises(RunError) as error:
        fit(
            toy_model(),
            ToyTask(),
            ToyBatches(),
            None,
            settings(checkpoint_seconds=0),
            run=run,
            listeners=[Recorder(poison)],
        )
    assert str(error.value).startswith("A weight is not finite after update 3 (epoch 1). Try a lower")


def test_ctrl_c_stops_after_the_update_with_a_checkpoint(tmp_path: Path) -> None:
    def press(training: Training) -> None:
        if training.step == 8:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with RunDirectory(tmp_path, {}) as run, pytest.raises(TrainingInterrupted) as stop:
        fit(toy_model(), ToyTask(), ToyBatches(), None, settings(), run=run, listeners=[Recorder(press)])
    assert str(stop.value) == (
        "Stopped after update 8 of 18; the checkpoint is written. Resume by "
        f"`holdfast train {tmp_path}/recipe.toml --out {tmp_path} --resume`."
    )
    assert signal.getsignal(signal.SIGINT) is before
    with run_in(tmp_path, {}) as run:
        recorder = Recorder()
        history = fit(toy_model(), ToyTask(), ToyBatches(), None, settings(), run=run, listeners=[recorder])
    assert recorder.updates == list(range(9, 19))
    assert without_time(history) == without_time(fit(toy_model(), ToyTask(), ToyBatches(), None, settings()))
    with pytest.raises(TrainingInterrupted) as stop:
        fit(toy_model(), ToyTask(), ToyBatches(), None, settings(), listeners=[Recorder(press)])
    assert str(stop.value) == "Stopped after update 8 of 18; without a run directory nothing was stored."


def test_a_second_ctrl_c_stops_at_once() -> None:
    def press_twice(training: Training) -> None:
        signal.raise_signal(signal.SIGINT)  # in this thread and at once: two that are still to come would be one
        signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt) as stop:
        fit(toy_model(), ToyTask(), ToyBatches(), None, settings(), listeners=[Recorder(press_twice)])
    assert not isinstance(stop.value, TrainingInterrupted)
    assert signal.getsignal(signal.SIGINT) is before


def test_training_in_another_thread_installs_no_handler() -> None:
    rows: list[Any] = []
    thread = threading.Thread(target=lambda: rows.extend(fit(toy_model(), ToyTask(), ToyBatches(), None, settings())))
    thread.start()
    thread.join()
    assert len(rows) == 3


def test_a_finished_run_returns_at_once(tmp_path: Path) -> None:
    data = ToyBatches(), ToyBatches(2, seed=1)
    with RunDirectory(tmp_path, {}) as run:
        model = toy_model()
        history = fit(model, ToyTask(), *data, settings(), run=run)
    with run_in(tmp_path, {}) as run:
        recorder, again = Recorder(), ToyModel()
        assert fit(again, ToyTask(), *data, settings(), run=run, listeners=[recorder]) == history
    assert recorder.updates == []
    assert all(
        torch.equal(ours, theirs)
        for ours, theirs in zip(model.state_dict().values(), again.state_dict().values(), strict=True)
    )


def test_a_checkpoint_of_other_settings_or_another_model_is_refused(tmp_path: Path) -> None:
    with RunDirectory(tmp_path, {}) as run:
        fit(toy_model(), ToyTask(), ToyBatches(), None, settings(), run=run)
    with run_in(tmp_path, {}) as run:
        with pytest.raises(RunError) as error:
            fit(toy_model(), ToyTask(), ToyBatches(5), None, settings(learning_rate=0.5), run=run)
        assert str(error.value) == (
            f"{tmp_path}/checkpoint.safetensors was written with another setup: learning_rate = 0.02 there, 0.5 here; "
            "train_batches = 6 there, 5 here. Use the same data and settings, or start again in another folder."
        )
        model = toy_model()
        model.out = nn.Linear(6, 5)
        with pytest.raises(ModelFileError) as unfit:
            fit(model, ToyTask(), ToyBatches(), None, settings(), run=run)
        assert str(unfit.value) == (
            f"{tmp_path}/checkpoint.safetensors has tensor 'out.weight' of shape (3, 6); the model's is (5, 6) (the "
            "first of 2 faults). It was saved from another model: build that one."
        )


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        (
            1e3,
            r"The training loss ended at .*, far above the 1\..* of the first update: training has diverged\. Try a "
            r"lower learning_rate \(now 1000\) or clip_norm = 1 \(now 0\)\.",
        ),
        (
            1e-30,
            r"The training loss ended at 1\..* and no weight has changed: nothing was learned\. Try a higher "
            r"learning_rate \(now 1e-30\), and check that the inputs differ from one another\.",
        ),
    ],
)
def test_training_that_came_to_nothing_says_so(tmp_path: Path, rate: float, message: str) -> None:
    chosen = settings(learning_rate=rate, checkpoint_seconds=0)
    with RunDirectory(tmp_path, {}) as run, pytest.warns(HoldfastWarning, match=message):
        fit(toy_model(), ToyTask(), ToyBatches(), ToyBatches(1, seed=1), chosen, run=run)
    with run_in(tmp_path, {}) as run, pytest.warns(HoldfastWarning, match=message):  # at once, and all the same
        fit(toy_model(), ToyTask(), ToyBatches(), ToyBatches(1, seed=1), chosen, run=run)


def test_a_loss_that_does_not_move_says_so() -> None:
    class Constant(ToyTask):
        def loss(self, model: nn.Module, batch: Batch, state: Any = None) -> TaskStep:
            step = super().loss(model, batch, state)
            return TaskStep(step.loss * 1e-9 + 2, step.outputs, step.state)

    with pytest.warns(HoldfastWarning, match=r"The training loss stayed at 2 in all 3 epochs: nothing was learned\."):
        fit(toy_model(), Constant(), ToyBatches(), None, settings())
