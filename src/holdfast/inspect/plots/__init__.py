"""Figures of a trained model by name: what fits it, and drawing it. ``holdfast plot`` calls this."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import DataError, OptionError, did_you_mean
from holdfast.inspect.figures.canvas import write_figure
from holdfast.inspect.plots.subject import Choice, Subject
from holdfast.inspect.plots.table import PLOTS, Plot
from holdfast.predictor import Predictor
from holdfast.training.finished_run import FinishedRun
from holdfast.training.run_directory import is_run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PLOTS", "Choice", "Plot", "Subject", "draw", "draw_all", "fitting", "main_figure", "open_subject"]


def open_subject(
    path: Path,
    files: Sequence[Path] = (),
    *,
    options: Sequence[str] = (),
    data_dir: Path | None = None,
    choice: Choice | None = None,
) -> Subject:
    """Opens a trained model to draw figures of it. Examples are read when a figure needs them.

    Args:
        path: A run directory or a model file.
        files: Labelled files or folders, of the same kinds as for training; none for the run's own test data.
        options: How to predict, as in :class:`holdfast.Predictor`.
        data_dir: A folder with local data files, as in :func:`holdfast.data.load`; None for the folder that the run
            remembers, or that ``HOLDFAST_DATA`` names, if any.
        choice: What to look at inside the model.

    Raises:
        ModelFileError: There is no usable model.
        RunError: A file of the run is damaged.
        DataError: The examples are needed, and ``path`` is a model without a run and there are no files.
    """
    predictor = Predictor(path, options=options)
    run = FinishedRun.read(path) if path.is_dir() and is_run(path) else None

    def examples() -> object:
        if files:
            return predictor.read(files)
        if run is None:
            raise DataError(f"{path} is a model without a run: name the files to draw, or give its run directory.")
        return run.test_data(data_dir)

    return Subject(predictor, examples, None if run is None else run.rows, choice)


def fitting(subject: Subject) -> dict[str, Plot]:
    """The figures that fit a model, by name.

    Args:
        subject: The model.
    """
    return {name: plot for name, plot in PLOTS.items() if plot.why_not(subject) is None}


def main_figure(subject: Subject) -> str:
    """The name of the figure that shows best how good a model is.

    Args:
        subject: The model.
    """
    return next(iter(fitting(subject)))


def draw(subject: Subject, name: str) -> Figure:
    """Draws a figure.

    Args:
        subject: The model and its examples.
        name: A name of :data:`PLOTS`.

    Raises:
        OptionError: There is no such figure, or it does not fit the model.
        DataError: The examples cannot be read, have no targets, or do not fit the figure.
    """
    if name not in PLOTS:
        raise OptionError(f"There is no figure {name!r}: {did_you_mean(name, PLOTS)}")
    reason = PLOTS[name].why_not(subject)
    if reason is not None:
        raise OptionError(
            f"The figure {name!r} does not fit: {reason}. The figures of this model are {', '.join(fitting(subject))}."
        )
    return PLOTS[name].draw(subject)


def draw_all(subject: Subject, folder: Path, suffix: str = ".png") -> Iterator[tuple[str, Path | None, str]]:
    """Draws every figure that fits a model into a folder.

    Args:
        subject: The model and its examples.
        folder: Created if it is not there.
        suffix: Of the files: the format.

    Yields:
        The name of each figure with its file; or None and the reason where the data do not fit the figure.

    Raises:
        OptionError: A picture cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(f"The folder {folder} cannot be made: {error.strerror}. Choose another --out.") from error
    subject.examples  # noqa: B018  (an error in reading the data is one error, not one per figure)
    for name in fitting(subject):
        try:
            figure = draw(subject, name)
        except DataError as error:
            yield name, None, str(error)
            continue
        path = folder / f"{name}{suffix}"
        write_figure(figure, path)
        yield name, path, ""
