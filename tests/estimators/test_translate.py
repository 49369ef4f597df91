"""Translator."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import holdfast
from holdfast import Translator, experiment
from holdfast.errors import DataError
from holdfast.predictor import Predictor

pytest.importorskip("tokenizers", reason="needs tokenizers: pip install 'holdfast[text]'")
pytest.importorskip("sacrebleu", reason="needs sacrebleu: pip install 'holdfast[text]'")

SMALL: dict[str, Any] = {"hidden_size": 8, "epochs": 2, "threads": 1, "batch_size": 16, "unit": "words"}
NAMES = ["zero", "one", "two", "three"]
X = [f"{a} {b}" for a in range(4) for b in range(4)]
Y = [f"{NAMES[a]} {NAMES[b]}" for a in range(4) for b in range(4)]


def test_the_command_line_trains_the_same_bits(same_bits: Callable[..., Path], tmp_path: Path) -> None:
    sources, targets = [*X, X[3]], [*Y, "another three"]  # one source with two targets
    for name in ("train.txt", "test.txt"):
        (tmp_path / name).write_text("".join(f"{a}\t{b}\n" for a, b in zip(sources, targets, strict=True)))
    estimator = Translator(**SMALL, label_smoothing=0.1, longest=4).fit(sources, targets)
    data = {"train": ["train.txt"], "test": ["test.txt"], "unit": "words"}
    run = same_bits(estimator, data, {"hidden_size": 8, "label_smoothing": 0.1})
    answers = [answer["translation"] for answer in Predictor(run, options=["longest=4"]).predict_values(X)]
    assert estimator.predict(X) == answers
    loss = experiment.evaluate(run, [tmp_path / "test.txt"]).metrics["loss"]
    assert estimator.evaluate(sources, targets)["loss"] == loss == -estimator.score(sources, targets)
    opened: Any = holdfast.load(run)
    assert isinstance(opened, Translator)
    assert opened.set_params(longest=4).predict(X) == answers
    assert pickle.loads(pickle.dumps(estimator)).predict(X) == answers
    lists = Translator(**SMALL, label_smoothing=0.1).fit(
        X, [[y, "another three"] if k == 3 else [y] for k, y in enumerate(Y)]
    )
    assert torch.equal(lists.model_.state_dict()["output.weight"], estimator.model_.state_dict()["output.weight"])


def test_it_learns_and_searches_by_the_arguments_as_they_are_now() -> None:
    arguments = {**SMALL, "hidden_size": 32, "epochs": 60, "learning_rate": 0.01, "validation": None}
    translator = Translator(**arguments).fit(X * 2, Y * 2)
    assert translator.predict(X) == Y
    assert translator.evaluate(X, Y)["exact_match"] == 1.0
    assert translator.set_params(longest=1).predict(["2 1"]) == ["two"]
    assert translator.set_params(longest=0, beam=3).predict(X) == Y


def test_weights_are_repetitions() -> None:
    weights = np.arange(len(X)) % 3
    whole = {**SMALL, "batch_size": 400, "validation": None, "dropout": 0}
    weighted = Translator(**whole).fit(X, Y, sample_weight=weights)
    repeated = Translator(**whole).fit(*[[rows[k] for k in np.repeat(np.arange(16), weights)] for rows in (X, Y)])
    plain = Translator(**whole).fit([X[k] for k in np.flatnonzero(weights)], [Y[k] for k in np.flatnonzero(weights)])
    # Repeated pairs are one source with one target: they count once.
    assert repeated.score(X[1:3], Y[1:3]) == plain.score(X[1:3], Y[1:3])
    assert weighted.score(X[1:3], Y[1:3]) != plain.score(X[1:3], Y[1:3])


def test_errors_name_the_place_and_the_next_step() -> None:
    translator = Translator(**SMALL)
    for call, message in [
        (lambda: translator.fit(X, None), "give a text for each input"),
        (lambda: translator.fit(X, Y[:-1]), "inconsistent numbers of samples"),
        (lambda: translator.fit(X, [1] * 16), r"y\[0\] is 1; expected a text, or a list of texts"),
        (lambda: translator.fit(X, ["a"] * 15 + [" "]), r"X\[15\] or y\[15\] is empty"),
        (lambda: translator.fit("text", ["a"]), "The values are of type str; expected a list of texts"),
    ]:
        with pytest.raises(DataError, match=message):
            call()
