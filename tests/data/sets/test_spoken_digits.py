"""The spoken digits: the official split, and strings of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from holdfast.data.readers import audio
from holdfast.data.sets import download, spoken_digits
from holdfast.data.settings import AudioSettings
from holdfast.errors import MissingDataError

pytest.importorskip("kaldi_native_fbank", reason="needs kaldi-native-fbank: pip install 'holdfast[audio]'")
pytest.importorskip("soundfile", reason="needs soundfile: pip install 'holdfast[audio]'")
AUDIO = AudioSettings(rate=8000)


def parts(origin: str) -> tuple[str, str, int]:
    digit, speaker, take = Path(origin).stem.split("_")
    return digit, speaker, int(take)


def test_the_official_split(real_data: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "energies", lambda file, settings: np.zeros((1, 1)))  # reading them all takes a while
    train, test = spoken_digits.single(AUDIO, real_data("fsdd"))
    assert (len(train), len(test)) == (2700, 300)
    for examples, takes in ((train, range(5, 50)), (test, range(5))):
        found = [parts(origin) for origin in examples.origins]
        assert sorted(set(found)) == sorted(
            (str(digit), speaker, take) for digit in range(10) for speaker in spoken_digits.SPEAKERS for take in takes
        )
        assert examples.labels == [digit for digit, _, _ in found]


def test_a_few_of_them_hold_every_digit(real_data: Callable[[str], Path]) -> None:
    train, test = spoken_digits.single(AUDIO, real_data("fsdd"), limit=10)
    assert train.labels == test.labels == list("0123456789")


def test_strings_of_one_speaker_and_of_their_own_split(
    real_data: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Path] = []
    read = audio.samples

    def listening(path: Path, rate: int) -> np.ndarray:
        heard.append(path)
        return read(path, rate)

    monkeypatch.setattr(audio, "samples", listening)
    _, test = spoken_digits.strings(AUDIO, real_data("fsdd"), limit=30)
    takes = [parts(str(path))[2] for path in heard]
    edge = next(k for k, take in enumerate(takes) if take < 5)
    assert min(takes[:edge]) >= 5  # what the 30 strings to train on are made of
    assert max(takes[edge:]) < 5
    assert test.targets is not None
    for text in test.targets:
        assert 3 <= len(text.split()) <= 6
        assert set(text.split()) <= set(spoken_digits.WORDS)


def test_a_string_is_its_digits_with_pauses_between(
    real_data: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spoken_digits, "NOISE", 0.0)
    monkeypatch.setattr(spoken_digits, "LONGEST_PAUSE", 0.0)
    monkeypatch.setattr(spoken_digits, "log_mel", lambda sound, settings: sound)
    folder = real_data("fsdd")
    train, _ = spoken_digits.strings(AUDIO, folder, limit=3)
    assert train.targets is not None
    for sound, text in zip(train.inputs, train.targets, strict=True):
        by_speaker = {}
        for speaker in spoken_digits.SPEAKERS:
            rest: np.ndarray | None = sound
            for word in text.split():
                digit = spoken_digits.WORDS.index(word)
                takes = sorted((folder / "recordings").glob(f"{digit}_{speaker}_*.wav"))
                starts = (audio.samples(file, 8000) for file in takes) if rest is not None else ()
                rest = next((rest[len(s) :] for s in starts if np.array_equal(s, rest[: len(s)])), None)
            by_speaker[speaker] = rest
        assert [len(rest) for rest in by_speaker.values() if rest is not None] == [0]


def test_the_same_strings_every_time_and_fewer_are_the_first(real_data: Callable[[str], Path]) -> None:
    first, second = (spoken_digits.strings(AUDIO, real_data("fsdd"), limit=n)[1] for n in (4, 2))
    assert first.targets is not None
    assert first.targets[:2] == second.targets
    assert all(np.array_equal(a, b) for a, b in zip(first.inputs[:2], second.inputs, strict=True))


def test_recordings_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "cache_dir", lambda: tmp_path / "cache")
    data = tmp_path / "data"
    data.mkdir()
    with pytest.raises(MissingDataError) as error:
        spoken_digits.single(AUDIO, data)
    places = [data, data / "recordings", data / "fsdd", data / "fsdd/recordings"]
    places += [tmp_path / "cache/fsdd", tmp_path / "cache/fsdd/recordings"]
    assert str(error.value) == (
        "Missing data: 3000 of the 3000 recordings of spoken digits, such as 0_george_0.wav. Looked in "
        f"{', '.join(map(str, places))}. Get "
        "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/26eb9aaf76e81b692f806f9140c2d2777410d7a1.zip, "
        f"unpack it, and put its folder recordings into {tmp_path}/cache/fsdd, or into any folder named by --data-dir "
        "or the environment variable HOLDFAST_DATA."
    )
    (data / "recordings").mkdir()
    (data / "recordings/0_george_0.wav").write_bytes(b"")
    with pytest.raises(
        MissingDataError, match=r"Missing data: 2999 of .* such as 1_george_0\.wav\. Looked in .*data/recordings\. G"
    ):
        spoken_digits.single(AUDIO, data)
