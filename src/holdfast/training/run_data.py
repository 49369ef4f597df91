"""The recipe and the data of a run, read back from its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from holdfast import recipes
from holdfast.settings import Recipe
from holdfast.tasks import TASKS
from holdfast.training.run_directory import RECIPE_NAME, data_folder
from holdfast.training.sealed import read_sealed


def recipe_of(run: Path) -> Recipe:
    """The resolved recipe of a run.

    Args:
        run: The folder.

    Raises:
        RunError: The recipe is damaged or not there.
        RecipeError: It cannot be used.
    """
    return recipes.from_dict(read_sealed(run / RECIPE_NAME), str(run / RECIPE_NAME))


def read_test_examples(run: Path, data_dir: Path | None = None) -> Any:
    """The test examples of a run.

    Args:
        run: The folder.
        data_dir: A folder with local data files; None for the one that the run remembers, or that ``HOLDFAST_DATA``
            names, if any.

    Raises:
        MissingDataError: The data are not there any more.
        DataError: They cannot be read.
        RunError: As for :func:`recipe_of`.
    """
    recipe = recipe_of(run)
    return TASKS[recipe.task].load(recipe, data_dir or data_folder(run)).test
