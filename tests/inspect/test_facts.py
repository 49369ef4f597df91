"""The facts of a run, for every task."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.tasks.untrained import write

from holdfast import recipes
from holdfast.inspect.card import card
from holdfast.inspect.facts import WORST, circumstances_of, engines_of, gather, settings_of
from holdfast.inspect.measuring import measure
from holdfast.inspect.report import LARGEST, render
from holdfast.layers import LSTM
from holdfast.predictor import Predictor
from holdfast.tasks import TASKS
from holdfast.training.finished_run import FinishedRun
from holdfast.training.sealed import set_values


@pytest.mark.parametrize("name", ["weighted", "regress", "forecast", "panel", "tag", "generate", "translate"])
def test_every_task_has_a_report_and_a_card(name: str, tmp_path: Path) -> None:
    predictor = Predictor(write(name, tmp_path))
    recipe = recipes.load(str(tmp_path / "small.toml"))
    splits = TASKS[recipe.task].load(recipe, tmp_path)
    evaluation = measure(predictor, splits.test, worst=WORST)
    recorded = circumstances_of(predictor.task, predictor.model, splits)
    stored = set_values(recipe.model_dump(mode="json"))
    run = FinishedRun(tmp_path, stored, [], evaluation.metrics, 1, 10, 0.5, recorded)
    facts = gather(run, predictor, splits.test, evaluation)
    assert facts.results == evaluation.metrics
    assert facts.missing == ()
    assert set(recorded.sizes) >= {"train", "test"}
    assert recorded.engines
    assert facts.inside is not None
    assert facts.inside.layers
    page = render(facts)
    assert len(page) < LARGEST
    assert card(facts).startswith("---\n")


def test_the_engine_and_the_reasons_are_those_of_explain() -> None:
    model = torch.nn.Sequential(LSTM(3, 4, engine="reference"))
    (row,) = engines_of(model)
    assert (row["part"], row["engine"]) == ("0, layer 0", "reference")
    assert row["not"]["native"] == "engine='reference' was asked for."
    assert model.training
    assert engines_of(model.eval())[0]["not"] != {}
    assert not model.training


def test_values_that_were_set_come_first_and_are_told_from_chosen_ones() -> None:
    recipe = recipes.load("digits", ["data.validation=auto"]).model_dump(mode="json")
    recipe["data"]["validation"] = 0.1
    settings = {setting.key: setting for setting in settings_of(set_values(recipe))}
    assert (settings["train.epochs"].value, settings["train.epochs"].origin) == ("40", "chosen")
    assert (settings["data.source"].value, settings["data.source"].default) == ('"digits"', '"files"')
    assert settings["data.source"].origin == "set"
    assert settings["model.cell"].origin == "default"
    assert not {key for key in settings if key.startswith(("small", "name", "description"))}
    order = [setting.origin for setting in settings.values()]
    assert order == sorted(order, key=("set", "chosen", "default").index)
