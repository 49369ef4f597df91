"""From the folder of a run to its report and its model card."""

from __future__ import annotations

import os
import shlex
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from holdfast import recipes
from holdfast.errors import HoldfastWarning, MissingDataError, RunError
from holdfast.files.container import MODEL_NAME, replace_file
from holdfast.inspect.facts import WORST, Facts, gather
from holdfast.inspect.measuring import Evaluation, measure
from holdfast.predictor import Predictor
from holdfast.settings import TrainSettings
from holdfast.training.determinism import reproducible
from holdfast.training.finished_run import FinishedRun

REPORT_NAME = "report.html"
"""The name of the report in the folder of a run."""
CARD_NAME = "README.md"
"""The name of a model card, as the Hugging Face Hub expects it."""
_SWITCH = "HOLDFAST_REPORT"
_MOST_NAMES = 5


def facts_of(path: Path, files: Sequence[Path] = (), *, data_dir: Path | None = None) -> Facts:
    """The facts of a finished run, measured on its test data or on other files.

    Args:
        path: The folder of the run.
        files: Labelled files or folders; none for the run's own test data. If these are not there any more, the facts
            say so, and have no examples.
        data_dir: A folder with local data files, as in :func:`holdfast.experiment.evaluate`.

    Raises:
        RunError: There is no finished run in the folder, or a file of it is damaged.
        ModelFileError: The model is damaged.
        DataError: The files cannot be read, or have no labels.
    """
    run = FinishedRun.read(path)
    if not (path / MODEL_NAME).exists():
        raise RunError(
            f"The run in {path} has not ended, so there is no model to report on. Resume it: "
            f"holdfast train {shlex.quote(str(path / 'recipe.toml'))} --out {shlex.quote(str(path))} --resume."
        )
    recipe = recipes.from_dict(run.recipe, str(path / "recipe.toml"))
    predictor = Predictor(path, recipe.train.device)
    with reproducible(recipe.train.threads):
        if files:
            examples, on = predictor.read(files), _named(files)
        else:
            try:
                examples, on = run.test_data(data_dir), "the test data"
            except MissingDataError as error:
                return gather(run, predictor, missing=[f"The test data could not be read. {error}"])
        evaluation = measure(predictor, examples, worst=WORST)
        return gather(run, predictor, examples, evaluation, measured_on=on)


def _named(files: Sequence[Path]) -> str:
    """Files in words, without their folders: a report does not depend on where it was made."""
    more = len(files) - _MOST_NAMES
    return ", ".join(file.name for file in files[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def report(path: Path, files: Sequence[Path] = (), *, out: Path | None = None, data_dir: Path | None = None) -> Path:
    """Writes the report of a run: one HTML file without scripts that loads nothing.

    Args:
        path: The folder of the run.
        files: As for :func:`facts_of`.
        out: The file; None for ``report.html`` in the run.
        data_dir: As for :func:`facts_of`.

    Returns:
        The file.

    Raises:
        HoldfastError: As for :func:`facts_of`.
        RunError: The file cannot be written.
    """
    return _written(facts_of(path, files, data_dir=data_dir), out or path / REPORT_NAME)


def _written(facts: Facts, out: Path) -> Path:
    from holdfast.inspect.report import render

    return _replaced(out, render(facts), "report")


def _replaced(out: Path, content: bytes, what: str) -> Path:
    """Writes a file, and returns it."""
    try:
        replace_file(out, content)
    except OSError as error:
        raise RunError(f"The {what} {out} cannot be written: {error.strerror}. Choose another --out.") from error
    return out


def write_card(
    path: Path, files: Sequence[Path] = (), *, out: Path | None = None, data_dir: Path | None = None
) -> Path:
    """Writes the model card of a run.

    Args:
        path: The folder of the run.
        files: As for :func:`facts_of`.
        out: The file; None for ``README.md`` in the run.
        data_dir: As for :func:`facts_of`.

    Returns:
        The file.

    Raises:
        HoldfastError: As for :func:`facts_of`.
        RunError: The file cannot be written.
    """
    from holdfast.inspect.card import card

    text = card(facts_of(path, files, data_dir=data_dir))
    return _replaced(out or path / CARD_NAME, text.encode(), "card")


def wanted(settings: TrainSettings) -> bool:
    """Whether a run writes a report at its end.

    Args:
        settings: The table ``[train]`` of the recipe; ``HOLDFAST_REPORT=0`` in the environment switches the report off
            too.
    """
    return settings.report and os.environ.get(_SWITCH) != "0"


def report_at_end(path: Path, predictor: Predictor, examples: Any, evaluation: Evaluation) -> None:
    """Writes the report of a run that has just ended. The run is complete: a failure is a warning with the reason.

    Args:
        path: The folder of the run.
        predictor: Its model.
        examples: The test data.
        evaluation: Their measurement, with the worst rows.
    """
    try:
        _written(gather(FinishedRun.read(path), predictor, examples, evaluation), path / REPORT_NAME)
    except Exception as error:  # whatever it is, the run stays as it is
        warnings.warn(
            f"The run in {path} is complete, but its report could not be written: {type(error).__name__}: {error}. "
            f"Draw it again with `holdfast report {shlex.quote(str(path))}`.",
            HoldfastWarning,
            stacklevel=2,
        )
