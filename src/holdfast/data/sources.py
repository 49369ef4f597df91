"""Data sets by name, and their splits."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from holdfast.data import download, readers
from holdfast.data.download import RemoteFile
from holdfast.data.examples import Examples
from holdfast.data.readers.layout import arrange
from holdfast.errors import DataError, MissingDataError, RecipeError, did_you_mean
from holdfast.recipes.schema import DataSettings


@dataclass(frozen=True)
class Splits:
    """Examples to train on, to choose the best epoch by, and to test on.

    Attributes:
        train: What everything is fitted on.
        validation: None when ``data.validation`` is 0.
        test: What the final figures are measured on, and nothing else.
    """

    train: Examples
    validation: Examples | None
    test: Examples


@dataclass(frozen=True)
class _Published:
    """A public data set with an official split.

    Attributes:
        folder: The subfolder that its files may lie in.
        train: The files of the training split.
        test: The files of the test split.
    """

    folder: str
    train: tuple[RemoteFile, ...]
    test: tuple[RemoteFile, ...]


def _files(addresses: Sequence[str], sums: dict[str, str]) -> tuple[RemoteFile, ...]:
    return tuple(RemoteFile(name, sha, tuple(site + name for site in addresses)) for name, sha in sums.items())


_MNIST_SITES = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_VOWELS_SITES = (
    "https://raw.githubusercontent.com/sktime/sktime/7bd7d1620c0656f3210eeb850bb1c0034159ee47/"
    "sktime/datasets/data/JapaneseVowels/",
)
_PUBLISHED = {
    "mnist": _Published(
        "mnist",
        _files(
            _MNIST_SITES,
            {
                "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            },
        ),
        _files(
            _MNIST_SITES,
            {
                "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            },
        ),
    ),
    "japanese-vowels": _Published(
        "JapaneseVowels",
        _files(
            _VOWELS_SITES,
            {"JapaneseVowels_TRAIN.ts": "68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd"},
        ),
        _files(
            _VOWELS_SITES,
            {"JapaneseVowels_TEST.ts": "b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462"},
        ),
    ),
}


def load(settings: DataSettings, data_dir: Path | None, seed: int) -> Splits:
    """Read a data set and split it.

    A split keeps the order of what it was taken from. ``limit`` keeps the first sequences of training and test,
    before the validation split is held out.

    Args:
        settings: Which data set, and how to read and split it.
        data_dir: A folder with local files; None for the one that the environment variable ``HOLDFAST_DATA`` names,
            if any. The files of a published set are looked for in it, in its subfolder of the set's name and in the
            cache, and then downloaded. The files of ``source = "files"`` are looked for in it and in the working
            directory.
        seed: What the validation and test splits depend on.

    Raises:
        RecipeError: The source is unknown, or ``train`` and ``test`` do not go with it.
        MissingDataError: A file is nowhere to be found.
        DataError: A file cannot be read, or there is too little to split.
    """
    sources = ["files", "digits", *_PUBLISHED]
    if settings.source not in sources:
        raise RecipeError(f"data.source is {settings.source!r}; {did_you_mean(settings.source, sources)}")
    if settings.source != "files" and (settings.train or settings.test):
        raise RecipeError(
            f"data.source is {settings.source!r}, which has its own files, but data.train or data.test names others; "
            'set data.source = "files" to use them.'
        )
    if settings.source == "files":
        train, test = _own_files(settings, _local_folder(data_dir), seed)
    elif settings.source == "digits":
        train, test = _digits(settings)
    else:
        train, test = _published(_PUBLISHED[settings.source], settings, _local_folder(data_dir))
    if settings.limit:
        train = train.subset(range(min(settings.limit, len(train))))
        test = test.subset(range(min(settings.limit, len(test))))
    if not settings.validation:
        return Splits(train, None, test)
    train, validation = split(train, settings.validation, seed)
    return Splits(train, validation, test)


def split(examples: Examples, fraction: float, seed: int) -> tuple[Examples, Examples]:
    """Hold out a fraction of the sequences at random.

    Stratified (each label in the same proportion in both parts) where every label has at least two sequences and
    both parts have room for every label. Otherwise one sequence of each label is kept, so that no label is unknown to
    training, and the fraction is drawn from the rest.

    Args:
        examples: What to split.
        fraction: Of the sequences to hold out, rounded up; above 0, below 1.
        seed: The same seed gives the same split.

    Returns:
        What is kept and what is held out, both in the order of ``examples``.

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
        firsts = {label: index for index, label in reversed(list(enumerate(labels)))}
        rest = np.setdiff1d(np.arange(count), list(firsts.values()))
        if len(rest) < held:
            raise DataError(
                f"{count} sequences of {len(groups)} labels are too few to hold out {fraction:g} of them ({held}) "
                "and keep one of each label. Add data, or lower data.validation or data.test_fraction."
            )
        chosen = rest if len(rest) == held else train_test_split(rest, test_size=held, random_state=seed)[1]
    return examples.subset(np.setdiff1d(np.arange(count), chosen)), examples.subset(np.sort(chosen))


