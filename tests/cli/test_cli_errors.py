"""Wrong arguments and recipes: one message on stderr and exit code 2."""

import re

import pytest

from command_line import call


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


def test_an_unknown_option_is_exit_code_2_and_names_the_key_of_the_recipe(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    code, _, err = call(capsys, "train", "digits", "--epochs", "3")
    assert code == 2
    assert re.search(r"No such option:? '?--epochs'?\. Set a value of the recipe with --set train\.epochs=VALUE\.", err)
    code, _, err = call(capsys, "predict", "run", "--length-penalty", "3")
    assert re.search(r"--length-penalty'?\. Set a value of the recipe with --set length_penalty=VALUE\.", err)
    code, _, err = call(capsys, "train", "digits", "--nonsense", "3")
    assert code == 2
    assert "--set" not in err


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
