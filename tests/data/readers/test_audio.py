"""Recordings for classification: files, folders of labels, and each way to be of no use."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from holdfast.data import read
from holdfast.data.features import log_mel
from holdfast.data.readers import audio
from holdfast.data.settings import AudioSettings
from holdfast.errors import DataError, MissingDataError, MissingLibraryError
from holdfast.tasks.classify.settings import ClassifyData
from tones import RATE, noise, save, tone

pytest.importorskip("kaldi_native_fbank", reason="needs kaldi-native-fbank: pip install 'holdfast[audio]'")
soundfile = pytest.importorskip("soundfile", reason="needs soundfile: pip install 'holdfast[audio]'")
DATA = ClassifyData(audio=AudioSettings(rate=RATE, mel_bins=20))


@pytest.mark.parametrize("name", ["a.wav", "a.WAV", "a.flac", "a.ogg", "a.mp3", "a.aiff", "a.au"])
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
        f"{path} has 16000 samples per second and data.audio.rate is 8000; resampling needs the library soxr, which is "
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


def fault(path: Path) -> str:
    with pytest.raises(DataError) as error:
        audio.samples(path, RATE)
    return str(error.value)


def change(path: Path, place: int, value: bytes) -> Path:
    content = bytearray(path.read_bytes())
    content[place : place + len(value)] = value
    path.write_bytes(content)
    return path


def cut(path: Path, kept: int) -> Path:
    path.write_bytes(path.read_bytes()[:kept])
    return path


FORMATS = {
    "a.wav": {},
    "extended.wav": {"format": "WAVEX"},
    "large.wav": {"format": "RF64"},
    "big-endian.wav": {"format": "WAV", "endian": "BIG"},
    "adpcm.wav": {"subtype": "IMA_ADPCM"},
    "gsm.wav": {"subtype": "GSM610"},
    "a.aiff": {},
    "little-endian.aiff": {"endian": "LITTLE"},
    "a.au": {},
    "little-endian.au": {"endian": "LITTLE"},
    "a.flac": {},
    "vorbis.ogg": {},
    "opus.ogg": {"subtype": "OPUS"},
    "a.mp3": {},
    "constant.mp3": {"bitrate_mode": "CONSTANT", "compression_level": 0.5},
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_recording_cut_short_anywhere_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    soundfile.write(path, noise(0.56, 0.1), RATE, **FORMATS[name])
    content = path.read_bytes()
    whole = audio.samples(path, RATE)
    assert len(whole) >= RATE // 2
    for kept in [len(content) - 1, *np.linspace(len(content) - 2, 1, 25).astype(int).tolist()]:
        path.write_bytes(content[:kept])
        message = fault(path)
        assert message.startswith(f"{path} "), kept
        assert "cut short" in message or "cannot be read as a recording" in message, kept
        assert "cut short" in message or kept < 200


def test_what_is_there_and_what_the_header_claims_is_named(tmp_path: Path) -> None:
    sound = noise(0.5, 0.1)
    wav = cut(save(tmp_path / "a.wav", sound), 5000)
    assert fault(wav) == (
        f"{wav} is cut short: its WAV header claims 8,000 bytes of sound, and 4,956 are there. "
        "Copy or download it again."
    )
    aiff = cut(save(tmp_path / "a.aiff", sound), 5000)
    assert "its AIFF header claims 8,000 bytes of sound, and 4,946 are there" in fault(aiff)
    au = cut(save(tmp_path / "a.au", sound), 5000)
    assert "its AU header claims 8,000 bytes of sound, and 4,976 are there" in fault(au)
    flac = save(tmp_path / "a.flac", sound)
    assert re.search(
        r"its header claims 4,000 samples, and \d+ can be decoded\. Copy", fault(cut(flac, flac.stat().st_size - 9))
    )
    mp3 = save(tmp_path / "a.mp3", sound)
    size = mp3.stat().st_size
    assert fault(cut(mp3, size - 7)) == (
        f"{mp3} is cut short: its first frame claims {size:,} bytes, and {size - 7:,} are there. "
        "Copy or download it again."
    )
    ogg = save(tmp_path / "a.ogg", sound)
    size = ogg.stat().st_size
    page = size - ogg.read_bytes().rindex(b"OggS")
    assert f"its last page of OGG takes {page:,} bytes or more, and {page - 7:,} are there" in fault(cut(ogg, size - 7))
    assert f"no page ends the stream of OGG, which continues after the {size - page:,} bytes" in fault(
        cut(ogg, size - page)
    )


@pytest.mark.parametrize("size", [0, 0x7F000000, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF - 36, 0xFFFFFFFF])
@pytest.mark.parametrize(
    ("name", "order", "field"), [("a.wav", "little", b"data"), ("a.aiff", "big", b"SSND"), ("a.au", "big", None)]
)
def test_programs_that_write_to_a_pipe_leave_the_size_open(
    tmp_path: Path, name: str, order: str, field: bytes | None, size: int
) -> None:
    path = save(tmp_path / name, tone(440))
    expected = audio.samples(path, RATE)
    place = path.read_bytes().index(field) + 4 if field else 8
    change(path, place, size.to_bytes(4, order))  # type: ignore[arg-type]
    assert np.array_equal(audio.samples(path, RATE), expected)


def test_no_sound_before_other_chunks_is_no_sound(tmp_path: Path) -> None:
    path = save(tmp_path / "a.wav", np.zeros(0, np.float32))
    path.write_bytes(path.read_bytes() + b"LIST\x08\0\0\0INFOabcd")
    assert fault(path) == f"{path} holds no sound; expected at least one window of it."


def test_tags_around_mp3_are_not_sound(tmp_path: Path) -> None:
    path = save(tmp_path / "a.mp3", tone(440))
    expected = audio.samples(path, RATE)
    path.write_bytes(b"ID3\x04\0\0\0\0\x02\x00" + bytes(256) + path.read_bytes() + b"TAG" + bytes(125))
    assert np.array_equal(audio.samples(path, RATE), expected)


def test_mp3_without_the_tag_that_says_its_length(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    soundfile.write(path, noise(2, 0.1), RATE, bitrate_mode="CONSTANT", compression_level=0.5)
    content = path.read_bytes()
    first = content.index(content[:2], 4)  # behind the frame of the tag
    path.write_bytes(content[first:])
    assert len(audio.samples(path, RATE)) > 2 * RATE
    assert re.search(
        r"is cut short: its last frame takes \d+ bytes, and 10 are there", fault(cut(path, 7 * first + 10))
    )
    soundfile.write(path, np.concatenate([noise(1, 0.3), noise(1, 1e-4)]), RATE, bitrate_mode="VARIABLE")
    content = path.read_bytes()
    path.write_bytes(content[content.index(content[:2], 4) :])
    assert fault(path) == (
        f"{path} has a variable bit rate and does not say how long it is (it has no Xing, Info or VBRI tag), so only a "
        "part would be read. Convert it to WAV or FLAC."
    )


@pytest.mark.parametrize("rate", [0, 1, 999, 1_000_001, 2**31 - 1])
def test_a_header_of_an_impossible_rate(tmp_path: Path, rate: int) -> None:
    path = change(save(tmp_path / "a.wav", tone(440)), 24, rate.to_bytes(4, "little"))
    assert f"claims {rate:,} samples per second; expected 1,000 to 1,000,000." in fault(path) or (
        not rate and "cannot be read as a recording" in fault(path)
    )


def test_a_header_of_impossibly_many_samples(tmp_path: Path) -> None:
    path = save(tmp_path / "a.flac", noise(0.3))
    change(path, 21, bytes([path.read_bytes()[21] | 0x0F]) + b"\xff" * 4)
    assert fault(path) == (
        f"{path} claims 68,719,476,735 samples of 1 channels, and has only {path.stat().st_size:,} bytes: too few "
        "for them. Its header is damaged."
    )


def test_flac_that_was_written_to_a_pipe(tmp_path: Path) -> None:
    path = save(tmp_path / "a.flac", noise(0.3))
    change(path, 21, bytes([path.read_bytes()[21] & 0xF0]) + bytes(4))
    assert fault(path) == (
        f"{path} does not say how many samples it has, like FLAC that was written to a pipe; libsndfile cannot read "
        "such files. Convert it, for example by `ffmpeg -i OLD.flac NEW.flac`."
    )


def test_formats_that_are_not_promised_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(440), RATE, format="MAT5")
    assert fault(path) == (
        f"{path} cannot be read as a recording: it is damaged or of another kind (expected WAV, FLAC, OGG, MP3, AIFF"
        " or AU)."
    )
