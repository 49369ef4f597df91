"""The training loop: what it learns, records, stops at and refuses."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from holdfast.data import Batch
from holdfast.errors import DataError, OptionError
from holdfast.tasks.task import TaskStep
from holdfast.training import Plan, fit, validate

from .standin import Recorder, ToyBatches, ToyTask, settings, toy_model, without_time


def test_it_learns_and_records_each_epoch() -> None:
    recorder = Recorder()
    model = toy_model()
    history = fit(model, ToyTask(), ToyBatches(20), ToyBatches(4, seed=1), settings(epochs=8), listeners=[recorder])
    assert [row["epoch"] for row in history] == list(range(1, 9))
    assert history[0].keys() == {
        "event",
        "epoch",
        "step",
        "learning_rate",
        "train",
        "seconds",
        "validation",
        "best",
    }
    assert history[-1]["train"]["loss"] < 0.7 * history[0]["train"]["loss"]
    assert max(row["validation"]["accuracy"] for row in history) > 0.7
    assert recorder.plan == Plan(epochs=8, batches=20, updates=160, done=0, score="accuracy")
    assert recorder.updates == list(range(1, 161))
    assert recorder.rows == history
    assert recorder.ended
    assert model.training


def test_the_loop_does_what_a_plain_torch_loop_does() -> None:
    train = ToyBatches()
    chosen = settings(weight_decay=0.01, clip_norm=0.1, clip_value=0.05, optimizer="AdamW", epochs=2)
    model = toy_model()
    model.dropout.p = 0
    history = fit(model, ToyTask(), train, None, chosen)
    plain = toy_model()
    plain.dropout.p = 0
    optimizer = torch.optim.AdamW(plain.parameters(), lr=0.02, weight_decay=0.01)
    for epoch in range(2):
        norms = []
        for batch in train.epoch(epoch):
            optimizer.zero_grad()
            nn.functional.cross_entropy(plain(batch.inputs, None)[0], batch.targets).backward()
            nn.utils.clip_grad_value_(plain.parameters(), 0.05)
            norms.append(float(nn.utils.clip_grad_norm_(plain.parameters(), 0.1)))
            optimizer.step()
        assert history[epoch]["gradient_norm"] == pytest.approx(sum(norms) / 6)
        assert history[epoch]["largest_gradient_norm"] == max(norms)
        assert history[epoch]["clipped"] == sum(norm > 0.1 for norm in norms) / 6
    for ours, theirs in zip(model.state_dict().values(), plain.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


class Scripted(ToyTask):
    """A task whose validation accuracies are given, one an epoch."""

    def __init__(self, scores: list[float], *, higher_is_better: bool = True) -> None:
        self.scores = iter(scores)
        self.higher_is_better = higher_is_better
        self.weights: list[torch.Tensor] = []

    def metrics(self) -> Any:
        task, metrics = self, super().metrics()

        class Given:
            def compute(self) -> dict[str, float]:
                return {"accuracy": next(task.scores) if torch.is_inference_mode_enabled() else 0.0}

            def __getattr__(self, name: str) -> Any:
                return getattr(metrics, name)

        return Given()


@pytest.mark.parametrize(
    ("scores", "higher", "best", "epochs"),
    [
        ([0.5, 0.9, 0.8, 0.9, 0.7, 1.0], True, 2, 5),
        ([0.5, 0.9, 0.8, 0.4, 0.7, 0.6, 0.5, 0.1], False, 4, 7),
        ([math.nan, 0.5, math.nan, math.nan, math.nan, 0.9], True, 2, 5),
        ([math.nan, math.nan, math.nan, 0.9], True, None, 3),
    ],
)
def test_patience_stops_and_the_best_weights_are_restored(
    scores: list[float], higher: bool, best: int | None, epochs: int
) -> None:
    kept: list[dict[str, torch.Tensor]] = []
    model = toy_model()

    class Keeper(Recorder):
        def epoch(self, row: dict[str, Any]) -> None:
            kept.append({name: value.clone() for name, value in model.state_dict().items()})

    task = Scripted(scores, higher_is_better=higher)
    history = fit(model, task, ToyBatches(), ToyBatches(2), settings(epochs=20, patience=3), listeners=[Keeper()])
    assert len(history) == epochs
    chosen = kept[-1] if best is None else kept[best - 1]
    assert all(torch.equal(value, chosen[name]) for name, value in model.state_dict().items())
    bests = [row["epoch"] for row in history if row["best"]]
    assert (bests[-1] if bests else None) == best


def test_without_validation_the_latest_weights_stay() -> None:
    model = toy_model()
    before = model.out.weight.clone()
    history = fit(model, ToyTask(), ToyBatches(), None, settings(epochs=1))
    assert "validation" not in history[0]
    assert not torch.equal(model.out.weight, before)


def test_max_steps_alone_decides_when_training_ends() -> None:
    history = fit(toy_model(), ToyTask(), ToyBatches(), ToyBatches(2), settings(epochs=1, max_steps=15))
    assert [(row["epoch"], row["step"]) for row in history] == [(1, 6), (2, 12), (3, 15)]
    history = fit(toy_model(), ToyTask(), ToyBatches(), ToyBatches(2), settings(epochs=50, max_steps=4))
    assert [(row["epoch"], row["step"]) for row in history] == [(1, 4)]


def test_log_rows_cover_the_updates_since_the_last() -> None:
    losses = []

    class Watching(ToyTask):
        def loss(self, model: nn.Module, batch: Batch, state: Any = None) -> TaskStep:
            step = super().loss(model, batch, state)
            losses.append(step.loss.item())
            return step

    history = fit(toy_model(), Watching(), ToyBatches(), None, settings(epochs=2, log_every=4))
    assert [(row["event"], row["epoch"], row["step"]) for row in history] == [
        ("log", 1, 4),
        ("epoch", 1, 6),
        ("log", 2, 8),
        ("log", 2, 12),
        ("epoch", 2, 12),
    ]
    assert history[2]["train"]["loss"] == pytest.approx(sum(losses[4:8]) / 4)
    assert history[-1]["train"]["loss"] == pytest.approx(sum(losses[6:12]) / 6)


def test_validation_leaves_random_state_mode_and_model_alone() -> None:
    class Greedy(ToyTask):
        def loss(self, model: nn.Module, batch: Batch, state: Any = None) -> TaskStep:
            assert not model.training
            assert torch.is_inference_mode_enabled()
            torch.rand(3)
            np.random.rand(3)
            random.random()
            return super().loss(model, batch, state)

    model = toy_model()
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    report = validate(model, Greedy(), ToyBatches(2), torch.device("cpu"))
    assert report.keys() == {"loss", "accuracy"}
    assert model.training
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert random.getstate() == before[2]
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


def test_the_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    histories = [fit(toy_model(), ToyTask(), ToyBatches(), None, settings(seed=seed)) for seed in (1, 1, 2)]
    assert without_time(histories[0]) == without_time(histories[1])
    assert without_time(histories[0]) != without_time(histories[2])


@pytest.mark.parametrize(
    ("how", "train", "validation", "message"),
    [
        ({}, 0, None, "there are no training batches; expected at least one sequence to train on."),
        ({}, 6, 0, "there are no validation batches; pass None to train without validation."),
        (
            {"schedule": "plateau"},
            6,
            None,
            "schedule 'plateau' needs a validation score, and there are no validation sequences; hold some out "
            "(validation = 0.1) or use another schedule.",
        ),
        (
            {"patience": 2},
            6,
            None,
            "patience = 2 needs a validation score, and there are no validation sequences; hold some out "
            "(validation = 0.1) or set patience = 0.",
        ),
    ],
)
def test_what_cannot_be_trained(how: dict[str, Any], train: int, validation: int | None, message: str) -> None:
    with pytest.raises((OptionError, DataError)) as error:
        fit(
            toy_model(),
            ToyTask(),
            ToyBatches(train),
            None if validation is None else ToyBatches(validation),
            settings(**how),
        )
    assert str(error.value) == message


def test_an_epoch_that_ends_early_is_an_error() -> None:
    class Short(ToyBatches):
        def __len__(self) -> int:
            return super().__len__() + 1

        def epoch(self, number: int, start: int = 0) -> Any:
            return (Batch(x, None, y) for x, y in zip(self.inputs, self.targets, strict=True))

    with pytest.raises(DataError) as error:
        fit(toy_model(), ToyTask(), Short(), None, settings())
    assert str(error.value) == "epoch 1 ended after 6 batches; expected the 7 of len(train)."


def test_a_score_that_is_not_measured_is_an_error() -> None:
    task = ToyTask()
    task.score = "acuracy"
    with pytest.raises(OptionError) as error:
        fit(toy_model(), task, ToyBatches(), ToyBatches(2), settings())
    assert str(error.value) == (
        "the task's score 'acuracy' is not measured; did you mean 'accuracy'? Known: accuracy, loss."
    )
