"""A run read back from its folder: the recipe, the history, and the results if training has ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast import recipes
from holdfast.errors import RunError
from holdfast.tasks import TASKS
from holdfast.training.history import read_rows
from holdfast.training.run_directory import HISTORY_NAME, RECIPE_NAME, RESULTS_NAME, data_folder, is_run
from holdfast.training.sealed import read_sealed, write_sealed


@dataclass(frozen=True)
class FinishedRun:
    """A run in a folder; training may still go on.

    Attributes:
        path: The folder.
        recipe: The resolved recipe, as TOML values.
        rows: The rows of the history so far.
        results: The metrics on the test data, by name; None before training has ended, and for runs of versions that
            did not keep them.
        epochs: Epochs trained; 0 before the first one has ended.
        updates: Updates made.
        seconds: Time spent training, without interruptions.
    """

    path: Path
    recipe: dict[str, Any]
    rows: list[dict[str, Any]]
    results: dict[str, float] | None
    epochs: int
    updates: int
    seconds: float

    @classmethod
    def read(cls, path: Path) -> FinishedRun:
        """Reads a folder.

        Raises:
            RunError: There is no run in the folder, or a file of it is damaged.
        """
        if not is_run(path) or not (path / RECIPE_NAME).exists():
            raise RunError(
                f"There is no run in {path}. Give a folder that `holdfast train` wrote, such as runs/digits."
            )
        rows = read_rows(path / HISTORY_NAME)
        last: dict[str, Any] = rows[-1] if rows else {"epoch": 0, "step": 0, "seconds": 0.0}
        results = None
        if (path / RESULTS_NAME).exists():
            results = _results(path / RESULTS_NAME)
        recipe = read_sealed(path / RECIPE_NAME)
        return cls(path, recipe, rows, results, last["epoch"], last["step"], last["seconds"])

    def test_data(self, data_dir: Path | None = None) -> Any:
        """Reads the test data of the run, as examples of its task.

        Args:
            data_dir: A folder with local data files, as in :func:`holdfast.data.load`; None for the folder that the run
                remembers, or that ``HOLDFAST_DATA`` names, if any.

        Raises:
            DataError: The data cannot be read, or are not there any more.
            RunError: The recipe is damaged.
        """
        recipe = recipes.from_dict(self.recipe, str(self.path / RECIPE_NAME))
        return TASKS[recipe.task].load(recipe, data_dir or data_folder(self.path)).test


def _results(path: Path) -> dict[str, float]:
    """The metrics in a file of :func:`write_results`."""
    try:
        return {name: float(value) for name, value in read_sealed(path)["test"].items()}
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise RunError(f"{path} holds no results. Restore it; `holdfast evaluate` measures the model again.") from error


def write_results(path: Path, results: Mapping[str, float]) -> None:
    """Writes the metrics on the test data into the folder of a run.

    Raises:
        RunError: The file cannot be written.
    """
    write_sealed(path / RESULTS_NAME, {"test": dict(results)})
