"""The predictor: files and values in memory, and several threads that share one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast import SequenceClassifier, TextClassifier
from holdfast.predictor import Predictor

SMALL: dict[str, Any] = {"hidden_size": 16, "epochs": 1, "threads": 1, "validation": None}


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    X = np.random.default_rng(0).normal(size=(40, 12, 3)).astype(np.float32)
    path = tmp_path_factory.mktemp("numbers") / "model.safetensors"
    SequenceClassifier(**SMALL, num_layers=2, bidirectional=True).fit(X, X[:, 0, 0] > 0).save(path)
    return path


def test_values_and_files_get_the_same_answers(numbers: Path, tmp_path: Path) -> None:
    predictor = Predictor(numbers)
    X = np.random.default_rng(1).normal(size=(5, 12, 3)).astype(np.float32)
    np.savez(tmp_path / "x.npz", inputs=X)
    files = list(predictor.predict([tmp_path / "x.npz"]))
    expected = [{k: v for k, v in answer.items() if k != "origin"} for answer in files]
    for values in (X, list(X), X.tolist(), X.astype(np.float64)):
        answers = list(predictor.predict(values))
        assert [answer.pop("origin") for answer in answers] == [f"values[{k}]" for k in range(5)]
        assert answers == expected


def test_a_list_of_texts_is_a_list_of_paths(tmp_path: Path) -> None:
    classifier = TextClassifier(**SMALL).fit(["good one", "bad one"] * 5, [1, 0] * 5)
    classifier.save(tmp_path / "model.safetensors")
    (tmp_path / "some.txt").write_text("good\nbad\n")
    predictor = Predictor(tmp_path / "model.safetensors")
    assert len(list(predictor.predict([str(tmp_path / "some.txt")]))) == 2
    assert len(list(predictor.predict(np.array(["good", "bad", "one"], dtype=object)))) == 3


def test_threads_that_share_a_predictor_get_the_same_bits(numbers: Path) -> None:
    predictor = Predictor(numbers)
    batches = [np.random.default_rng(k).normal(size=(1 + k % 5, 4 + k % 9, 3)).astype(np.float32) for k in range(64)]
    alone = [list(predictor.predict_values(batch)) for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda batch: list(predictor.predict_values(batch)), batches * 4))
    assert together == alone * 4
