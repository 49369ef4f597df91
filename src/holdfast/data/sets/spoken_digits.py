"""The Free Spoken Digit Dataset: ten digits, six speakers, each digit fifty times; single, and joined to strings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from holdfast.data.examples import Examples
from holdfast.data.features import log_mel
from holdfast.data.readers import audio
from holdfast.data.readers.audio import Floats
from holdfast.data.records import Records
from holdfast.data.sets import download
from holdfast.data.sets.published import local_folder
from holdfast.data.settings import AudioSettings
from holdfast.errors import MissingDataError

ARCHIVE = "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/26eb9aaf76e81b692f806f9140c2d2777410d7a1.zip"
"""The commit used for the figures of the recipes; licence CC BY-SA 4.0."""

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
TAKES, TEST_TAKES = 50, 5
"""Recordings per digit and speaker; the first of them are the official test split."""

STRINGS, TEST_STRINGS = 2000, 500
LONGEST_PAUSE = 0.5
"""Longest pause before, between and after the digits of a string, in seconds."""
NOISE = 1e-3
"""Standard deviation of the noise, where the loudest sound is 1."""


def single(settings: AudioSettings, data_dir: Path | None, limit: int = 0) -> tuple[Examples, Examples]:
    """The recordings, labelled ``"0"`` to ``"9"``, in the official split: 2,700 to train on, 300 to test on.

    Args:
        settings: How the sound is read.
        data_dir: A folder with local files, as :func:`holdfast.data.sets.published.locate` takes it.
        limit: Read only this number of recordings of each; 0 for all.

    Raises:
        MissingDataError: The recordings were not found.
        DataError: A recording is damaged.
    """

    def labelled(files: Sequence[Path]) -> Examples:
        energies = [audio.energies(file, settings) for file in files]
        return Examples(energies, [file.name[0] for file in files], [str(file) for file in files])

    train, test = _files(data_dir)
    return labelled(train[: limit or None]), labelled(test[: limit or None])


def strings(
    settings: AudioSettings, data_dir: Path | None, limit: int = 0
) -> tuple[Records[Floats, str], Records[Floats, str]]:
    """Strings of three to six digits, each by one speaker, with pauses between; the transcript is in words.

    They are the same on every machine. The test strings are made only of test recordings. Each has faint white noise:
    digital silence, which real recordings do not have, would reveal where a digit begins.

    Args:
        settings: How the sound is read.
        data_dir: As for :func:`single`.
        limit: Make only this number of strings to train on and to test on; 0 for all.

    Raises:
        MissingDataError: The recordings were not found.
        DataError: A recording is damaged.
    """
    train, test = _files(data_dir)
    counts = [min(count, limit or count) for count in (STRINGS, TEST_STRINGS)]
    return _joined(train, counts[0], settings, seed=0), _joined(test, counts[1], settings, seed=1)


def _joined(files: Sequence[Path], count: int, settings: AudioSettings, seed: int) -> Records[Floats, str]:
    """Strings of digits made of these recordings."""
    generator = np.random.default_rng(seed)
    sound = cache(lambda file: audio.samples(file, settings.rate))
    spoken = [[file for file in files if file.name.split("_")[1] == speaker] for speaker in SPEAKERS]
    energies, texts, origins = [], [], []
    for number in range(count):
        one_speaker = spoken[generator.integers(len(spoken))]
        chosen = [one_speaker[k] for k in generator.integers(len(one_speaker), size=generator.integers(3, 7))]
        pauses = generator.uniform(0, LONGEST_PAUSE * settings.rate, len(chosen) + 1).astype(int)
        parts = [np.zeros(pauses[0])]
        for file, pause in zip(chosen, pauses[1:], strict=True):
            parts += [sound(file), np.zeros(pause)]
        clean = np.concatenate(parts)
        noise = NOISE * generator.standard_normal(len(clean))
        energies.append(log_mel((clean + noise).astype(np.float32), settings))
        texts.append(" ".join(WORDS[int(file.name[0])] for file in chosen))
        origins.append(f"digit-strings[{number}]")
    return Records(energies, texts, origins)


def _files(data_dir: Path | None) -> tuple[list[Path], list[Path]]:
    """The training recordings and the test recordings."""
    local = local_folder(data_dir)
    roots = [*([local, local / "fsdd"] if local else []), download.cache_dir() / "fsdd"]
    folders = [folder for root in roots for folder in (root, root / "recordings")]
    names = [f"{digit}_{who}_{take}.wav" for take in range(TAKES) for who in SPEAKERS for digit in range(10)]
    folder = next((folder for folder in folders if (folder / names[0]).is_file()), None)
    missing = [name for name in names if folder is None or not (folder / name).is_file()]
    if folder is None or missing:
        searched = folders if folder is None else [folder]
        raise MissingDataError(
            f"Missing data: {len(missing)} of the {len(names)} recordings of spoken digits, such as {missing[0]}. "
            f"Looked in {', '.join(map(str, searched))}. Get {ARCHIVE}, unpack it, and put its folder recordings into "
            f"{roots[-1]}, or into any folder named by --data-dir or the environment variable HOLDFAST_DATA."
        )
    files = [folder / name for name in names]
    tested = TEST_TAKES * len(SPEAKERS) * 10
    return files[tested:], files[:tested]
