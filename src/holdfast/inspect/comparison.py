"""Several runs beside each other: what differs in their recipes, and their results."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from holdfast.errors import RunError
from holdfast.inspect.figures.canvas import new_figure, write_figure
from holdfast.inspect.figures.learning_curves import learning_curves
from holdfast.training.finished_run import FinishedRun
from holdfast.training.run_directory import flattened, is_run

_NOT_COMPARED = ("name", "description")
_LARGEST_CELL = 40


@dataclass(frozen=True)
class Comparison:
    """Several runs beside each other.

    Attributes:
        runs: The runs, in the order given.
        differing: The dotted keys of the recipe whose values are not the same in all runs.
        metrics: The names of the metrics on the test data, of all runs.
    """

    runs: tuple[FinishedRun, ...]
    differing: tuple[str, ...]
    metrics: tuple[str, ...]

    def as_dicts(self) -> list[dict[str, Any]]:
        """One JSON object per run: ``run``, ``recipe`` (the differing keys), ``results``, ``epochs``, ..."""
        rows = []
        for run in self.runs:
            values = flattened(run.recipe)
            rows.append(
                {
                    "run": str(run.path),
                    "recipe": {key: values.get(key) for key in self.differing},
                    "results": run.results,
                    "epochs": run.epochs,
                    "updates": run.updates,
                    "seconds": run.seconds,
                }
            )
        return rows

    def __str__(self) -> str:
        head = ["run", *self.differing, *(f"test {name.replace('_', ' ')}" for name in self.metrics)]
        body = []
        for run in self.runs:
            values = flattened(run.recipe)
            cells = [_cell(values.get(key)) for key in self.differing]
            results = [(run.results or {}).get(name) for name in self.metrics]
            figures = ["-" if value is None else f"{value:.4f}" for value in results]
            body.append([str(run.path), *cells, *figures, str(run.epochs), str(run.updates), f"{run.seconds:.1f}"])
        return as_table([*head, "epochs", "updates", "seconds"], body)

    def draw(self, path: Path, metric: str = "loss") -> None:
        """Draws the learning curves of all runs into one picture.

        Args:
            path: The file of the picture; its ending says the format.
            metric: A metric of the histories.

        Raises:
            OptionError: A run has no such metric, or the picture cannot be written.
        """
        figure = new_figure()
        learning_curves({str(run.path): run.rows for run in self.runs}, metric, ax=figure.subplots())
        write_figure(figure, path)


def compare(paths: Sequence[Path]) -> Comparison:
    """Reads runs to compare them.

    Args:
        paths: Folders of runs, or folders of such folders: ``runs/digits-seeds`` stands for all runs in it.

    Raises:
        RunError: A folder holds no run, or a file of a run is damaged.
    """
    runs = tuple(FinishedRun.read(path) for path in expanded(paths))
    tables = [flattened(run.recipe) for run in runs]
    keys = dict.fromkeys(key for table in tables for key in table)
    differing = [
        key
        for key in keys
        if key not in _NOT_COMPARED and any(table.get(key) != tables[0].get(key) for table in tables)
    ]
    metrics = dict.fromkeys(name for run in runs for name in run.results or {})
    return Comparison(runs, tuple(differing), tuple(metrics))


def expanded(paths: Sequence[Path]) -> list[Path]:
    """The folders of runs: a folder that is no run itself stands for the runs directly in it.

    Args:
        paths: Folders of runs, and folders that contain them.

    Raises:
        RunError: A run is named twice.
    """
    folders = []
    for path in paths:
        inside = (
            sorted(child for child in path.iterdir() if is_run(child)) if path.is_dir() and not is_run(path) else []
        )
        folders += inside or [path]
    if len(set(map(os.path.abspath, folders))) < len(folders):
        raise RunError("A run is named more than once. Name each run once.")
    return folders


@dataclass(frozen=True)
class Spread:
    """A metric over several runs.

    Attributes:
        mean: The mean.
        deviation: The standard deviation of the runs (with n - 1); 0 for one run.
        values: The value of each run.
    """

    mean: float
    deviation: float
    values: tuple[float, ...]


def spreads(results: Sequence[dict[str, float]]) -> dict[str, Spread]:
    """Mean and deviation of each metric over the results of several runs."""
    columns = {name: tuple(result[name] for result in results) for name in results[0]}
    several = len(results) > 1
    return {
        name: Spread(float(np.mean(column)), float(np.std(column, ddof=1)) if several else 0.0, column)
        for name, column in columns.items()
    }


def epochs_table(run: FinishedRun) -> str:
    """The epochs of a run as text: a line per epoch, with the metrics on the training and validation data."""
    rows = [row for row in run.rows if row["event"] == "epoch"]
    columns = [(part, name) for part in ("train", "validation") for name in _names(rows, part)]
    head = ["epoch", "updates", "learning rate", *(f"{part} {name.replace('_', ' ')}" for part, name in columns), ""]
    body = []
    for row in rows:
        values = [row.get(part, {}).get(name) for part, name in columns]
        figures = ["-" if value is None else f"{value:.4f}" for value in values]
        best = "best" if row.get("best") else ""
        body.append([str(row["epoch"]), str(row["step"]), f"{row['learning_rate']:.3g}", *figures, best])
    return as_table(head, body)


def _names(rows: Sequence[dict[str, Any]], part: str) -> list[str]:
    """The metrics in the rows, in order."""
    return list(dict.fromkeys(name for row in rows for name in row.get(part, {})))


def as_table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Rows as text: the first column to the left, the others to the right.

    Args:
        head: The names of the columns.
        body: The rows, each with a text per column.
    """
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    lines = []
    for first, *rest in [head, *body]:
        cells = [first.ljust(widths[0]), *map(str.rjust, rest, widths[1:])]
        lines.append("  ".join(cells).rstrip())
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def _cell(value: Any) -> str:
    text = "-" if value is None else str(value)
    return text if len(text) <= _LARGEST_CELL else f"{text[: _LARGEST_CELL - 3]}..."
