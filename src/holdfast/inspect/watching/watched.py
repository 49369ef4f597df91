"""A few examples of a run, and what its model computes for them at any time: pictures, texts, gates and states."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from holdfast.inspect.figures.canvas import as_array
from holdfast.inspect.figures.cases import curves
from holdfast.inspect.figures.confusion import confusion_matrix
from holdfast.inspect.figures.predictions import predicted_against_true
from holdfast.inspect.figures.samples import Passage, passages
from holdfast.inspect.observation import undisturbed
from holdfast.inspect.recording import Recording, record
from holdfast.predictor import Predictor
from holdfast.tasks.presentation import Case, Curves, MeasuredRow, Text, Words
from holdfast.training import validate
from holdfast.training.determinism import untouched_random_state

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from holdfast.tasks.task import RecipeTask

MEASURED = 500
"""Examples in a confusion matrix and in a picture of predictions."""
SHOWN = 3
"""Examples that are shown one by one."""
RECORDED = 16
"""Examples whose gates and states are recorded."""
STEPS = 120
"""Steps of a curve: the last ones."""


@dataclass(frozen=True, eq=False)
class Panel:
    """One picture.

    Attributes:
        name: What it is.
        draw: Draws it on Axes.
        height: The height of its Axes in inches that it is made for.
    """

    name: str
    draw: Callable[[Axes], Any]
    height: float = 3.6


@dataclass(frozen=True, eq=False)
class View:
    """What a model computes for the examples.

    Attributes:
        panels: The task's own pictures.
        text: What it wrote or answered, as text; empty where the answers are numbers or labels of numbers.
        data: The data that the examples are from; empty for a text that the model made up.
    """

    panels: tuple[Panel, ...]
    text: str = ""
    data: str = ""


class Watched:
    """The task of a run and a few of its examples: of the validation data, or without any of the training data.

    Args:
        task: The fitted task.
        train: The training examples, as they were read.
        validation: The validation examples; None if there are none.
    """

    def __init__(self, task: RecipeTask[Any], train: Any, validation: Any) -> None:
        self.task = task
        self._examples = train if validation is None else validation
        self.part = "training data" if validation is None else "validation data"

    def view(self, model: nn.Module, device: torch.device) -> View:
        """Runs the model on the examples; its mode and all random states stay as they were.

        Args:
            model: The model, also in the middle of training.
            device: Where it is.
        """
        show = _VIEWS.get(self.task.name, _cases)
        with _looking(model):
            view = show(self, model, device)
        return view if show is _sample else replace(view, data=self.part)

    def record(self, model: nn.Module, device: torch.device) -> Recording:
        """The gates and states of the model on a few examples; nothing changes, as for :meth:`view`."""
        with _looking(model):
            return record(Predictor.of(self.task, model, str(device)), self._batch)

    @cached_property
    def some(self) -> Any:
        """Up to :data:`MEASURED` examples, evenly spaced."""
        return _spaced(self._examples, MEASURED)

    @cached_property
    def batches(self) -> Any:
        """The batches of :attr:`some`."""
        return self.task.batches(self.some)

    @cached_property
    def _batch(self) -> Any:
        """A batch to record: of a long text, the first windows of its streams."""
        return next(iter(self.task.batches(_spaced(self._examples, RECORDED), size=RECORDED).epoch(0)))

    @cached_property
    def _few(self) -> tuple[Any, Any]:
        """The examples that are shown one by one, and their batch."""
        few = _spaced(self._examples, SHOWN)
        return few, next(iter(self.task.batches(few, size=SHOWN).epoch(0)))

    def cases(self, model: nn.Module, device: torch.device) -> list[Case]:
        """The examples that are shown one by one, with the answers of the model in evaluation mode."""
        few, batch = self._few
        batch = batch.to(device)
        outputs = self.task.loss(model, batch).outputs
        errors = self.task.presentation.errors(outputs, batch).double().tolist()
        rows = [MeasuredRow(k, error, batch, k, outputs[k]) for k, error in enumerate(errors)]
        return [self.task.presentation.case(few, row) for row in rows]

    def outputs(self, model: nn.Module, device: torch.device) -> Tensor:
        """The outputs of the task for :attr:`some`, [N, ...]."""
        parts = [self.task.loss(model, batch.to(device)).outputs for batch in self.batches.epoch(0)]
        return torch.cat(parts)


@contextmanager
def _looking(model: nn.Module) -> Iterator[None]:
    with untouched_random_state(), undisturbed(model), torch.inference_mode():
        yield


def _spaced(examples: Any, most: int) -> Any:
    count = len(examples)
    if count <= most:
        return examples
    return examples.subset(np.linspace(0, count - 1, most).round().astype(int).tolist())


def _labels(watched: Watched, model: nn.Module, device: torch.device) -> View:
    """The confusion matrix; where an example has several labels, there is none."""
    task = watched.task
    metrics = task.metrics()
    validate(model, task, watched.batches, device, metrics)
    confusion = task.figures(metrics).get("confusion")
    if confusion is None:
        return _cases(watched, model, device)
    counts, names = np.asarray(confusion["counts"]), confusion["labels"]
    return View((Panel("confusion", lambda ax: confusion_matrix(counts, names, ax=ax), 4.2),))


def _values(watched: Watched, model: nn.Module, device: torch.device) -> View:
    """Predicted over true values of the first target; with targets per step, their curves."""
    task: Any = watched.task
    if task.per_step:
        return _cases(watched, model, device)
    predicted = as_array(watched.outputs(model, device)[:, 0, task.quantiles.index(0.5)].double())
    true = np.array([np.ravel(target)[0] for target in watched.some.targets], dtype=float)
    name = task.encoder.targets.names[0]
    return View((Panel("predictions", lambda ax: predicted_against_true(true, predicted, name=name, ax=ax)),))


def _sample(watched: Watched, model: nn.Module, device: torch.device) -> View:
    """A text that the model writes."""
    text = watched.task.presentation.sample(model)
    return View((Panel("sample", lambda ax: passages([Passage(text)], title="The model writes", ax=ax), 4.2),), text)


def _cases(watched: Watched, model: nn.Module, device: torch.device) -> View:
    """A few examples with their answers: curves, or texts."""
    cases = watched.cases(model, device)
    drawn = [_curves(case, number) for number, case in enumerate(cases) if isinstance(case.shown, Curves)]
    if len(drawn) == len(cases) and all(not case.answer for case in cases):
        return View(tuple(drawn))
    written = [passage for case in cases for passage in (*_passages(case), Passage(""))][:-1]
    text = "\n\n".join(_plain(case) for case in cases)
    title = "Examples and answers"
    return View((Panel("examples", lambda ax: passages(written, title=title, ax=ax), 4.2),), text)


def _curves(case: Case, number: int) -> Panel:
    shown = _last_steps(case.shown)
    return Panel(f"example {number + 1}", lambda ax: curves(shown, title="", ax=ax), 2.4)


def _last_steps(shown: Any) -> Curves:
    """The last :data:`STEPS` steps of curves."""
    lines = tuple(replace(line, x=line.x[-STEPS:], y=line.y[-STEPS:]) for line in shown.lines)
    band = shown.band and tuple(part[-STEPS:] for part in shown.band)
    last: Curves = replace(shown, lines=lines, band=band)
    return last


def _passages(case: Case) -> Sequence[Passage]:
    """An example and its answer as lines; an answer that is wrong is followed by the truth."""
    if isinstance(case.shown, Words):
        wrong = [word for word in case.shown.words if word.wrong]
        lines = [Passage(_tagged(case.shown), "words")]
        if wrong:
            told = ", ".join(f"{word.text}: {word.answer}, not {word.truth}" for word in wrong)
            lines.append(Passage(told, "wrong", wrong=True))
        return lines
    lines = [Passage(case.shown.text, "input")] if isinstance(case.shown, Text) else []
    lines.append(Passage(case.answer, "answer", wrong=case.wrong))
    return [*lines, Passage(case.truth, "truth")] if case.wrong else lines


def _tagged(words: Words) -> str:
    return " ".join(f"{word.text}/{word.answer}" for word in words.words)


def _plain(case: Case) -> str:
    return "\n".join(f"{passage.name}: {passage.text}" if passage.name else passage.text for passage in _passages(case))


_VIEWS: dict[str, Callable[[Watched, nn.Module, torch.device], View]] = {
    "classify": _labels,
    "regress": _values,
    "generate": _sample,
}
"""The view of each task; examples with their answers for the others."""
