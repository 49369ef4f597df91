"""SequenceRegressor and TextRegressor: scikit-learn's own checks, and the same bits as the command line."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score
from tests.estimators.scikit_learn_checks import checks_of, run

import holdfast
from holdfast import SequenceRegressor, TextRegressor, experiment, recipes
from holdfast.errors import DataError, OptionError
from holdfast.estimators import Estimator
from holdfast.files import storage
from holdfast.predictor import Predictor

SMALL: dict[str, Any] = {"hidden_size": 8, "epochs": 2, "threads": 1, "batch_size": 16}
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": (
        "weighted and repeated examples are summed in another order, and the scale of the targets is fitted on the "
        "examples alone (test_weights_are_repetitions has the tolerance of float32)"
    ),
    "check_methods_subset_invariance": (
        "float32: a linear layer sums a batch of one in another order, 2e-7 apart where the check allows 1e-7 "
        "(test_a_sequence_alone_has_the_values_that_it_has_among_others compares the two within 1e-6)"
    ),
}


def sequences(count: int = 40, steps: int = 7, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two channels, and the running sum of the first, in large units."""
    X = np.random.default_rng(seed).normal(size=(count, steps, 2)).astype(np.float32)
    return X, 1000 + 50 * X[:, :, 0].astype(np.float64).cumsum(1)


@checks_of(
    SequenceRegressor(cell="rnn", hidden_size=8, batch_size=16, learning_rate=0.03, threads=1, validation=None),
    EXPECTED_FAILURES,
)
@pytest.mark.filterwarnings("ignore")  # scikit-learn's checks pass values on purpose that warn
def test_the_checks_of_scikit_learn(estimator: Estimator, check: Any) -> None:
    run(estimator, check, EXPECTED_FAILURES)


@pytest.mark.parametrize("per", ["sequence", "step"])
def test_a_sequence_alone_has_the_values_that_it_has_among_others(per: str) -> None:
    X, y = sequences()
    y = y if per == "step" else y[:, -1]
    estimator = SequenceRegressor(**SMALL, validation=None, random_state=0).fit(X, y)
    alone = np.concatenate([estimator.predict(X[place : place + 1]) for place in range(len(X))])
    np.testing.assert_allclose(alone, estimator.predict(X), rtol=0, atol=1e-6 * y.std())


@pytest.mark.parametrize("per", ["sequence", "step"])
def test_the_command_line_trains_the_same_bits(per: str, tmp_path: Path) -> None:
    (X, y), (further, _) = sequences(), sequences(seed=1)
    y = y if per == "step" else y[:, -1]
    np.savez(tmp_path / "train.npz", inputs=X, labels=y)
    np.savez(tmp_path / "test.npz", inputs=further, labels=y)
    recipe = recipes.from_dict(
        {
            "name": "same",
            "task": "regress",
            "data": {"train": ["train.npz"], "test": ["test.npz"], "scaling": "standard", "validation": 0.2},
            "model": {"hidden_size": 8, "loss": "quantile"},
            "train": {"epochs": 2, "threads": 1, "batch_size": 16, "seed": 3},
        },
        "same",
    )
    run = experiment.train(recipe, tmp_path / "run", data_dir=tmp_path)
    estimator = SequenceRegressor(**SMALL, loss="quantile", scaling="standard", validation=0.2, random_state=3)
    estimator.fit(X, y)
    weights, _ = storage.read(run.path / "model.safetensors", "model")
    assert all(torch.equal(weights[name], value) for name, value in estimator.model_.state_dict().items())
    answers = list(Predictor(run.path).predict([tmp_path / "test.npz"]))
    assert [answer["values"]["target"] for answer in answers] == estimator.predict(further).tolist()
    levels = np.array([list(answer["quantiles"]["target"].values()) for answer in answers])
    assert np.array_equal(np.moveaxis(levels, 1, -1), estimator.predict_quantiles(further))
    assert estimator.evaluate(further, y) == run.results
    opened = holdfast.load(run.path)
    assert isinstance(opened, SequenceRegressor)
    assert np.array_equal(opened.predict(further), estimator.predict(further))


