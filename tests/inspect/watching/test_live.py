"""Live pictures: what they show, and that training does not notice them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("matplotlib")

from tests.inspect.watching.runs import NAMES, train

from holdfast import SequenceClassifier, experiment, recipes
from holdfast.errors import OptionError
from holdfast.inspect import Live
from holdfast.inspect.figures.canvas import new_figure
from holdfast.inspect.watching import live
from holdfast.training import Listener, fit
from training.standin import ToyBatches, ToyTask, settings, toy_model, without_time


class Screen:
    """A display that keeps what was on it."""

    interval = 0.0

    def __init__(self, seen: int = 1000) -> None:
        self.titles: list[str] = []
        self.panels: list[list[str]] = []
        self.left = seen

    def figure(self, width: float, height: float) -> Any:
        self._figure = new_figure(width, height)
        return self._figure

    def show(self) -> bool:
        self._figure.canvas.draw()
        self.titles.append(self._figure.get_suptitle())
        self.panels.append([ax.get_title("left") for ax in self._figure.axes])
        self.left -= 1
        return self.left >= 0

    def react(self) -> None:
        pass


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing may take any time."""
    monkeypatch.setattr(live, "GRACE", 1e9)


def weights(model: torch.nn.Module) -> list[torch.Tensor]:
    return list(model.state_dict().values())


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("name", NAMES)
def test_drawing_at_every_update_changes_no_bit(name: str, tmp_path: Path) -> None:
    screen = Screen()
    plain, drawn = train(name, tmp_path, []), train(name, tmp_path, [Live(display=screen)])
    assert all(torch.equal(a, b) for a, b in zip(weights(plain.model), weights(drawn.model), strict=True))
    assert without_time(plain.history) == without_time(drawn.history)
    updates = plain.history[-1]["step"]
    assert len(screen.titles) == updates + 1
    data = "" if name == "generate" else "; at the right: validation data"
    assert screen.titles[0] == f"Epoch 1 of 2, update 1 of {updates}{data}"
    assert screen.titles[-1] == f"Done: update {updates} of {updates}{data}"
    assert "Training loss" in screen.panels[0][-1]
    assert any(title.startswith("Loss over training") for title in screen.panels[-1])


@pytest.mark.usefixtures("always")
def test_dropout_and_batch_norm_go_on_as_without_it() -> None:
    """The toy model has both; its task is not of a recipe, so there are curves alone."""
    histories, models = [], []
    for listeners in ([], [Live(display=Screen())]):
        model = toy_model()
        histories.append(
            without_time(fit(model, ToyTask(), ToyBatches(), ToyBatches(), settings(), listeners=listeners))
        )
        models.append(weights(model))
    assert histories[0] == histories[1]
    assert all(torch.equal(a, b) for a, b in zip(*models, strict=True))


@pytest.mark.usefixtures("always")
def test_the_last_picture_is_of_the_weights_that_are_kept(tmp_path: Path) -> None:
    class Keeps(Live):
        def _draw(self, training: Any) -> None:
            super()._draw(training)
            self.drawn = [weight.clone() for weight in weights(training.model)]

    listener = Keeps(display=Screen())
    learned = train("numbers", tmp_path, [listener])
    assert all(torch.equal(a, b) for a, b in zip(listener.drawn, weights(learned.model), strict=True))


@pytest.mark.usefixtures("always")
def test_a_window_that_is_closed_becomes_a_file(tmp_path: Path) -> None:
    said: list[str] = []
    path = tmp_path / "live.png"
    train("numbers", tmp_path, [Live(path, display=Screen(seen=2), say=said.append)])
    assert said == [f"The window was closed: the picture is in {path}, drawn again at most every 5 seconds."]
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_run_that_is_resumed_has_its_whole_curve(tmp_path: Path) -> None:
    recipe = recipes.load("digits", ["train.limit=small", "train.epochs=3", "train.checkpoint_seconds=0"])

    class Stops(Listener):
        def update(self, training: Any, sequences: int) -> None:
            if training.epoch == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        experiment.train(recipe, tmp_path / "run", listeners=[Stops()])
    listener = Live(tmp_path / "run" / "live.png", display=Screen())
    experiment.train(recipe, tmp_path / "run", resume=True, listeners=[listener])
    assert [row["epoch"] for row in listener._rows] == [1, 2, 3]


def test_the_curve_of_an_epoch_is_the_loss_since_the_point_before() -> None:
    class Curves(Listener):
        def begin(self, plan: Any) -> None:
            self.curve, self.losses = live.Curve(), [[]]

        def update(self, training: Any, sequences: int) -> None:
            if training.step % 3 == 0:
                self.curve.add(training)

    listener = Curves()
    history = fit(toy_model(), ToyTask(), ToyBatches(6), None, settings(epochs=2, log_every=1), listeners=[listener])
    losses = [row["train"]["loss"] for row in history if row["event"] == "log"]
    assert listener.curve.steps == [3, 6, 9, 12]
    expected = [np.mean(losses[k : k + 3]) for k in (0, 3, 6, 9)]
    assert listener.curve.losses == pytest.approx(expected)


def test_an_estimator_draws_into_a_file_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    X = np.random.default_rng(0).normal(size=(20, 5, 2))
    y = (X.sum((1, 2)) > 0).astype(int)
    options: dict[str, Any] = {"hidden_size": 4, "epochs": 2, "threads": 1}
    drawn = SequenceClassifier(verbose="live", **options).fit(X, y)
    assert "There is no display: the picture is in live.png" in capsys.readouterr().err
    assert (tmp_path / "live.png").read_bytes().startswith(b"\x89PNG")
    plain = SequenceClassifier(**options).fit(X, y)
    assert all(torch.equal(a, b) for a, b in zip(weights(drawn.model_), weights(plain.model_), strict=True))
    with pytest.raises(OptionError, match=r"^verbose is 'alive'; expected 0, 1 or 'live'\.$"):
        SequenceClassifier(verbose="alive", **options).fit(X, y)
