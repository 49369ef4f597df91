"""Every recipe of the task forecast, small, the whole way; and a table of your own."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from holdfast import experiment, recipes
from holdfast.errors import DataError, OptionError, RecipeError
from holdfast.files import storage
from holdfast.predictor import Predictor

RECIPES = {name: recipes.load(name) for name in recipes.names() if recipes.load(name).task == "forecast"}
FOLDERS = {"airline": "timeseries", "sunspots": "timeseries", "etth1": "ett-small", "stocks": "stocks"}
FILES = {"airline": "Airline.csv", "sunspots": "sunspots.csv", "etth1": "ETTh1.csv", "stocks": "stockdata.csv"}
AFTER = {"airline": "1961-01", "sunspots": 2009, "etth1": "2018-06-26 20:00:00", "stocks": "2016-03-02"}


def test_every_recipe_is_tested_here():
    assert set(RECIPES) == {*FOLDERS, "sine"}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_goes_the_whole_way(name, tmp_path, real_data):
    folder = real_data(FOLDERS[name]) if name in FOLDERS else None
    recipe = recipes.load(name, ["train.limit=small"])
    done = experiment.train(recipe, tmp_path / "run", data_dir=folder)
    assert all(math.isfinite(value) for value in done.results.values())
    assert {"mae", "rmse", "mase", "mse_scaled", "repeat_last_mse_scaled"} <= set(done.results)
    found = experiment.evaluate(done.path, data_dir=folder)
    assert found.metrics == done.results
    assert [line.split("  ")[0] for line in found.details.splitlines()[1:3]] == ["model", "repeat last"]
    assert experiment.train(recipe, done.path, data_dir=folder, resume=True) == done
    if folder is None:
        return
    [answer] = Predictor(done.path).predict([folder / FILES[name]])
    assert answer["times"][0] == AFTER[name]
    columns = recipe.data.target_columns or Predictor(done.path).task.encoder.settings.target_columns
    assert list(answer["values"]) == columns
    assert all(len(row) == len(answer["times"]) == recipe.data.horizon for row in answer["values"].values())


@pytest.mark.parametrize(
    ("name", "metric", "most"), [("sine", "rmse", 0.02), ("airline", "mase", 1.2), ("sunspots", "mase", 1.2)]
)
def test_a_recipe_does_what_it_promises(name, metric, most, tmp_path, real_data):
    folder = real_data(FOLDERS[name]) if name in FOLDERS else None
    done = experiment.train(recipes.load(name), tmp_path / "run", data_dir=folder)
    assert done.results[metric] < most
    naive = "repeat_last" if name == "sine" else "seasonal_naive"
    assert done.results[metric] < done.results[f"{naive}_{metric}"]


QUICK = [
    *('data.train=["own.csv"]', "data.time_column=t", 'data.calendar=["month"]', "data.window=12", "data.horizon=6"),
    *("data.season=12", "model.hidden_size=8", "train.epochs=3", "train.threads=1"),
]


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    (folder / "own.toml").write_text('name = "own"\ntask = "forecast"\n')
    months = [f"{2000 + k // 12}-{k % 12 + 1:02}" for k in range(120)]
    wave = [10 + 3 * math.sin(2 * math.pi * k / 12) for k in range(120)]
    (folder / "own.csv").write_text("t,y\n" + "".join(f"{t},{y}\n" for t, y in zip(months, wave, strict=True)))
    recipe = recipes.load(str(folder / "own.toml"), QUICK)
    return experiment.train(recipe, folder / "run", data_dir=folder), folder


def test_a_killed_run_ends_with_the_same_model(own, tmp_path):
    done, folder = own
    program = (
        "import os, sys; from pathlib import Path; from holdfast import experiment, recipes; "
        "from holdfast.training import loop\n"
        "def stop(session, end=loop._end_epoch):\n"
        "    end(session); session.save()\n"
        "    session.training.step > 6 and os._exit(9)\n"
        "loop._end_epoch = stop\n"
        "recipe = recipes.load(sys.argv[1], sys.argv[4:])\n"
        "experiment.train(recipe, Path(sys.argv[2]), data_dir=Path(sys.argv[3]))"
    )
    arguments = [str(folder / "own.toml"), str(tmp_path / "run"), str(folder), *QUICK]
    assert subprocess.run([sys.executable, "-c", program, *arguments], check=False).returncode == 9
    recipe = recipes.load(str(folder / "own.toml"), QUICK)
    resumed = experiment.train(recipe, tmp_path / "run", data_dir=folder, resume=True)
    ours, theirs = (storage.read(run.path / "model.safetensors", "model")[0] for run in (resumed, done))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert resumed.results == done.results


def test_own_files_are_answered_and_measured(own, tmp_path):
    done, folder = own
    other = tmp_path / "other.csv"
    lines = (folder / "own.csv").read_text().splitlines(keepends=True)
    other.write_text("".join(lines[:80]))
    answers = list(Predictor(done.path).predict([folder / "own.csv", other]))
    assert [answer["origin"] for answer in answers] == [str(folder / "own.csv"), str(other)]
    assert answers[0]["times"] == [f"2010-{month:02}" for month in range(1, 7)]
    assert answers[1]["times"][0] == "2006-08"
    assert experiment.evaluate(done.path, [other]).metrics["seasonal_naive_mae"] == pytest.approx(0, abs=1e-9)
    other.write_text("".join(lines[:10]))
    with pytest.raises(DataError, match=r"other.csv has 9 rows; expected at least 12 to forecast from.$"):
        list(Predictor(done.path).predict([other]))
    with pytest.raises(DataError, match=r"other.csv has 9 rows; expected at least 18, 12 to forecast from and 6 to"):
        experiment.evaluate(done.path, [other])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_zoned_series_is_answered_in_its_zone(kind, tmp_path):
    """Across the change of clocks, where the file names the zone."""
    hours = pl.datetime_range(
        datetime(2024, 3, 20), datetime(2024, 3, 30, 23), "1h", time_zone="Europe/Berlin", eager=True
    )
    table = pl.DataFrame({"t": hours, "y": [math.sin(k / 4) for k in range(len(hours))]})
    if kind == "csv":
        table = table.with_columns(t=hours.dt.strftime("%Y-%m-%d %H:%M%:z"))
        table.write_csv(tmp_path / "a.csv")
        last = table["t"][-1]
        following = ["2024-03-31 00:00+01:00", "2024-03-31 01:00+01:00", "2024-03-31 02:00+01:00"]
        assert last == "2024-03-30 23:00+01:00"
    else:
        table.write_parquet(tmp_path / "a.parquet")
        following = ["2024-03-31T00:00:00+01:00", "2024-03-31T01:00:00+01:00", "2024-03-31T03:00:00+02:00"]
    (tmp_path / "own.toml").write_text('name = "own"\ntask = "forecast"\n')
    settings = [
        *(f'data.train=["a.{kind}"]', "data.time_column=t", 'data.calendar=["weekday"]', "data.window=12"),
        *("data.horizon=3", 'data.split=["2024-03-28","2024-03-29"]', "model.hidden_size=4", "train.epochs=1"),
    ]
    recipe = recipes.load(str(tmp_path / "own.toml"), settings)
    done = experiment.train(recipe, tmp_path / "run", data_dir=tmp_path)
    predictor = Predictor(done.path)
    [answer] = predictor.predict([tmp_path / f"a.{kind}"])
    assert answer["times"] == following
    assert [line.split(",")[0] for line in predictor.task.text(answer).splitlines()] == ["time", *following]
    test = predictor.task.load(recipe, tmp_path).test
    assert test.series[0].times.as_json()[int(test.starts[0, 1])].startswith("2024-03-29")
    assert test.series[0].times.local[test.starts[0, 1]] == np.datetime64("2024-03-29T00:00")


def test_a_series_with_gaps_is_trained_on_measured_and_continued(tmp_path):
    values = [f"{10 + 3 * math.sin(2 * math.pi * k / 12):.2f}".replace(".", ",") for k in range(120)]
    for gap in (5, 6, 40, 100, 119):
        values[gap] = "-"
    lines = [f"{k // 12 + 2000}-{k % 12 + 1:02};{value}\n" for k, value in enumerate(values)]
    (tmp_path / "own.csv").write_text("t;y\n" + "\n".join(lines))
    (tmp_path / "own.toml").write_text('name = "own"\ntask = "forecast"\n')
    for missing, method in [("mask", "direct"), ("interpolate", "direct"), ("previous", "recursive")]:
        settings = [*QUICK, f"data.missing={missing}", f"model.method={method}"]
        recipe = recipes.load(str(tmp_path / "own.toml"), settings)
        done = experiment.train(recipe, tmp_path / f"run-{missing}", data_dir=tmp_path)
        assert all(math.isfinite(value) for value in done.results.values())
        assert experiment.evaluate(done.path, data_dir=tmp_path).metrics == done.results
        [answer] = Predictor(done.path).predict([tmp_path / "own.csv"])
        assert answer["times"] == [f"2010-{month:02}" for month in range(1, 7)]
        assert all(map(math.isfinite, answer["values"]["y"]))
    recipe = recipes.load(str(tmp_path / "own.toml"), [*QUICK, "data.missing=mask", "model.method=recursive"])
    with pytest.raises(RecipeError, match=r'^data.missing = "mask" does not go with model.method = "recursive"'):
        experiment.train(recipe, tmp_path / "run", data_dir=tmp_path)


def test_the_command_line_prints_and_draws(own, tmp_path):
    done, folder = own
    command = [sys.executable, "-c", "from holdfast.cli import main; main()", "predict", str(done.path)]
    arguments = [str(folder / "own.csv"), "--plot", str(tmp_path / "out.png")]
    shown = subprocess.run([*command, *arguments], capture_output=True, text=True, check=True)
    assert len(json.loads(shown.stdout)["values"]["y"]) == 6
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    text = subprocess.run([*command, arguments[0], "--text"], capture_output=True, text=True, check=True).stdout
    assert text.startswith("time,y\n2010-01,")
    assert len(text.splitlines()) == 7


def test_a_task_without_pictures_says_so(tmp_path):
    done = experiment.train(recipes.load("digits", ["train.limit=small", "train.max_steps=1"]), tmp_path / "run")
    predictor = Predictor(done.path)
    with pytest.raises(OptionError, match=r"^The answers of a model for the task 'classify' are not drawn; leave out"):
        predictor.task.plot(None, [])


def test_the_sample_in_the_docs_is_trained_and_continued(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOLDFAST_DATA", raising=False)
    docs = (Path(__file__).resolve().parents[2] / "docs" / "forecast.md").read_text("utf-8")
    program = re.findall(r"^```python\n(.*?)^```", docs, re.M | re.S)[0]
    exec(compile(program, "docs/forecast.md", "exec"), {})
    table = re.findall(r"^```toml\n(.*?)^```", docs, re.M | re.S)[0]
    Path("visitors.toml").write_text(table)
    recipe = recipes.load("visitors.toml", ["train.threads=1"])
    done = experiment.train(recipe, Path("run"))
    assert done.results["mae"] < done.results["seasonal_naive_mae"] < done.results["repeat_last_mae"]
    [answer] = Predictor(done.path).predict(["visitors.csv"])
    assert answer["times"] == [f"2024-02-{day:02}" for day in range(5, 12)]
    assert set(answer["values"]) == set(answer["quantiles"]) == {"north", "south"}
