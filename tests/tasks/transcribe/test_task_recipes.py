"""The recipes of spoken digits from recordings to answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast import experiment, recipes
from holdfast.predictor import Predictor

pytest.importorskip("kaldi_native_fbank", reason="needs kaldi-native-fbank: pip install 'holdfast[audio]'")
pytest.importorskip("soundfile", reason="needs soundfile: pip install 'holdfast[audio]'")


@pytest.fixture
def heard(real_data: Callable[[str], Path]) -> Path:
    return real_data("fsdd")


@pytest.mark.parametrize("name", ["spoken-digits", "digit-strings"])
def test_a_small_trial_goes_the_whole_way(name: str, heard: Path, tmp_path: Path) -> None:
    recipe = recipes.load(name, ["train.limit=small", "train.threads=1"])
    done = experiment.train(recipe, tmp_path / "run", data_dir=heard)
    assert experiment.evaluate(done.path, data_dir=heard).metrics == done.results
    assert experiment.train(recipe, tmp_path / "run", data_dir=heard, resume=True).results == done.results
    files = [heard / "recordings" / f"{digit}_theo_0.wav" for digit in range(3)]
    predictor = Predictor(done.path)
    answers = list(predictor.predict(files))
    assert [answer["origin"] for answer in answers] == [str(file) for file in files]
    assert all(isinstance(answer[predictor.task.answer_key], str) for answer in answers)
    assert "Total parameters" in str(experiment.summary(str(done.path)))
