"""Recordings for classification: files, folders of labels, and each way to be of no use."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from holdfast.data import read
from holdfast.data.features import log_mel
from holdfast.data.readers import audio
from holdfast.errors import DataError, MissingDataError, MissingLibraryError
from holdfast.recipes.audio import AudioSettings
from holdfast.recipes.classify import ClassifyData
from tones import RATE, noise, save, tone

pytest.importorskip("kaldi_native_fbank", reason="needs kaldi-native-fbank: pip install 'holdfast[audio]'")
soundfile = pytest.importorskip("soundfile", reason="needs soundfile: pip install 'holdfast[audio]'")
DATA = ClassifyData(audio=AudioSettings(rate=RATE, mel_bins=20))


@pytest.mark.parametrize("name", ["a.wav", "a.WAV", "a.flac", "a.ogg", "a.mp3"])
def test_a_recording_is_its_log_mel_energies(tmp_path: Path, name: str) -> None:
    examples = read([save(tmp_path / name, tone(440))], DATA)
    (steps,) = examples.inputs
    assert np.array_equal(steps, log_mel(soundfile.read(tmp_path / name, dtype="float32")[0], DATA.audio))
    assert examples.labels is None
    assert examples.origins == [str(tmp_path / name)]


def test_a_folder_of_folders_gives_labels_and_lengths_may_differ(tmp_path: Path) -> None:
    save(tmp_path / "birds/owl/2.flac", tone(400, 0.5))
    save(tmp_path / "birds/owl/1.wav", tone(410, 0.2))
    save(tmp_path / "birds/jay/1.wav", tone(3000, 0.3))
    (tmp_path / "birds/owl/1.txt").write_text("left alone")
    examples = read([tmp_path / "birds"], DATA)
    assert examples.labels == ["jay", "owl", "owl"]
    assert examples.origins == [str(tmp_path / "birds" / name) for name in ("jay/1.wav", "owl/1.wav", "owl/2.flac")]
    assert examples.lengths.tolist() == [28, 18, 48]
    assert examples.channels == 20


def test_a_folder_of_recordings_has_no_labels(tmp_path: Path) -> None:
    save(tmp_path / "a.wav", tone(400))
    save(tmp_path / "b.wav", tone(500))
    assert read([tmp_path], DATA).labels is None


def test_recordings_both_bare_and_in_folders(tmp_path: Path) -> None:
    save(tmp_path / "d/1.wav", tone(400))
    save(tmp_path / "d/b/2.wav", tone(400))
    with pytest.raises(DataError) as error:
        read([tmp_path / "d"], DATA)
    assert str(error.value) == (
        f"{tmp_path}/d holds recordings both directly (1.wav) and in subfolders (b/2.wav); expected "
        "ROOT/label/recording with labels, or ROOT/recording without."
    )


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = tone(440), tone(900)
    stereo = audio.samples(save(tmp_path / "a.flac", np.stack([left, right], 1)), RATE)
    np.testing.assert_allclose(stereo, (left + right) / 2, atol=2 / 32768)


def test_another_rate_is_resampled(tmp_path: Path) -> None:
    pytest.importorskip("soxr", reason="needs soxr: pip install 'holdfast[audio]'")
    path = save(tmp_path / "a.wav", tone(440, 0.5, rate=22050), 22050)
    found = audio.samples(path, RATE)
    assert len(found) == RATE // 2
    inside = slice(400, -400)  # at both ends the filter meets silence
    np.testing.assert_allclose(found[inside], tone(440, 0.5)[inside], atol=1e-3)


def test_another_rate_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.wav", tone(440, rate=16000), 16000)
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(MissingLibraryError) as error:
        audio.samples(path, RATE)
    assert str(error.value) == (
        f"{path} has 16000 samples a second and data.audio.rate is 8000; resampling needs the library soxr, which is "
        "not installed: pip install 'holdfast[audio]', or convert the file."
    )


def test_without_soundfile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.wav", tone(440))
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(MissingLibraryError) as error:
        read([path], DATA)
    assert str(error.value) == (
        f"{path} is a recording, and the library soundfile cannot be loaded: pip install 'holdfast[audio]'."
    )


def test_files_that_are_no_recordings(tmp_path: Path) -> None:
    def told(path: Path) -> str:
        with pytest.raises(DataError) as error:
            read([path], DATA)
        return str(error.value)

    fake = tmp_path / "fake.wav"
    fake.write_bytes(b"RIFF no more of it")
    assert told(fake).startswith(f"{fake} cannot be read as a recording: it is damaged or of another kind (")
    empty = save(tmp_path / "empty.wav", np.zeros(0, np.float32))
    assert told(empty) == f"{empty} holds no sound; expected at least one window of it."
    short = save(tmp_path / "short.wav", noise(0.02))
    assert told(short) == (
        f"{short} lasts 20 ms; expected at least one window of 25 ms. Leave it out, or shorten data.audio.window_ms."
    )


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError) as error:
        audio.samples(tmp_path / "a.wav", RATE)
    assert str(error.value) == f"There is no recording {tmp_path}/a.wav. Check the path."
