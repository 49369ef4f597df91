"""A search over sizes on JapaneseVowels, for the figure in docs/python.md."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from sklearn.model_selection import GridSearchCV

from holdfast import SequenceClassifier
from holdfast.data.readers import ts
from holdfast.data.settings import ReadingSettings


def part(name: str) -> tuple[list[Any], list[str]]:
    """The sequences and the labels of ``TRAIN`` or ``TEST``."""
    path = Path(os.environ.get("HOLDFAST_DATA", "")) / "JapaneseVowels" / f"JapaneseVowels_{name}.ts"
    if not path.is_file():
        pytest.skip("needs JapaneseVowels in the folder that the environment variable HOLDFAST_DATA names")
    examples = ts.read(path, ReadingSettings())
    return list(examples.inputs), examples.labels or []


def test_a_search_over_sizes_chooses_the_larger_one() -> None:
    X, y = part("TRAIN")
    estimator = SequenceClassifier(max_steps=120, threads=1)
    search = GridSearchCV(estimator, {"hidden_size": [2, 32]}, cv=2).fit(X, y)
    small, large = search.cv_results_["mean_test_score"]
    assert small < large
    assert search.best_params_ == {"hidden_size": 32}
    assert search.score(*part("TEST")) > 0.9
