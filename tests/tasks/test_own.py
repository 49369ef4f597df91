"""Heads, losses and metrics of your own in classifiers and regressors."""

import pytest
import torch

from holdfast import experiment, recipes, register
from holdfast.errors import ConversionError, ModelFileError, OptionError, RecipeError
from holdfast.files import storage
from holdfast.interop import formats
from holdfast.predictor import Predictor
from own_parts import LastTwo, focal, mean_square

QUICK = ["train.epochs=2", "train.threads=1", "model.hidden_size=8", "data.limit=150"]
ADDING = [
    "train.epochs=1",
    "train.threads=1",
    "model.hidden_size=4",
    "data.examples=100",
    "data.steps=10",
    "train.max_steps=0",
]


@pytest.fixture(autouse=True)
def _own(monkeypatch):
    monkeypatch.setattr(register, "_PARTS", {kind: {} for kind in register._PARTS})
    register.head("last-two")(LastTwo)
    register.loss("focal")(focal)
    register.loss("mean-square")(mean_square)
    register.metric("share-of-0")(lambda scores, targets: (scores.argmax(-1) == 0).float().mean())
    register.metric("bias")(lambda outputs, targets: (outputs.flatten() - targets.flatten()).mean())


def train(name, changes, folder):
    return experiment.train(recipes.load(name, changes), folder)


def test_a_classifier_with_everything_of_ones_own(tmp_path):
    changes = [*QUICK, "model.head=last-two", "model.loss=focal", 'model.metrics=["share-of-0"]', "data.validation=0.2"]
    run = train("digits", changes, tmp_path / "run")
    assert list(run.results) == ["loss", "accuracy", "macro_f1", "share-of-0"]
    assert experiment.evaluate(run.path).metrics == run.results
    assert "confusion" in experiment.evaluate(run.path).details
    document = storage.read(run.path / "model.safetensors", "model")[1]
    assert document["own_parts"] == [["head", "last-two"], ["loss", "focal"], ["metric", "share-of-0"]]
    predictor = Predictor(run.path)
    assert predictor.model.output.in_features == 5
    with pytest.raises((ConversionError, OptionError), match="the head 'last-two', which is no part of Holdfast"):
        formats.read(run.path)
    register._PARTS["loss"].clear()
    with pytest.raises(ModelFileError, match="needs the loss 'focal', which is no part of Holdfast"):
        Predictor(run.path)


def test_the_loss_of_ones_own_is_that_of_the_task_where_they_are_the_same(tmp_path):
    own = train("adding", [*ADDING, "model.loss=mean-square"], tmp_path / "own")
    known = train("adding", [*ADDING, "model.loss=mse"], tmp_path / "known")
    assert own.results["loss"] == pytest.approx(known.results["loss"], rel=1e-5)
    assert own.results["rmse"] == pytest.approx(known.results["rmse"], rel=1e-5)


def test_a_metric_of_ones_own_sees_all_outputs_in_the_units_of_the_targets(tmp_path):
    run = train("adding", [*ADDING, 'model.metrics=["bias"]'], tmp_path / "run")
    predictor = Predictor(run.path)
    examples = predictor.task.load(recipes.load(str(run.path / "recipe.toml")), None).test
    values = [next(iter(answer["values"].values())) for answer in predictor.answer(examples)]
    targets = torch.tensor([float(target) for target in examples.targets])
    assert run.results["bias"] == pytest.approx(float((torch.tensor(values) - targets).mean()), abs=1e-5)


def test_a_resumed_run_goes_on_with_what_the_metric_has_seen(tmp_path):
    changes = [*QUICK, 'model.metrics=["share-of-0"]', "train.checkpoint_seconds=0"]
    run = train("digits", changes, tmp_path / "run")
    again = experiment.train(recipes.load("digits", changes), run.path, resume=True)
    assert again.results == run.results


@pytest.mark.parametrize(
    ("kind", "name", "part", "message"),
    [
        ("loss", "sum", lambda scores, targets: scores.sum(), "The loss 'sum' returned shape"),
        ("loss", "none", lambda scores, targets: None, "The loss 'none' returned NoneType; expected one number per"),
        ("head", "pair", lambda size: (size, size), "The head 'pair' is a tuple of 2; expected a module"),
        ("head", "flat", lambda size: _Same(), "The head 'flat' made a tensor of shape"),
    ],
)
def test_parts_that_give_something_else_are_refused(kind, name, part, message, tmp_path):
    getattr(register, kind)(name)(part)
    with pytest.raises(OptionError, match=message):
        train("digits", [*QUICK, f"model.{kind}={name}"], tmp_path / "run")


class _Same(torch.nn.Module):
    def forward(self, outputs, lengths):
        return outputs


def test_unknown_names_and_class_weights_with_an_own_loss_are_errors(tmp_path):
    with pytest.raises(RecipeError, match="there is no metric 'shareof0': did you mean 'share-of-0'"):
        recipes.load("digits", ['model.metrics=["shareof0"]'])
    with pytest.raises(RecipeError, match="there is no head 'first'"):
        recipes.load("digits", ["model.head=first"])
    with pytest.raises(RecipeError, match="there is no loss 'hinge'"):
        recipes.load("adding", ["model.loss=hinge"])
    with pytest.raises(RecipeError, match="not with one of your own"):
        train("digits", [*QUICK, "model.loss=focal", "model.class_weights=balanced"], tmp_path / "run")
