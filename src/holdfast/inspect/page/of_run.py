"""The page of a run or a model file: what ``holdfast page`` writes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import HoldfastWarning, MissingDataError, OptionError
from holdfast.inspect.page.writing import MAX_MB, write_page
from holdfast.predictor import Predictor
from holdfast.training.finished_run import FinishedRun
from holdfast.training.run_directory import RECIPE_NAME


@dataclass(frozen=True)
class WrittenPage:
    """The result of :func:`write_run_page`.

    Attributes:
        path: The file.
        size: Its bytes.
    """

    path: Path
    size: int


def write_run_page(
    source: Path,
    out: Path,
    files: Sequence[Path] = (),
    *,
    max_mb: float = MAX_MB,
    data_dir: Path | None = None,
    force: bool = False,
) -> WrittenPage:
    """Writes a page that runs a trained model: one HTML file, which needs no network.

    Args:
        source: A run directory or a model file.
        out: The HTML file.
        files: Files with examples to begin with; none for the run's own test data.
        max_mb: The largest page, in millions of bytes.
        data_dir: As for :meth:`holdfast.training.finished_run.FinishedRun.test_data`.
        force: Replace an existing file.

    Raises:
        DataError: The files cannot be read.
        ModelFileError: There is no usable model.
        OptionError: The page lacks a part of the model or would be too large; or the file exists or cannot be written.
    """
    if out.exists() and not force:
        raise OptionError(f"{out} already exists. Choose another file, or replace it with --force.")
    predictor = Predictor(source)
    run = FinishedRun.read(source) if source.is_dir() and (source / RECIPE_NAME).exists() else None
    examples = predictor.read(files) if files else None
    if not files and run is not None:
        try:
            examples = run.test_data(data_dir)
        except MissingDataError as error:
            message = f"The page has no examples to begin with: {error}"
            warnings.warn(message, HoldfastWarning, stacklevel=2)
    title = str(run.recipe["name"]) if run else source.stem
    texts = {"title": title, "description": str(run.recipe["description"]) if run else ""}
    return WrittenPage(out, write_page(predictor, out, **texts, examples=examples, max_mb=max_mb))
