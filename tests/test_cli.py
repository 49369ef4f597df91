import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import typer
from PIL import Image

from holdfast.cli import app, main

QUICK = ["--seed", "1", "--threads", "1"]
for override in ("train.epochs=1", "model.hidden_size=8", "data.limit=200"):
    QUICK += ["--set", override]


def call(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(list(map(str, arguments)))
    out, err = capsys.readouterr()
    return stop.value.code, out, err


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
        f"holdfast: {image} has 9 values a step; the model was trained on 8. Give images of the same size and layout, "
        "or files with the same columns.\n"
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "digit"], "holdfast: There is no recipe 'digit': did you mean 'digits'?"),
        (["train", "digits", "--set", "model.options.peephole=true"], "LSTM has no option 'peephole': did you mean"),
        (
            ["train", "digits", "--set", "model.engine=cuda"],
            "There is no engine 'cuda': did you mean 'cudnn'? Known: auto, cudnn, native, recorded, reference.",
        ),
        (["evaluate", "nowhere"], "holdfast: nowhere is not there."),
        (["summary", "nowhere"], "holdfast: There is no recipe 'nowhere'"),
        (["summary", "missing.onnx"], "holdfast: missing.onnx is not there. Check the path; `holdfast recipes` lists"),
        (["summary", "runs/missing"], "holdfast: runs/missing is not there. Check the path; `holdfast recipes` lists"),
        (["summary", "missing.onnx", "--from", "onxx"], "There is no format 'onxx': did you mean 'onnx'?"),
        (["train", "digits", "--set", "epochs=3"], "There is no key 'epochs': did you mean train.epochs?"),
        (
            ["train", "digits", "--set", "hidden_size=3"],
            "There is no key 'hidden_size': did you mean model.hidden_size?",
        ),
        (["train", "digits", "--set", "model.epochs=3"], "There is no key 'model.epochs': did you mean train.epochs?"),
        (
            ["train", "digits", "--set", "model.options.hidden_size=12"],
            "holdfast: model.options has 'hidden_size', which is no option of the cell: set model.hidden_size.",
        ),
        (
            ["train", "digits", "--set", "model.options.memory=recompute"],
            "holdfast: model.options has 'memory', which is no option of the cell: set model.memory.",
        ),
        (["train", "digits", "--set", "model.options.batch_first=true"], "LSTM has no option 'batch_first': known are"),
        (["train", "digits", "--set", "model.options.zoneout_h=x"], "LSTM zoneout_h is 'x'; expected a probability"),
        (["train", "digits", "--set", "model.options.peepholes=no"], "LSTM peepholes is 'no'; expected True or False."),
        (
            ["train", "digits", "--set", "train.device=mps"],
            "holdfast: device 'mps' was asked for; torch finds no MPS devices here. Use device = 'auto' or 'cpu'.",
        ),
        (["train", "digits", "--set", "train.device=meta"], "device 'meta' was asked for; torch finds no META devices"),
        (
            ["train", "digits", "--set", f"train.seed={'1' * 5000}"],
            "The value of train.seed cannot be read: it has too",
        ),
        (
            ["train", "digits", "--set", f"train.seed={'[' * 5000}"],
            "The value of train.seed cannot be read: it has too",
        ),
        (["train", "digits", "--resume", "--out", "runs/mine"], "holdfast: There is no run in runs/mine. Leave out"),
        (["train", "digits", "--data-dir", "nowhere"], "holdfast: --data-dir is nowhere, which is not a folder"),
    ],
)
def test_what_is_wrong_is_one_message_and_exit_code_2(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) <= 2


@pytest.mark.parametrize("command", ["", "train", "evaluate", "predict", "summary", "recipes", "doctor"])
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


def test_an_unknown_option_is_exit_code_2_and_names_the_key_of_the_recipe(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    code, _, err = call(capsys, "train", "digits", "--epochs", "3")
    assert code == 2
    assert "No such option: --epochs. Set a value of the recipe with --set train.epochs=VALUE." in err
    code, _, err = call(capsys, "predict", "run", "--length-penalty", "3")
    assert "No such option: --length-penalty. Set a value of the recipe with --set length_penalty=VALUE." in err
    code, _, err = call(capsys, "train", "digits", "--nonsense", "3")
    assert code == 2
    assert "--set" not in err


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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name = '\xff'", " is not UTF-8 text (byte 9). Save it as UTF-8, which TOML requires."),
        (b"name = " + b"[" * 5000 + b"]" * 5000, " cannot be read as TOML: its values are nested too deeply."),
        (b"task = [1]", " cannot be used: task is [1]: known are classify, forecast,"),
        (b"name = 'x'\n[train]\nseed = " + b"1" * 5000, " is not TOML: "),
        (b"name = 'x'\n[train]\nepochs = -0x" + b"f" * 5000, " is not TOML: "),
        (
            b"name = 'x'\n[data]\nlimit = 3000000000",
            " cannot be used: data.limit is 3000000000: numbers go up to 2.147",
        ),
        (b"name = 'x'\n[model.options]\ncell_clip = inf", " cannot be used: model.options is {'cell_clip': inf}: numb"),
        (b"name = 'x'\n[train]\nepochs = 0x" + b"f" * 5000, " cannot be used: train.epochs is "),
        (b'name = "a\\u0000b"', " cannot be used: name is 'a\\x00b': string should match pattern"),
        (None, " cannot be read: Is a directory. Give a TOML file."),
    ],
)
def test_a_recipe_that_is_none_is_one_message(capsys, tmp_path, content, message):
    path = tmp_path / "mine.toml"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    code, out, err = call(capsys, "train", path, "-q")
    assert (code, out) == (2, "")
    assert err.startswith(f"holdfast: The recipe {path}{message}")
    assert len(err.splitlines()) == 1
    assert len(err) < 500 + len(str(path))


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