def _digits(settings: DataSettings) -> tuple[Examples, Examples]:
    """The 1,797 digits of 8x8 pixels that scikit-learn embeds, from 0..16 to 0..255; a fixed fifth is the test."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    origins = [f"digits[{index}]" for index in range(len(images))]
    labels = [str(target) for target in digits.target.tolist()]
    return split(Examples(arrange(images, settings.layout), labels, origins), 0.2, seed=0)


def _published(known: _Published, settings: DataSettings, data_dir: Path | None) -> tuple[Examples, Examples]:
    """Find the files of a published set, or fetch them, and read them."""
    local = [data_dir, data_dir / known.folder] if data_dir else []
    cache = download.cache_dir() / known.folder
    wanted = [*known.train, *known.test]
    places = {file.name: place for file in wanted if (place := _find(file.name, [*local, cache]))}
    absent = [file for file in wanted if file.name not in places]
    places |= zip((file.name for file in absent), download.fetch(absent, cache, local), strict=True)
    train, test = ([places[file.name] for file in files] for files in (known.train, known.test))
    return readers.read(train, settings), readers.read(test, settings)


def _find(name: str, folders: Sequence[Path]) -> Path | None:
    """The file in the first folder that has it, gzipped as published or already unpacked."""
    candidates = [folder / form for folder in folders for form in (name, name.removesuffix(".gz"))]
    return next((place for place in candidates if place.is_file()), None)


def _own_files(settings: DataSettings, data_dir: Path | None, seed: int) -> tuple[Examples, Examples]:
    """Read the files that the recipe names."""
    if not settings.train:
        raise RecipeError(
            'data.source is "files" but data.train names none; expected files or folders to train on, or one of the '
            f"known sets as data.source: {', '.join(['digits', *_PUBLISHED])}."
        )
    folders = [data_dir, Path.cwd()] if data_dir else [Path.cwd()]
    train_paths, test_paths = (
        [next((folder / name for folder in folders if (folder / name).exists()), None) for name in names]
        for names in (settings.train, settings.test)
    )
    named = zip([*settings.train, *settings.test], [*train_paths, *test_paths], strict=True)
    missing = ", ".join(name for name, path in named if path is None)
    if missing:
        raise MissingDataError(
            f"Missing data: {missing}. Looked in {', '.join(str(folder) for folder in folders)}. "
            "Put the files there, or name their folder by --data-dir or the environment variable HOLDFAST_DATA."
        )
    train = readers.read([path for path in train_paths if path], settings)
    if not settings.test:
        return split(train, settings.test_fraction, seed)
    return train, readers.read([path for path in test_paths if path], settings)


def _local_folder(data_dir: Path | None) -> Path | None:
    """The folder of local files, from the argument or the environment."""
    named = str(data_dir) if data_dir is not None else os.environ.get("HOLDFAST_DATA", "")
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        told = "--data-dir" if data_dir is not None else "HOLDFAST_DATA"
        raise MissingDataError(
            f"{told} is {named}, which is not a folder; expected the folder that holds the data files."
        )
    return folder
