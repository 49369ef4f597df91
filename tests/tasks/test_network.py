"""The recurrent layers of all tasks: a cell of your own trains, is saved, opened and refused as Holdfast's are."""

import pytest
import torch

from command_line import call
from holdfast import experiment, recipes, register
from holdfast.errors import ModelFileError, OptionError, RecipeError
from holdfast.files import storage
from holdfast.predictor import Predictor
from own_parts import MinGRU

QUICK = ["train.epochs=1", "train.threads=1", "model.hidden_size=8"]


@pytest.fixture
def own(monkeypatch):
    monkeypatch.setattr(register, "_PARTS", {kind: {} for kind in register._PARTS})
    register.cell("mingru")(MinGRU)


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("digits", ["data.limit=100", "model.num_layers=2"]),
        ("addition", ["data.sums=500", "data.limit=300"]),
        ("sine", ["train.limit=small"]),
    ],
)
def test_a_cell_of_ones_own_in_a_recipe(name, changes, tmp_path):
    run = experiment.train(recipes.load(name, [*QUICK, *changes, "model.cell=mingru"]), tmp_path / "run")
    assert experiment.evaluate(run.path).metrics == run.results
    document = storage.read(run.path / "model.safetensors", "model")[1]
    assert document["own_parts"] == [["cell", "mingru"]]
    register._PARTS["cell"].clear()
    message = r"model\.safetensors needs the cell 'mingru', which is no part of Holdfast\. Import the file"
    with pytest.raises(ModelFileError, match=message):
        Predictor(run.path)
    with pytest.raises(RecipeError, match="there is no cell 'mingru'"):
        recipes.load(str(run.path / "recipe.toml"))


@pytest.mark.usefixtures("own")
def test_options_go_to_the_cell_and_unknown_ones_are_refused(tmp_path):
    bare = recipes.load("digits", [*QUICK, "model.cell=mingru", "model.options.bias=false", "data.limit=100"])
    run = experiment.train(bare, tmp_path / "run")
    assert not any("bias" in name for name in Predictor(run.path).model.recurrent.state_dict())
    wrong = recipes.load("digits", [*QUICK, "model.cell=mingru", "model.options.peepholes=true"])
    with pytest.raises(OptionError, match=r"cannot be made with \(input_size, hidden_size, peepholes\)"):
        experiment.train(wrong, tmp_path / "wrong")
    native = recipes.load("digits", [*QUICK, "model.cell=mingru", "model.engine=native"])
    with pytest.raises(OptionError, match="the cell 'mingru' is not one of Holdfast's"):
        experiment.train(native, tmp_path / "native")


@pytest.mark.usefixtures("own")
def test_a_translator_needs_a_cell_of_holdfasts(tmp_path):
    recipe = recipes.load("dates", ["train.limit=small", "model.cell=mingru"])
    with pytest.raises(OptionError, match=r"model\.cell is 'mingru'; this network needs one of lstm, gru, rnn"):
        experiment.train(recipe, tmp_path / "run")


@pytest.mark.usefixtures("own")
def test_a_damaged_list_of_own_parts_is_refused(tmp_path):
    run = experiment.train(recipes.load("digits", [*QUICK, "data.limit=100"]), tmp_path / "run")
    tensors, document = storage.read(run.path / "model.safetensors", "model")
    for parts in ({}, [["cell"]], [["cell", 3]], "cell", [["cell", "x", "y"]]):
        storage.write(tmp_path / "bad.safetensors", tensors, {**document, "own_parts": parts}, "model")
        with pytest.raises(ModelFileError, match=r"is damaged: its list of own parts|needs the cell"):
            Predictor(tmp_path / "bad.safetensors")


@pytest.mark.usefixtures("own")
def test_resumed_training_gives_the_same_bits(tmp_path):
    recipe = recipes.load("digits", [*QUICK, "model.cell=mingru", "data.limit=100", "train.epochs=2"])
    first, second = (experiment.train(recipe, tmp_path / name).path for name in "ab")
    weights = [storage.read(path / "model.safetensors", "model")[0] for path in (first, second)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_the_command_line_imports_the_file_that_registers_the_cell(capsys, tmp_path):
    file = tmp_path / "my_cells.py"
    file.write_text(
        "import holdfast\nfrom own_parts import MinGRU\n\n"
        "@holdfast.register.cell('of-the-command-line')\nclass Mine(MinGRU):\n    pass\n"
    )
    changes = [
        word for change in [*QUICK, "data.limit=100", "model.cell=of-the-command-line"] for word in ("--set", change)
    ]
    code, _, err = call(capsys, "train", "digits", *changes, "--out", tmp_path / "run", "-q")
    assert code == 2
    assert "by --import FILE" in err
    code, out, _ = call(capsys, "train", "digits", *changes, "--out", tmp_path / "run", "-q", "--import", file)
    assert code == 0
    code, again, _ = call(capsys, "evaluate", tmp_path / "run", "--import", file)
    assert code == 0
    assert again.splitlines()[1].split()[-1] == out.splitlines()[1].split()[-1]
    code, _, err = call(capsys, "convert", tmp_path / "run", tmp_path / "model.onnx", "--import", file)
    assert code == 2
    assert "which is no part of Holdfast" in err
