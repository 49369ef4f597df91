"""Every recipe of translation from its data to answers, with a run that is cut off and resumed."""

from __future__ import annotations

import math

import pytest
import torch
from tests.tasks.translate.reversed_words import encoded

from holdfast import experiment, recipes
from holdfast.data.vocabulary import BEGIN, END
from holdfast.decoding import greedy
from holdfast.files import storage
from holdfast.predictor import Predictor
from holdfast.training import Listener


class StoppedError(Exception):
    """The run was cut off."""


class StopsAfter(Listener):
    """Cuts a run off in the middle of an epoch."""

    def __init__(self, updates):
        self.updates = updates

    def update(self, training, sequences):
        if training.step > self.updates:
            raise StoppedError


@pytest.mark.parametrize("name", [name for name in recipes.names() if recipes.load(name).task == "translate"])
def test_the_whole_way_of_a_small_trial(name, tmp_path, request):
    recipe = recipes.load(name, ["train.limit=small", "train.threads=1", "train.checkpoint_seconds=0"])
    data_dir = request.getfixturevalue("real_data")("anki-fra-eng") if recipe.data.source == "fra-eng" else None
    done = experiment.train(recipe, tmp_path / "whole", data_dir=data_dir)
    assert set(done.results) == {"loss", "token_loss", "bleu", "chrf", "exact_match"}
    assert done.results["token_loss"] < math.log(len(Predictor(done.path).task.target)) + 0.5
    found = experiment.evaluate(done.path, data_dir=data_dir)
    assert found.metrics == done.results
    assert found.details.count("source:") == 5
    shortened = experiment.evaluate(done.path, options=["longest=1"], data_dir=data_dir)
    assert shortened.metrics["loss"] == found.metrics["loss"]
    assert shortened.details != found.details

    with pytest.raises(StoppedError):
        experiment.train(recipe, tmp_path / "cut", data_dir=data_dir, listeners=[StopsAfter(2)])
    resumed = experiment.train(recipe, tmp_path / "cut", data_dir=data_dir, resume=True)
    assert resumed.results == done.results
    ours, theirs = (storage.read(run.path / "model.safetensors", "model")[0] for run in (done, resumed))
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)

    lines = ["3 March 2021", "How are you?"]
    of_beam, of_greed = (Predictor(done.path, options=[f"beam={beam}"]) for beam in (5, 1))
    answers = list(of_beam.predict_lines(lines))
    assert [(row["origin"], row["source"]) for row in answers] == [("line 1", lines[0]), ("line 2", lines[1])]
    assert all(1 <= len(row["alternatives"]) <= 4 for row in answers)
    task, batch = of_greed.task, encoded(of_greed.task, of_greed.task.from_lines(lines))
    with torch.inference_mode():
        state = of_greed.model.begin(batch.inputs, batch.lengths)
        taken = greedy(of_greed.model, state, 2 * batch.lengths + 20, begin=BEGIN, end=END)
    greeds = [row["translation"] for row in of_greed.predict_lines(lines)]
    assert greeds == [task.target.decode(one.tokens) for one in taken]
    (tmp_path / "sources.txt").write_text("\n".join(lines))
    assert [row["translation"] for row in of_greed.predict([tmp_path / "sources.txt"])] == greeds
