"""LanguageModel."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import holdfast
from holdfast import LanguageModel, experiment
from holdfast.errors import DataError, OptionError, RecipeError
from holdfast.predictor import Predictor

pytest.importorskip("tokenizers", reason="needs tokenizers: pip install 'holdfast[text]'")

SMALL: dict[str, Any] = {"hidden_size": 8, "epochs": 2, "threads": 1, "batch_size": 16}
LINES = ["hello there", "help me", "held it", "he held me there"] * 10
STREAMS = {"sequences": "streams", "window": 8, "carry_state": True, "restart": 0.1}


@pytest.mark.parametrize("sequences", ["lines", "streams"])
def test_the_command_line_trains_the_same_bits(sequences: str, same_bits: Callable[..., Path], tmp_path: Path) -> None:
    for name in ("train.txt", "test.txt"):
        (tmp_path / name).write_text("\n".join(LINES))
    streams = sequences == "streams"
    X = "\n".join(LINES) if streams else LINES
    arguments = STREAMS if streams else {"sequences": "lines"}
    estimator = LanguageModel(**SMALL, **arguments, length=6).fit(X)
    data = {"train": ["train.txt"], "test": ["test.txt"], **arguments}
    data.pop("carry_state", None)
    run = same_bits(estimator, data, {"hidden_size": 8}, carry_state=streams)
    prompts = ["he", "there", ""]
    answers = [answer["text"] for answer in Predictor(run, options=["length=6"]).predict_values(prompts)]
    assert estimator.predict(prompts) == answers
    assert estimator.evaluate(X) == experiment.evaluate(run, [tmp_path / "test.txt"]).metrics
    assert estimator.score(X) == -estimator.evaluate(X)["loss"]
    opened: Any = holdfast.load(run)
    assert isinstance(opened, LanguageModel)
    assert opened.set_params(length=6).predict(prompts) == answers
    assert pickle.loads(pickle.dumps(estimator)).predict(prompts) == answers


def test_texts_are_generated_by_the_arguments_as_they_are_now() -> None:
    model = LanguageModel(**SMALL, sequences="lines").fit(LINES)
    texts = model.generate("he", samples=3, seed=4, length=5)
    assert len(set(texts)) == 3
    assert all(text.startswith("he") and len(text) <= 7 for text in texts)
    assert texts == model.generate("he", samples=3, seed=4, length=5)
    assert texts != model.generate("he", samples=3, seed=5, length=5)
    assert model.set_params(length=0).predict(["he"]) == ["he"]
    assert model.predict("he") == ["he"]


def test_weights_are_repetitions() -> None:
    weights = np.arange(len(LINES)) % 3
    whole = {**SMALL, "batch_size": 400, "validation": None, "sequences": "lines", "dropout": 0}
    weighted = LanguageModel(**whole).fit(LINES, sample_weight=weights)
    repeated = LanguageModel(**whole).fit([LINES[k] for k in np.repeat(np.arange(len(LINES)), weights)])
    assert weighted.score(LINES) == pytest.approx(repeated.score(LINES), abs=1e-3)
    assert weighted.score(LINES) != LanguageModel(**whole).fit(LINES).score(LINES)


def test_errors_name_the_place_and_the_next_step() -> None:
    model = LanguageModel(**SMALL, sequences="lines").fit(LINES)
    for call, kind, message in [
        (lambda: LanguageModel(**SMALL).fit(LINES, sample_weight=[1.0] * 40), DataError, 'needs sequences="lines"'),
        (lambda: LanguageModel(sequences="lines", carry_state=True).fit(LINES), RecipeError, "lines are independent"),
        (lambda: model.fit([1, 2]), DataError, r"values\[0\] is of type int; expected a text"),
        (lambda: model.fit([]), DataError, r"Found array with 0 sample\(s\)"),
        (lambda: model.generate(lenth=3), RecipeError, "did you mean 'length'"),
        (lambda: LanguageModel(bidirectional=True), OptionError, "has no argument 'bidirectional'"),
    ]:
        with pytest.raises(kind, match=message):
            call()
