"""TensorBoard: curves, histograms of weights and gates, pictures, texts, and embeddings with their vocabulary."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from holdfast.errors import MissingLibraryError
from holdfast.inspect.figures.canvas import WIDTH, new_figure
from holdfast.inspect.watching.time_share import TimeShare
from holdfast.inspect.watching.watched import Watched
from holdfast.training.listener import Listener, Plan

if TYPE_CHECKING:
    from holdfast.tasks.task import RecipeTask
    from holdfast.training.state import Training

SHARE, GRACE = 0.05, 1.0
"""Histograms, pictures and texts take at most this share of the time, and this many seconds."""
MOST_TOKENS = 10_000
"""Tokens of an embedding in the projector: the most frequent ones."""
_SPELLED = {"\n": "\\n", "\t": "\\t", "\r": "\\r", " ": "␣"}


class TensorBoard(Listener):
    """Writes event files that ``tensorboard --logdir FOLDER`` shows.

    - Scalars: the loss and each metric have one chart with the curves ``train`` and ``validation``; ``learning_rate``
      has its own. They have a point for every epoch and every row of ``log_every``.
    - Histograms: every weight, and the gates, candidates and states of every recurrent layer on a few examples.
    - Images: the task's own pictures, such as the confusion matrix, predictions, or a forecast.
    - Text: what the model writes or answers.
    - Projector: every embedding with its vocabulary, once, at the end; its 10,000 most frequent tokens.

    Histograms, images and text are written at the end of an epoch, if they have taken no more than a second and 5 % of
    the time so far; and at the end of training. The examples are validation examples, or without any training examples.
    The horizontal axis is the number of updates. A run that is resumed goes on in the same curves.

    Args:
        folder: Where to write; it is created.
        every: Write histograms, images and text after every this many epochs, whatever they cost; None for the limit
            above.
        clock: Returns seconds and never goes backwards.

    Raises:
        MissingLibraryError: The library tensorboard is not installed.

    Example:
        >>> from pathlib import Path
        >>> from holdfast import experiment, recipes
        >>> from holdfast.inspect import TensorBoard
        >>> recipe, run = recipes.load("digits", ["train.max_steps=5"]), Path("runs/digits")
        >>> trained = experiment.train(recipe, run, listeners=[TensorBoard(run / "tensorboard")])
    """

    def __init__(self, folder: Path, *, every: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingLibraryError(
                "TensorBoard's library is missing: pip install 'holdfast[tensorboard]'."
            ) from error
        self._writer_class, self._folder, self._every = SummaryWriter, folder, every
        self._writers: dict[str, Any] = {}
        self._watched: Watched | None = None
        self._training: Training | None = None
        self._share = TimeShare(SHARE, grace=GRACE, clock=clock)
        self._detailed = -1  # the update of the latest histograms

    def data(self, task: RecipeTask[Any], train: Any, validation: Any) -> None:
        """Chooses the examples for gates, pictures and texts."""
        self._watched = Watched(task, train, validation)

    def begin(self, plan: Plan) -> None:
        """Opens the files; what was written after the checkpoint of a resumed run is hidden."""
        purge = plan.done + 1 if plan.done else None
        self._writers = {
            part: self._writer_class(str(self._folder / part), purge_step=purge) for part in ("train", "validation")
        }
        self._share.start()
        self._detailed = plan.done

    def update(self, training: Training, sequences: int) -> None:
        """Remembers the training."""
        self._training = training

    def log(self, row: dict[str, Any]) -> None:
        """Writes the training metrics since the last such row."""
        self._write("train", row, suffix=" (since the last row)")

    def epoch(self, row: dict[str, Any]) -> None:
        """Writes the metrics of an epoch, and histograms, pictures and texts when it is time for them."""
        self._write("train", row)
        self._writers["train"].add_scalar("learning_rate", row["learning_rate"], row["step"])
        if "validation" in row:
            self._write("validation", row)
        due = self._share.due() if self._every is None else row["epoch"] % self._every == 0
        if due and self._training is not None:
            self._write_details(self._training, self._training.measured)

    def end(self) -> None:
        """Writes the embeddings and, if those of the last update are missing, all details; closes the files.

        Training that was stopped writes them when it is resumed.
        """
        training = self._training
        try:
            if training is not None and training.finished and self._writers:
                if self._detailed < training.step:
                    self._write_details(training, training.model)
                self._write_embeddings(training)
        finally:
            for writer in self._writers.values():
                writer.close()
            self._writers, self._training, self._watched = {}, None, None

    def _write(self, part: str, row: dict[str, Any], suffix: str = "") -> None:
        for name, value in row[part].items():
            self._writers[part].add_scalar(name + suffix, value, row["step"])

    def _write_details(self, training: Training, model: torch.nn.Module) -> None:
        with self._share.spending():
            for name, weight in model.named_parameters():
                self._histogram(f"weights/{name}", weight, training.step)
            if self._watched is not None:
                self._write_inside(self._watched, training, model)
                self._write_view(self._watched, training, model)
        self._detailed = training.step

    def _write_inside(self, watched: Watched, training: Training, model: torch.nn.Module) -> None:
        for name, layer in watched.record(model, training.device).layers.items():
            for kind, parts in (("gates", layer.gates), ("states", layer.states)):
                for part, values in parts.items():
                    self._histogram(f"{kind}/{name}/{part}", values[layer.within], training.step)

    def _write_view(self, watched: Watched, training: Training, model: torch.nn.Module) -> None:
        view = watched.view(model, training.device)
        for panel in view.panels:
            figure = new_figure(WIDTH, panel.height)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
                panel.draw(figure.subplots())
                self._writers["train"].add_figure(panel.name, figure, training.step)
        if view.text:
            indented = "\n".join(
                f"    {line}" for line in view.text.split("\n")
            )  # Markdown shows such lines as they are
            self._writers["train"].add_text("text", indented, training.step)

    def _histogram(self, tag: str, values: Tensor, step: int) -> None:
        """Writes the values that are finite, if there are any."""
        finite = values.detach().float()
        finite = finite[finite.isfinite()]
        if finite.numel():
            self._writers["train"].add_histogram(tag, finite, step)

    def _write_embeddings(self, training: Training) -> None:
        """The rows of every embedding for the projector, with their tokens."""
        if self._watched is None:
            return
        tables = self._watched.task.embedded(training.model)
        for name, vocabulary in tables.items():
            table = training.model.get_submodule(name)
            weight: Any = table.weight
            tokens = [_spelled(token) for token in vocabulary.tokens[:MOST_TOKENS]]
            self._writers["train"].add_embedding(
                weight.detach()[: len(tokens)].float().cpu(), tokens, global_step=training.step, tag=name
            )


def _spelled(token: str) -> str:
    """A token in one line of a table, where a blank token would be no line."""
    if not token.strip():
        return "".join(_SPELLED.get(letter, letter) for letter in token) or "(empty)"
    return token.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
