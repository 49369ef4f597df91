"""What a person sees while training: a live line on a terminal, a bar in a notebook, plain lines, or nothing.

Figures are computed only when they are drawn, so that progress does not slow a fast model.
"""

from __future__ import annotations

import html
import math
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from holdfast.training.listener import Listener, Plan
from holdfast.training.state import Training

Clock = Callable[[], float]
_SMALLEST_BAR, _LARGEST_BAR = 6, 24
"""Columns. With less room, the line has no bar."""
_LATEST = 10
"""The number of epochs whose figures a notebook shows, beside the best one."""


def choose_progress(console: Console, *, quiet: bool = False) -> Listener:
    """Chooses the progress for a console: live on a terminal or in a notebook, plain lines in a file or a pipe.

    Args:
        console: Usually ``rich.console.Console(stderr=True)``.
        quiet: Show nothing.
    """
    if quiet:
        return Listener()
    if console.is_jupyter:
        return NotebookProgress(import_module("IPython.display").display)
    return LiveProgress(console) if console.is_terminal else PlainProgress(console)


class _Figures:
    """The figures that both kinds of progress show, at most once per ``interval`` seconds."""

    def __init__(self, interval: float, clock: Clock) -> None:
        self._interval, self._clock = interval, clock

    def begin(self, plan: Plan) -> None:
        self.plan = plan
        self._began = self._last = self._clock()
        self._sequences = 0

    def due(self, sequences: int) -> bool:
        """Counts the sequences, and returns whether it is time to show something."""
        self._sequences += sequences
        now = self._clock()
        if now - self._last < self._interval:
            return False
        self._last = now
        return True

    def shown(self, training: Training) -> str:
        """Loss and metric of the epoch so far, sequences per second, and time left."""
        training.read_losses()
        elapsed = max(self._clock() - self._began, 1e-9)
        done = training.step - self.plan.done
        left = elapsed / max(done, 1) * (self.plan.updates - training.step)
        values = _values(training.this_epoch.report(), ("loss", self.plan.score))
        return f"{values}  {self._sequences / elapsed:,.0f} seq/s  {duration(left)} left"


class PlainProgress(Listener):
    """Prints a line per epoch, and one every few seconds within an epoch.

    Args:
        console: Where to print; lines are never wrapped.
        interval: Seconds between lines within an epoch.
        clock: Returns seconds and never goes backwards.
    """

    def __init__(self, console: Console, *, interval: float = 5.0, clock: Clock = time.monotonic) -> None:
        self._console = console
        self._figures = _Figures(interval, clock)

    def note(self, text: str) -> None:
        """Prints it in one line."""
        self._print(text)

    def begin(self, plan: Plan) -> None:
        """Says from which update a run resumes, if it does."""
        self._figures.begin(plan)
        if plan.done:
            self._print(f"resuming after update {plan.done} of {plan.updates}")

    def update(self, training: Training, sequences: int) -> None:
        """Prints a line when the last one is old enough."""
        if self._figures.due(sequences):
            plan = self._figures.plan
            where = f"epoch {training.epoch}/{plan.epochs}  batch {training.batch}/{plan.batches}"
            self._print(f"{where}  {self._figures.shown(training)}")

    def epoch(self, row: dict[str, Any]) -> None:
        """Prints the epoch's line."""
        self._print(_epoch_line(row, self._figures.plan))

    def _print(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, markup=False, highlight=False)


