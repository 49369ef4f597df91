"""Runs beside each other."""

import math

import pytest

from holdfast import experiment, recipes
from holdfast.errors import OptionError, RunError
from holdfast.inspect.comparison import compare, epochs_table, spreads
from holdfast.training.finished_run import FinishedRun

QUICK = ["train.epochs=2", "model.hidden_size=8", "data.limit=150", "train.threads=1", "data.validation=0.2"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for name, more in {"plain": [], "gru": ["model.cell=gru", "train.epochs=1"]}.items():
        experiment.train(recipes.load("digits", [*QUICK, *more]), folder / name)
    return folder


def test_only_the_keys_that_differ_are_shown_with_the_results_of_each_run(runs):
    compared = compare([runs / "plain", runs / "gru"])
    assert compared.differing == ("model.cell", "train.epochs")
    assert compared.metrics == ("loss", "accuracy", "macro_f1")
    first, second = compared.as_dicts()
    assert first["recipe"] == {"model.cell": "lstm", "train.epochs": 2}
    assert second["results"] == experiment.evaluate(runs / "gru").metrics
    head, rule, *lines = str(compared).splitlines()
    assert head.split("  ")[0] == "run"
    assert len(lines) == 2
    assert "gru" in lines[1]
    assert f"{second['results']['accuracy']:.4f}" in lines[1]
    assert len({*map(len, (head, *lines))}) == 1
    assert set(rule) == {"-"}


def test_a_folder_stands_for_the_runs_in_it(runs):
    assert [run.path for run in compare([runs]).runs] == [runs / "gru", runs / "plain"]


def test_a_run_whose_results_are_missing_has_a_dash(runs, tmp_path):
    unfinished = tmp_path / "unfinished"
    experiment.train(recipes.load("digits", QUICK), unfinished)
    (unfinished / "results.toml").unlink()
    compared = compare([runs / "plain", unfinished])
    assert compared.as_dicts()[1]["results"] is None
    assert str(compared).splitlines()[-1].split()[-6:-3] == ["-", "-", "-"]


def test_a_run_named_twice_and_a_folder_without_a_run_are_errors(runs, tmp_path):
    with pytest.raises(RunError, match="named more than once"):
        compare([runs, runs / "gru"])
    with pytest.raises(RunError, match=r"There is no run in .*nothing\. Give a folder that `holdfast train` wrote"):
        compare([tmp_path / "nothing"])


def test_the_table_of_epochs_has_a_line_per_epoch_and_marks_the_best(runs):
    run = FinishedRun.read(runs / "plain")
    head, _, *lines = epochs_table(run).splitlines()
    assert "validation accuracy" in head
    assert [line.split()[0] for line in lines] == ["1", "2"]
    assert [line.endswith("best") for line in lines] == [row["best"] for row in run.rows]
    assert f"{run.rows[1]['validation']['loss']:.4f}" in lines[1]


def test_the_curves_are_written_as_a_picture(runs, tmp_path):
    compare([runs]).draw(tmp_path / "curves.svg", "accuracy")
    first = (tmp_path / "curves.svg").read_bytes()
    assert b"</svg>" in first
    compare([runs]).draw(tmp_path / "again.svg", "accuracy")
    assert (tmp_path / "again.svg").read_bytes() == first
    with pytest.raises(OptionError, match="no metric 'acuracy': did you mean 'accuracy'"):
        compare([runs]).draw(tmp_path / "curves.svg", "acuracy")
    with pytest.raises(OptionError, match=r"curves\.docx cannot be written"):
        compare([runs]).draw(tmp_path / "curves.docx")


def test_mean_and_deviation_are_those_of_a_sample():
    spread = spreads([{"loss": 1.0}, {"loss": 2.0}, {"loss": 3.0}])["loss"]
    assert (spread.mean, spread.deviation, spread.values) == (2.0, 1.0, (1.0, 2.0, 3.0))
    assert spreads([{"loss": 1.0}])["loss"].deviation == 0
    assert math.isnan(spreads([{"loss": math.nan}, {"loss": 1.0}])["loss"].mean)
