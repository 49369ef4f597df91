from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from holdfast.errors import MissingDataError, RunError
from holdfast.training import History, RunDirectory
from holdfast.training.run_directory import data_folder
from holdfast.training.sealed import read_sealed

RECIPE = {"name": "toy", "train": {"learning_rate": 0.1, "epochs": 3, "bias": None}, "files": ["a", "b"]}


def test_the_recipe_is_kept_as_resolved(tmp_path: Path) -> None:
    with RunDirectory(tmp_path / "a" / "b", RECIPE) as run:
        assert tomllib.loads(run.recipe_path.read_text()) == {
            "name": "toy",
            "files": ["a", "b"],
            "train": {"learning_rate": 0.1, "epochs": 3},
        }
        assert run.history_path == tmp_path / "a" / "b" / "history.jsonl"
        assert run.model_path == tmp_path / "a" / "b" / "model.safetensors"


def test_a_run_is_not_trained_over(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a run")
    with RunDirectory(tmp_path, RECIPE) as run:
        run.history_path.write_text("")
    with pytest.raises(RunError) as error:
        RunDirectory(tmp_path, RECIPE)
    assert str(error.value) == (
        f"{tmp_path} already holds a run (history.jsonl). Resume it by `holdfast train {tmp_path}/recipe.toml "
        f"--out {tmp_path} --resume`, or choose another --out."
    )
    with RunDirectory(tmp_path, RECIPE, resume=True):
        pass


@pytest.mark.parametrize("watch", [False, True])
def test_a_field_that_an_older_version_did_not_have(tmp_path: Path, watch: bool) -> None:
    with RunDirectory(tmp_path, RECIPE):
        pass
    before = {"model.input_noise": 0.0}
    now = {**RECIPE, "model": {"input_noise": "auto"}}
    with RunDirectory(tmp_path, now, resume=True, before=before, watch=watch) as run:
        assert run.recipe["model"] == {"input_noise": 0.0}
    if not watch:
        with pytest.raises(RunError, match=r"model\.input_noise = 0\.0 there, 0\.3 here"):
            RunDirectory(tmp_path, {**RECIPE, "model": {"input_noise": 0.3}}, resume=True, before=before)


def test_a_recipe_alone_is_no_run(tmp_path: Path) -> None:
    with RunDirectory(tmp_path, {"name": "failed before its first update"}):
        pass
    with RunDirectory(tmp_path, RECIPE) as run:
        assert tomllib.loads(run.recipe_path.read_text("utf-8"))["name"] == RECIPE["name"]


def test_resuming_with_another_recipe_lists_what_differs(tmp_path: Path) -> None:
    with RunDirectory(tmp_path, RECIPE):
        pass
    other = {"name": "toy", "train": {"learning_rate": 0.2, "epochs": 3, "seed": 1}}
    with pytest.raises(RunError) as error:
        RunDirectory(tmp_path, other, resume=True)
    assert str(error.value) == (
        f"{tmp_path} holds a run of another recipe: files = ['a', 'b'] there, unset here; train.learning_rate = 0.1 "
        "there, 0.2 here; train.seed = unset there, 1 here. Resume that run by `holdfast train "
        f"{tmp_path}/recipe.toml --out {tmp_path} --resume`, or choose another --out."
    )
    with RunDirectory(tmp_path, RECIPE, resume=True) as run:
        run.recipe_path.write_text("= 1")  # without the first line, as an older Holdfast wrote it
    with pytest.raises(RunError) as error:
        RunDirectory(tmp_path, RECIPE, resume=True)
    assert str(error.value).startswith(f"{tmp_path}/recipe.toml is not TOML: ")


def test_resuming_where_no_run_is_names_those_that_are_there(tmp_path: Path) -> None:
    def refused(path: Path) -> str:
        with pytest.raises(RunError) as error:
            RunDirectory(path, RECIPE, resume=True)
        return str(error.value)

    end = "Leave out --resume to start one there."
    runs = tmp_path / "runs"
    typo, other = runs / "mnits", runs / "else"
    assert refused(typo) == f"There is no run in {typo}. {end}"
    for name in ("mnist", "digits"):
        with RunDirectory(runs / name, RECIPE):
            pass
    assert refused(typo) == f"There is no run in {typo}; near it are {runs / 'mnist'}. {end}"
    assert refused(other) == f"There is no run in {other}; near it are {runs / 'digits'}, {runs / 'mnist'}. {end}"
    assert not typo.exists()
    typo.mkdir()
    assert refused(typo) == f"There is no run in {typo}; near it are {runs / 'mnist'}. {end}"
    (typo / ".lock").touch()  # of a run that was killed before it had written a recipe
    with RunDirectory(typo, RECIPE, resume=True) as run:
        assert run.recipe_path.exists()


def test_a_run_remembers_where_its_data_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, run = tmp_path / "home", tmp_path / "home" / "runs" / "toy"
    (home / "data").mkdir(parents=True)
    monkeypatch.chdir(home)
    with RunDirectory(run, RECIPE):
        assert data_folder(run) is None
    with RunDirectory(run, RECIPE, resume=True, data_dir=Path("data")):
        pass
    monkeypatch.chdir(tmp_path)
    with RunDirectory(run, RECIPE, resume=True):
        assert data_folder(run) == home / "data"
    run.rename(tmp_path / "moved")
    assert data_folder(tmp_path / "moved") == home / "data"
    (tmp_path / "moved").rename(run)
    home.rename(tmp_path / "other")
    moved = tmp_path / "other" / "runs" / "toy"
    found = data_folder(moved)
    assert found is not None
    assert found.samefile(tmp_path / "other" / "data")
    (tmp_path / "other" / "data").rmdir()
    with pytest.raises(MissingDataError) as error:
        data_folder(moved)
    assert str(error.value) == (
        f"The data of {moved} were in {home / 'data'}, which is not there any more. Name the folder where they are "
        "now with --data-dir."
    )


@pytest.mark.parametrize("name", ["recipe.toml", "data.toml"])
def test_a_changed_file_of_a_run_is_noticed(tmp_path: Path, name: str) -> None:
    with RunDirectory(tmp_path, RECIPE, data_dir=tmp_path):
        pass
    path, table = tmp_path / name, read_sealed(tmp_path / name)
    whole = path.read_bytes()
    damages = [whole[:k] + bytes([whole[k] ^ 1 << bit]) + whole[k + 1 :] for k in range(len(whole)) for bit in range(8)]
    damages += [whole[:k] for k in range(1, len(whole))]
    damages += [whole[:k] + bytes(20) + whole[k + 20 :] for k in range(0, len(whole), 20)]
    for damaged in damages:
        path.write_bytes(damaged)
        with pytest.raises(RunError) as error:
            read_sealed(path)
        assert str(error.value).startswith((f"{path} was changed", f"{path} is not TOML"))
    path.write_bytes(whole.replace(b"toy", b"boy").replace(b"folder", b"fodder"))
    with pytest.raises(RunError) as error:
        read_sealed(path)
    assert str(error.value) == (
        f"{path} was changed: its content does not match the SHA-256 in its first line. Restore it; if "
        "you changed it yourself, delete that line."
    )
    path.write_bytes(whole.partition(b"\n")[2])
    assert read_sealed(path) == table


def test_leftovers_of_a_killed_write_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".checkpoint.safetensors.123.tmp").write_text("half")
    (tmp_path / ".mine.tmp").mkdir()
    with RunDirectory(tmp_path, RECIPE):
        assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", ".mine.tmp", "recipe.toml"]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    message = f"{tmp_path} is in use: process {{}} trains into it. Wait until it has ended, or choose another --out."
    with RunDirectory(tmp_path, RECIPE):
        with pytest.raises(RunError) as error:
            RunDirectory(tmp_path, RECIPE, resume=True)
        assert str(error.value) == message.format(os.getpid())
    program = (
        "import sys, time; from holdfast.training import RunDirectory\n"
        "run = RunDirectory(sys.argv[1], {'name': 'x'}); print('locked', flush=True); time.sleep(60)"
    )
    folder = tmp_path / "other"
    process = subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    with pytest.raises(RunError, match=f"is in use: process {process.pid} trains into it"):
        RunDirectory(folder, {"name": "x"}, resume=True)
    process.kill()
    process.communicate()
    with RunDirectory(folder, {"name": "x"}, resume=True):  # the kernel has let go of the lock
        pass


