"""The command that draws figures, and the figures of evaluate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command_line import call
from holdfast import experiment, recipes

QUICK = ["train.epochs=2", "model.hidden_size=8", "data.limit=150", "train.threads=1", "train.log_every=3"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return experiment.train(recipes.load("digits", QUICK), tmp_path_factory.mktemp("runs") / "digits").path


def test_without_a_name_it_lists_what_fits(capsys: pytest.CaptureFixture[str], run: Path) -> None:
    code, out, _ = call(capsys, "plot", run)
    assert code == 0
    names = [line.split()[0] for line in out.splitlines()]
    assert names[0] == "confusion"
    assert {"curves", "gates", "spectrum"} <= set(names)
    assert "forecast" not in names
    code, out, _ = call(capsys, "plot", run, "confusion", "--list", "--json")
    assert list(json.loads(out)) == names


def test_a_figure_is_written(
    capsys: pytest.CaptureFixture[str], run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(capsys, "plot", run, "learning-rate")[:2] == (0, "learning-rate.png\n")
    assert Path("learning-rate.png").read_bytes().startswith(b"\x89PNG")
    out = tmp_path / "gates.svg"
    code, printed, _ = call(
        capsys, "plot", run, "gates", "--out", out, "--layer", "recurrent.l0_reverse", "--example", 3
    )
    assert (code, printed) == (0, f"{out}\n")
    assert "Gates of recurrent.l0_reverse" in out.read_text("utf-8")


def test_all_figures(capsys: pytest.CaptureFixture[str], run: Path, tmp_path: Path) -> None:
    code, out, err = call(capsys, "plot", run, "all", "--out", tmp_path / "all", "--json")
    assert code == 0
    written = json.loads(out)
    assert {Path(path).name for path in written.values()} == {path.name for path in (tmp_path / "all").iterdir()}
    assert "lengths" not in written
    assert err == (
        "lengths is left out. Each example has 8 steps; expected examples of different lengths, to draw how the "
        "quality depends on them.\n"
    )


def test_what_cannot_be_drawn(capsys: pytest.CaptureFixture[str], run: Path, tmp_path: Path) -> None:
    code, _, err = call(capsys, "plot", run, "forecast")
    assert code == 2
    assert err.startswith(
        "holdfast: The figure 'forecast' does not fit: it is for the task forecast, and the model is for"
    )
    code, _, err = call(capsys, "plot", run, "gates", "--unit", 8, "--out", tmp_path / "a.png")
    assert (code, err) == (2, "holdfast: There is no unit 8; the layer has the units 0 to 7.\n")
    code, _, err = call(capsys, "plot", run, "gates", "--example", 360, "--out", tmp_path / "a.png")
    assert (code, err) == (2, "holdfast: There is no example 360; the data have the examples 0 to 149.\n")


def test_evaluate_draws_the_main_figure(capsys: pytest.CaptureFixture[str], run: Path, tmp_path: Path) -> None:
    picture = tmp_path / "confusion.svg"
    code, out, _ = call(capsys, "evaluate", run, "--plot", picture, "--json")
    assert code == 0
    accuracy = json.loads(out)["accuracy"]
    assert f"{accuracy:.1%} of 150 are right" in picture.read_text("utf-8")
