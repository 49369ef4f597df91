"""Live pictures: curves and the task's own picture, drawn again and again while a model learns."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.inspect.watching.displays import Display, Say, choose_display, file_display
from holdfast.inspect.watching.live_figure import HEIGHT, WIDTH, Curve, draw
from holdfast.inspect.watching.time_share import TimeShare
from holdfast.inspect.watching.watched import View, Watched
from holdfast.training.history import read_rows
from holdfast.training.listener import Listener, Plan
from holdfast.training.run_directory import HISTORY_NAME

if TYPE_CHECKING:
    from holdfast.tasks.task import RecipeTask
    from holdfast.training.state import Training

SHARE, GRACE = 0.05, 1.0
"""Drawing takes at most this share of the time, and this many seconds."""
_REACT_SECONDS = 0.1


class Live(Listener):
    """Draws loss, score and the task's own picture while a model learns.

    The task's own picture is the confusion matrix, predicted over true numbers, a curve with its prediction, forecasts,
    a text that the model writes, or a few examples with their answers. It is computed from validation examples, or
    without any from training examples.

    In a notebook, the picture is below the cell; where there is a screen, in a window; else in a file, which is
    replaced at most every five seconds. Drawing takes at most one second and 5 % of the time of training, and one
    drawing at the end. It changes neither the model nor random numbers, so the run has the same bits.

    Args:
        path: The file for where there is no display. In the folder of a run it is ``live.png``.
        display: Where to draw; None to choose.
        say: Gets a sentence for the person: where the file is. None prints it to stderr.
        clock: Returns seconds and never goes backwards.

    Raises:
        MissingLibraryError: matplotlib is not installed.

    Example:
        >>> from pathlib import Path
        >>> from holdfast import experiment, recipes
        >>> from holdfast.inspect import Live
        >>> recipe = recipes.load("cosine", ["train.max_steps=5"])
        >>> trained = experiment.train(recipe, Path("runs/cosine"), listeners=[Live("runs/cosine/live.png")])
    """

    def __init__(
        self,
        path: Path | str = "live.png",
        *,
        display: Display | None = None,
        say: Say | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path, self._display, self._clock = Path(path), display, clock
        self._say = say or _to_stderr
        self._watched: Watched | None = None
        self._training: Training | None = None
        self._rows: list[dict[str, Any]] = []
        self._curve = Curve()
        self._share = TimeShare(SHARE, grace=GRACE, clock=clock)
        self._reacted = clock()

    def data(self, task: RecipeTask[Any], train: Any, validation: Any) -> None:
        """Chooses the examples to draw."""
        self._watched = Watched(task, train, validation)

    def begin(self, plan: Plan) -> None:
        """Chooses the display; a run that is resumed goes on in the same curves."""
        self._plan, self._training, self._rows, self._curve = plan, None, [], Curve()
        history = self._path.with_name(HISTORY_NAME)
        if plan.done and history.exists():
            self._rows = [row for row in read_rows(history) if row["step"] <= plan.done]
        if self._display is None:
            self._display = choose_display(self._path, self._say)
        self._share.interval = self._display.interval
        self._share.start()

    def update(self, training: Training, sequences: int) -> None:
        """Draws when the last picture is old enough, and there is time for it."""
        self._training = training
        now = self._clock()
        if now - self._reacted >= _REACT_SECONDS and self._display is not None:
            self._display.react()
            self._reacted = now
        if self._share.due():
            self._draw(training)

    def epoch(self, row: dict[str, Any]) -> None:
        """Keeps the row."""
        self._rows.append(row)

    def end(self) -> None:
        """Draws the model that was kept; not where training was stopped."""
        if self._training is not None and self._training.finished:
            self._draw(self._training)
        self._training = self._watched = None

    def _draw(self, training: Training) -> None:
        assert self._display is not None
        with self._share.spending():
            self._curve.add(training)
            view = View(())
            if self._watched is not None:
                view = self._watched.view(training.model if training.finished else training.measured, training.device)
            figure = self._display.figure(WIDTH, HEIGHT)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
                draw(figure, self._title(training, view), self._rows, self._curve, self._plan.score, view)
                seen = self._display.show()
        if not seen:
            self._display = file_display(self._path, self._say, "The window was closed")
            self._share.interval = self._display.interval

    def _title(self, training: Training, view: View) -> str:
        at = f"update {training.step:,} of {self._plan.updates:,}"
        at = f"Done: {at}" if training.finished else f"Epoch {training.epoch} of {self._plan.epochs}, {at}"
        return f"{at}; at the right: {view.data}" if view.data else at


def _to_stderr(text: str) -> None:
    from rich.console import Console

    Console(stderr=True, markup=False, highlight=False).print(text, soft_wrap=True)
