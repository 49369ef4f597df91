"""The metrics of regression, compared with scikit-learn's and counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from holdfast.data import Batch
from holdfast.runtime.scaling import Scaling
from holdfast.tasks.regress.encoder import Targets
from holdfast.tasks.regress.metrics import RegressionMetrics

TARGETS = Targets(names=("a", "b"), scaling=Scaling("standard", (10.0, -3.0), (2.0, 0.5)))
ONE = Targets(names=("a",), scaling=Scaling("standard", (10.0,), (2.0,)))


def batch(actual: np.ndarray, targets: Targets = TARGETS) -> Batch:
    return Batch(torch.zeros(len(actual), 1, 1), None, torch.from_numpy(targets.scaling.apply(actual)))


def values(shape: tuple[int, ...]) -> tuple[np.ndarray, torch.Tensor]:
    rng = np.random.default_rng(0)
    actual = rng.normal(size=shape) * [2, 0.5] + [10.5, -3]
    return actual, torch.from_numpy(actual + rng.normal(size=shape) * 0.3)[..., None]


def test_the_errors_are_those_of_scikit_learn() -> None:
    actual, predicted = values((40, 2))
    metrics = RegressionMetrics(TARGETS, per_step=False)
    for part in (slice(0, 25), slice(25, 40)):  # in two batches
        metrics.update(predicted[part], batch(actual[part]))
    ours, points = metrics.compute(), predicted[..., 0].numpy()
    assert ours["mae"] == pytest.approx(mean_absolute_error(actual, points), rel=1e-5)
    assert ours["rmse"] == pytest.approx(mean_squared_error(actual, points) ** 0.5, rel=1e-5)
    assert ours["r2"] == pytest.approx(r2_score(actual, points), rel=1e-5)
    assert ours["mean_mae"] == pytest.approx(mean_absolute_error(actual, np.broadcast_to([10, -3], (40, 2))), rel=1e-5)
    figures = metrics.figures()["targets"]
    assert list(figures) == ["a", "b"]
    assert figures["b"]["count"] == 40
    assert figures["b"]["model"]["r2"] == pytest.approx(r2_score(actual[:, 1], points[:, 1]), rel=1e-5)
    assert figures["b"]["mean"]["r2"] == pytest.approx(r2_score(actual[:, 1], np.full(40, -3)), rel=1e-3)


def test_missing_targets_are_not_measured() -> None:
    actual, predicted = values((6, 5, 2))
    known = np.random.default_rng(1).random((6, 5, 2)) < 0.6
    metrics = RegressionMetrics(TARGETS, per_step=True)
    metrics.update(predicted, batch(np.where(known, actual, np.nan)))
    points = predicted[..., 0].numpy()
    by_target = [mean_absolute_error(actual[known[..., k], k], points[known[..., k], k]) for k in range(2)]
    assert metrics.compute()["mae"] == pytest.approx(np.mean(by_target), rel=1e-5)
    assert [f["count"] for f in metrics.figures()["targets"].values()] == known.sum((0, 1)).tolist()


def test_repeating_the_last_true_value_by_hand() -> None:
    nan = np.nan
    actual = np.array([[11.0, nan, 13.0, 16.0, nan], [nan, 9.0, 9.5, nan, nan]])[..., None]
    metrics = RegressionMetrics(ONE, per_step=True)
    metrics.update(torch.full((2, 5, 1, 1), 12.0, dtype=torch.float64), batch(actual, ONE))
    # The mean 10 is the last known value of a first one: |11 - 10|, |13 - 11|, |16 - 13|; |9 - 10|, |9.5 - 9|.
    assert metrics.compute()["repeat_last_mae"] == pytest.approx((1 + 2 + 3 + 1 + 0.5) / 5)
    assert metrics.compute()["mae"] == pytest.approx((1 + 1 + 4 + 3 + 2.5) / 5)
    assert "repeat_last_mae" not in RegressionMetrics(ONE, per_step=False).compute()


@pytest.mark.parametrize(("predicted", "r2"), [(7.0, 1.0), (7.5, 0.0)])
def test_r2_of_targets_that_never_change(predicted: float, r2: float) -> None:
    actual = np.full((4, 1), 7.0)
    metrics = RegressionMetrics(ONE, per_step=False)
    metrics.update(torch.full((4, 1, 1), predicted, dtype=torch.float64), batch(actual, ONE))
    assert metrics.compute()["r2"] == r2 == r2_score(actual, np.full((4, 1), predicted))


def test_coverage() -> None:
    actual = np.array([[1.0], [2.0], [3.0], [4.0]])
    predicted = torch.tensor([[1.5, 2.0, 3.5]] * 4, dtype=torch.float64)[:, None]
    metrics = RegressionMetrics(ONE, per_step=False, quantiles=[0.1, 0.5, 0.9])
    metrics.update(predicted, batch(actual, ONE))
    assert metrics.compute()["coverage"] == 0.5
    assert metrics.figures()["targets"]["a"]["coverage"] == 0.5
    assert metrics.compute()["mae"] == 1.0


def test_the_table_has_a_line_for_each_prediction() -> None:
    actual, predicted = values((6, 5, 2))
    metrics = RegressionMetrics(TARGETS, per_step=True)
    metrics.update(predicted, batch(actual))
    lines = metrics.table().splitlines()
    assert lines[0].split() == ["target", "mae", "rmse", "r2"]
    starts = [line[: line.index(".")].rsplit(maxsplit=1)[0].split() for line in lines[1:]]
    assert starts == [
        [name, *label] for name in "ab" for label in (["model"], ["training", "mean"], ["repeat", "last"])
    ]


def test_the_state_goes_on() -> None:
    actual, predicted = values((6, 5, 2))
    whole, part, rest = (RegressionMetrics(TARGETS, per_step=True) for _ in range(3))
    whole.update(predicted[:3], batch(actual[:3]))
    whole.update(predicted[3:], batch(actual[3:]))
    part.update(predicted[:3], batch(actual[:3]))
    rest.load_state_dict(part.state_dict())
    rest.update(predicted[3:], batch(actual[3:]))
    assert rest.compute() == whole.compute() != part.compute()
