"""Locates the files of a recipe: files of a public data set, found or downloaded, or the user's own files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from holdfast.data.sets import download
from holdfast.data.sets.download import RemoteFile
from holdfast.errors import MissingDataError, RecipeError, did_you_mean
from holdfast.files.pointers import refuse_pointers
from holdfast.settings import DataSettings

Content = Literal["sequences", "numbers", "series", "sentences", "pairs", "text", "recordings"]
"""What the files of a data set hold: labelled sequences, sequences with numbers, time series, tagged sentences, ..."""


@dataclass(frozen=True)
class Published:
    """A public data set.

    Attributes:
        content: The content of its files.
        folder: The subfolder that may hold its files.
        train: The files of the training split, or all files if there is no official split.
        test: The files of the test split.
    """

    content: Content
    folder: str
    train: tuple[RemoteFile, ...]
    test: tuple[RemoteFile, ...] = ()


def _files(addresses: Sequence[str], sums: dict[str, str]) -> tuple[RemoteFile, ...]:
    return tuple(RemoteFile(name, sha, tuple(site + name for site in addresses)) for name, sha in sums.items())


_MNIST_SITES = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_SKTIME = (
    "https://raw.githubusercontent.com/sktime/sktime/7bd7d1620c0656f3210eeb850bb1c0034159ee47/sktime/datasets/data/"
)
_VOWELS_SITES = (_SKTIME + "JapaneseVowels/",)
_SURNAMES_SITES = (
    "https://raw.githubusercontent.com/spro/practical-pytorch/c520c52e68e945d88fff563dba1c028b6ec0197b/data/names/",
)
_NLTK_SITES = (
    "https://raw.githubusercontent.com/nltk/nltk_data/5db857e6f7df11eabb5e5665836db9ec8df07e28/packages/corpora/",
)
_EWT_SITES = (
    "https://raw.githubusercontent.com/UniversalDependencies/UD_English-EWT/15d613d8447b3478787d4c278730a1e48a945efb/",
)
PUBLISHED = {
    "mnist": Published(
        "sequences",
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
    "ud-english-ewt": Published(
        "sentences",
        "ud-english-ewt",
        _files(
            _EWT_SITES, {"en_ewt-ud-train.conllu": "3fb78e2b55482c8ee00caa653af436c88c9e5bc9a73ce26e4ae3ddc79d2b7e7b"}
        ),
        _files(
            _EWT_SITES, {"en_ewt-ud-test.conllu": "e266e515a0a7547657ed3d90d9ba46487d6bd251f27ad4269d4e8a427c8555cd"}
        ),
    ),
    "japanese-vowels": Published(
        "sequences",
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
    "covid3month": Published(
        "numbers",
        "ucr",
        _files(
            (_SKTIME + "Covid3Month/",),
            {"Covid3Month_TRAIN.ts": "8a58e6186143714d47dfeb2a24e954ef1fb5e7a1d72344b6bb9bbce10ccdfd6f"},
        ),
        _files(
            (_SKTIME + "Covid3Month/",),
            {"Covid3Month_TEST.ts": "5bf6d4ce5cce67735f0893673221c86f10effe284cf4555a162060329b388bea"},
        ),
    ),
    "airline": Published(
        "series",
        "timeseries",
        _files(
            (_SKTIME + "Airline/",),
            {"Airline.csv": "28af0eb869db6d9fbd31d5af03993a0cbf36c0857c3eb046a068c094b60da851"},
        ),
    ),
    "sunspots": Published(
        "series",
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
        "series",
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
        "series",
        "stocks",
        _files(
            ("https://raw.githubusercontent.com/plotly/datasets/0c447c47b757ad74edecab31f0d72f849d2e67c2/",),
            {"stockdata.csv": "60bf505fec160ce05ba959382adee32ea6e53ce14fe22886db27c58fe1b0d26b"},
        ),
    ),
    "surnames": Published(
        "sequences",
        "names",
        _files(
            _SURNAMES_SITES,
            {
                "Arabic.txt": "6f424a8dbe51cbbbabab7a57d38b617210125e4e3991f3c657cb79b8f104bafc",
                "Chinese.txt": "09ba8f1f7e38dbc99372d461b26ad4433b811fc6bfa6a3ecca6fe11a9a777465",
                "Czech.txt": "e17ab0ec47616a72c39cb85c783f70c3663ab64488721e5d8378f146d2226be7",
                "Dutch.txt": "924f32b635170eae561f84538632138fc07d4c8bbd70ba3fb980de1ecc4d2af3",
                "English.txt": "9cca037066d3d5989e24bc01801416162de506b5e28e15b7c092a47905d29bf2",
                "French.txt": "81e65b36c60ed5b89a17422f6edcadbb89546f38ad69e960e64e7ba682012a95",
                "German.txt": "7449cd590b97a733e18d613a4155decd77ec35dc5f8aadd7a82204dce4f051db",
                "Greek.txt": "3555b5186de7f401e6d991b088e9e644ca3099116477818c25ab5793801389e6",
                "Irish.txt": "cf8c7013256252a88d2503127b87282a11f21b2ff6db1bded68834c19a1ec058",
                "Italian.txt": "f88414c27d0606a11a678b4859277828c2565d6cc4d9ee932deef6e94f3b35e4",
                "Japanese.txt": "e0e717e114fec3e7eade4d9dabe0067c475f43147e36a22b47902ee76ad9e67f",
                "Korean.txt": "cd54221ccb362a6cba4c78828838cf3268a0e59744767a37cf6ec4b74036b136",
                "Polish.txt": "45bab898af2f60ed3a728bbf6980e28821011a7caa53227553b5785903a40826",
                "Portuguese.txt": "50a8735f41f4f73757c8ce5b16cb0275cd86b2b214bcbc8c9805f508cb131c53",
                "Russian.txt": "0cfe53ac18041e8f63666aa77313e0a3ff378facb132abee052d8ebdc8c3d62c",
                "Scottish.txt": "78d0252711d87d948ea86fe34826c51d2d794a8e52d15b5d6f7b6244d45d62dd",
                "Spanish.txt": "1bcb462ed3316756a85781d68232bddae04498fdddd5d9219c53fd1fbdeba7a7",
                "Vietnamese.txt": "f3f9e4164ab47601178a6e45b216464a64122f49d05541f24bf18a757253281d",
            },
        ),
    ),
    "sentence-polarity": Published(
        "sequences",
        "sentence-polarity",
        _files(
            _NLTK_SITES,
            {"sentence_polarity.zip": "6e1ed4405b65c7eabf1d199a7f7c437091ac21da0ea7467b410a74062574566b"},
        ),
    ),
    "fra-eng": Published(
        "pairs",
        "anki-fra-eng",
        _files(
            ("https://raw.githubusercontent.com/modelexlab/data/adddaf33ac35572bcfeb421efec29435e7ea9332/",),
            {"fra.txt": "0bb85dbaa1c896844649094d7eaf2e34bee34e84fe362b26ce7e8f2e12aae104"},
        ),
    ),
    "tinyshakespeare": Published(
        "text",
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
        "text",
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
    settings: DataSettings, content: Content, data_dir: Path | None, *, made: Sequence[str] = ()
) -> tuple[list[Path], list[Path]]:
    """The training files and the test files; missing files of a public set are downloaded.

    Args:
        settings: ``source`` names a public set with this content, or is ``"files"``, for ``train`` and ``test``.
        content: What the files must hold.
        data_dir: A folder with local files; None for the folder in the environment variable ``HOLDFAST_DATA``, if it
            is set. The files of a public set are searched for in this folder, in its subfolder with the name of the
            set and in the cache, and then downloaded. The files of ``source = "files"`` are searched for in this
            folder and in the working directory.
        made: Further sources, which need no files or have their own way to find them.

    Returns:
        The training files, and the test files (none if a part of the training data is held out instead); both empty
        for a source of ``made``.

    Raises:
        RecipeError: The source is unknown, or ``train`` and ``test`` do not go with it.
        MissingDataError: A file was not found.
    """
    known = [*made, *(name for name, published in PUBLISHED.items() if published.content == content)]
    if settings.source not in ["files", *known]:
        raise RecipeError(f"data.source is {settings.source!r}; {did_you_mean(settings.source, ['files', *known])}")
    if settings.source == "files":
        return _own_files(settings, known, local_folder(data_dir))
    if settings.train or settings.test:
        raise RecipeError(
            f"data.source is {settings.source!r}, which has its own files, but data.train or data.test names others; "
            'set data.source = "files" to use them.'
        )
    if settings.source in made:
        if settings.storage == "disk":
            raise RecipeError(
                f'data.storage is "disk", and the data of data.source = {settings.source!r} are made in memory; leave '
                "data.storage out."
            )
        return [], []
    folder = local_folder(data_dir)
    return files_of(settings.source, [folder] if folder else [])


def files_of(source: str, folders: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """The training files and the test files of a public set; missing files are downloaded.

    Args:
        source: The name of the set.
        folders: Where to search before the cache: in each folder, and in its subfolder with the name of the set.

    Raises:
        MissingDataError: A file was not found.
    """
    known = PUBLISHED[source]
    local = [place for folder in folders for place in (folder, folder / known.folder)]
    cache = download.cache_dir() / known.folder
    wanted = [*known.train, *known.test]
    places = {file.name: place for file in wanted if (place := _find(file.name, [*local, cache]))}
    absent = [file for file in wanted if file.name not in places]
    places |= zip((file.name for file in absent), download.fetch(absent, cache, local), strict=True)
    refuse_pointers(places.values())
    return [places[file.name] for file in known.train], [places[file.name] for file in known.test]


def _find(name: str, folders: Sequence[Path]) -> Path | None:
    """The file in the first folder that has it, as published, or gzipped or unpacked."""
    plain = name.removesuffix(".gz")
    candidates = [folder / form for folder in folders for form in (name, plain, f"{plain}.gz")]
    return next((place for place in candidates if place.is_file()), None)


def _own_files(settings: DataSettings, known: Sequence[str], data_dir: Path | None) -> tuple[list[Path], list[Path]]:
    """Finds the files that the recipe names."""
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
    refuse_pointers(path for path in [*train, *test] if path)
    return [path for path in train if path], [path for path in test if path]


def local_folder(data_dir: Path | None) -> Path | None:
    """The folder of local files, from the argument or the environment."""
    named = str(data_dir) if data_dir is not None else os.environ.get("HOLDFAST_DATA", "")
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        option = "--data-dir" if data_dir is not None else "HOLDFAST_DATA"
        raise MissingDataError(
            f"{option} is {named}, which is not a folder; expected the folder that holds the data files."
        )
    return folder
