"""What a person sees while training: a live line on a terminal, plain lines elsewhere, or nothing.

Nothing here is asked for more often than it is drawn, so a fast model is not slowed by being watched.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from holdfast.training.state import Training

Clock = Callable[[], float]
_SMALLEST_BAR, _LARGEST_BAR = 6, 24
"""Columns; where there is less room, the line has no bar."""


@dataclass(frozen=True)
class Plan:
    """What lies ahead when training begins."""

    epochs: int
    """Epochs of the whole run, the last of them perhaps not whole."""
    batches: int
    """Batches in an epoch."""
    updates: int
    """Updates of the whole run."""
    done: int
    """Updates done by an earlier session of the run."""
    score: str
    """The metric to show beside the loss."""


class Progress(Protocol):
    """Told by the loop how training goes."""

    def begin(self, plan: Plan) -> None:
        """Training begins, or goes on."""

    def update(self, training: Training, sequences: int) -> None:
        """An update on so many sequences is done."""

    def epoch(self, row: dict[str, Any]) -> None:
        """An epoch is done: its row of the history."""

    def end(self) -> None:
        """Training has ended, however it did."""


class QuietProgress:
    """Shows nothing."""

    def begin(self, plan: Plan) -> None:
        """Shows nothing."""

    def update(self, training: Training, sequences: int) -> None:
        """Shows nothing."""

    def epoch(self, row: dict[str, Any]) -> None:
        """Shows nothing."""

    def end(self) -> None:
        """Shows nothing."""


def choose_progress(console: Console, *, quiet: bool = False) -> Progress:
    """The progress for a console: live on a terminal, plain lines where the output is a file or a pipe.

    Args:
        console: Usually ``rich.console.Console(stderr=True)``.
        quiet: Show nothing.
    """
    if quiet:
        return QuietProgress()
    return LiveProgress(console) if console.is_terminal else PlainProgress(console)


class _Figures:
    """The figures that both kinds show, taken at most every ``interval`` seconds."""

    def __init__(self, interval: float, clock: Clock) -> None:
        self._interval, self._clock = interval, clock

    def begin(self, plan: Plan) -> None:
        self.plan = plan
        self._began = self._last = self._clock()
        self._sequences = 0

    def due(self, sequences: int) -> bool:
        """Counts the sequences; whether it is time to show something."""
        self._sequences += sequences
        now = self._clock()
        if now - self._last < self._interval:
            return False
        self._last = now
        return True

    def shown(self, training: Training) -> str:
        """Loss and metric of the epoch so far, sequences a second and time left."""
        training.read_losses()
        elapsed = max(self._clock() - self._began, 1e-9)
        done = training.step - self.plan.done
        left = elapsed / max(done, 1) * (self.plan.updates - training.step)
        values = _values(training.this_epoch.report(), ("loss", self.plan.score))
        return f"{values}  {self._sequences / elapsed:,.0f} seq/s  {_duration(left)} left"


class PlainProgress:
    """Lines of text: one an epoch, and one every few seconds within.

    Args:
        console: Where to; lines are never wrapped.
        interval: Seconds between lines within an epoch.
        clock: Seconds that never run backwards.
    """

    def __init__(self, console: Console, *, interval: float = 5.0, clock: Clock = time.monotonic) -> None:
        self._console = console
        self._figures = _Figures(interval, clock)

    def begin(self, plan: Plan) -> None:
        """Says where an earlier session stopped, if there was one."""
        self._figures.begin(plan)
        if plan.done:
            self._print(f"going on after update {plan.done} of {plan.updates}")

    def update(self, training: Training, sequences: int) -> None:
        """Prints a line when the last is long enough ago."""
        if self._figures.due(sequences):
            plan = self._figures.plan
            where = f"epoch {training.epoch}/{plan.epochs}  batch {training.batch}/{plan.batches}"
            self._print(f"{where}  {self._figures.shown(training)}")

    def epoch(self, row: dict[str, Any]) -> None:
        """Prints the epoch's line."""
        self._print(_epoch_line(row, self._figures.plan))

    def end(self) -> None:
        """Nothing is left open."""

    def _print(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, markup=False, highlight=False)


class LiveProgress:
    """One line that is redrawn in place, and above it a line for each epoch.

    Args:
        console: A terminal.
        interval: Seconds between two drawings.
        clock: Seconds that never run backwards.
    """

    def __init__(self, console: Console, *, interval: float = 0.2, clock: Clock = time.monotonic) -> None:
        self._console = console
        self._figures = _Figures(interval, clock)
        self._live: Live | None = None

    def begin(self, plan: Plan) -> None:
        """Draws the empty bar."""
        self._figures.begin(plan)
        self._live = Live(console=self._console, auto_refresh=False, transient=True, redirect_stdout=False)
        self._live.start()

    def update(self, training: Training, sequences: int) -> None:
        """Redraws the line when the last drawing is long enough ago."""
        if self._live is None or not self._figures.due(sequences):
            return
        plan = self._figures.plan
        epoch = f"epoch {training.epoch}/{plan.epochs} "
        figures = f" {training.batch}/{plan.batches}  {self._figures.shown(training)}"
        room = self._console.width - len(epoch) - len(figures)
        line: RenderableType
        if room < _SMALLEST_BAR:
            line = Text(epoch + figures, no_wrap=True, overflow="ellipsis")
        else:
            bar = ProgressBar(total=plan.batches, completed=training.batch, width=min(room, _LARGEST_BAR))
            line = Table.grid()
            line.add_row(epoch, bar, figures)
        self._live.update(line, refresh=True)

    def epoch(self, row: dict[str, Any]) -> None:
        """Prints the epoch's line above the bar."""
        self._console.print(Text(_epoch_line(row, self._figures.plan)), no_wrap=True, overflow="ellipsis")

    def end(self) -> None:
        """Takes the bar away; the epochs' lines stay."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def _epoch_line(row: dict[str, Any], plan: Plan) -> str:
    names = ("loss", plan.score)
    line = f"epoch {row['epoch']}/{plan.epochs}  train {_values(row['train'], names)}"
    if "validation" in row:
        line += f"  validation {_values(row['validation'], names)}{'  best' if row['best'] else ''}"
    return f"{line}  {_duration(row['seconds'])}"


def _values(report: dict[str, Any], names: tuple[str, ...]) -> str:
    shown = dict.fromkeys(name for name in names if name in report)
    return "  ".join(f"{name} {'-' if report[name] is None else f'{report[name]:.4f}'}" for name in shown)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