@pytest.mark.parametrize(
    "form",
    [lambda y: y[:, -1], lambda y: y[:, -1:], lambda y: y[:, -3:], lambda y: y, lambda y: y[..., None] * [1, -2]],
)
def test_predictions_have_the_form_of_the_targets(form: Any, tmp_path: Path) -> None:
    X, y = sequences()
    y = form(y)
    estimator = SequenceRegressor(**SMALL).fit(X, y)
    predictions = estimator.predict(X)
    assert (predictions.shape, predictions.dtype) == (y.shape, np.float64)
    columns = int(np.prod(y.shape[2:])) if estimator.task_.per_step else int(np.prod(y.shape[1:]))
    flat = y.reshape(-1, columns), predictions.reshape(-1, columns)
    assert estimator.score(X, y) == pytest.approx(r2_score(*flat))
    assert estimator.evaluate(X, y)["r2"] == pytest.approx(r2_score(*flat), abs=1e-5)
    estimator.save(tmp_path / "model.safetensors")
    for other in (pickle.loads(pickle.dumps(estimator)), holdfast.load(tmp_path / "model.safetensors")):
        assert np.array_equal(other.predict(X), predictions)
        assert other.score(X, y) == estimator.score(X, y)


def test_it_learns_in_the_units_of_the_targets() -> None:
    X, y = sequences(120)
    settings = {**SMALL, "hidden_size": 16, "epochs": 25, "learning_rate": 0.03, "validation": None}
    for targets in (y, y[:, -1], y[:, -2:]):
        assert SequenceRegressor(**settings).fit(X, targets).score(X, targets) > 0.8


def test_what_has_the_targets() -> None:
    X, y = sequences(12)
    cases: list[tuple[Any, Any, str, bool]] = [
        (X, y, "", True),
        (X, y, "sequence", False),
        (X[:, :, 0], y, "", False),  # a table: K targets per row
        (X[:, :, 0], y, "step", True),
        (X[:, :, 0], y[..., None], "", True),
        (list(X), list(y), "", True),
        ([row[: 2 + k % 5] for k, row in enumerate(X)], [row[: 2 + k % 5] for k, row in enumerate(y)], "", True),
        ([row[: 2 + k % 5] for k, row in enumerate(X)], y[:, :3], "", False),
        (X[:, :1], y[:, :1], "", False),
        (torch.from_numpy(X), torch.from_numpy(y), "", True),
    ]
    for inputs, targets, per, steps in cases:
        estimator = SequenceRegressor(**SMALL, per=per, validation=None).fit(inputs, targets)
        assert estimator.task_.per_step == steps
        predictions = estimator.predict(inputs)
        assert [np.shape(row) for row in predictions] == [np.shape(row) for row in targets]
        assert isinstance(predictions, list) == (steps and isinstance(inputs, list))


def test_steps_without_a_target() -> None:
    X, y = sequences()
    gaps = np.where(np.random.default_rng(1).random(y.shape) < 0.4, np.nan, y)
    estimator = SequenceRegressor(**SMALL).fit(X, gaps)
    known = ~np.isnan(gaps)
    assert estimator.score(X, gaps) == pytest.approx(r2_score(y[known], estimator.predict(X)[known]))
    with pytest.raises(DataError, match="Input y contains NaN"):
        SequenceRegressor(**SMALL).fit(X, gaps[:, 0])


