"""The mean of the weights over the last part of a run, in place of the latest weights."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from holdfast.data import Batch
from holdfast.tasks.task import TaskStep
from holdfast.training import RunDirectory, TrainingInterrupted, fit
from holdfast.training.state import Training

from .standin import Recorder, ToyBatches, ToyTask, run_in, settings, toy_model, without_time


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


class Watched(ToyTask):
    """Keeps the weights of the model that each epoch's validation measures."""

    def __init__(self) -> None:
        self.validated: list[dict[str, torch.Tensor]] = []

    def loss(self, model: nn.Module, batch: Batch, state: Any = None) -> TaskStep:
        if not model.training:
            self.validated.append(weights(model))
        return super().loss(model, batch, state)


def watched(validation: bool, **options: Any) -> tuple[nn.Module, Watched, list[dict[str, torch.Tensor]]]:
    """A model trained for 3 epochs of 6 updates, and the weights after each update."""
    after: list[dict[str, torch.Tensor]] = []
    model, task = toy_model(), Watched()
    recorder = Recorder(lambda training: after.append(weights(training.model)))
    fit(model, task, ToyBatches(), ToyBatches(1) if validation else None, settings(**options), listeners=[recorder])
    return model, task, after


def assert_mean(found: dict[str, torch.Tensor], of: list[dict[str, torch.Tensor]]) -> None:
    for name, value in found.items():
        torch.testing.assert_close(value, torch.stack([one[name] for one in of]).mean(0))


@pytest.mark.parametrize(("start", "first"), [(0.0, 0), (0.5, 9), (0.95, 17)])
def test_the_model_ends_with_the_mean_of_the_weights(start: float, first: int) -> None:
    model, _, after = watched(False, average_from=start)
    assert len(after) == 18
    assert_mean(weights(model), after[first:])
    _, _, plain = watched(False)
    assert all(torch.equal(one[name], other[name]) for one, other in zip(after, plain, strict=True) for name in one)


def test_what_is_validated_and_kept_is_the_mean_once_there_is_one() -> None:
    model, task, after = watched(True, average_from=0.5)
    assert all(torch.equal(value, after[5][name]) for name, value in task.validated[0].items())
    assert_mean(task.validated[1], after[9:12])
    assert_mean(task.validated[2], after[9:18])
    assert any(all(torch.equal(value, one[name]) for name, value in weights(model).items()) for one in task.validated)


def test_a_run_stopped_within_the_mean_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    def stop(training: Training) -> None:
        if training.step == 14:
            os.kill(os.getpid(), signal.SIGINT)

    chosen = settings(average_from=0.5)
    with RunDirectory(tmp_path, {}) as run, pytest.raises(TrainingInterrupted):
        fit(toy_model(), ToyTask(), ToyBatches(), ToyBatches(2), chosen, run=run, listeners=[Recorder(stop)])
    resumed, straight = toy_model(), toy_model()
    with run_in(tmp_path, {}) as run:
        history = fit(resumed, ToyTask(), ToyBatches(), ToyBatches(2), chosen, run=run)
    whole = fit(straight, ToyTask(), ToyBatches(), ToyBatches(2), chosen)
    assert without_time(history) == without_time(whole)
    assert all(torch.equal(value, straight.state_dict()[name]) for name, value in resumed.state_dict().items())
