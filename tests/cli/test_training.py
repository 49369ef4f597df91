"""The commands that train several runs and show how they learned."""

import json

import pytest

from command_line import call
from holdfast import experiment

QUICK = ["--threads", "1", "-q"]
for override in ("train.epochs=1", "model.hidden_size=8", "data.limit=150", "data.validation=0.2"):
    QUICK += ["--set", override]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("seeds") / "digits"


def test_several_seeds_give_mean_and_deviation_and_go_on_where_they_stopped(capsys, folder):
    code, out, _ = call(capsys, "train", "digits", *QUICK, "--seeds", 2, "--out", folder, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["runs"] == [str(folder / "seed-0"), str(folder / "seed-1")]
    values = [experiment.evaluate(folder / f"seed-{seed}").metrics["accuracy"] for seed in (0, 1)]
    assert found["test_accuracy"]["values"] == values
    assert found["test_accuracy"]["mean"] == pytest.approx(sum(values) / 2)
    before = (folder / "seed-0" / "model.safetensors").stat().st_mtime_ns

    code, out, _ = call(capsys, "train", "digits", *QUICK, "--seeds", 3, "--out", folder, "--resume")
    assert code == 0
    assert "test accuracy: " in out
    assert " ± " in out
    assert (folder / "seed-0" / "model.safetensors").stat().st_mtime_ns == before
    assert (folder / "seed-2" / "results.toml").exists()

    code, _, err = call(capsys, "train", "digits", *QUICK, "--seeds", 3, "--out", folder)
    assert code == 2
    assert "already holds a run" in err


def test_another_recipe_does_not_pass_for_a_finished_run(capsys, folder):
    again = ["--seeds", 1, "--out", folder, "--resume", "--set", "train.epochs=2"]
    code, _, err = call(capsys, "train", "digits", *QUICK, *again)
    assert code == 2
    assert "train.epochs = 1 there, 2 here" in err


def test_comparing_a_folder_of_seeds(capsys, folder):
    code, out, _ = call(capsys, "compare", folder, "--json")
    rows = json.loads(out)
    assert code == 0
    assert [row["recipe"] for row in rows] == [{"train.seed": seed} for seed in range(len(rows))]
    code, out, _ = call(capsys, "compare", folder / "seed-0", folder / "seed-1")
    assert "train.seed" in out.splitlines()[0]


def test_the_history_of_a_run(capsys, folder, tmp_path):
    code, out, _ = call(capsys, "history", folder / "seed-0")
    assert code == 0
    assert "validation accuracy" in out
    code, out, _ = call(capsys, "history", folder / "seed-0", "--json")
    assert json.loads(out)[0]["event"] == "epoch"
    code, out, _ = call(capsys, "history", folder / "seed-0", "--plot", tmp_path / "loss.png")
    assert (code, out) == (0, "")
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    code, _, err = call(capsys, "history", tmp_path)
    assert code == 2
    assert "There is no run in" in err


def test_tensorboard_files_are_written_beside_the_run(capsys, tmp_path):
    pytest.importorskip("tensorboard")
    code, *_ = call(capsys, "train", "digits", *QUICK, "--out", tmp_path / "run", "--tensorboard")
    assert code == 0
    assert list((tmp_path / "run" / "tensorboard" / "train").iterdir())


def test_live_pictures_lie_in_the_run_where_there_is_no_display(capsys, tmp_path):
    pytest.importorskip("matplotlib")
    run = tmp_path / "run"
    code, _, err = call(capsys, "train", "digits", *QUICK, "--out", run, "--live")
    assert code == 0
    assert f"There is no display: the picture is in {run / 'live.png'}" in err
    assert (run / "live.png").read_bytes().startswith(b"\x89PNG")
