"""NPY files: one NumPy array each, inputs or labels, as ``numpy.save`` writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from holdfast.data.examples import Array, Examples
from holdfast.data.readers import arrays
from holdfast.data.settings import ReadingSettings
from holdfast.data.targets import Targets
from holdfast.errors import DataError


def read(path: Path, settings: ReadingSettings, labels: Path | None = None, targets: Targets = "labels") -> Examples:
    """Reads inputs and, from a second file, their targets. Nothing is ever unpickled.

    Args:
        path: The inputs, [N, T, C] or [N, T] (one channel).
        settings: ``missing`` is used.
        labels: The file of targets; None for inputs without targets. Labels are [N], integers or text; numbers are
            [N]; numbers of steps are [N, T].
        targets: What the task learns.

    Raises:
        DataError: A file is damaged, or holds an array of a wrong shape or type.
    """
    named = {"inputs": _array(path), **({} if labels is None else {"labels": _array(labels)})}
    return arrays.examples(str(path), named, targets, gaps=settings.missing != "error")


def pairs(files: Sequence[Path]) -> dict[Path, Path | None]:
    """Each file of inputs with its file of labels, or with None where no file of labels was given.

    A file is a file of labels by its name (``y.npy``, ``train_labels.npy``) or if it has one dimension. It belongs to
    the inputs with the same name except for that word; or there is one file of each.

    Raises:
        DataError: A file of labels belongs to no inputs, or a file is damaged.
    """
    labels = [path for path in files if _word(path, arrays.LABELS) or len(check_header(path)[0]) == 1]
    inputs = [path for path in files if path not in labels]
    if len(labels) == len(inputs) == 1:
        return {inputs[0]: labels[0]}
    rests = {_rest(path, arrays.LABELS): path for path in labels}
    pairs_by_name = {path: rests.get(_rest(path, arrays.INPUTS)) for path in inputs}
    alone = [str(path) for path in labels if path not in pairs_by_name.values()]
    if alone:
        raise DataError(
            f"{', '.join(alone)} holds labels, and no given file of inputs belongs to it; expected names "
            "such as X_train.npy and y_train.npy."
        )
    return pairs_by_name


def _word(path: Path, words: Sequence[str]) -> str | None:
    """The part of the name of a file, between underscores, that is one of some words."""
    return next((part for part in path.stem.split("_") if part in words), None)


def _rest(path: Path, words: Sequence[str]) -> tuple[Path, tuple[str, ...]]:
    """The folder and the name of a file without that word."""
    parts = path.stem.split("_")
    word = _word(path, words)
    return path.parent, tuple(part for part in parts if part != word)


def check_header(path: Path) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    """The shape and type of an array, after a check that they agree with the size of the file.

    Raises:
        DataError: They do not, or the file is damaged or holds Python objects.
    """
    try:
        with path.open("rb") as file:
            shape, dtype = arrays.header(file, str(path))
            size = file.tell() + arrays.claimed(shape, dtype)
    except DataError:
        raise
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"{path} cannot be read as an NPY file: it is cut short or damaged ({error}).") from error
    if size != path.stat().st_size:
        raise DataError(
            f"{path} is damaged: its header claims shape {shape} and type {dtype}, {size} bytes in all, and it has "
            f"{path.stat().st_size}. Copy or download it again."
        )
    return shape, dtype


def _array(path: Path) -> Array:
    check_header(path)
    return np.asarray(np.load(path, allow_pickle=False))
