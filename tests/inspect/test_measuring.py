"""A measurement keeps the worst rows, and its numbers are those of a measurement that keeps none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.tasks.untrained import write

from holdfast import recipes
from holdfast.inspect.measuring import measure
from holdfast.predictor import Predictor
from holdfast.tasks import TASKS


@pytest.fixture
def numbers(tmp_path: Path):
    predictor = Predictor(write("numbers", tmp_path))
    recipe = recipes.load(str(tmp_path / "small.toml"))
    return predictor, TASKS[recipe.task].load(recipe, tmp_path).train


def test_keeping_rows_changes_no_number(numbers) -> None:
    predictor, examples = numbers
    plain, kept = measure(predictor, examples), measure(predictor, examples, worst=3)
    assert plain.worst == ()
    assert len(kept.worst) == 3
    assert (plain.metrics, plain.figures, plain.details) == (kept.metrics, kept.figures, kept.details)


def test_the_rows_are_the_worst_of_all_batches(numbers, monkeypatch) -> None:
    predictor, examples = numbers
    whole = measure(predictor, examples, worst=5)
    batches = type(predictor.task).batches
    monkeypatch.setattr(type(predictor.task), "batches", lambda self, *a, **k: batches(self, *a, **{**k, "size": 2}))
    by_two = measure(predictor, examples, worst=5)
    assert [row.index for row in by_two.worst] == [row.index for row in whole.worst]
    for row in by_two.worst:
        assert len(row.batch) == 2
        assert row.place == row.index % 2
        same = next(other for other in whole.worst if other.index == row.index)
        torch.testing.assert_close(row.outputs, same.outputs)


def test_equal_errors_keep_their_order_and_unknown_ones_are_left_out(numbers, monkeypatch) -> None:
    predictor, examples = numbers

    def errors(self, outputs, batch):
        values = torch.ones(len(batch))
        values[0], values[3], values[4] = float("nan"), 2.0, float("inf")
        return values

    monkeypatch.setattr(type(predictor.task.presentation), "errors", errors)
    assert [row.index for row in measure(predictor, examples, worst=4).worst] == [4, 3, 1, 2]
