"""Sequences and texts whose targets are numbers: from files, generated, or from values in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from holdfast.data import Examples, Splits, divided, read_sequences
from holdfast.data.pieces import Source, sequences, texts
from holdfast.data.readers import with_test_parts
from holdfast.data.sets.published import locate
from holdfast.data.settings import NumbersSettings
from holdfast.data.sources import read_splits
from holdfast.data.targets import Targets
from holdfast.tasks.regress.made import MADE
from holdfast.tasks.regress.settings import RegressData

READ: dict[str, Targets] = {"": "detect", "sequence": "numbers", "step": "steps"}
"""What the reader learns from ``data.per``."""


def load(data: RegressData, data_dir: Path | None, seed: int) -> Splits[Any]:
    """Reads or generates sequences with their targets, and splits them.

    Args:
        data: Which data, and how to read and split them.
        data_dir: A folder with local files, as :func:`holdfast.data.sets.published.locate` takes it.
        seed: The seed of the splits and of generated data.

    Raises:
        RecipeError: The source is unknown, or it has its own files and ``train`` or ``test`` is set.
        MissingDataError: A file was not found.
        DataError: A file cannot be read, or there is too little to split.
    """
    train_files, test_files = locate(data, "numbers", data_dir, made=[*MADE])
    if data.source in MADE:
        return divided(*MADE[data.source](data, seed), data, seed)
    test_files = test_files or ([] if data.unit else with_test_parts(train_files))
    splits = divided(*read_splits(train_files, test_files, data, READ[data.per]), data, seed)
    return splits if data.per else _settled(splits)


def read(paths: Sequence[Path], settings: NumbersSettings) -> Any:
    """Reads files, with targets as ``settings.per`` says; they may be missing."""
    return read_sequences(paths, settings, targets=READ[settings.per])


def sources(paths: Sequence[Path], settings: NumbersSettings, aside: Sequence[str]) -> list[Source]:
    """The same files in pieces, without targets."""
    if settings.unit:
        return texts.sources(paths, settings)
    return sequences.sources(paths, settings, READ[settings.per], aside)


def _settled(splits: Splits[Any]) -> Splits[Any]:
    """Targets that never change within a sequence, in any part, are targets of the sequences."""
    parts = [splits.train, splits.validation, splits.test]
    known = [part for part in parts if isinstance(part, Examples) and part.per_step]
    if not known or not all(map(_constant, known)):
        return splits
    return Splits(*(replace(p, targets=[t[0] for t in p.targets or []], per_step=False) if p else p for p in parts))


def _constant(examples: Examples) -> bool:
    """Whether all steps of each sequence have the same targets."""
    return all(np.array_equal(t, np.broadcast_to(t[0], t.shape), equal_nan=True) for t in examples.targets or [])
