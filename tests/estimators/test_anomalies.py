"""AnomalyDetector: scikit-learn's own checks, scores by hand, and what is found."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.estimator_checks import parametrize_with_checks

import holdfast
from holdfast import AnomalyDetector, Forecaster
from holdfast.errors import DataError, ModelFileError, OptionError
from holdfast.files import storage

SMALL: dict[str, Any] = {
    "window": 8,
    "hidden_size": 8,
    "threads": 1,
    "learning_rate": 0.01,
    "batch_size": 32,
    "schedule": "constant",
}
WAVE = np.sin(np.arange(600) / 5)


@parametrize_with_checks([AnomalyDetector(window=1, hidden_size=4, epochs=1, threads=1, validation=None)])
@pytest.mark.filterwarnings("ignore")  # scikit-learn's checks pass values on purpose that warn
def test_the_checks_of_scikit_learn(estimator: AnomalyDetector, check: Any) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def fitted() -> AnomalyDetector:
    return AnomalyDetector(**SMALL, epochs=6).fit([np.stack([WAVE, 10 * np.cos(np.arange(600) / 5)], 1)])


def test_the_score_of_a_step_is_the_error_of_its_forecast(fitted: AnomalyDetector) -> None:
    series = np.stack([WAVE, 10 * np.cos(np.arange(600) / 5)], 1)
    [scores] = fitted.step_scores([series])
    assert np.isnan(scores[:8]).all()
    scaling = fitted.task_.encoder.scaling
    scaled = (series - scaling.mean) / scaling.std
    windows = torch.tensor(np.stack([scaled[row - 8 : row] for row in range(8, 600)]), dtype=torch.float32)
    with torch.no_grad():
        forecast = fitted.model_(windows, torch.zeros(len(windows), 1, 0))[:, 0, :, 0].numpy()
    errors = scaled[8:] - forecast
    expected = np.sqrt((errors**2 / (errors**2).mean(0)).mean(1))
    assert scores[8:] == pytest.approx(expected, rel=1e-3, abs=1e-4)
    assert fitted.score_samples([series]) == pytest.approx([-expected.max()], rel=1e-3)
    assert fitted.offset_ == pytest.approx(-expected.max(), rel=1e-3)
    assert fitted.step_offset_ == pytest.approx(np.quantile(expected, 0.99), rel=1e-3)
    assert (scores[8:] > fitted.step_offset_).mean() == pytest.approx(0.01, abs=0.002)


def test_a_changed_step_and_its_sequence_are_found(fitted: AnomalyDetector) -> None:
    series = np.stack([WAVE, 10 * np.cos(np.arange(600) / 5)], 1)[:200]
    changed = series.copy()
    changed[150, 0] += 2
    [scores], [before] = fitted.step_scores([changed]), fitted.step_scores([series])
    assert np.array_equal(scores[:150], before[:150], equal_nan=True)
    assert scores[150] > 3 * fitted.step_offset_  # the next steps, which read the changed one, may be worse
    assert 150 <= int(np.nanargmax(scores)) <= 158
    assert fitted.predict([series, changed, series[:20]]).tolist() == [1, -1, 1]
    decision = fitted.decision_function([series, changed])
    assert (decision < 0).tolist() == [False, True]
    assert decision == pytest.approx(fitted.score_samples([series, changed]) - fitted.offset_)


def test_sequences_of_an_array(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = np.sin(np.arange(40) / 4 + rng.uniform(0, 6, (100, 1))) + rng.normal(0, 0.05, (100, 40))
    detector = AnomalyDetector(**SMALL, epochs=5, contamination=0.1)
    labels = detector.fit_predict(X)
    assert (labels == -1).sum() == 10
    changed = X[:10].copy()
    changed[:, 20:] *= -1.5
    assert (detector.predict(changed) == -1).all()
    assert detector.step_scores(X).shape == (100, 40)
    detector.save(tmp_path / "model.safetensors")
    opened = holdfast.load(tmp_path / "model.safetensors")
    assert isinstance(opened, AnomalyDetector)
    assert opened.get_params()["contamination"] == 0.1
    assert opened.score_samples(X).tolist() == detector.score_samples(X).tolist()
    assert copy.deepcopy(detector).predict(X).tolist() == labels.tolist()
    tensors, document = storage.read(tmp_path / "model.safetensors", "model")
    for spread in ([1.0, 2.0], "x", None):
        notes = {**document["estimator"], "spread": spread}
        kept = {name: tensor.clone() for name, tensor in tensors.items()}
        storage.write(tmp_path / "changed.safetensors", kept, {**document, "estimator": notes}, "model")
        with pytest.raises(ModelFileError, match=r"changed.safetensors is damaged: its notes on the estimator"):
            holdfast.load(tmp_path / "changed.safetensors")


def test_a_forecaster_is_opened_as_one(tmp_path: Path) -> None:
    Forecaster(window=8, horizon=1, hidden_size=4, epochs=1, threads=1).fit(WAVE[:100]).save(tmp_path / "a.safetensors")
    assert isinstance(holdfast.load(tmp_path / "a.safetensors"), Forecaster)


@pytest.mark.parametrize(
    ("arguments", "X", "message"),
    [
        ({"contamination": 0.0}, [WAVE], r"^contamination is 0.0; expected a number above 0, at most 0.5.$"),
        ({"contamination": 0.6}, [WAVE], r"^contamination is 0.6; expected"),
        (
            {},
            WAVE[:16].reshape(2, 8),
            r"^X has at most 8 steps per sequence, .*; expected more than window = 8. Give lon",
        ),
        (
            {"validation": (1, 2)},
            [WAVE],
            r"^validation is a pair; expected a fraction of the steps of each sequence, or ",
        ),
    ],
)
def test_what_does_not_fit_is_said(arguments: dict[str, Any], X: Any, message: str) -> None:
    with pytest.raises((DataError, OptionError), match=message):
        AnomalyDetector(**{**SMALL, "epochs": 1, **arguments}).fit(X)


def test_a_sequence_without_a_step_to_score(fitted: AnomalyDetector) -> None:
    with pytest.raises(DataError) as error:
        fitted.predict([np.zeros((20, 2)), np.zeros((8, 2))])
    assert str(error.value) == (
        "X[1] has 8 steps; expected more than 8, the window of the model. Give longer sequences, or train with a "
        "smaller window."
    )
