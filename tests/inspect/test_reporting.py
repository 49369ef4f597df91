"""The report and the card of a run: written at its end and by commands, never at the cost of the run."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from holdfast import experiment, recipes
from holdfast.errors import HoldfastWarning, RunError
from holdfast.inspect import reporting
from holdfast.inspect.report import LARGEST
from holdfast.predictor import Predictor

QUICK = ["train.epochs=2", "model.hidden_size=6", "data.limit=200", "train.threads=1"]


@pytest.fixture
def _reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_REPORT", "1")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOLDFAST_REPORT", "1")
        return experiment.train(recipes.load("digits", QUICK), tmp_path_factory.mktemp("runs") / "digits").path


def text(page: Path) -> str:
    body = re.sub(r"<style>.*?</style>|<script.*?</script>", "", page.read_text("utf-8"), flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def test_a_run_ends_with_its_report(run: Path) -> None:
    page = run / "report.html"
    assert page.stat().st_size < LARGEST
    words = text(page)
    for part in (
        "What was trained on what",
        "How it learned",
        "How good it is",
        "What is inside",
        "The rest of the recipe",
    ):
        assert part in words
    assert "160 sequences" in words or "200 sequences" in words
    assert "cross-entropy" in words
    assert "model.hidden_size" in words
    assert "native" in words


def test_the_command_gives_the_same_bytes_as_the_end_of_the_run(run: Path, tmp_path: Path) -> None:
    written = (run / "report.html").read_bytes()
    assert reporting.report(run, out=tmp_path / "a.html").read_bytes() == written
    assert (
        reporting.write_card(run, out=tmp_path / "a.md").read_bytes()
        == reporting.write_card(run, out=tmp_path / "b.md").read_bytes()
    )


def test_it_does_not_depend_on_the_folder(run: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(run, moved)
    assert reporting.report(moved, out=tmp_path / "moved.html").read_bytes() == (run / "report.html").read_bytes()


def test_other_files_are_measured_instead(run: Path, tmp_path: Path) -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    np.savez(tmp_path / "own <b>.npz", X=rng.integers(0, 256, (30, 8, 8)).astype(np.uint8), y=np.arange(30) % 10)
    page = reporting.report(run, [tmp_path / "own <b>.npz"], out=tmp_path / "own.html")
    words = text(page)
    assert "Measured on own &lt;b&gt;.npz." in words
    measured = experiment.evaluate(run, [tmp_path / "own <b>.npz"]).metrics
    assert f"{measured['accuracy']:.4f}" in words
    assert str(tmp_path) not in page.read_text("utf-8")


@pytest.mark.usefixtures("_reports")
def test_the_setting_and_the_variable_switch_it_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = [*QUICK, "train.epochs=1"]
    off = experiment.train(recipes.load("digits", [*quick, "train.report=false"]), tmp_path / "off").path
    assert not (off / "report.html").exists()
    monkeypatch.setenv("HOLDFAST_REPORT", "0")
    assert not (experiment.train(recipes.load("digits", quick), tmp_path / "env").path / "report.html").exists()


@pytest.mark.usefixtures("_reports")
def test_a_report_that_fails_is_a_warning_and_the_run_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("no pictures today")

    monkeypatch.setattr(reporting, "gather", fails)
    folder = tmp_path / "my run"
    command = re.escape(f"Draw it again with `holdfast report '{folder}'`.")
    with pytest.warns(HoldfastWarning, match=rf"is complete, but .* ZeroDivisionError: no pictures today\. {command}"):
        done = experiment.train(recipes.load("digits", [*QUICK, "train.epochs=1"]), folder)
    assert not (folder / "report.html").exists()
    assert experiment.evaluate(folder).metrics == done.results
    monkeypatch.undo()
    assert reporting.report(folder) == folder / "report.html"


@pytest.mark.usefixtures("_reports")
def test_resuming_an_ended_run_draws_the_report_again(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "again"
    shutil.copytree(run, folder)
    (folder / "report.html").unlink()
    experiment.train(recipes.load("digits", QUICK), folder, resume=True)
    assert (folder / "report.html").read_bytes() == (run / "report.html").read_bytes()


def test_without_its_data_a_report_says_so_and_has_the_rest(tmp_path: Path) -> None:
    rows = "".join(f"{k},{'yes' if k % 2 else 'no'}\n" for k in range(40))
    data = tmp_path / "data"
    data.mkdir()
    (data / "train.csv").write_text(f"x,label\n{rows}")
    table = {"name": "x", "task": "classify", "data": {"train": ["train.csv"]}}
    recipe = recipes.from_dict({**table, "model": {"hidden_size": 3}, "train": {"epochs": 1, "threads": 1}}, "x")
    folder = experiment.train(recipe, tmp_path / "run", data_dir=data).path
    shutil.rmtree(data)
    words = text(reporting.report(folder))
    assert "The test data could not be read." in words
    assert "which is not there any more" in words
    assert "How it learned" in words
    assert "The worst mistakes" not in words
    assert "test accuracy" in words  # from results.toml


def test_a_run_of_a_version_that_recorded_less_says_what_is_missing(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    shutil.copytree(run, folder)
    old = (folder / "results.toml").read_text().partition("\n")[2].partition("\n[sizes")[0]
    (folder / "results.toml").write_text(old + "\n")
    words = text(reporting.report(folder))
    assert "The run did not record its engines" in words
    assert "The run did not record the versions" in words
    assert "native" in words


def test_a_run_that_has_not_ended_has_no_report(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "begun"
    shutil.copytree(run, folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(RunError, match=r"has not ended, so there is no model to report on\. Resume it: holdfast train"):
        reporting.report(folder)
    with pytest.raises(RunError, match="There is no run in"):
        reporting.report(tmp_path)


def test_a_page_that_cannot_be_written_is_an_error(run: Path, tmp_path: Path) -> None:
    for write in (reporting.report, reporting.write_card):
        with pytest.raises(RunError, match=r"cannot be written: .* Choose another --out\."):
            write(run, out=tmp_path / "no folder" / "x")


def test_the_card_of_a_run_is_beside_its_model(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    card = reporting.write_card(folder).read_text("utf-8")
    assert card.startswith("---\nlibrary_name: holdfast\n")
    assert "# digits" in card
    assert Predictor(folder).task.name in card