def test_a_folder_that_cannot_be_had(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError) as error:
        RunDirectory(tmp_path / "file", RECIPE)
    assert str(error.value) == (f"{tmp_path}/file cannot be used for a run: File exists. Choose another --out.")


def test_history_is_written_as_it_happens_and_cut_on_resume(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    history = History(path)
    history.epoch({"step": 1, "train": {"loss": float("nan"), "accuracy": 0.5}})
    assert path.read_text() == '{"step": 1, "train": {"loss": null, "accuracy": 0.5}}\n'
    history.epoch({"step": 2})
    history.epoch({"step": 3})
    history.sync()
    with path.open("a") as handle:
        handle.write('{"step": 4, "tr')  # killed in the middle of a line
    resumed = History(path, keep=2)
    assert resumed == history[:2]
    resumed.epoch({"step": 9})
    assert History(path, keep=3) == [*history[:2], {"step": 9}]
    with pytest.raises(RunError) as error:
        History(path, keep=5)
    assert str(error.value) == (
        f"{path} has 3 rows; the checkpoint beside it was written after 5. Restore the file, or start again in another "
        "folder."
    )
    with pytest.raises(RunError) as error:
        History(path, keep=2, digest=history.digest)  # that of three rows
    assert str(error.value) == (
        f"{path} has changed since the checkpoint beside it was written: a row was edited or damaged. Restore the "
        "file, or start again in another folder."
    )
    assert History(path, keep=3, digest=resumed.digest) == [*history[:2], {"step": 9}]
    path.write_text('{"step": 1}\nnonsense\n')
    with pytest.raises(RunError, match=r"history.jsonl, line 2, is not JSON \("):
        History(path, keep=2)
    assert History(path) == []
    assert path.read_text() == ""