def test_weights_are_repetitions() -> None:
    X, y = sequences()
    y = (y - y.mean()) / y.std()
    y = np.concatenate([y, -y])  # the same scale whatever the weights: a mean of 0, and equal values on both sides
    X = np.concatenate([X, -X])
    half = np.random.default_rng(2).integers(1, 4, len(X) // 2)
    whole = {**SMALL, "batch_size": 400, "validation": None}
    for targets in (y[:, -1], y):
        estimator = SequenceRegressor(**whole).fit(X, targets, sample_weight=np.ones(len(X)))
        assert np.array_equal(estimator.predict(X), SequenceRegressor(**whole).fit(X, targets).predict(X))
        weights = np.concatenate([half, half])
        weighted = SequenceRegressor(**whole).fit(X, targets, sample_weight=weights)
        assert not np.allclose(weighted.predict(X), estimator.predict(X), atol=1e-4)
        counts = weights if targets.ndim == 1 else np.repeat(weights, targets.shape[1])
        expected = r2_score(targets.ravel(), weighted.predict(X).ravel(), sample_weight=counts)
        assert weighted.score(X, targets, sample_weight=weights) == pytest.approx(expected)


def test_carried_state_in_windows() -> None:
    X, y = sequences(4, steps=60)
    settings = {**SMALL, "validation": None, "carry_state": True, "window": 10, "batch_size": 2}
    estimator = SequenceRegressor(**settings).fit(X, y)
    assert estimator.task_.window == 10
    assert estimator.history_[-1]["step"] == 2 * 2 * 6
    with pytest.raises(OptionError, match=r"window is 10, which is for targets per step; leave it out"):
        SequenceRegressor(**settings).fit(X, y[:, 0])


def test_one_long_sequence_is_cut_at_other_places_in_each_epoch() -> None:
    """Without cuts, the network learns the first steps only after the first value of the sequence."""
    angles = 0.3 * np.arange(600)
    X, y = np.sin(angles)[None, :, None], np.cos(angles)[None]
    settings = {**SMALL, "hidden_size": 16, "epochs": None, "max_steps": 150, "learning_rate": 0.02, "validation": None}
    cut, whole = (SequenceRegressor(**settings, window=window).fit(X, y) for window in ("auto", 0))
    assert cut.task_.window == 75
    starts = [slice(start, start + 30) for start in range(100, 500, 7)]

    def error(estimator: SequenceRegressor) -> float:
        pieces = np.stack([X[0, start] for start in starts])
        return float(
            np.square(estimator.predict(pieces)[:, 3:] - np.stack([y[0, start] for start in starts])[:, 3:]).mean()
        )

    before, after = error(whole), error(cut)
    assert after < 0.5 * before, (after, before)


def test_texts() -> None:
    texts, y = ["good", "very good", "bad", "very bad"] * 12, np.array([4.0, 5.0, 2.0, 1.0] * 12)
    settings = {**SMALL, "epochs": 30, "learning_rate": 0.02, "embedding_size": 8}
    estimator = TextRegressor(**settings).fit(texts, y)
    assert estimator.score(texts, y) > 0.9
    assert TextRegressor(**settings).fit(texts, np.stack([y, -y], 1)).predict(texts[:3]).shape == (3, 2)


def test_errors_name_the_place_and_the_next_step() -> None:
    X, y = sequences()
    steps, whole = SequenceRegressor(**SMALL).fit(X, y), SequenceRegressor(**SMALL).fit(X, y[:, 0])
    for call, kind, message in [
        (lambda: SequenceRegressor(per="row").fit(X, y), OptionError, "per is 'row'; expected 'sequence', 'step', or"),
        (lambda: SequenceRegressor(loss="l2").fit(X, y), OptionError, "loss is 'l2': there is no loss 'l2'"),
        (
            lambda: SequenceRegressor(per="step").fit(X, y[:, :3]),
            DataError,
            r"y\[0\] has shape \(3,\); expected \(7,\)",
        ),
        (lambda: whole.fit(X, None), DataError, "requires y to be passed"),
        (lambda: SequenceRegressor(per="step").fit(X, None), DataError, "requires y to be passed"),
        (lambda: whole.fit(X, y[:3, 0]), DataError, "inconsistent numbers of samples"),
        (lambda: whole.fit(X, ["a"] * 40), DataError, "could not convert string"),
        (lambda: steps.score(X, y[:, 0]), DataError, r"y\[0\] has shape \(\); expected \(7,\) or \(7, K\)"),
        (lambda: whole.score(X, y[:, :2]), DataError, r"X\[0\] has 2 targets; the model was trained on 1: target"),
        (
            lambda: SequenceRegressor(window=5, carry_state=True, bidirectional=True).fit(X, y),
            OptionError,
            "carry_state with window carries the state forwards, and bidirectional = true also needs later steps",
        ),
        (lambda: whole.predict_quantiles(X), OptionError, "The model was trained without quantiles"),
    ]:
        with pytest.raises(kind, match=message):
            call()
