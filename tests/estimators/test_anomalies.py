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
from holdfast import AnomalyDetector, Forecaster, SequenceRegressor
from holdfast.errors import DataError, ModelFileError, OptionError
from holdfast.estimators.reconstruction import SequenceWindows, held_out
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


CHECKED: dict[str, Any] = {"hidden_size": 4, "epochs": 1, "threads": 1, "validation": None}


@parametrize_with_checks(
    [AnomalyDetector(window=1, **CHECKED), AnomalyDetector(kind="autoencoder", window=3, **CHECKED)]
)
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
        ({"kind": "vae"}, [WAVE], r"^kind is 'vae'; expected 'forecaster' or 'autoencoder'.$"),
        ({"window": 0}, [WAVE], r"^window is 0; expected a whole number of at least 1.$"),
        (
            {"kind": "autoencoder", "validation": 0.2},
            [WAVE[:15]],
            r"^The longest sequence has 15 steps; expected at least 16, a window of 8 to train on and one for validat",
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


def test_a_training_sequence_without_a_step_to_score_counts_for_nothing() -> None:
    detector = AnomalyDetector(**SMALL, epochs=1, contamination=0.5).fit([WAVE, WAVE[:8], -WAVE])
    assert detector.offset_ == pytest.approx(detector.score_samples([WAVE, -WAVE]).mean())


def test_a_sequence_without_a_step_to_score(fitted: AnomalyDetector) -> None:
    with pytest.raises(DataError) as error:
        fitted.predict([np.zeros((20, 2)), np.zeros((8, 2))])
    assert str(error.value) == (
        "X[1] has 8 steps; expected more than 8, the window of the model. Give longer sequences, or train with a "
        "smaller window."
    )


# The autoencoder


@pytest.fixture(scope="module")
def autoencoder() -> AnomalyDetector:
    """Trained on one long sequence of two channels and one that is shorter than a window."""
    return AnomalyDetector(**{**SMALL, "hidden_size": 16}, kind="autoencoder", epochs=12).fit([_two(600), _two(5)])


def _two(steps: int) -> np.ndarray[Any, Any]:
    return np.stack([WAVE, 10 * np.cos(np.arange(600) / 5)], 1)[:steps]


def test_the_score_of_a_step_is_the_error_of_its_reconstructions(autoencoder: AnomalyDetector) -> None:
    encoder, model = autoencoder.task_.encoder, autoencoder.model_
    squares: list[Any] = []
    for sequence in (_two(600), _two(5)):
        width = min(8, len(sequence))
        inputs = (sequence - encoder.scaling.mean) / encoder.scaling.std
        windows = [inputs[begin : begin + width] for begin in range(len(sequence) - width + 1)]
        with torch.no_grad():
            outputs = model(torch.tensor(np.stack(windows), dtype=torch.float32))[0].double().numpy()
        outputs = outputs * encoder.targets.scaling.std + encoder.targets.scaling.mean
        of_step: list[list[Any]] = [[] for _ in sequence]
        for begin, window in enumerate(outputs):
            for step, values in enumerate(window, begin):
                of_step[step].append((values - sequence[step]) ** 2)
        squares.append(np.stack([np.mean(each, 0) for each in of_step]))
    spread = np.concatenate(squares).mean(0)
    expected = [np.sqrt((each / spread).mean(1)) for each in squares]
    scores = autoencoder.step_scores([_two(600), _two(5)])
    for found, right in zip(scores, expected, strict=True):
        assert found == pytest.approx(right, rel=1e-3, abs=1e-4)
    assert autoencoder.score_samples([_two(600)]) == pytest.approx([-expected[0].max()], rel=1e-3)
    assert autoencoder.step_offset_ == pytest.approx(np.quantile(np.concatenate(expected), 0.99), rel=1e-3)


def test_an_autoencoder_finds_a_changed_step(autoencoder: AnomalyDetector, tmp_path: Path) -> None:
    series = _two(200)
    changed = series.copy()
    changed[150, 0] += 2
    assert autoencoder.predict([series, changed]).tolist() == [1, -1]
    assert np.isfinite(autoencoder.step_scores([series[:3]])[0]).all()
    assert int(np.argmax(autoencoder.step_scores([changed])[0])) == 150
    [before], [after] = autoencoder.step_scores([series]), autoencoder.step_scores([changed])
    assert after[:143].tolist() == before[:143].tolist()  # no window has both
    autoencoder.save(tmp_path / "model.safetensors")
    opened = holdfast.load(tmp_path / "model.safetensors")
    assert isinstance(opened, AnomalyDetector)
    assert (opened.kind, opened.window, opened.hidden_size) == ("autoencoder", 8, 16)
    assert opened.score_samples([changed]).tolist() == autoencoder.score_samples([changed]).tolist()
    assert copy.deepcopy(autoencoder).score_samples([changed]).tolist() == opened.score_samples([changed]).tolist()
    answer = next(holdfast.Predictor(tmp_path / "model.safetensors").predict([series[:8]]))
    assert len(answer["values"]["target 0"]) == 8


def test_a_regressor_is_opened_as_one(tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(12, 6))
    regressor = SequenceRegressor(encoder_decoder=True, per="step", hidden_size=4, epochs=1, threads=1).fit(X, X)
    regressor.save(tmp_path / "a.safetensors")
    opened = holdfast.load(tmp_path / "a.safetensors")
    assert isinstance(opened, SequenceRegressor)
    assert opened.encoder_decoder
    assert opened.predict(X).tolist() == regressor.predict(X).tolist()


@pytest.mark.parametrize("lengths", [(30,), (30, 20, 9), (40, 4)])
def test_no_step_is_in_training_and_validation(lengths: tuple[int, ...]) -> None:
    """Some 60 % are held out, at least one window; a sequence without room for both parts is all validation."""
    sequences = [np.arange(n)[:, None] + 100 * k for k, n in enumerate(lengths)]
    windows = SequenceWindows.of(sequences, [f"X[{k}]" for k in range(len(lengths))], 8)
    assert windows.origins[1] == "X[0][1]"
    train, held = held_out(windows, 0.6, 8)
    assert held is not None
    steps = [{int(value) for part in half.inputs for value in part.ravel()} for half in (train, held)]
    assert not steps[0] & steps[1]
    assert held_out(windows, "auto", 8)[1] is None
    assert held_out(windows, 0.0, 8)[1] is None


def test_an_autoencoder_with_validation_keeps_the_best_weights() -> None:
    detector = AnomalyDetector(**SMALL, kind="autoencoder", epochs=3, validation=0.2).fit([WAVE])
    assert all("validation" in row for row in detector.history_)
    assert AnomalyDetector(**SMALL, kind="autoencoder", epochs=1).fit([WAVE]).evaluate([WAVE])["r2"] < 1
