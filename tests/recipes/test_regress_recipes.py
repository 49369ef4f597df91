"""Every recipe of the task regress, small, the whole way; what they promise; and the page of the task."""

from __future__ import annotations

import json
import math
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from holdfast import experiment, recipes
from holdfast.cli import main
from holdfast.files import storage
from holdfast.predictor import Predictor
from holdfast.tasks.regress.settings import RegressData, RegressModel

RECIPES = [name for name in recipes.names() if recipes.load(name).task == "regress"]
DOCS = (Path(__file__).resolve().parents[2] / "docs" / "regress.md").read_text("utf-8")


def test_every_recipe_is_tested_here_and_in_the_docs() -> None:
    assert RECIPES == ["adding", "cosine", "covid3month"]
    assert all(f"| `{name}` |" in DOCS for name in RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_goes_the_whole_way(name: str, tmp_path: Path, real_data: Any) -> None:
    folder = real_data("ucr") if name == "covid3month" else None
    recipe = recipes.load(name, ["train.limit=small"])
    done = experiment.train(recipe, tmp_path / "run", data_dir=folder)
    assert all(math.isfinite(value) for value in done.results.values())
    assert {"mae", "rmse", "r2", "mean_mae", "mean_rmse"} <= set(done.results)
    assert ("repeat_last_mae" in done.results) == (name == "cosine")
    found = experiment.evaluate(done.path, data_dir=folder)
    assert found.metrics == done.results
    assert found.figures["targets"]["target"]["model"]["mae"] == done.results["mae"]
    assert experiment.train(recipe, done.path, data_dir=folder, resume=True) == done


def test_the_cosine_follows_the_sine(tmp_path: Path) -> None:
    done = experiment.train(recipes.load("cosine"), tmp_path / "run")
    assert done.results["rmse"] < 0.05 < done.results["repeat_last_rmse"]


def test_a_known_set_is_predicted_better_than_by_the_mean(tmp_path: Path, real_data: Any) -> None:
    folder = real_data("ucr")
    done = experiment.train(recipes.load("covid3month"), tmp_path / "run", data_dir=folder)
    assert done.results["rmse"] < done.results["mean_rmse"]
    answers = list(Predictor(done.path).predict([folder / "Covid3Month_TEST.ts"]))
    assert len(answers) == 61
    assert all(list(answer["values"]) == ["target"] for answer in answers)


@pytest.mark.parametrize("window", [0, 40])
def test_a_killed_run_with_carried_state_ends_with_the_same_model(window: int, tmp_path: Path) -> None:
    quick = ["train.limit=small", "train.max_steps=25", "data.steps=330", f"data.window={window}"]
    program = (
        "import os, sys; from pathlib import Path; from holdfast import experiment, recipes; "
        "from holdfast.training import loop\n"
        "def stop(training, pieces, step=loop.train_step, **wishes):\n"
        "    sums = step(training, pieces, **wishes); training.step > 14 and os._exit(9)\n"
        "    return sums\n"
        "loop.train_step = stop\n"
        "experiment.train(recipes.load('cosine', sys.argv[2:]), Path(sys.argv[1]))"
    )
    often = [*quick, "train.checkpoint_seconds=0"]
    command = [sys.executable, "-c", program, str(tmp_path / "run"), *often]
    assert subprocess.run(command, check=False).returncode == 9
    resumed = experiment.train(recipes.load("cosine", often), tmp_path / "run", resume=True)
    done = experiment.train(recipes.load("cosine", quick), tmp_path / "whole")
    ours, theirs = (storage.read(run.path / "model.safetensors", "model")[0] for run in (resumed, done))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert resumed.results == done.results


# docs/regress.md


@pytest.fixture
def _page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of the page, in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOLDFAST_DATA", raising=False)
    for name, content in re.findall(r"`(\S+)`:\n\n```\w+\n(.*?)^```", DOCS, re.M | re.S):
        (tmp_path / name).write_text(content, "utf-8")
    for program in re.findall(r"^```python\n(.*?)^```", DOCS, re.M | re.S):
        exec(compile(program, "docs/regress.md", "exec"), {})


@pytest.mark.usefixtures("_page")
def test_the_commands_of_the_page_run_in_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    outputs = []
    [console] = re.findall(r"^```console\n(.*?)^```", DOCS, re.M | re.S)
    for line in console.splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        assert words[0] == "holdfast"
        with pytest.raises(SystemExit) as stop:
            main([*words[1:], *(["--set", "train.threads=1", "-q"] if words[1] == "train" else [])])
        assert stop.value.code == 0, line
        outputs.append(capsys.readouterr().out)
    results = dict(re.findall(r"^test (.*): (.*)$", outputs[0], re.M))
    assert float(results["mae"]) < float(results["mean mae"])
    assert "training mean" in outputs[1]
    answers = [json.loads(line) for line in outputs[2].splitlines()]
    assert list(answers[0]["values"]) == ["wear"]
    assert set(answers[0]["quantiles"]["wear"]) == {"0.1", "0.5", "0.9"}
    assert Path("wear.png").stat().st_size > 10_000


@pytest.mark.usefixtures("_page")
def test_the_tables_of_the_page_are_of_recipes() -> None:
    tables = [tomllib.loads(text) for text in re.findall(r"^```toml\n(.*?)^```", DOCS, re.M | re.S)]
    assert len(tables) > 2
    for table in tables:
        RegressData.model_validate(table.get("data", {}))
        RegressModel.model_validate(table.get("model", {}))
