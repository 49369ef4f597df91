import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from holdfast.cli import main

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
    assert set(json.loads(out)) == {"loss", "accuracy", "macro_f1"}
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
        "    print([name for name in ('torch', 'sklearn', 'torchmetrics') if name in sys.modules], stop.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "holdfast " + (command or "recipes") in done.stdout
    assert done.stdout.splitlines()[-1] == "[] 0"


def test_an_unknown_option_is_exit_code_2(capsys):
    code, _, err = call(capsys, "train", "digits", "--epochs", "3")
    assert code == 2
    assert "--epochs" in err
