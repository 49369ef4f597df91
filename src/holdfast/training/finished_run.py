"""A run read back from its folder: the recipe, the history, and the results if training has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast import recipes
from holdfast.errors import RunError
from holdfast.tasks import TASKS
from holdfast.training.history import read_rows
from holdfast.training.run_directory import HISTORY_NAME, RECIPE_NAME, RESULTS_NAME, data_folder, is_run
from holdfast.training.sealed import read_sealed, write_sealed


@dataclass(frozen=True)
class Circumstances:
    """What was recorded of a run when it ended, besides its metrics.

    Attributes:
        sizes: The size of each split, in the task's own units, such as ``{"train": {"sequences": 1437}}``.
        versions: The versions of Python and of the main libraries, by name.
        engines: For each recurrent layer and direction: ``part``, ``engine`` and, in ``not``, the reason against every
            other engine.
    """

    sizes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    engines: Sequence[Mapping[str, Any]] = ()


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
        circumstances: What else was recorded when training ended; empty for runs of versions that did not record it.
    """

    path: Path
    recipe: dict[str, Any]
    rows: list[dict[str, Any]]
    results: dict[str, float] | None
    epochs: int
    updates: int
    seconds: float
    circumstances: Circumstances = Circumstances()

    @classmethod
    def read(cls, path: Path) -> FinishedRun:
        """Reads a folder.

        Args:
            path: The folder of a run.

        Raises:
            RunError: There is no run in the folder, or a file of it is damaged.
        """
        if not is_run(path) or not (path / RECIPE_NAME).exists():
            raise RunError(
                f"There is no run in {path}. Give a folder that `holdfast train` wrote, such as runs/digits."
            )
        rows = read_rows(path / HISTORY_NAME)
        last: dict[str, Any] = rows[-1] if rows else {"epoch": 0, "step": 0, "seconds": 0.0}
        results, circumstances = None, Circumstances()
        if (path / RESULTS_NAME).exists():
            results, circumstances = _results(path / RESULTS_NAME)
        recipe = read_sealed(path / RECIPE_NAME)
        return cls(path, recipe, rows, results, last["epoch"], last["step"], last["seconds"], circumstances)

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


def _results(path: Path) -> tuple[dict[str, float], Circumstances]:
    """The metrics and the circumstances in a file of :func:`write_results`."""
    table = read_sealed(path)
    try:
        results = {name: float(value) for name, value in table["test"].items()}
        sizes = {
            part: {str(unit): int(count) for unit, count in counts.items()}
            for part, counts in table.get("sizes", {}).items()
        }
        versions = {name: str(version) for name, version in table.get("versions", {}).items()}
        engines = [
            {"part": str(row["part"]), "engine": str(row["engine"]), "not": dict(row["not"])}
            for row in table.get("engines", [])
        ]
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise RunError(f"{path} holds no results. Restore it; `holdfast evaluate` measures the model again.") from error
    return results, Circumstances(sizes, versions, engines)


def write_results(path: Path, results: Mapping[str, float], circumstances: Circumstances | None = None) -> None:
    """Writes the metrics on the test data, and what else is recorded when a run ends, into the folder of a run.

    Args:
        path: The folder of the run.
        results: The metrics by name.
        circumstances: Sizes, versions and engines; None for none.

    Raises:
        RunError: The file cannot be written.
    """
    recorded = vars(circumstances or Circumstances())
    write_sealed(
        path / RESULTS_NAME, {"test": dict(results), **{name: part for name, part in recorded.items() if part}}
    )
