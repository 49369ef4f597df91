"""What is seen of a model of each task while it learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("matplotlib")

from tests.inspect.watching.runs import NAMES, train

from holdfast.inspect.figures.canvas import new_figure
from holdfast.inspect.watching.watched import View, Watched
from holdfast.training import Listener

PANELS = {
    "numbers": ["confusion"],
    "texts": ["confusion"],
    "stars": ["predictions"],
    "regress": ["example 1", "example 2"],
    "forecast": ["example 1", "example 2", "example 3"],
    "panel": ["example 1", "example 2", "example 3"],
    "generate": ["sample"],
}
WRITES = ("weighted", "tag", "sums", "generate", "translate", "transcribe")


class Looks(Listener):
    """Looks at the model after the last epoch."""

    def data(self, task: Any, training: Any, validation: Any) -> None:
        self.watched = Watched(task, training, validation)

    def update(self, training: Any, sequences: int) -> None:
        self.training = training

    def end(self) -> None:
        model, device = self.training.model, self.training.device
        self.view: View = self.watched.view(model, device)
        self.recording = self.watched.record(model, device)


@pytest.mark.parametrize("name", NAMES)
def test_every_task_has_pictures_gates_and_where_it_writes_a_text(name: str, tmp_path: Path) -> None:
    looks = Looks()
    train(name, tmp_path, [looks])
    assert [panel.name for panel in looks.view.panels] == PANELS.get(name, ["examples"])
    assert bool(looks.view.text) == (name in WRITES)
    for panel in looks.view.panels:
        ax = new_figure().subplots()
        panel.draw(ax)
        assert ax.get_title("left") or ax.get_xlabel()
    assert looks.recording.layers
    assert all(layer.gates for layer in looks.recording.layers.values())


def test_the_examples_are_of_the_validation_data_or_of_the_training_data(tmp_path: Path) -> None:
    looks = Looks()
    learned = train("numbers", tmp_path, [looks])
    assert looks.watched.part == "validation data"
    assert Watched(learned.task, looks.watched.some, None).part == "training data"


def test_looking_leaves_the_mode_and_the_random_states_alone(tmp_path: Path) -> None:
    looks = Looks()
    learned = train("generate", tmp_path, [looks])
    for mode in (True, False):
        learned.model.train(mode)
        before = torch.get_rng_state()
        looks.watched.view(learned.model, torch.device("cpu"))
        looks.watched.record(learned.model, torch.device("cpu"))
        assert learned.model.training is mode
        assert torch.equal(torch.get_rng_state(), before)
        assert all(parameter.grad is None or parameter.requires_grad for parameter in learned.model.parameters())


def test_a_text_has_the_answers_and_where_they_are_wrong_the_truth(tmp_path: Path) -> None:
    looks = Looks()
    train("sums", tmp_path, [looks])
    for example in looks.view.text.split("\n\n"):
        lines = dict(line.split(": ") for line in example.split("\n"))
        total = sum(map(int, lines["input"].split(" + ")))
        right = int(lines["answer"]) == total
        assert right != ("truth" in lines)
        if not right:
            assert int(lines["truth"]) == total
