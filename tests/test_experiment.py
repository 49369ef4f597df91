import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from holdfast import experiment, recipes
from holdfast.data import load
from holdfast.errors import DataError, ModelFileError, RecipeError
from holdfast.files import storage
from holdfast.predictor import Predictor
from holdfast.tasks import model_file

QUICK = ["train.epochs=2", "model.hidden_size=12", "data.limit=240", "train.seed=3", "train.threads=1"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "digits"
    return experiment.train(recipes.load("digits", QUICK), out)


def test_a_run_directory_holds_recipe_history_checkpoint_and_model(run):
    assert {path.name for path in run.path.iterdir()} >= {
        "recipe.toml",
        "history.jsonl",
        "checkpoint.safetensors",
        "model.safetensors",
        "results.toml",
    }
    assert recipes.load(str(run.path / "recipe.toml")) == recipes.load(
        "digits", [*QUICK, "train.chunks=1", "data.storage=memory"]
    )
    rows = [json.loads(line) for line in (run.path / "history.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows if row["event"] == "epoch"] == [1, 2]
    assert run.epochs == 2


def test_evaluating_the_run_gives_the_figures_that_training_ended_with(run):
    assert experiment.evaluate(run.path).metrics == run.results
    assert "confusion" in experiment.evaluate(run.path).details


def test_training_again_gives_the_same_bits_and_another_seed_others(run, tmp_path):
    again = experiment.train(recipes.load("digits", QUICK), tmp_path / "again")
    other = experiment.train(recipes.load("digits", [*QUICK, "train.seed=4"]), tmp_path / "other")
    weights = [storage.read(r.path / "model.safetensors", "model")[0] for r in (run, again, other)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not torch.equal(weights[0]["output.weight"], weights[2]["output.weight"])
    assert again.results == run.results


def test_resuming_a_finished_run_returns_at_once_with_the_same_results(run):
    again = experiment.train(recipes.load("digits", QUICK), run.path, resume=True)
    assert again == run


def test_predicting_files_agrees_with_predicting_in_memory(run, tmp_path):
    recipe = recipes.load("digits", QUICK)
    test = load(recipe.data, None, recipe.train.seed).test
    predictor = Predictor(run.path)
    in_memory = list(predictor.answer(test.subset(range(5))))
    paths = []
    for k in range(5):
        paths.append(tmp_path / f"{k}.png")
        Image.fromarray(np.asarray(test.inputs[k], np.uint8)).save(paths[-1])
    from_files = list(predictor.predict(paths))
    assert [answer["origin"] for answer in from_files] == [str(path) for path in paths]
    for a, b in zip(from_files, in_memory, strict=True):
        assert a["label"] == b["label"]
        assert a["probabilities"] == pytest.approx(b["probabilities"], abs=1e-6)


def test_answers_do_not_depend_on_the_batch(run):
    recipe = recipes.load("digits", QUICK)
    some = load(recipe.data, None, recipe.train.seed).test.subset(range(7))
    predictor = Predictor(run.path)
    for a, b in zip(predictor.answer(some, batch_size=3), predictor.answer(some), strict=True):
        assert a["probabilities"] == pytest.approx(b["probabilities"], abs=1e-6)


def test_evaluating_own_files(run, tmp_path):
    recipe = recipes.load("digits", QUICK)
    test = load(recipe.data, None, recipe.train.seed).test.subset(range(20))
    np.savez(tmp_path / "mine.npz", inputs=test.inputs, labels=test.labels)
    found = experiment.evaluate(run.path, [tmp_path / "mine.npz"])
    hits = [a["label"] == label for a, label in zip(Predictor(run.path).answer(test), test.labels, strict=True)]
    assert found.metrics["accuracy"] == pytest.approx(np.mean(hits))
    np.savez(tmp_path / "bare.npz", inputs=test.inputs)
    with pytest.raises(DataError, match="have no labels"):
        experiment.evaluate(run.path, [tmp_path / "bare.npz"])


def test_a_lone_model_file_predicts_and_asks_for_files_to_be_measured_on(run, tmp_path):
    lone = tmp_path / "lone.safetensors"
    lone.write_bytes((run.path / "model.safetensors").read_bytes())
    assert Predictor(lone).task.encoder.labels.classes == list("0123456789")
    with pytest.raises(DataError, match="is a model without a run: name the files to measure it on"):
        experiment.evaluate(lone)


def test_report_first_measures_the_first_test_sequences_too(tmp_path):
    done = experiment.train(recipes.load("digits", [*QUICK, "train.epochs=1", "train.report_first=10"]), tmp_path / "r")
    assert done.results["first_10_accuracy"] * 10 == pytest.approx(round(done.results["first_10_accuracy"] * 10))
    assert set(done.results) == {f"{p}{n}" for p in ("", "first_10_") for n in ("loss", "accuracy", "macro_f1")}


def test_a_summary_of_a_run_and_of_its_recipe_count_alike(run):
    of_run = experiment.summary(str(run.path))
    of_recipe = experiment.summary("digits", QUICK)
    assert of_run == of_recipe
    assert of_run.total == 2 * 4 * 12 * (8 + 12 + 2) + 24 * 10 + 10
    with pytest.raises(RecipeError, match="is a trained model; --set goes with a recipe"):
        experiment.summary(str(run.path), ["train.epochs=1"])


def test_the_folder_of_a_run_nobody_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert experiment.run_folder("digits") == Path("runs/digits")
    assert experiment.run_folder("digits", resume=True) == Path("runs/digits")
    for name in ("digits", "digits-2", "digits-3"):
        Path("runs", name).mkdir(parents=True)
        (Path("runs", name) / "recipe.toml").write_text("a run that never began, for want of data, takes no place")
    for name in ("digits", "digits-2"):
        (Path("runs", name) / "history.jsonl").write_text("")
    assert experiment.run_folder("digits") == Path("runs/digits-3")
    assert experiment.run_folder("digits", resume=True) == Path("runs/digits-2")


def edited(run, tmp_path, change_document=None, change_tensors=None):
    tensors, document = storage.read(run.path / "model.safetensors", "model")
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    if change_document:
        change_document(document)
    if change_tensors:
        change_tensors(tensors)
    path = tmp_path / "edited.safetensors"
    storage.write(path, tensors, document, "model")
    return path


def test_hostile_and_damaged_model_files_end_in_one_error_that_names_them(run, tmp_path):
    def fails(path, message):
        with pytest.raises(ModelFileError, match=message):
            model_file.load(path)

    fails(tmp_path / "absent", "absent is not there")
    fails(tmp_path, r"holds no model\.safetensors: it is not the folder of a finished run")
    whole = (run.path / "model.safetensors").read_bytes()
    cut = tmp_path / "cut.safetensors"
    for size in (0, 7, 100, len(whole) - 1):
        cut.write_bytes(whole[:size])
        fails(cut, r"cut\.safetensors is truncated")
    fails(run.path / "checkpoint.safetensors", "is a checkpoint; expected a model")
    newer = tmp_path / "newer.safetensors"
    newer.write_bytes(whole.replace(b'"holdfast_format":"3"', b'"holdfast_format":"7"'))
    fails(newer, r"newer\.safetensors has format version 7; this Holdfast reads up to 3: upgrade holdfast")

    def reshape(tensors):
        tensors["output.weight"] = torch.zeros(3, 3)

    fails(
        edited(run, tmp_path, change_tensors=reshape), r"has tensor 'output\.weight' of shape \(3, 3\); .* \(10, 24\)"
    )
    fails(edited(run, tmp_path, lambda d: d.update(task="clasify")), "task 'clasify': did you mean 'classify'")
    fails(edited(run, tmp_path, lambda d: d.pop("encoder")), "edited.safetensors is damaged: it has no 'encoder'")
    fails(edited(run, tmp_path, lambda d: d["model"].update(hidden_size="x")), "edited.safetensors is damaged")
    fails(edited(run, tmp_path, lambda d: d["model"].update(options={"pickle": 1})), "LSTM has no option 'pickle'")


def killed_once(out):
    """Trains in a process of its own, which is killed without warning soon after its first checkpoint."""
    program = (
        "import sys, pathlib; from holdfast import experiment, recipes;"
        f"experiment.train(recipes.load('digits', {[*QUICK, 'train.epochs=6', 'train.checkpoint_seconds=0']!r}),"
        f"pathlib.Path({str(out)!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "OMP_NUM_THREADS": "1"})
    while process.poll() is None and not (out / "checkpoint.safetensors").exists():
        pass
    process.kill()
    process.wait()


def test_a_run_killed_and_resumed_ends_with_the_same_model(tmp_path):
    recipe = recipes.load("digits", [*QUICK, "train.epochs=6", "train.checkpoint_seconds=0"])
    killed_once(tmp_path / "killed")
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    resumed = experiment.train(recipe, tmp_path / "killed", resume=True)
    whole = experiment.train(recipe, tmp_path / "whole")
    assert resumed.results == whole.results
    ours, theirs = (storage.read(r.path / "model.safetensors", "model")[0] for r in (resumed, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_model_that_reads_files_says_so_when_given_lines_or_nothing(run):
    predictor = Predictor(run.path)
    with pytest.raises(DataError, match="A model for the task 'classify' reads files, not lines of text"):
        list(predictor.predict_lines(["1 2 3"]))
    with pytest.raises(DataError, match="No files were given to read; expected at least one"):
        list(predictor.predict([]))


def test_an_option_that_the_task_has_not_is_an_error(run):
    with pytest.raises(RecipeError, match="There is no key 'beam': known are"):
        Predictor(run.path, options=["beam=5"])
