"""Recordings (WAV, FLAC, OGG, MP3, AIFF, AU), read by ``soundfile`` as samples or log-mel energies."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from holdfast.data.examples import Examples
from holdfast.data.features import check_samples, log_mel
from holdfast.data.readers.folders import listing
from holdfast.data.readers.sound_headers import SizeField, check_whole
from holdfast.data.settings import AudioSettings, ReadingSettings
from holdfast.data.targets import Targets, from_labels
from holdfast.errors import DataError, MissingDataError, MissingLibraryError

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif", ".au")
LOWEST_RATE, HIGHEST_RATE = 1_000, 1_000_000
"""Samples per second. A header with another rate is damaged; resampling from 1 per second would take gigabytes."""
MOST_VALUES, MOST_VALUES_PER_BYTE = 2**23, 64
"""A file of B bytes may claim MOST_VALUES + MOST_VALUES_PER_BYTE * B values. Speech at 6 kbit/s, decoded to 48,000
samples per second, has 64 values per byte; only minutes of digital silence have more."""
_BLOCK = 2**20
_UNKNOWN_COUNT = 2**63 - 1  # the number of samples that libsndfile gives for an unknown number

Floats = NDArray[np.float32]


def read(path: Path, settings: ReadingSettings, targets: Targets = "labels") -> Examples:
    """Reads recordings as log-mel energies.

    Args:
        path: A folder ``ROOT/label/*.wav`` (the subfolder's name is the label), a folder ``ROOT/*.wav`` without labels,
            or one recording without a label.
        settings: ``audio`` is used.
        targets: What the task learns: the subfolders are named for it.

    Returns:
        The recordings by label and name, in alphabetical order.

    Raises:
        DataError: There is no recording, one cannot be read, or a subfolder is not named for a target.
        MissingLibraryError: A library that reads sound is not installed.
    """
    files, labels = listing(path, SUFFIXES, "recording") if path.is_dir() else ([path], None)
    return recordings(files, labels, settings, targets)


def recordings(
    files: Sequence[Path], labels: list[str] | None, settings: ReadingSettings, targets: Targets
) -> Examples:
    """Recordings as log-mel energies, with the names of their folders as labels; as :func:`read`."""
    origins = [str(file) for file in files]
    inputs = [energies(file, settings.audio) for file in files]
    return Examples(inputs, from_labels(labels, origins, targets), origins)


def samples(path: Path, rate: int) -> Floats:
    """The sound of a file, its channels averaged.

    Args:
        path: The file.
        rate: Samples per second; sound of another rate is resampled by the library ``soxr``.

    Returns:
        [N], float32, from -1 to 1.

    Raises:
        MissingDataError: The file does not exist.
        DataError: The file is not a recording, is damaged, cut short or empty; or its rate is below 1,000 or above
            1,000,000 samples per second.
        MissingLibraryError: ``soundfile`` is not installed, or ``soxr`` where it is needed.
    """
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: soundfile is installed, its C library is not
        raise MissingLibraryError(
            f"{path} is a recording, and the library soundfile cannot be loaded: pip install 'holdfast[audio]'."
        ) from error
    try:
        if not path.is_file():
            raise MissingDataError(f"There is no recording {path}. Check the path.")
        sound, file_rate = _decoded(path)
    except soundfile.SoundFileError as error:
        raise DataError(f"{path} cannot be read as a recording: it is damaged or of another kind ({error}).") from error
    except MissingDataError:
        raise
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    if not len(sound):
        raise DataError(f"{path} holds no sound; expected at least one window of it.")
    return _resampled(sound, file_rate, rate, path)


def claimed_values(path: Path) -> int:
    """The samples of a recording, of all channels, as its header says; 0 where :func:`samples` refuses it."""
    try:
        import soundfile

        about = soundfile.info(path)
    except (ImportError, OSError, RuntimeError):  # RuntimeError: soundfile's own errors
        return 0
    return int(about.frames) * int(about.channels)


def _decoded(path: Path) -> tuple[Floats, int]:
    """The sound of a file, its channels averaged, and its rate; decoded in blocks."""
    import soundfile

    size_field = check_whole(path)
    with soundfile.SoundFile(path if size_field is None else _corrected(path, size_field)) as file:
        claimed, channels, rate = int(file.frames), int(file.channels), int(file.samplerate)
        if not LOWEST_RATE <= rate <= HIGHEST_RATE:
            raise DataError(
                f"{path} claims {rate:,} samples per second; expected {LOWEST_RATE:,} to {HIGHEST_RATE:,}. "
                "Its header is damaged, or it is not a recording."
            )
        size = path.stat().st_size
        if claimed == _UNKNOWN_COUNT:
            raise DataError(
                f"{path} does not say how many samples it has, like FLAC that was written to a pipe; libsndfile cannot "
                "read such files. Convert it, for example by `ffmpeg -i OLD.flac NEW.flac`."
            )
        if claimed * channels > MOST_VALUES + MOST_VALUES_PER_BYTE * size:
            raise DataError(
                f"{path} claims {claimed:,} samples of {channels} channels, and has only {size:,} bytes: too few for "
                "them. Its header is damaged."
            )
        blocks, taken = [], 0
        estimated = str(file.subtype).startswith("MPEG")
        try:
            if estimated:
                file.seek(0)  # as soundfile.read does, for the same sound to the bit
            while taken < claimed and len(block := file.read(max(1, _BLOCK // channels), "float32", always_2d=True)):
                blocks.append(block.mean(1))
                taken += len(block)
        except soundfile.SoundFileError as error:
            raise _short(path, claimed, _decodable(path)) from error
    if taken < claimed - (claimed // 100 + 1152 if estimated else 0):
        raise _short(path, claimed, taken)
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32), rate


def _short(path: Path, claimed: int, taken: int) -> DataError:
    return DataError(
        f"{path} is cut short or damaged: its header claims {claimed:,} samples, and {taken:,} can be decoded. "
        "Copy or download it again."
    )


def _decodable(path: Path) -> int:
    """The number of samples of a damaged file before the first that cannot be decoded."""
    import soundfile

    taken = 0
    with soundfile.SoundFile(path) as file:
        try:
            while len(block := file.read(1024, always_2d=True)):
                taken += len(block)
        except soundfile.SoundFileError:
            return taken
    return taken


def _corrected(path: Path, field: SizeField) -> io.BytesIO:
    """The file with a corrected size in its header."""
    content = bytearray(path.read_bytes())
    content[field.place : field.place + len(field.value)] = field.value
    return io.BytesIO(content)


def energies(path: Path, settings: AudioSettings) -> Floats:
    """The log-mel energies of a file, [steps, values].

    Raises:
        DataError: As :func:`samples`, or the recording is shorter than one window.
        MissingLibraryError: As :func:`samples`, or ``kaldi-native-fbank`` is not installed.
    """
    return energies_of(samples(path, settings.rate), settings, str(path))


def energies_of(sound: NDArray[np.floating], settings: AudioSettings, origin: str) -> Floats:
    """The log-mel energies of sound, [steps, values].

    Args:
        sound: Samples [N] from -1 to 1, ``settings.rate`` per second.
        settings: How the energies are computed.
        origin: The source of the sound, for the message.

    Raises:
        DataError: The sound is shorter than one window, or holds what is no sample.
        MissingLibraryError: ``kaldi-native-fbank`` is not installed.
    """
    check_samples(sound, origin)
    steps = log_mel(sound.astype(np.float32, copy=False), settings)
    if not len(steps):
        raise DataError(
            f"{origin} lasts {1000 * len(sound) / settings.rate:.3g} ms; expected at least one window of "
            f"{settings.window_ms:g} ms. Leave it out, or shorten data.audio.window_ms."
        )
    return steps


def _resampled(sound: Floats, file_rate: int, wanted: int, path: Path) -> Floats:
    if file_rate == wanted:
        return sound
    try:
        import soxr
    except ImportError as error:
        raise MissingLibraryError(
            f"{path} has {file_rate} samples per second and data.audio.rate is {wanted}; resampling needs the library "
            "soxr, which is not installed: pip install 'holdfast[audio]', or convert the file."
        ) from error
    converted: Floats = soxr.resample(sound, file_rate, wanted)
    return converted
