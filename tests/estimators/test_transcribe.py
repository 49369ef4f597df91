"""Transcriber."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import holdfast
from holdfast import Transcriber, experiment
from holdfast.errors import DataError
from holdfast.predictor import Predictor
from tones import RATE, noise, save, tone

pytest.importorskip("kaldi_native_fbank", reason="needs kaldi-native-fbank: pip install 'holdfast[audio]'")
pytest.importorskip("soundfile", reason="needs soundfile: pip install 'holdfast[audio]'")
pytest.importorskip("tokenizers", reason="needs tokenizers: pip install 'holdfast[text]'")

SMALL: dict[str, Any] = {"hidden_size": 8, "epochs": 2, "threads": 1, "batch_size": 16, "rate": RATE}
SOUNDS = [tone(400 + 500 * (k % 2)) + noise(0.3, seed=k) for k in range(12)]
TEXTS = ["low" if k % 2 == 0 else "high" for k in range(12)]


def test_the_command_line_trains_the_same_bits(same_bits: Callable[..., Path], tmp_path: Path) -> None:
    rows = ["path,text"]
    for k, (sound, text) in enumerate(zip(SOUNDS, TEXTS, strict=True)):
        save(tmp_path / f"{k}.wav", sound)
        rows.append(f"{k}.wav,{text}")
    for name in ("train.csv", "test.csv"):
        (tmp_path / name).write_text("\n".join(rows))
    from holdfast.data.readers.audio import samples

    X = [samples(tmp_path / f"{k}.wav", RATE) for k in range(12)]
    estimator = Transcriber(**SMALL, mel_bins=20, masking={"time_masks": 1}).fit(X, TEXTS)
    data = {"train": ["train.csv"], "test": ["test.csv"], "audio": {"rate": RATE, "mel_bins": 20}}
    run = same_bits(estimator, data, {"hidden_size": 8, "masking": {"time_masks": 1}})
    answers = [answer["text"] for answer in Predictor(run).predict([tmp_path / "test.csv"])]
    assert estimator.predict(X) == answers
    assert estimator.evaluate(X, TEXTS) == experiment.evaluate(run, [tmp_path / "test.csv"]).metrics
    assert estimator.score(X, TEXTS) == -estimator.evaluate(X, TEXTS)["word_error_rate"]
    opened: Any = holdfast.load(run)
    assert isinstance(opened, Transcriber)
    assert (opened.rate, opened.mel_bins, opened.masking["time_masks"]) == (RATE, 20, 1)
    assert opened.predict(X) == answers
    assert pickle.loads(pickle.dumps(estimator)).predict(X) == answers


def test_weights_are_repetitions() -> None:
    weights = np.arange(12) % 3
    whole = {**SMALL, "batch_size": 400, "validation": None, "dropout": 0}
    weighted = Transcriber(**whole).fit(SOUNDS, TEXTS, sample_weight=weights)
    kept = np.flatnonzero(weights)
    rows = np.repeat(kept, weights[kept])
    # The scaling of the repeated recordings differs in the last bits.
    repeated = Transcriber(**whole).fit([SOUNDS[k] for k in rows], [TEXTS[k] for k in rows])
    assert weighted.evaluate(SOUNDS, TEXTS)["loss"] == pytest.approx(repeated.evaluate(SOUNDS, TEXTS)["loss"], rel=1e-2)
    plain = Transcriber(**whole).fit([SOUNDS[k] for k in kept], [TEXTS[k] for k in kept])
    assert weighted.evaluate(SOUNDS, TEXTS)["loss"] != plain.evaluate(SOUNDS, TEXTS)["loss"]


def test_errors_name_the_place_and_the_next_step() -> None:
    for call, message in [
        (lambda: Transcriber(**SMALL).fit(SOUNDS, None), "give a transcript for each recording"),
        (lambda: Transcriber(**SMALL).fit(SOUNDS, TEXTS[:-1]), "inconsistent numbers of samples"),
        (lambda: Transcriber(**SMALL).fit([np.zeros(4000, np.int16)], ["a"]), "divide 16-bit samples by 32768"),
        (lambda: Transcriber(**SMALL).fit([np.zeros(10)], ["a"]), "expected at least one window"),
        (lambda: Transcriber(**SMALL).fit([], []), r"Found array with 0 sample\(s\)"),
    ]:
        with pytest.raises(DataError, match=message):
            call()
