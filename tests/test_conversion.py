"""convert: the same model in another format, checked and never by accident over another file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import holdfast
from holdfast import experiment, recipes
from holdfast.cli import main
from holdfast.errors import ConversionError, ModelFileError, OptionError
from holdfast.interop import formats
from holdfast.interop.format_table import detect_format
from holdfast.predictor import Predictor


@pytest.fixture
def state_dict(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    model = nn.ModuleDict(
        {"embed": nn.Embedding(9, 4), "rnn": nn.RNN(4, 5, nonlinearity="relu"), "out": nn.Linear(5, 2)}
    )
    torch.save(model.state_dict(), tmp_path / "m.pt")
    return tmp_path / "m.pt"


def test_there_and_back_gives_the_same_bits(state_dict: Path, tmp_path: Path) -> None:
    there = holdfast.convert(state_dict, tmp_path / "m.safetensors", options={"nonlinearity": "relu"})
    assert (there.source_format, there.dest_format) == ("pytorch", "holdfast")
    assert there.checks["source"] < 1e-6
    assert there.checks["dest"] == 0
    assert not there.unchecked
    back = holdfast.convert(tmp_path / "m.safetensors", tmp_path / "again.pth")
    assert (back.source_format, back.dest_format, back.checks) == ("holdfast", "pytorch", {})
    first, second = (torch.load(path, weights_only=True) for path in (state_dict, tmp_path / "again.pth"))
    assert list(first) == list(second)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_check_against_torch_sees_a_wrong_setting(state_dict: Path) -> None:
    """The difference is one between two computations, so it is not zero where they are not of one model."""
    network = formats.read(state_dict, nonlinearity="relu")
    network.module("rnn").layer.weight_hh_l0.data[0, 0] += 1  # type: ignore[union-attr, operator, index]
    found = formats.difference(state_dict, network, "pytorch")
    assert found is not None
    assert found > 1e-3


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN", "GRUCell"])
def test_the_check_against_torch_of_every_kind(kind: str, tmp_path: Path) -> None:
    more: dict[str, Any] = {} if kind.endswith("Cell") else {"num_layers": 2, "bidirectional": True}
    more |= {"proj_size": 3} if kind == "LSTM" else {}
    layer = getattr(nn, kind)(4, 5, **more)
    torch.save(layer.state_dict(), tmp_path / "m.pt")
    for head in ("steps", "last"):
        network = formats.read(tmp_path / "m.pt", head=head)
        assert 0 <= formats.difference(tmp_path / "m.pt", network, "pytorch") < 1e-6  # type: ignore[operator]


def test_a_file_that_is_there_is_replaced_when_that_is_said(state_dict: Path, tmp_path: Path) -> None:
    dest = tmp_path / "m.safetensors"
    dest.write_text("mine")
    with pytest.raises(OptionError) as error:
        holdfast.convert(state_dict, dest)
    assert str(error.value) == f"{dest} is there already. Give another name, or --force (force=True) to replace it."
    assert dest.read_text() == "mine"
    holdfast.convert(state_dict, dest, force=True)
    assert detect_format(dest).name == "holdfast"


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    from holdfast.interop.network import Network, Node, save

    options = {"cell": "lstm", "input_size": 2, "hidden_size": 3, "peepholes": True}
    save(tmp_path / "m.safetensors", Network(["x"], ["y"], [Node("keys", "Recurrent", options, ("x",), ("y",))]))
    with pytest.raises(ConversionError) as error:
        holdfast.convert(tmp_path / "m.safetensors", tmp_path / "m.pt")
    assert str(error.value) == (
        "The LSTM 'keys' has peepholes=True, and torch.nn.LSTM has no such option: its weights would mean something "
        "else there. Keep the model in Holdfast's format."
    )
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]


def test_what_cannot_be_checked_is_said(tmp_path: Path) -> None:
    from holdfast.interop.network import Network, Node, save

    nodes = [
        Node("both", "Merge", {"mode": "sum"}, ("x", "x"), ("z",)),
        Node("rnn", "Recurrent", {"cell": "gru", "input_size": 2, "hidden_size": 3}, ("z",), ("y",)),
    ]
    save(tmp_path / "m.safetensors", Network(["x"], ["y"], nodes))
    done = holdfast.convert(tmp_path / "m.safetensors", tmp_path / "n.safetensors")
    why = "The input 'x' goes into 'both' (Merge) first, which does not say what it is, so none can be made up."
    assert (done.checks, done.unchecked) == ({}, {"dest": why})
    assert f"Largest difference of the file written: not measured; {why}\n" in str(done)


def test_parts_that_a_file_of_weights_does_not_hold_are_named(tmp_path: Path) -> None:
    from holdfast.interop.network import Network, Node, save

    lstm = {"cell": "lstm", "input_size": 2, "hidden_size": 3}
    nodes = [
        Node("noise", "Noise", {"deviation": 0.1}, ("x",), ("noisy",)),
        Node("rnn", "Recurrent", lstm, ("noisy",), ("states",)),
        Node("norm", "LayerNorm", {"shape": [3], "scale": False, "center": False}, ("states",), ("normed",)),
        Node("pool", "GlobalPooling", {"mode": "mean"}, ("normed",), ("pooled",)),
        Node("out", "Linear", {"in_features": 3, "out_features": 2}, ("pooled",), ("scores",)),
        Node("softmax", "Activation", {"name": "softmax"}, ("scores",), ("y",)),
    ]
    save(tmp_path / "m.safetensors", Network(["x"], ["y"], nodes))
    done = holdfast.convert(tmp_path / "m.safetensors", tmp_path / "m.pt")
    assert done.note == (
        "The file holds weights only, so it does not hold the parts without weights: noise (Noise), norm (LayerNorm), "
        "pool (GlobalPooling), softmax (Activation). The model that loads it must have them."
    )
    assert done.note in str(done)
    assert done.as_dict()["note"] == done.note
    names = {name.partition(".")[0] for name in torch.load(tmp_path / "m.pt", weights_only=True)}
    assert names == {"rnn", "out"}
    assert holdfast.convert(tmp_path / "m.safetensors", tmp_path / "n.safetensors").note == ""


def test_a_file_of_weights_that_holds_every_part_has_no_note(state_dict: Path, tmp_path: Path) -> None:
    assert holdfast.convert(state_dict, tmp_path / "again.pt").note == ""


# Trained models


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "digits"
    quick = ["train.epochs=1", "model.hidden_size=12", "data.limit=240", "train.seed=3", "train.threads=1"]
    experiment.train(recipes.load("digits", quick), out)
    return out


def test_a_trained_classifier_is_a_network_of_raw_values(digits: Path, tmp_path: Path) -> None:
    done = holdfast.convert(digits, tmp_path / "digits.pt")
    assert (done.source_format, done.dest_format) == ("holdfast", "pytorch")
    predictor, network = Predictor(digits), formats.read(digits)
    examples = predictor.task.load(recipes.load(str(digits / "recipe.toml")), None).test.subset(range(20))
    raw = torch.stack([torch.as_tensor(one, dtype=torch.float32) for one in examples.inputs])
    batch = next(iter(predictor.task.batches(examples, size=20).epoch(0)))
    with torch.inference_mode():
        expected, _ = predictor.model(batch.inputs, batch.lengths)
        torch.testing.assert_close(network(raw), expected, rtol=0, atol=1e-5)


def test_a_language_model_with_tied_weights(tmp_path: Path) -> None:
    from holdfast.tasks import TASKS, model_file

    texts = tmp_path / "names.txt"
    texts.write_text("anna\nberta\ncarla\ndora\nemma\n" * 40)
    changes = ["train.limit=small", "data.source=files", f"data.train=[{str(texts)!r}]", "train.threads=1"]
    recipe = recipes.load("names-generate", changes)
    kind = TASKS[recipe.task]
    task = kind.fit(recipe, kind.load(recipe, None).train)
    model = task.build().eval()
    model_file.save(tmp_path / "model.safetensors", task, model)
    network = formats.read(tmp_path / "model.safetensors")
    (ids,) = task.example_inputs(4)
    with torch.inference_mode():
        torch.testing.assert_close(network(ids), model(ids)[0], rtol=0, atol=1e-6)


# The command line


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(list(map(str, arguments)))
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


def test_the_command_prints_layers_and_differences(
    state_dict: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dest = tmp_path / "m.safetensors"
    code, out, err = call(capsys, "convert", state_dict, dest, "--set", "nonlinearity=relu")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:7] == [
        "Layer  Kind       Sizes   Parameters",
        "------------------------------------",
        "embed  Embedding  9 -> 4          36",
        "rnn    RNN        4 -> 5          55",
        "out    Linear     5 -> 2          12",
        "------------------------------------",
        "Total parameters: 103",
    ]
    assert re.fullmatch(r"Largest difference from pytorch's own results: \d\.\de-\d\d", lines[7])
    assert lines[8] == "Largest difference of the file written: 0.0e+00"
    assert lines[9] == f"{state_dict} (pytorch) -> {dest} (holdfast)"


def test_the_command_gives_json(state_dict: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dest = tmp_path / "weights"
    code, out, _ = call(capsys, "convert", state_dict, dest, "--to", "holdfast", "--from", "pytorch", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["source"] == {"path": str(state_dict), "format": "pytorch"}
    assert found["dest"] == {"path": str(dest), "format": "holdfast"}
    assert found["layers"][1] == {"layer": "rnn", "kind": "RNN", "sizes": "4 -> 5", "parameters": 55}
    assert found["parameters"] == 103
    assert found["largest_difference"].keys() == {"source", "dest"}
    assert found["not_measured"] == {}


def test_the_summary_of_a_file_of_other_software(state_dict: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "summary", state_dict)
    assert code == 0
    assert out.splitlines()[3] == "rnn    RNN        4 -> 5          55"
    code, out, _ = call(capsys, "summary", state_dict, "--json")
    assert json.loads(out)["parameters"] == 103


def test_the_summary_of_a_run_is_as_before(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "summary", digits)
    assert code == 0
    assert "recurrent (LSTM)" in out
    assert "trainable" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["convert", "nowhere.pt", "m.safetensors"], "nowhere.pt is not there. Check the path."),
        (["convert", "nowhere.pt", "m.safetensors", "--to", "onyx"], "There is no format 'onyx': "),
        (
            ["convert", "nowhere.pt", "m.safetensors", "--set", "relu"],
            "The override 'relu' is not of the form key=value, such as train.epochs=5.",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"holdfast: {message}")
    assert len(err.splitlines()) == 1


def test_a_run_that_was_not_finished(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError) as error:
        holdfast.convert(tmp_path, tmp_path / "m.pt")
    assert str(error.value).startswith(
        f"{tmp_path} holds no model.safetensors: it is not the folder of a finished run."
    )
