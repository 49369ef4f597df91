"""What a person sees while files are scored: rows per second and the time left."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text

from holdfast.training.progress import duration


class _Rows(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed or 0
        return Text(f"{task.completed:,.0f} of {task.total or 0:,.0f} rows  {speed:,.0f} rows/s")


class ScoringProgress:
    """Progress on a console: a bar on a terminal, else a line every few seconds.

    Args:
        console: Where to print; None for nowhere.
        interval: Seconds between lines.
        clock: Returns seconds and never goes backwards.
    """

    def __init__(
        self, console: Console | None, *, interval: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console, self._interval, self._clock = console, interval, clock
        self._bar: Progress | None = None
        self._rows = self._total = self._before = 0
        self._began = self._last = clock()

    def __enter__(self) -> Self:
        """Begins to draw."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends to draw."""
        if self._bar is not None:
            self._bar.stop()

    def begin(self, total: int, done: int) -> None:
        """Says how many rows there are.

        Args:
            total: Rows to score.
            done: Those that an earlier start has scored.
        """
        self._total, self._rows, self._before = total, done, done
        self._began = self._last = self._clock()
        if self._console is None:
            return
        if done:
            self._print(f"resuming after {done:,} of {total:,} rows")
        if self._console.is_terminal:
            columns = (BarColumn(), _Rows(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._bar.start()
            self._bar.add_task("", total=total, completed=done)

    def advance(self, rows: int) -> None:
        """Counts rows that were scored."""
        self._rows += rows
        if self._console is None:
            return
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0], rows)
        elif self._clock() - self._last >= self._interval:
            self._last = self._clock()
            speed = (self._rows - self._before) / max(self._last - self._began, 1e-9)
            left = (self._total - self._rows) / max(speed, 1e-9)
            self._print(f"{self._rows:,} of {self._total:,} rows  {speed:,.0f} rows/s  {duration(left)} left")

    def note(self, text: str) -> None:
        """Prints a line."""
        if self._console is not None:
            self._print(text)

    def _print(self, text: str) -> None:
        if self._console is not None:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)
