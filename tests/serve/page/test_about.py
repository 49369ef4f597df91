"""What the page is told about each kind of model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra 'serve' is not installed")

from tests.tasks import untrained

from holdfast import experiment, recipes
from holdfast.files import container
from holdfast.predictor import Predictor
from holdfast.serve.models import ServedModel, load
from holdfast.serve.naming import Place
from holdfast.serve.page.about import about

KINDS = {
    "converted": ("infer", "tensors", "tensors"),
    "digits": ("predict", "image", "labels"),
    "forecast": ("predict", "table", "forecast"),
    "generate": ("generate", "text", "next"),
    "numbers": ("predict", "numbers", "labels"),
    "regress": ("predict", "numbers", "values"),
    "stream": ("infer", "numbers", "values"),
    "sums": ("predict", "pairs", "tags"),
    "tag": ("predict", "words", "tags"),
    "texts": ("predict", "text", "labels"),
    "translate": ("predict", "text", "written"),
}


def opened(path: Path) -> ServedModel:
    return load(Place("model", "1", path))


def told(model: ServedModel, *, examples: bool = False) -> dict[str, Any]:
    document = about(model, examples=examples)
    assert json.loads(json.dumps(document, allow_nan=False)) == json.loads(json.dumps(document))
    return document


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_has_its_door_input_and_answer(name: str, folder: Path) -> None:
    document = told(opened(folder / f"{name}.safetensors"))
    assert (document["door"], document["input"]["kind"], document["answer"]["kind"]) == KINDS[name]
    assert (document["stream"] is not None) == (name in ("digits", "regress", "stream"))
    assert bool(document["why_no_stream"]) == (document["stream"] is None)
    assert document["note"] == ""


@pytest.mark.parametrize("name", ["forecast", "panel"])
def test_the_table_to_begin_with_can_be_forecast(name: str, folder: Path) -> None:
    path = folder / f"{name}.safetensors"
    document = told(opened(path))
    (table,) = document["input"]["tables"]
    (answer,) = Predictor(path).predict_values(table["columns"])
    assert len(answer["times"]) == document["input"]["ahead"]


def test_numbers_begin_with_a_wave_in_the_scale_of_the_data(folder: Path) -> None:
    document = told(opened(folder / "numbers.safetensors"))
    (sample,) = document["input"]["samples"]
    predictor = Predictor(folder / "numbers.safetensors")
    (answer,) = predictor.predict_values([sample["values"]])
    assert answer["label"] in ("yes", "no")
    (mean,), (std,) = predictor.task.encoder.scaling.mean, predictor.task.encoder.scaling.std
    values = [row[0] for row in sample["values"]]
    assert (min(values), max(values)) == pytest.approx((mean - std, mean + std), rel=1e-2)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    for name, text in untrained.FILES.items():
        (folder / name).write_text(text, "utf-8")
    recipe = untrained.SMALL["forecast"] + "[train]\nmax_steps = 2\nthreads = 1\n"
    (folder / "small.toml").write_text(recipe.replace('"x"', '"x"\ndescription = "Some <b>words</b>."'), "utf-8")
    return experiment.train(recipes.load(str(folder / "small.toml")), folder / "run", data_dir=folder).path


def test_examples_only_where_they_are_asked_for(run: Path, folder: Path) -> None:
    model = opened(run)
    assert model.path == run / container.MODEL_NAME
    document = told(model)
    assert document["description"] == "Some <b>words</b>."
    assert [table["name"] for table in document["input"]["tables"]] == ["a sine in the scale of the training data"]
    document = told(model, examples=True)
    tables = document["input"]["tables"]
    assert len(tables) > 1
    assert document["note"] == ""
    assert tables[0]["name"].startswith("up to 19")
    predictor = Predictor(run)
    for table in tables:
        (answer,) = predictor.predict_values(table["columns"])
        assert len(answer["times"]) == len(table["actual"])
    alone = told(opened(folder / "forecast.safetensors"), examples=True)
    assert alone["note"] == "There are no examples: the model is a file without its run."
    (run.parent / "series.csv").rename(run.parent / "moved.csv")
    assert told(model, examples=True)["note"] == "There are no examples: the test data of the run cannot be read."
