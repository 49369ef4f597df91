"""Streams on the page: steps with their gates, and the microphone with a transcript while a person speaks."""

from __future__ import annotations

import io
import shutil
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra 'serve' is not installed")
pytest.importorskip("uvicorn", reason="the extra 'serve' is not installed")
pytest.importorskip("websockets", reason="the extra 'serve' is not installed")
pytest.importorskip("markdown_it", reason="the extra 'serve' is not installed")
pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")
pytest.importorskip("soundfile", reason="needs soundfile: pip install 'holdfast[audio]'")

from tests.inspect.page.waiting import until
from tests.serve.page.test_page import FIRST, answered, drop, settle, status
from tests.serve.running import Running, serving
from tests.serve.transcribers import write_loud

from holdfast import runtime
from holdfast.inspect.stream_recording import record_steps
from holdfast.predictor import Predictor
from tones import noise, save, tone

PITCH = 600
DIGITS = 1e-4


@pytest.fixture(scope="module")
def loud(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_loud(tmp_path_factory.mktemp("tones"))


@pytest.fixture(scope="module")
def server(folder: Path, loud: Path) -> Iterator[Running]:
    names = ("digits", "regress", "stream")
    with serving(*(folder / f"{name}.safetensors" for name in names), loud, streams=True) as running:
        yield running


@pytest.fixture(scope="module")
def hearing(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The same browser with a microphone that hears tones again and again, one of them louder than the others."""
    said = [tone(PITCH, 0.6, 0.5, 48000), tone(300, 0.3, 0.1, 48000), tone(1500, 0.2, 0.1, 48000)]
    sound = save(tmp_path_factory.mktemp("sound") / "tones.wav", np.concatenate(said), 48000)
    switches = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    chromium = browser.browser_type.launch(
        executable_path=program,
        args=["--no-sandbox", "--disable-gpu", *switches, f"--use-file-for-fake-audio-capture={sound}"],
    )
    yield chromium
    chromium.close()


def test_a_stream_is_stepped_with_its_gates(server: Running, folder: Path, opened: Callable[..., Any]) -> None:
    page = opened(server, "stream")
    settle(page, "stream")
    rows = np.round(np.random.default_rng(0).normal(size=(4, 3)), 3)
    page.locator("textarea").fill("\n".join(", ".join(map(str, row)) for row in rows))
    answer = answered(page)
    stream = runtime.load(folder / "stream.safetensors")
    x = rows.astype(np.float32)
    states, outputs = [stream.state_of([0])], []
    for step in x:
        outputs.append(stream.step(step))
        states.append(stream.state_of([0]))
    np.testing.assert_allclose(answer["rows"], outputs, rtol=1e-6)
    page.evaluate("for (let k = 0; k < 2; k += 1) holdfast.parts[2].one.click()")  # before the first is answered
    until(page, "holdfast.parts[2].place === 2")
    assert page.locator(".where").inner_text() == "step 2 (2 of 4)"
    page.evaluate("for (let k = 0; k < 3; k += 1) holdfast.parts[2].play.click()")  # with a short pause
    status(page, "The sequence has ended.")
    np.testing.assert_allclose(page.evaluate("holdfast.parts[2].outputs"), outputs, rtol=1e-6)
    expected = record_steps(stream.network, x, states)
    shown = page.evaluate(
        """holdfast.parts[2].recordings.layers.map(({ name, gates, states }) =>
          ({ name, values: Object.fromEntries([...gates, ...states].map(([key, all]) => [key, [...all]])) }))"""
    )
    assert [layer["name"] for layer in shown] == list(expected)
    for layer, whole in zip(shown, expected.values(), strict=True):
        for name, values in {**whole.gates, **whole.states}.items():
            np.testing.assert_allclose(layer["values"][name], values[0].flatten(), atol=DIGITS)
    assert page.locator(".map").count() == 6
    timing = page.locator(".hint", has_text="time per step").inner_text()
    assert timing.startswith("Step 4 of 4; time per step: last ")
    page.locator("textarea").fill("1, 2")
    page.get_by_role("button", name="One step").click()
    until(page, "holdfast.parts[2].status.textContent === 'Line 1 is not 3 numbers.'")
    page.get_by_label("Layer").select_option(index=1)
    assert page.locator(".map").count() == 6


def test_the_probabilities_after_each_step(server: Running, folder: Path, opened: Callable[..., Any]) -> None:
    page = opened(server, "digits")
    settle(page, "digits")
    page.locator(".drawing").focus()
    for key in ("Space", "ArrowDown", "Space"):
        page.keyboard.press(key)
    final = answered(page)["probabilities"]
    page.get_by_role("button", name="Step through").click()
    status(page, "The sequence has ended.")
    shares = page.evaluate("holdfast.parts[1].view.view.shares.map((row) => [...row])")
    drawn = page.evaluate("holdfast.parts[0].given().rows")
    predictor = Predictor(folder / "digits.safetensors")
    classes = predictor.task.encoder.labels.classes
    for steps in (3, 8):
        (expected,) = predictor.predict_values([np.array(drawn[:steps], np.uint8)])
        assert dict(zip(classes, shares[steps - 1], strict=True)) == pytest.approx(expected["probabilities"], abs=1e-5)
    assert dict(zip(classes, shares[-1], strict=True)) == pytest.approx(final, abs=1e-5)


def test_a_recording_is_dropped(server: Running, loud: Path, tmp_path: Path, opened: Callable[..., Any]) -> None:
    page = opened(server, "loud")
    until(page, f"{FIRST} && {FIRST}.textContent === 'loud'")
    path = save(tmp_path / "said.wav", np.concatenate([tone(300, 0.4), tone(700), noise(0.3, 0.2, 1)]))
    drop(page, "said.wav", path.read_bytes(), "audio/wav")
    status(page, "Answered in")
    (expected,) = Predictor(loud).predict([path])
    assert answered(page)["text"] == expected["text"]
    assert page.locator(".verdict").inner_text() == expected["text"]
    assert page.locator(".preview audio").count() == 1


def test_the_microphone_is_heard_while_it_records(
    server: Running, loud: Path, hearing: Any, opened: Callable[..., Any]
) -> None:
    page = opened(server, "loud", browser=hearing)
    page.get_by_role("button", name="Record").click()
    until(page, "document.querySelectorAll('.map').length === 6")  # while it records
    until(page, "holdfast.parts[2].recordings.count > 60")
    until(page, "!['', '…'].includes(document.querySelector('.verdict').textContent)")
    page.get_by_role("button", name="Stop").click()
    until(page, "holdfast.parts[0].microphone.status.textContent.endsWith('seconds heard.')")
    content = page.evaluate("holdfast.parts[0].microphone.file.arrayBuffer().then((b) => [...new Uint8Array(b)])")
    with wave.open(io.BytesIO(bytes(content))) as file:
        rate, sound = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), "<i2")
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    assert abs(spectrum.argmax() * rate / len(sound) - PITCH) < 5
    assert np.abs(sound).max() > 3000
    timing = page.locator(".hint", has_text="time per chunk of sound").inner_text()
    assert int(timing.split()[0]) == page.evaluate("holdfast.parts[2].recordings.count")
    assert server.service.metrics.registry.get_sample_value("holdfast_live_sequences", {"model": "loud"}) == 1
    page.get_by_role("link", name="digits").click()  # ends the stream
    settle(page, "digits")
    until(page, "true")


def test_sound_at_another_rate(server: Running, opened: Callable[..., Any]) -> None:
    soxr = pytest.importorskip("soxr", reason="needs soxr: pip install 'holdfast[audio]'")
    page = opened(server, "digits")
    settle(page, "digits")
    time = np.arange(24000) / 48000
    sound = (0.3 * np.sin(2 * np.pi * 700 * time) + 0.2 * np.sin(2 * np.pi * 2900 * time)).astype(np.float32)
    too_high = (0.3 * np.sin(2 * np.pi * 6000 * time)).astype(np.float32)  # above half of 8,000
    program = """async ([sound, cuts]) => {
      const { Resampler } = await import("/page/sound.js");
      const resampler = new Resampler(48000, 8000);
      const all = Float32Array.from(sound);
      const parts = cuts.map((cut, k) => [...resampler.push(all.slice(k ? cuts[k - 1] : 0, cut))]);
      return [...parts.flat(), ...resampler.finish()];
    }"""
    whole = np.array(page.evaluate(program, [sound.tolist(), [len(sound)]]))
    cut = np.array(page.evaluate(program, [sound.tolist(), [1, 2048, 2050, 9999, len(sound)]]))
    np.testing.assert_array_equal(whole, cut)
    expected = soxr.resample(sound, 48000, 8000)
    assert abs(len(whole) - len(expected)) <= 1
    middle = slice(200, 3800)
    assert np.abs(whole[middle] - expected[middle]).max() < 3e-3
    silent = np.array(page.evaluate(program, [too_high.tolist(), [len(too_high)]]))
    assert np.abs(silent[middle]).max() < 3e-3
