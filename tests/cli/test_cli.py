"""The command line: its commands, what they print, and their exit codes."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import typer
from PIL import Image

from command_line import call
from holdfast.cli import app, main

QUICK = ["--seed", "1", "--threads", "1"]
for override in ("train.epochs=1", "model.hidden_size=8", "data.limit=200"):
    QUICK += ["--set", override]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "run"
    with pytest.raises(SystemExit) as stop:
        main(["train", "digits", *QUICK, "--out", str(folder), "-q"])
    assert stop.value.code == 0
    return folder


def test_training_prints_figures_to_stdout_and_the_rest_to_stderr(capsys, tmp_path):
    code, out, err = call(capsys, "train", "digits", *QUICK, "--out", tmp_path / "run")
    assert code == 0
    assert [line.split(":")[0] for line in out.splitlines()] == ["test loss", "test accuracy", "test macro f1"]
    assert "epoch 1/1" in err
    assert f"holdfast predict {tmp_path / 'run'}" in err


def test_training_with_json_prints_one_object_of_numbers(capsys, tmp_path):
    code, out, err = call(capsys, "train", "digits", *QUICK, "--out", tmp_path / "run", "--json", "--quiet")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert set(found) == {"test_loss", "test_accuracy", "test_macro_f1", "epochs", "updates", "seconds"}
    assert all(isinstance(value, (int, float)) for value in found.values())


def test_a_run_that_is_there_is_not_trained_over(capsys, run):
    before = (run / "model.safetensors").read_bytes()
    code, out, err = call(capsys, "train", "digits", *QUICK, "--out", run)
    assert (code, out) == (2, "")
    assert "already holds a run" in err
    assert "--resume" in err
    assert (run / "model.safetensors").read_bytes() == before


def test_resuming_with_another_recipe_names_the_difference(capsys, run):
    code, _, err = call(capsys, "train", "digits", *QUICK, "--set", "train.epochs=9", "--out", run, "--resume")
    assert code == 2
    assert "train.epochs = 1 there, 9 here" in err


def test_evaluate_prints_metrics_and_the_confusion_matrix(capsys, run):
    code, out, _ = call(capsys, "evaluate", run)
    assert code == 0
    assert out.splitlines()[1].startswith("accuracy: ")
    assert "confusion (rows: label, columns: answer)" in out
    code, out, _ = call(capsys, "evaluate", run, "--json")
    found = json.loads(out)
    assert set(found) == {"loss", "accuracy", "macro_f1", "confusion", "labels"}
    counts = np.array(found["confusion"]["counts"])
    assert found["confusion"]["labels"] == list(found["labels"]) == list("0123456789")
    assert counts.trace() / counts.sum() == pytest.approx(found["accuracy"])
    assert [one["count"] for one in found["labels"].values()] == counts.sum(1).tolist()
    f1 = [one["f1"] for one in found["labels"].values() if one["f1"] is not None]
    assert sum(f1) / len(f1) == pytest.approx(found["macro_f1"])
    assert found["labels"]["3"]["recall"] == pytest.approx(counts[3, 3] / max(1, counts[3].sum()))
    assert found["labels"]["3"]["precision"] == pytest.approx(counts[3, 3] / max(1, counts[:, 3].sum()))
    code, _, err = call(capsys, "evaluate", run, "--set", "beam=5")
    assert code == 2
    assert "beam" in err


def test_predict_writes_files_and_resumes(capsys, run, tmp_path):
    image = tmp_path / "seven.png"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(image)
    code, out, err = call(capsys, "predict", run, image, image, "--out", tmp_path / "answers.jsonl")
    assert (code, out) == (0, "")
    assert "2 of 2 rows in" in err
    assert (tmp_path / "answers.jsonl").read_text() == call(capsys, "predict", run, image, image)[1]
    for expected in ("1 of 1 rows in", "All 1 rows were done before."):
        code, _, err = call(capsys, "predict", run, image, "--out", tmp_path / "answers", "--shard", "1/1")
        assert (code, expected in err) == (0, True)
    assert call(capsys, "predict", run, image, "-q", "--out", tmp_path / "quiet.csv") == (0, "", "")


def test_predict_options_that_need_one_another(capsys, run):
    code, _, err = call(capsys, "predict", run, "x.png", "--shard", "1/2")
    assert (code, "--shard, --keep, --on-error, " in err, "need --out" in err) == (2, True, True)
    code, _, err = call(capsys, "predict", run, "-", "--out", "x.csv")
    assert (code, "leave out --text, --plot and -" in err) == (2, True)


def test_predict_prints_a_json_line_a_sequence(capsys, run, tmp_path):
    image = tmp_path / "digit.png"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(image)
    code, out, err = call(capsys, "predict", run, image, image)
    answers = [json.loads(line) for line in out.splitlines()]
    assert (code, err, len(answers)) == (0, "", 2)
    assert answers[0]["origin"] == str(image)
    assert answers[0]["label"] in answers[0]["probabilities"]
    assert len(answers[0]["probabilities"]) == 10


def test_a_file_of_the_wrong_size_is_one_clear_error(capsys, run, tmp_path):
    image = tmp_path / "wide.png"
    Image.fromarray(np.zeros((8, 9), np.uint8)).save(image)
    code, out, err = call(capsys, "predict", run, image)
    assert (code, out) == (2, "")
    assert err == (
        f"holdfast: {image} has 9 values per step; the model was trained on 8. Give images of the same size and "
        "layout, or files with the same columns.\n"
    )


def test_summary_of_a_recipe_and_of_a_run(capsys, run):
    code, out, _ = call(capsys, "summary", "digits", "--set", "model.hidden_size=8")
    assert code == 0
    assert "recurrent (LSTM)" in out
    assert "Total parameters: 1,322 (1,322 trainable)" in out
    code, out, _ = call(capsys, "summary", run, "--json")
    assert json.loads(out)["parameters"] == 1322


def test_recipes_are_listed_and_shown(capsys):
    code, out, _ = call(capsys, "recipes")
    assert code == 0
    assert any(line.startswith("digits  ") for line in out.splitlines())
    code, out, _ = call(capsys, "recipes", "--json")
    assert "mnist" in json.loads(out)
    code, out, _ = call(capsys, "recipes", "show", "digits")
    assert out.startswith('name = "digits"')
    code, out, _ = call(capsys, "recipes", "show", "digits", "--resolved")
    assert "checkpoint_seconds = 30" in out


@pytest.mark.parametrize("command", ["", "train", "evaluate", "predict", "summary", "recipes", "cache", "doctor"])
def test_help_teaches_by_example_and_loads_nothing_heavy(command):
    program = (
        "import sys\nfrom holdfast.cli import main\n"
        f"try:\n    main([*{[command] if command else []!r}, '--help'])\n"
        "except SystemExit as stop:\n"
        "    print([name for name in ('torch', 'sklearn') if name in sys.modules], stop.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "holdfast " + (command or "recipes") in done.stdout
    assert done.stdout.splitlines()[-1] == "[] 0"


def test_every_word_of_the_help_is_printed(capsys, monkeypatch):
    """Brackets in it are not taken for markup."""
    monkeypatch.setenv("COLUMNS", "400")
    commands = typer.main.get_command(app).commands
    assert len(commands) > 5
    for name, command in commands.items():
        _, out, _ = call(capsys, name, "--help")
        for parameter in command.params:
            text = (parameter.help or "").replace("\\[", "[")
            assert text in " ".join(out.split()), f"{name}: {text}"
    assert "the recipe's [predict] table" in " ".join(call(capsys, "predict", "--help")[1].split())


def test_a_description_is_printed_as_it_is(capsys, tmp_path):
    text = 'name = "x"\ndescription = "Of [bold]a[/bold] :smile: [link."\n[data]\nsource = "digits"\nlimit = 100\n'
    (tmp_path / "x.toml").write_text(text + "[model]\nhidden_size = 4\n[train]\nepochs = 1\n")
    out = tmp_path / "a [red] run"
    code, _, err = call(capsys, "train", tmp_path / "x.toml", "--out", out)
    assert code == 0
    assert err.startswith("x: Of [bold]a[/bold] :smile: [link.\n")
    assert f"The model is in {out}: try `holdfast evaluate '{out}'`" in err


def test_what_the_file_system_refuses_is_one_message(capsys, tmp_path, run, monkeypatch):
    (tmp_path / "file").write_text("")
    code, _, err = call(capsys, "train", "digits", *QUICK, "--out", tmp_path / "file" / "run", "-q")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "cannot be used for a run: Not a directory. Choose another --out." in err
    code, _, err = call(capsys, "train", "x" * 300 + ".toml")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "cannot be read: File name too long" in err
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "history.jsonl").mkdir()
    code, _, err = call(capsys, "train", "digits", *QUICK, "--out", tmp_path / "full", "-q")
    assert (code, len(err.splitlines())) == (2, 1)
    for name in ("model.safetensors", "recipe.toml", "data.toml"):  # folders in the place of files
        folder = tmp_path / name
        shutil.copytree(run, folder)
        (folder / name).unlink(missing_ok=True)
        (folder / name).mkdir()
        code, _, err = call(capsys, "evaluate", folder)
        assert (code, len(err.splitlines())) == (2, 1)
        assert f"{folder / name} cannot be read: Is a directory" in err

    def full(*_):
        raise OSError(28, "No space left on device", "history.jsonl")

    monkeypatch.setattr("holdfast.training.history.os.fsync", full)
    code, _, err = call(capsys, "train", "digits", *QUICK, "--out", tmp_path / "disk", "-q")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "No space left on device" in err


def test_too_little_memory_is_one_message(capsys, tmp_path):
    size = ["--set", f"model.hidden_size={2**24}"]
    code, _, err = call(capsys, "train", "digits", *QUICK, *size, "--out", tmp_path / "run", "-q")
    assert (code, err) == (
        2,
        "holdfast: There is not enough memory for this. Make the model, the batch or the data smaller.\n",
    )


def test_a_run_finds_its_data_again(capsys, tmp_path, monkeypatch):
    """Trained with --data-dir or from the working directory, measured from elsewhere, moved, and with the data gone."""
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (home / "data").mkdir(parents=True)
    rows = "".join(f"{k % 2},{k % 3},{'even' if k % 2 == 0 else 'odd'}\n" for k in range(60))
    (home / "data" / "train.csv").write_text("a,b,label\n" + rows)
    recipe = 'name = "x"\n[data]\ntrain = ["train.csv"]\n[model]\nhidden_size = 4\n[train]\nepochs = 1\n'
    (home / "x.toml").write_text(recipe)
    monkeypatch.delenv("HOLDFAST_DATA", raising=False)
    monkeypatch.chdir(home)
    assert call(capsys, "train", "x.toml", "--data-dir", "data", "-q")[0] == 0
    monkeypatch.chdir(home / "data")
    assert call(capsys, "train", "../x.toml", "--out", "../runs/here", "-q")[0] == 0
    monkeypatch.setenv("HOLDFAST_DATA", str(elsewhere))  # what a run remembers is stronger
    monkeypatch.chdir(elsewhere)
    right = call(capsys, "evaluate", home / "runs" / "x")
    assert right[0] == 0
    assert call(capsys, "evaluate", home / "runs" / "here")[0] == 0
    assert call(capsys, "train", home / "runs/x/recipe.toml", "--out", home / "runs/x", "--resume", "-q")[0] == 0
    home.rename(tmp_path / "moved")
    assert call(capsys, "evaluate", tmp_path / "moved" / "runs" / "x") == right
    (tmp_path / "moved" / "data").rename(elsewhere / "data")
    code, _, err = call(capsys, "evaluate", tmp_path / "moved" / "runs" / "x")
    assert (code, err) == (
        2,
        f"holdfast: The data of {tmp_path}/moved/runs/x were in {home}/data, which is not there any more. Name the "
        "folder where they are now with --data-dir.\n",
    )
    assert call(capsys, "evaluate", tmp_path / "moved/runs/x", "--data-dir", elsewhere / "data") == right


def test_prepared_data_are_listed_and_deleted(capsys, tmp_path, monkeypatch):
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'holdfast[disk]'")
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path / "cache"))
    code, out, _ = call(capsys, "cache")
    assert (code, out) == (0, f"{tmp_path / 'cache' / 'prepared'}: 0 sets, 0.0 MB\n")
    (tmp_path / "rows.csv").write_text("a,b,label\n" + "1,2,x\n3,4,y\n" * 20)
    data = ["--set", f'data.train=["{tmp_path / "rows.csv"}"]', "--set", "data.source=files"]
    short = ["--set", "train.epochs=1", "--set", "model.hidden_size=4", "--set", "data.storage=disk"]
    assert call(capsys, "train", "digits", *data, *short, "--out", tmp_path / "run")[0] == 0
    code, out, _ = call(capsys, "cache", "--json")
    (entry,) = json.loads(out)["sets"]
    assert (entry["about"], entry["whole"]) == (str(tmp_path / "rows.csv"), True)
    code, out, _ = call(capsys, "cache")
    assert out.splitlines()[1].startswith(f"{entry['key'][:8]}  ")
    code, _, err = call(capsys, "cache", "--delete", "nothing")
    assert code == 2
    assert "0 prepared sets have names that begin with 'nothing'" in err
    code, out, _ = call(capsys, "cache", "--delete", entry["key"][:10])
    assert (code, out.split(",")[0]) == (0, "deleted 1 of 1 sets")
    assert json.loads(call(capsys, "cache", "--delete-all", "--json")[1]) == {"deleted": [], "bytes": 0, "in_use": []}
