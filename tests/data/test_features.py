"""Log-mel energies against what is known of sounds made for it."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest

from holdfast.data.features import LARGEST, FilterbankStream, log_mel
from holdfast.data.settings import AudioSettings
from holdfast.errors import DataError, MissingLibraryError, OptionError, RecipeError, ShapeError
from holdfast.recipes import changed
from tones import RATE, noise, tone

pytest.importorskip("kaldi_native_fbank", reason="needs kaldi-native-fbank: pip install 'holdfast[audio]'")
AUDIO = AudioSettings(rate=RATE)


def mel(hertz: float) -> float:
    return float(1127 * np.log1p(hertz / 700))


@pytest.mark.parametrize("samples", [200, 279, 280, 1000, 8000])
@pytest.mark.parametrize(("window", "hop"), [(25, 10), (32, 16)])
def test_a_frame_a_hop_as_long_as_the_window_fits(samples: int, window: float, hop: float) -> None:
    settings = AudioSettings(rate=RATE, window_ms=window, hop_ms=hop, mel_bins=13)
    w, h = round(window * RATE / 1000), round(hop * RATE / 1000)
    frames = 0 if samples < w else 1 + (samples - w) // h
    assert log_mel(noise(samples / RATE), settings).shape == (frames, 13)


@pytest.mark.parametrize("hertz", [300, 700, 1000, 1800, 3000, 3700])
@pytest.mark.parametrize(("low", "high"), [(20, 0), (100, 3900)])
def test_the_energy_of_a_tone_is_in_its_band(hertz: float, low: float, high: float) -> None:
    settings = AudioSettings(rate=RATE, low_hz=low, high_hz=high)
    steps = log_mel(tone(hertz), settings)
    edges = np.linspace(mel(low), mel(settings.band_end), settings.mel_bins + 2)
    band = int(steps.mean(0).argmax())
    assert edges[band] <= mel(hertz) <= edges[band + 2]
    assert (steps.argmax(1) == band).all()


def test_twice_the_amplitude_is_four_times_the_energy() -> None:
    sound = noise(0.5, level=0.1)
    np.testing.assert_allclose(log_mel(2 * sound, AUDIO) - log_mel(sound, AUDIO), np.log(4), atol=1e-4)


def test_the_same_sound_gives_the_same_bits() -> None:
    sound = noise(0.5)
    assert np.array_equal(log_mel(sound, AUDIO), log_mel(sound, AUDIO))


@pytest.mark.parametrize("stack", [2, 3, 4])
def test_frames_side_by_side_and_the_last_step_filled_up(stack: int) -> None:
    sound = noise(0.2)
    frames = log_mel(sound, AUDIO)
    assert len(frames) == 18
    steps = log_mel(sound, AudioSettings(rate=RATE, stack=stack))
    filled = np.concatenate([frames, np.repeat(frames[-1:], -len(frames) % stack, 0)])
    assert np.array_equal(steps, filled.reshape(-1, stack * AUDIO.mel_bins))


@pytest.mark.parametrize("stack", [1, 3])
def test_steps_do_not_depend_on_where_the_chunks_are_cut(stack: int) -> None:
    settings = AudioSettings(rate=RATE, stack=stack)
    sound = noise(1.03)
    whole = log_mel(sound, settings)
    generator = np.random.default_rng(stack)
    for pieces in (1, 2, 7, 90):
        cuts = np.sort(generator.integers(0, len(sound) + 1, pieces))
        stream = FilterbankStream(settings)
        steps = [stream.accept(chunk) for chunk in np.split(sound, cuts)]
        assert np.array_equal(np.concatenate([*steps, stream.finish()]), whole)


def test_a_step_comes_as_soon_as_its_window_is_full() -> None:
    stream = FilterbankStream(AudioSettings(rate=RATE, stack=2))
    sound = noise(0.1)
    assert len(stream.accept(sound[:279])) == 0  # two windows of 25 ms, 10 ms apart, take 35 ms
    assert len(stream.accept(sound[279:280])) == 1
    assert len(stream.finish()) == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -2e9])
def test_what_is_no_sample_is_refused_and_changes_nothing(value: float) -> None:
    sound = noise(0.2)
    wrong = sound.copy()
    wrong[7] = value
    stream = FilterbankStream(AUDIO)
    steps = [stream.accept(sound[:500])]
    with pytest.raises(DataError, match=re.escape(f"The sound holds {np.float32(value)} at sample 7 (from 0); expec")):
        stream.accept(wrong)
    steps += [stream.accept(sound[500:]), stream.finish()]
    assert np.array_equal(np.concatenate(steps), log_mel(sound, AUDIO))


def test_loud_samples_have_finite_energies() -> None:
    assert np.isfinite(log_mel(np.sign(noise(0.5)) * np.float32(LARGEST), AUDIO)).all()


def test_wrong_calls() -> None:
    with pytest.raises(ShapeError) as shape:
        log_mel(np.zeros((400, 2), np.float32), AUDIO)
    assert str(shape.value) == "The samples have shape (400, 2); expected [N], one channel."
    stream = FilterbankStream(AUDIO)
    stream.finish()
    with pytest.raises(OptionError) as finished:
        stream.accept(noise(0.1))
    assert str(finished.value) == ("accept was called after finish; make a new stream for another recording.")


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kaldi_native_fbank", None)
    with pytest.raises(MissingLibraryError) as error:
        log_mel(noise(0.1), AUDIO)
    assert str(error.value) == (
        "Sound needs the library kaldi-native-fbank, which is not installed: pip install 'holdfast[audio]'."
    )


def test_bands_beyond_the_rate_are_refused() -> None:
    with pytest.raises(RecipeError, match="the bands go from low_hz = 20 to high_hz = 5000; expected low_hz below "):
        changed(AUDIO, ["high_hz=5000"])
    with pytest.raises(RecipeError, match="and high_hz at most half of rate, 4000"):
        changed(AUDIO, ["low_hz=4000"])
