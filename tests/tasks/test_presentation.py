"""Every task shows its examples, its mistakes and its metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.tasks.untrained import SMALL, write

from holdfast import recipes
from holdfast.data import Records
from holdfast.inspect.measuring import Evaluation, measure
from holdfast.predictor import Predictor
from holdfast.tasks import TASKS, TranscribeTask
from holdfast.tasks.presentation import Curves, Picture, Text, Words, by_prefix, numbers
from holdfast.tasks.transcribe.settings import TranscribeRecipe


def measured(name: str, folder: Path) -> tuple[Predictor, Any, Evaluation]:
    """An untrained model of a recipe, its test examples, and their measurement with the four worst rows."""
    predictor = Predictor(write(name, folder))
    recipe = recipes.load(str(folder / "small.toml"))
    test = TASKS[recipe.task].load(recipe, folder).test
    return predictor, test, measure(predictor, test, worst=4)


@pytest.mark.parametrize("name", SMALL)
def test_the_worst_examples_are_shown_with_their_answers(name: str, tmp_path: Path) -> None:
    predictor, test, evaluation = measured(name, tmp_path)
    presentation = predictor.task.presentation
    errors = [row.error for row in evaluation.worst]
    assert errors == sorted(errors, reverse=True)
    whole = name not in ("generate", "forecast", "panel")  # of windows that overlap, one is shown
    assert 0 < len(errors) <= 4
    assert len(errors) == min(4, len(test)) or not whole
    for row in evaluation.worst:
        case = presentation.case(test, row)
        assert case.origin
        assert case.error == row.error >= 0
        assert isinstance(case.shown, Text | Words | Picture | Curves)
        assert presentation.error_name
    sizes = presentation.sizes(test)
    assert all(count > 0 for count in sizes.values())


@pytest.mark.parametrize("name", SMALL)
def test_the_metrics_are_those_of_the_measurement_beside_their_baselines(name: str, tmp_path: Path) -> None:
    predictor, _, evaluation = measured(name, tmp_path)
    presentation = predictor.task.presentation
    rows = presentation.comparison(evaluation.metrics, evaluation.figures)
    assert next(iter(rows)) == "model"
    assert rows["model"].items() <= evaluation.metrics.items()
    shown = [value for values in rows.values() for value in values.values()]
    assert set(evaluation.metrics.values()) <= set(shown)  # none is lost
    baselines = {"weighted": 1, "translate": 1, "regress": 3, "panel": 2}  # rows, with the model's
    assert len(rows) == baselines.get(name, 2)
    for table in presentation.tables(evaluation.figures):
        assert all(len(row) == len(table.head) for row in table.rows)
        assert table.rows


def test_the_worst_row_of_a_classifier_has_the_largest_cross_entropy(tmp_path: Path) -> None:
    predictor, test, evaluation = measured("numbers", tmp_path)
    scores = torch.cat(list(predictor.compute(test.unlabelled(), lambda model, batch: model(batch.inputs)[0])))
    targets = predictor.task.encoder.labels.encode(test.targets)
    losses = torch.nn.functional.cross_entropy(scores, targets, reduction="none")
    worst = evaluation.worst[0]
    assert worst.index == int(losses.argmax())
    assert worst.error == pytest.approx(float(losses.max()))
    case = predictor.task.presentation.case(test, worst)
    (answer,) = predictor.answer(test.subset([worst.index]))
    assert (case.answer, case.origin) == (answer["label"], answer["origin"])
    assert case.wrong == (case.answer != case.truth)
    assert f"{answer['probabilities'][case.answer]:.1%}" in case.note


def test_the_words_of_a_tagger_have_both_tags(tmp_path: Path) -> None:
    predictor, test, evaluation = measured("tag", tmp_path)
    case = predictor.task.presentation.case(test, evaluation.worst[0])
    assert isinstance(case.shown, Words)
    assert [word.text for word in case.shown.words] == test.inputs[evaluation.worst[0].index]
    assert sum(word.wrong for word in case.shown.words) == case.error


def test_a_sum_is_shown_as_numbers(tmp_path: Path) -> None:
    predictor, test, evaluation = measured("sums", tmp_path)
    row = evaluation.worst[0]
    case = predictor.task.presentation.case(test, row)
    (answer,) = predictor.answer(test.subset([row.index]))
    a, b = test.inputs[row.index]
    assert isinstance(case.shown, Text)
    assert (case.shown.text, case.truth, case.answer) == (f"{a} + {b}", str(a + b), str(answer["sum"]))


def test_a_forecast_is_shown_after_its_history(tmp_path: Path) -> None:
    predictor, test, evaluation = measured("forecast", tmp_path)
    row = evaluation.worst[0]
    case = predictor.task.presentation.case(test, row)
    assert isinstance(case.shown, Curves)
    history, truth, forecast = case.shown.lines
    number, start = test.starts[row.index].tolist()
    assert truth.y.tolist() == test.series[number].targets[start : start + 2, 0].tolist()
    assert history.y[-1] == test.series[number].targets[start - 1, 0]
    assert len(forecast.y) == 2
    error = np.abs(forecast.y - truth.y).mean() / predictor.task.encoder.deviations[0]
    assert case.error == pytest.approx(error)
    assert case.shown.band is not None


def test_windows_that_overlap_are_alike(tmp_path: Path) -> None:
    predictor, test, evaluation = measured("panel", tmp_path)
    starts = [test.starts[row.index].tolist() for row in evaluation.worst]
    for place, (series, row) in enumerate(starts):
        assert all(series != other or abs(row - other_row) >= 2 for other, other_row in starts[:place])
    presentation = predictor.task.presentation
    assert presentation.alike(test, 0, 1)
    assert not presentation.alike(test, 0, 2)


def test_the_errors_by_row_of_the_horizon_add_up_to_the_whole(tmp_path: Path) -> None:
    _, _, evaluation = measured("forecast", tmp_path)
    by_row = evaluation.figures["mae_by_row"]
    assert np.mean(by_row["model"]) == pytest.approx(evaluation.metrics["mae"])
    assert np.mean(by_row["repeat_last"]) == pytest.approx(evaluation.metrics["repeat_last_mae"])


def test_a_language_model_shows_the_text_that_surprises_it_and_writes_one(tmp_path: Path) -> None:
    predictor, test, evaluation = measured("generate", tmp_path)
    presentation = predictor.task.presentation
    case = presentation.case(test, evaluation.worst[0])
    assert isinstance(case.shown, Text)
    assert case.shown.text in test.inputs[0]
    scores, ids = torch.randn(3, 5), torch.tensor([1, 4, 0])
    name, values = presentation.token_values(scores, ids)  # type: ignore[misc]  # it has one
    assert "nats" in name
    expected = -scores.double().log_softmax(-1)[[0, 1], [4, 0]]
    torch.testing.assert_close(values, torch.cat([torch.tensor([torch.nan]).double(), expected]), equal_nan=True)
    sample = presentation.sample(predictor.model)
    assert sample
    assert sample == presentation.sample(predictor.model)
    assert predictor.task.answering.length == type(predictor.task.answering)().length  # it changes nothing


def test_a_recording_is_shown_with_both_transcripts() -> None:
    recordings = Records(
        [np.random.default_rng(k).random((9, 4), np.float32) for k in range(3)], ["a", "b", "ab"], list("xyz")
    )
    recipe = TranscribeRecipe(name="x", data={"unit": "characters", "audio": {"mel_bins": 4}}, model={"hidden_size": 3})
    task = TranscribeTask.fit(recipe, recordings)
    evaluation = measure(Predictor.of(task, task.build()), recordings, worst=2)
    case = task.presentation.case(recordings, evaluation.worst[0])
    assert case.truth == recordings.targets[evaluation.worst[0].index]  # type: ignore[index]
    assert isinstance(case.shown, Picture)
    assert case.shown.values.shape == (4, 9)
    assert task.presentation.sizes(recordings) == {"recordings": 3, "steps": 27}


def test_numbers_are_curves_or_images() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    rows = numbers(image)
    assert isinstance(rows, Picture)
    assert rows.values.tolist() == image.tolist()
    columns = numbers(image.T, "columns")
    assert isinstance(columns, Picture)
    assert columns.values.tolist() == image.tolist()
    pixels = numbers(np.zeros((16, 1), np.uint8), "pixels")
    assert isinstance(pixels, Picture)
    assert pixels.values.shape == (4, 4)
    assert isinstance(numbers(np.zeros((15, 1), np.uint8), "pixels"), Curves)
    few = numbers(np.ones((5, 2)), names=("x", "y"))
    assert isinstance(few, Curves)
    assert [line.name for line in few.lines] == ["x", "y"]
    many = numbers(np.ones((5, 20)))
    assert isinstance(many, Picture)
    assert many.values.shape == (20, 5)


def test_prefixes_become_rows() -> None:
    rows = by_prefix({"loss": 1.0, "mean_mae": 2.0, "mae": 0.5}, {"mean_": "the mean"})
    assert rows == {"model": {"loss": 1.0, "mae": 0.5}, "the mean": {"mae": 2.0}}
