"""Recordings: WAV, FLAC, OGG and MP3 by the library ``soundfile``, as samples or as steps of log-mel energies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from holdfast.data.examples import Examples
from holdfast.data.features import log_mel
from holdfast.data.readers.folders import listing
from holdfast.errors import DataError, MissingDataError, MissingLibraryError
from holdfast.recipes.audio import AudioSettings
from holdfast.recipes.classify import ClassifyData

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")

Floats = NDArray[np.float32]


def read(path: Path, settings: ClassifyData) -> Examples:
    """Read recordings as log-mel energies.

    Args:
        path: A folder ``ROOT/label/*.wav`` (the subfolder's name is the label), a folder ``ROOT/*.wav`` without labels,
            or one recording without a label.
        settings: ``audio`` is used.

    Returns:
        The recordings by label and name, in alphabetical order.

    Raises:
        DataError: There is no recording, or one cannot be read.
        MissingLibraryError: A library that reads sound is not installed.
    """
    files, labels = listing(path, SUFFIXES, "recording") if path.is_dir() else ([path], None)
    return Examples([energies(file, settings.audio) for file in files], labels, [str(file) for file in files])


def samples(path: Path, rate: int) -> Floats:
    """The sound of a file, its channels averaged.

    Args:
        path: The file.
        rate: Samples a second; sound of another rate is resampled by the library ``soxr``.

    Returns:
        [N], float32, from -1 to 1.

    Raises:
        MissingDataError: There is no such file.
        DataError: The file is no recording or is damaged, or it is empty.
        MissingLibraryError: ``soundfile`` is not installed, or ``soxr`` where it is needed.
    """
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: soundfile is there, the C library below it is not
        raise MissingLibraryError(
            f"{path} is a recording, and the library soundfile cannot be loaded: pip install 'holdfast[audio]'."
        ) from error
    if not path.is_file():
        raise MissingDataError(f"There is no recording {path}. Check the path.")
    try:
        sound, found = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise DataError(f"{path} cannot be read as a recording: it is damaged or of another kind ({error}).") from error
    if not len(sound):
        raise DataError(f"{path} holds no sound; expected at least one window of it.")
    return _resampled(sound.mean(1), int(found), rate, path)


def energies(path: Path, settings: AudioSettings) -> Floats:
    """The log-mel energies of a file, [steps, values].

    Raises:
        DataError: As :func:`samples`, or the recording is shorter than one window.
        MissingLibraryError: As :func:`samples`, or ``kaldi-native-fbank`` is not installed.
    """
    sound = samples(path, settings.rate)
    steps = log_mel(sound, settings)
    if not len(steps):
        raise DataError(
            f"{path} lasts {1000 * len(sound) / settings.rate:.3g} ms; expected at least one window of "
            f"{settings.window_ms:g} ms. Leave it out, or shorten data.audio.window_ms."
        )
    return steps


def _resampled(sound: Floats, found: int, wanted: int, path: Path) -> Floats:
    if found == wanted:
        return sound
    try:
        import soxr
    except ImportError as error:
        raise MissingLibraryError(
            f"{path} has {found} samples a second and data.audio.rate is {wanted}; resampling needs the library soxr, "
            "which is not installed: pip install 'holdfast[audio]', or convert the file."
        ) from error
    converted: Floats = soxr.resample(sound, found, wanted)
    return converted
