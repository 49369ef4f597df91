"""Bars that show how many bytes of a piece of work are done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


@contextmanager
def byte_bars() -> Iterator[Progress]:
    """In the block, each task of the result is a bar on standard error; where that is no terminal, nothing is shown.

    Example:
        >>> with byte_bars() as bars:
        ...     task = bars.add_task("Copying", total=4)
        ...     bars.update(task, completed=4)
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    bars = Progress(*columns, console=Console(stderr=True))
    # Elsewhere they do not start: older versions of rich print an empty line at the end even if they are disabled.
    with bars if bars.console.is_terminal else nullcontext():
        yield bars