class LiveProgress(Listener):
    """Redraws one line in place, and prints a line per epoch above it.

    Args:
        console: A terminal.
        interval: Seconds between drawings.
        clock: Returns seconds and never goes backwards.
    """

    def __init__(self, console: Console, *, interval: float = 0.2, clock: Clock = time.monotonic) -> None:
        self._console = console
        self._figures = _Figures(interval, clock)
        self._live: Live | None = None

    def note(self, text: str) -> None:
        """Prints it, in as many lines as it needs."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def begin(self, plan: Plan) -> None:
        """Draws the empty bar."""
        self._figures.begin(plan)
        self._live = Live(console=self._console, auto_refresh=False, transient=True, redirect_stdout=False)
        self._live.start()

    def update(self, training: Training, sequences: int) -> None:
        """Redraws the line when the last drawing is old enough."""
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
        """Removes the bar; the lines of the epochs stay."""
        if self._live is not None:
            self._live.stop()
            self._live = None


class NotebookProgress(Listener):
    """Shows a bar over the whole run, and a table of the best and the latest epochs, in the output of a cell.

    The bar goes when training ends; the table stays.

    Args:
        display: ``IPython.display.display``.
        interval: Seconds between drawings.
        clock: Returns seconds and never goes backwards.
    """

    def __init__(self, display: Callable[..., Any], *, interval: float = 0.2, clock: Clock = time.monotonic) -> None:
        self._display = display
        self._figures = _Figures(interval, clock)
        self._handle: Any = None
        self._notes: list[str] = []
        self._rows: list[dict[str, Any]] = []

    def note(self, text: str) -> None:
        """Shows it above the bar."""
        self._notes.append(text)

    def begin(self, plan: Plan) -> None:
        """Draws the empty bar."""
        self._figures.begin(plan)
        self._draw(plan.done)

    def update(self, training: Training, sequences: int) -> None:
        """Redraws the bar when the last drawing is old enough."""
        if self._figures.due(sequences):
            plan = self._figures.plan
            self._draw(training.step, f"epoch {training.epoch}/{plan.epochs}  {self._figures.shown(training)}")

    def epoch(self, row: dict[str, Any]) -> None:
        """Adds the epoch to the table."""
        self._rows.append(row)
        if self._figures.due(0):
            self._draw(row["step"], f"epoch {row['epoch']}/{self._figures.plan.epochs}")

    def end(self) -> None:
        """Removes the bar; the table stays."""
        if self._handle is not None:
            self._draw(None)
            self._handle = None

    def _draw(self, step: int | None, line: str = "") -> None:
        """Shows the notes, the bar unless ``step`` is None, and the table, as HTML and as plain text."""
        best = [row for row in self._rows if row.get("best")][-1:]
        rows = self._rows[-_LATEST:]
        rows = [*(row for row in best if row not in rows), *rows]
        lines = [*self._notes, *(_epoch_line(row, self._figures.plan) for row in rows), line]
        parts = [f"<p>{html.escape(note)}</p>" for note in self._notes]
        if step is not None:
            bar = f'<progress value="{step}" max="{self._figures.plan.updates}" style="width: 20em"></progress>'
            parts.append(f"<p>{bar} {html.escape(line)}</p>")
        content = {
            "text/html": "".join([*parts, _epoch_table(rows, self._figures.plan)]),
            "text/plain": "\n".join(line for line in lines if line),
        }
        if self._handle is None:
            self._handle = self._display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)


def _epoch_table(rows: list[dict[str, Any]], plan: Plan) -> str:
    """The epochs as an HTML table, empty without an epoch."""
    if not rows:
        return ""
    names = [
        (part, name)
        for part in ("train", "validation")
        for name in dict.fromkeys(("loss", plan.score))
        if name in rows[-1].get(part, {})
    ]
    marked = any("best" in row for row in rows)  # in a column of its own, so that the times are aligned
    titles = ["epoch", *(f"{part} {name}" for part, name in names), "time", *[""] * marked]
    lines = [
        [
            f"{row['epoch']}/{plan.epochs}",
            *(_number(row[part][name]) for part, name in names),
            duration(row["seconds"]),
            *["best" if row.get("best") else ""] * marked,
        ]
        for row in rows
    ]
    head = "".join(f"<th>{html.escape(title)}</th>" for title in titles)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in line)}</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _epoch_line(row: dict[str, Any], plan: Plan) -> str:
    names = ("loss", plan.score)
    line = f"epoch {row['epoch']}/{plan.epochs}  train {_values(row['train'], names)}"
    if "validation" in row:
        line += f"  validation {_values(row['validation'], names)}{'  best' if row['best'] else ''}"
    return f"{line}  {duration(row['seconds'])}"


def _values(report: dict[str, Any], names: tuple[str, ...]) -> str:
    shown = dict.fromkeys(name for name in names if name in report)
    return "  ".join(f"{name} {_number(report[name])}" for name in shown)


def _number(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "-"


def duration(seconds: float) -> str:
    """A duration such as ``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
