"""Where the files of a recipe are: those of a public data set, found or fetched, or a person's own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.data import download
from holdfast.data.download import RemoteFile
from holdfast.errors import MissingDataError, RecipeError, did_you_mean
from holdfast.recipes.schema import DataSettings


@dataclass(frozen=True)
class Published:
    """A public data set.

    Attributes:
        task: The task that reads it.
        folder: The subfolder that its files may lie in.
        train: The files of the training split, or of everything where nobody has settled a split.
        test: The files of the test split.
    """

    task: str
    folder: str
    train: tuple[RemoteFile, ...]
    test: tuple[RemoteFile, ...] = ()


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
PUBLISHED = {
    "mnist": Published(
        "classify",
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
    "japanese-vowels": Published(
        "classify",
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
    "airline": Published(
        "forecast",
        "timeseries",
        _files(
            (
                "https://raw.githubusercontent.com/sktime/sktime/7bd7d1620c0656f3210eeb850bb1c0034159ee47/"
                "sktime/datasets/data/Airline/",
            ),
            {"Airline.csv": "28af0eb869db6d9fbd31d5af03993a0cbf36c0857c3eb046a068c094b60da851"},
        ),
    ),
    "sunspots": Published(
        "forecast",
        "timeseries",
        _files(
            (
                "https://raw.githubusercontent.com/statsmodels/statsmodels/82c59e378bdfb5ae324006c477954879ad3e24be/"
                "statsmodels/datasets/sunspots/",
            ),
            {"sunspots.csv": "f67889b1d9002cd5227f0e0ef54e35b419cdd85a31279adef6f73fb41e5c0a9b"},
        ),
    ),
    "etth1": Published(
        "forecast",
        "ett-small",
        _files(
            (
                "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/1d16c8f4f943005d613b5bc962e9eeb06058cf07/"
                "ETT-small/",
            ),
            {"ETTh1.csv": "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066"},
        ),
    ),
    "stocks": Published(
        "forecast",
        "stocks",
        _files(
            ("https://raw.githubusercontent.com/plotly/datasets/0c447c47b757ad74edecab31f0d72f849d2e67c2/",),
            {"stockdata.csv": "60bf505fec160ce05ba959382adee32ea6e53ce14fe22886db27c58fe1b0d26b"},
        ),
    ),
    "tinyshakespeare": Published(
        "generate",
        "tinyshakespeare",
        _files(
            (
                "https://raw.githubusercontent.com/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/"
                "data/tinyshakespeare/",
            ),
            {"input.txt": "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"},
        ),
    ),
    "makemore-names": Published(
        "generate",
        "names",
        (
            RemoteFile(
                "makemore_names.txt",
                "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d",
                (
                    "https://raw.githubusercontent.com/karpathy/makemore/988aa59e4d8fefa526d06f3b453ad116258398d4/"
                    "names.txt",
                ),
            ),
        ),
    ),
}


def locate(
    settings: DataSettings, task: str, data_dir: Path | None, *, made: Sequence[str] = ()
) -> tuple[list[Path], list[Path]]:
    """The files to train on and to test on; what a public set lacks is downloaded.

    Args:
        settings: ``source`` names a public set of the task, or is ``"files"``, for ``train`` and ``test``.
        task: Whose data sets are meant.
        data_dir: A folder with local files; None for the one that the environment variable ``HOLDFAST_DATA`` names,
            if any. The files of a published set are looked for in it, in its subfolder of the set's name and in the
            cache, and then downloaded. The files of ``source = "files"`` are looked for in it and in the working
            directory.
        made: Further sources of the task, which need no files or have their own way to find them.

    Returns:
        The training files, and the test files (none where a part of the training data is to be held out); both empty
        for a source of ``made``.

    Raises:
        RecipeError: The source is unknown, or ``train`` and ``test`` do not go with it.
        MissingDataError: A file is nowhere to be found.
    """
    known = [*made, *(name for name, one in PUBLISHED.items() if one.task == task)]
    if settings.source not in ["files", *known]:
        raise RecipeError(f"data.source is {settings.source!r}; {did_you_mean(settings.source, ['files', *known])}")
    if settings.source == "files":
        return _own_files(settings, known, local_folder(data_dir))
    if settings.train or settings.test:
        raise RecipeError(
            f"data.source is {settings.source!r}, which has its own files, but data.train or data.test names others; "
            'set data.source = "files" to use them.'
        )
    return ([], []) if settings.source in made else _published(PUBLISHED[settings.source], local_folder(data_dir))


def _published(known: Published, data_dir: Path | None) -> tuple[list[Path], list[Path]]:
    """Find the files of a published set, or fetch them."""
    local = [data_dir, data_dir / known.folder] if data_dir else []
    cache = download.cache_dir() / known.folder
    wanted = [*known.train, *known.test]
    places = {file.name: place for file in wanted if (place := _find(file.name, [*local, cache]))}
    absent = [file for file in wanted if file.name not in places]
    places |= zip((file.name for file in absent), download.fetch(absent, cache, local), strict=True)
    train, test = ([places[file.name] for file in files] for files in (known.train, known.test))
    return train, test


def _find(name: str, folders: Sequence[Path]) -> Path | None:
    """The file in the first folder that has it, gzipped as published or already unpacked."""
    candidates = [folder / form for folder in folders for form in (name, name.removesuffix(".gz"))]
    return next((place for place in candidates if place.is_file()), None)


def _own_files(settings: DataSettings, known: Sequence[str], data_dir: Path | None) -> tuple[list[Path], list[Path]]:
    """Find the files that the recipe names."""
    if not settings.train:
        raise RecipeError(
            'data.source is "files" but data.train names none; expected files or folders to train on, or one of the '
            f"known sets as data.source: {', '.join(known)}."
        )
    folders = [data_dir, Path.cwd()] if data_dir else [Path.cwd()]
    train, test = (
        [next((folder / name for folder in folders if (folder / name).exists()), None) for name in names]
        for names in (settings.train, settings.test)
    )
    named = zip([*settings.train, *settings.test], [*train, *test], strict=True)
    missing = ", ".join(name for name, path in named if path is None)
    if missing:
        raise MissingDataError(
            f"Missing data: {missing}. Looked in {', '.join(str(folder) for folder in folders)}. "
            "Put the files there, or name their folder by --data-dir or the environment variable HOLDFAST_DATA."
        )
    return [path for path in train if path], [path for path in test if path]


def local_folder(data_dir: Path | None) -> Path | None:
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
