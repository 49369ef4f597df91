"""The state that the training loop carries from one batch to the next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from holdfast.data import Batch
from holdfast.errors import OptionError
from holdfast.tasks.task import TaskStep
from holdfast.training import fit, validate

from .standin import ToyBatches, ToyTask, settings, toy_model


class StateTask(ToyTask):
    """Records the state that each batch starts from and ends in."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, Any]] = []

    def loss(self, model: nn.Module, batch: Batch, state: Any = None) -> TaskStep:
        step = super().loss(model, batch, state)
        if torch.is_grad_enabled():
            self.seen.append((state, step.state))
        return step


def test_the_carried_state_is_the_one_before() -> None:
    task = StateTask()
    fit(toy_model(), task, ToyBatches(), ToyBatches(2), settings(carry_state=True, epochs=2))
    assert task.seen[0][0] is None
    assert len(task.seen) == 12
    for (_, final), (given, _) in zip(task.seen, task.seen[1:], strict=False):  # across the epochs' end, too
        assert torch.equal(given["layers"][0], final["layers"][0])
        assert torch.equal(given["unused"][1], final["unused"][1])
        assert given["unused"][0] is None
        assert not given["layers"][0].requires_grad
        assert given["layers"][0].is_contiguous()
    task = StateTask()
    fit(toy_model(), task, ToyBatches(), None, settings(epochs=1))
    assert all(given is None for given, _ in task.seen)


class GoingOn(Batch):
    goes_on = True


def test_validation_carries_the_state_into_a_batch_that_goes_on_with_the_one_before() -> None:
    class Windows(ToyBatches):
        def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
            kinds = (Batch, GoingOn, GoingOn, Batch)
            for kind, batch in zip(kinds, super().epoch(number, start), strict=True):
                yield kind(batch.inputs, batch.lengths, batch.targets)

    class Watching(ToyTask):
        def loss(self, model: nn.Module, batch: Batch, state: Any = None) -> TaskStep:
            step = super().loss(model, batch, state)
            seen.append((state, step.state))
            return step

    seen: list[tuple[Any, Any]] = []
    validate(toy_model(), Watching(), Windows(4), torch.device("cpu"))
    given = [state for state, _ in seen]
    assert given[0] is given[3] is None
    assert [given[1] is seen[0][1], given[2] is seen[1][1]] == [True, True]


def test_carry_state_needs_a_state() -> None:
    class Stateless(ToyTask):
        def loss(self, model: nn.Module, batch: Batch, state: Any = None) -> TaskStep:
            step = super().loss(model, batch)
            return TaskStep(step.loss, step.outputs)

    with pytest.raises(OptionError) as error:
        fit(toy_model(), Stateless(), ToyBatches(), None, settings(carry_state=True))
    assert str(error.value) == ("carry_state is on, and the task returns no final state; set carry_state = false.")
