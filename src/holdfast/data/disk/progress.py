"""Shows how far the preparation of a set is: a bar in a terminal, else one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def shown(about: str, folder: Path, total: int) -> Iterator[Callable[[int], None]]:
    """In the block, the function that it gives is told the bytes that are done.

    Args:
        about: The source in words.
        folder: The folder of the set.
        total: The bytes of the source.
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
    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(f"Preparing {about} in {folder}", soft_wrap=True, highlight=False, markup=False)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"Preparing {about}", total=total)
        yield lambda done: progress.update(task, completed=done)
