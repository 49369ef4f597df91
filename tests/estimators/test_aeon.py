"""The adapter for aeon passes aeon's own checks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("aeon", reason="needs aeon: pip install aeon")

from aeon.testing.estimator_checking import parametrize_with_checks

from holdfast import SequenceClassifier, SequenceRegressor
from holdfast.estimators.aeon import HoldfastClassifier, HoldfastRegressor

SMALL: dict[str, Any] = {"hidden_size": 8, "epochs": 2, "threads": 1}


@parametrize_with_checks([HoldfastClassifier, HoldfastRegressor])
@pytest.mark.filterwarnings("ignore")  # checks of aeon warn on purpose
def test_the_checks_of_aeon(check: Any) -> None:
    check()


def test_it_answers_as_the_estimator() -> None:
    X = np.random.default_rng(0).normal(size=(40, 2, 9)).astype(np.float32)
    y = np.where(X[:, 0].sum(1) > 0, "up", "down")
    adapted = HoldfastClassifier(**SMALL).fit(X, y)
    own = SequenceClassifier(**SMALL).fit(X.transpose(0, 2, 1), y)
    assert np.array_equal(adapted.predict_proba(X), own.predict_proba(X.transpose(0, 2, 1)))
    assert adapted.score(X, y) == own.score(X.transpose(0, 2, 1), y)
    ragged = [row[:, : 3 + k % 6] for k, row in enumerate(X)]
    assert HoldfastClassifier(**SMALL).fit(ragged, y).predict(ragged).shape == (40,)
    X[0, 1, 3] = np.nan
    assert HoldfastClassifier(**SMALL, missing="mask").fit(X, y).predict(X).shape == (40,)


def test_the_regressor_answers_as_the_estimator() -> None:
    X = np.random.default_rng(0).normal(size=(40, 2, 9)).astype(np.float32)
    y = X[:, 0].sum(1).astype(np.float64)
    adapted = HoldfastRegressor(**SMALL).fit(X, y)
    own = SequenceRegressor(**SMALL).fit(X.transpose(0, 2, 1), y)
    assert np.array_equal(adapted.predict(X), own.predict(X.transpose(0, 2, 1)))
