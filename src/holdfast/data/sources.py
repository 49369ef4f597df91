"""Splits: the examples to train on, to choose the best epoch by, and to test on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

from holdfast.data import readers
from holdfast.data.defaults import validation_fraction
from holdfast.data.disk import sequences as stored_sequences
from holdfast.data.disk import texts as stored_texts
from holdfast.data.disk.files import kept
from holdfast.data.disk.placement import on_disk
from holdfast.data.examples import Examples
from holdfast.data.readers import texts
from holdfast.data.readers.layout import arrange
from holdfast.data.sets import spoken_digits
from holdfast.data.sets.published import locate
from holdfast.data.settings import ReadingSettings
from holdfast.data.targets import Targets
from holdfast.errors import DataError, RecipeError
from holdfast.settings import HELD_OUT, DataSettings


class Collection(Protocol):
    """What a split needs of examples of any kind."""

    @property
    def origins(self) -> Sequence[str]:
        """Where each example came from."""

    @property
    def labels(self) -> Sequence[str] | None:
        """The label of each example, whose shares ``split`` keeps in every part; None for no shares to keep."""

    @property
    def weights(self) -> npt.NDArray[np.float64] | None:
        """The weight of each example in the loss; None where all count alike."""

    def __len__(self) -> int: ...

    def subset(self, indices: Iterable[int]) -> Self:
        """The examples at these positions, in this order."""


Kind = TypeVar("Kind", bound=Collection)


@dataclass(frozen=True)
class Splits(Generic[Kind]):
    """Examples to train on, to choose the best epoch by, and to test on.

    Attributes:
        train: The examples that everything is fitted on.
        validation: None when ``data.validation`` is 0, or ``auto`` and the examples are few.
        test: Used only to measure the final figures.
    """

    train: Kind
    validation: Kind | None
    test: Kind


def load(settings: ReadingSettings, data_dir: Path | None, seed: int, targets: Targets = "labels") -> Splits[Any]:
    """Reads sequences with targets and splits them.

    A split keeps the order of its source. ``limit`` keeps the first sequences of training and test, before the
    validation split is held out.

    Args:
        settings: Which data set, and how to read and split it.
        data_dir: A folder with local files, as :func:`holdfast.data.sets.published.locate` takes it.
        seed: The seed of the validation and test splits.
        targets: What the task learns.

    Raises:
        RecipeError: The source is unknown, or it has its own files and ``train`` or ``test`` is set.
        MissingDataError: A file was not found.
        DataError: A file cannot be read, or there is too little to split.
    """
    train_files, test_files = locate(settings, "sequences", data_dir, made=["digits", "spoken-digits"])
    if settings.source == "spoken-digits":
        return divided(*spoken_digits.single(settings.audio, data_dir, settings.limit), settings, seed)
    if settings.source == "digits":
        if settings.unit:
            raise RecipeError(
                f'data.unit is {settings.unit!r}, but data.source = "digits" has numbers; leave data.unit out.'
            )
        return divided(*_digits(settings), settings, seed)
    test_files = test_files or ([] if settings.unit else readers.with_test_parts(train_files))
    return divided(*read_splits(train_files, test_files, settings, targets), settings, seed)


def read_splits(
    train: Sequence[Path], test: Sequence[Path], settings: ReadingSettings, targets: Targets
) -> tuple[Any, Any]:
    """Reads the files of the training and test splits, into memory or onto disk as ``settings.storage`` says.

    Args:
        train: The training files.
        test: The test files; none if a part of the training data is held out instead.
        settings: How to read them.
        targets: What the task learns.

    Returns:
        The training examples, and the test examples or None.

    Raises:
        MissingDataError: A path does not exist.
        DataError: A file is of an unknown kind, is damaged, or does not fit the others.
    """
    if not on_disk(settings.storage, [*train, *test]):
        trained = read_sequences(train, settings, "train", targets)
        return trained, read_sequences(test, settings, targets=targets) if test else None
    source = stored_texts.source if settings.unit else stored_sequences.source
    trained = kept(source(train, settings, "train", targets))
    return trained, kept(source(test, settings, "test", targets)) if test else None


def read_sequences(
    paths: Sequence[Path],
    settings: ReadingSettings,
    part: Literal["train", "test"] = "test",
    targets: Targets = "labels",
) -> Any:
    """Reads files of texts (``Records``) where ``settings.unit`` is set, else of numbers (``Examples``).

    Args:
        paths: The files.
        settings: How to read them.
        part: Which part of a file that has a training part and a test part.
        targets: What the task learns.

    Raises:
        MissingDataError: A path does not exist.
        DataError: A file is of an unknown kind, is damaged, or does not fit the others.
    """
    return texts.read(paths, settings, targets) if settings.unit else readers.read(paths, settings, part, targets)


def divided(train: Kind, test: Kind | None, settings: DataSettings, seed: int) -> Splits[Kind]:
    """Holds out the test and validation splits of the settings.

    Args:
        train: The training examples.
        test: The test examples; None to hold ``settings.test_fraction`` of the training examples out.
        settings: ``test_fraction``, ``limit`` and ``validation`` are read.
        seed: The same seed gives the same splits.

    Raises:
        DataError: There are too few examples.
    """
    if test is None:
        train, test = split(train, settings.test_fraction, seed)
    if settings.limit:
        train = train.subset(range(min(settings.limit, len(train))))
        test = test.subset(range(min(settings.limit, len(test))))
    train, validation = hold_out(train, settings, seed)
    return Splits(train, validation, test)


def hold_out(train: Kind, settings: DataSettings, seed: int) -> tuple[Kind, Kind | None]:
    """Holds the validation split of the settings out of the training examples.

    Args:
        train: The training examples.
        settings: ``validation`` is read; ``auto`` holds out what the number of examples allows.
        seed: The same seed gives the same split.

    Raises:
        DataError: There are too few examples.
    """
    fraction = validation_fraction(settings.validation, math.ceil(HELD_OUT * len(train)))
    return split(train, fraction, seed) if fraction else (train, None)


def split(examples: Kind, fraction: float, seed: int) -> tuple[Kind, Kind]:
    """Holds out a fraction of the examples at random.

    The split is stratified (each label has the same share in both parts) if every label has at least two examples and
    both parts have room for every label. Otherwise one example of each label is kept, so that training sees all
    labels, and the fraction is drawn from the rest.

    Args:
        examples: The examples; without ``labels`` there are no shares to keep.
        fraction: The fraction to hold out, above 0 and below 1; the number of examples is rounded up.
        seed: The same seed gives the same split.

    Returns:
        The kept and the held-out examples, both in the order of ``examples``.

    Raises:
        DataError: There are too few sequences.
    """
    from sklearn.model_selection import train_test_split

    count = len(examples)
    held = math.ceil(fraction * count)
    labels = examples.labels or [""] * count
    groups = Counter(labels)
    if groups and min(groups.values()) > 1 and min(held, count - held) >= len(groups):
        _, chosen = train_test_split(np.arange(count), test_size=held, stratify=labels, random_state=seed)
    else:
        firsts = {labels[index]: index for index in reversed(range(count))}
        rest = np.setdiff1d(np.arange(count), list(firsts.values()))
        if len(rest) < held:
            of, rest_of = (f" of {len(groups)} labels", "one of each label") if examples.labels else ("", "one")
            raise DataError(
                f"{count} sequences{of} are too few to hold out {fraction:g} of them ({held}) and keep {rest_of}. Add "
                "data, or lower data.validation or data.test_fraction."
            )
        chosen = rest if len(rest) == held else train_test_split(rest, test_size=held, random_state=seed)[1]
    return examples.subset(np.setdiff1d(np.arange(count), chosen)), examples.subset(np.sort(chosen))


def _digits(settings: ReadingSettings) -> tuple[Examples, Examples]:
    """The 1,797 digits of 8x8 pixels in scikit-learn, scaled from 0..16 to 0..255; a fixed fifth is the test split."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    origins = [f"digits[{index}]" for index in range(len(images))]
    labels = [str(target) for target in digits.target.tolist()]
    return split(Examples(arrange(images, settings.layout), labels, origins), 0.2, seed=0)
