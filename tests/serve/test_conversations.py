"""Sound over websockets: the text of the frames is that of the same sound in ``holdfast.TranscriptStream``."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra 'serve' is not installed")
pytest.importorskip("uvicorn", reason="the extra 'serve' is not installed")
pytest.importorskip("websockets", reason="the extra 'serve' is not installed")
pytest.importorskip("kaldi_native_fbank", reason="needs kaldi-native-fbank: pip install 'holdfast[audio]'")
pytest.importorskip("soundfile", reason="needs soundfile: pip install 'holdfast[audio]'")

from tests.serve.stream_services import served
from tests.serve.transcribers import write_loud
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

import holdfast
from holdfast.serve.limits import Limits
from holdfast.serve.models import Models, load
from holdfast.serve.naming import places
from holdfast.serve.service import Service
from tones import noise, tone


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transcriber with random weights, which says much."""
    return write_loud(tmp_path_factory.mktemp("tones"))


def test_text_while_the_sound_comes(model: Path) -> None:
    async def one(address: str, number: int) -> str:
        sound = np.concatenate([tone(300 * (number % 5 + 1), 0.4), tone(700), noise(0.3, 0.2, number)])
        async with connect(f"ws://{address}/stream/loud") as socket:
            for _ in range(2):  # two recordings, one after the other
                alone = holdfast.TranscriptStream(model)
                for chunk in np.split(sound, np.sort(np.random.default_rng(number).integers(0, len(sound), 5))):
                    await socket.send(chunk.astype("<f4").tobytes())
                    added = alone.accept(chunk)
                    answer = json.loads(await socket.recv())
                    assert answer == {"text": alone.text, "added": added, "final": False}
                for frame, message in refused.items():
                    await socket.send(frame)
                    assert json.loads(await socket.recv())["error"].startswith(message)
                await socket.send('{"end": true}')
                added = alone.finish()
                assert json.loads(await socket.recv()) == {"text": alone.text, "added": added, "final": True}
        return alone.text

    refused: dict[Any, str] = {
        b"123": "The frame has 3 bytes; expected a multiple of 4: samples as float32.",
        np.full(2, np.nan, "<f4").tobytes(): "The sound holds nan at sample 0 (from 0); expected numbers from -1 to 1",
        np.full(2, -np.inf, "<f4").tobytes(): "The sound holds -inf at sample 0 (from 0); expected",
        "[1, 2]": 'A transcriber takes sound as binary frames, and {"end": true} at its end.',
    }

    async def several(address: str) -> list[str]:
        return await asyncio.gather(*(one(address, number) for number in range(6)))

    with served(Service.make(Models(map(load, places([str(model)]))))) as address:
        texts = asyncio.run(several(address))
    assert len(set(texts)) > 1
    assert all(texts)


def test_sound_that_was_heard_and_cannot_be_computed_is_the_end(model: Path) -> None:
    async def one(address: str) -> None:
        async with connect(f"ws://{address}/stream/loud") as socket:
            await socket.send(tone(700, 0.1).astype("<f4").tobytes())
            assert not json.loads(await socket.recv())["final"]
            await socket.send(tone(700, 3.0).astype("<f4").tobytes())
            error = json.loads(await socket.recv())["error"]
            assert error.endswith("are computed (tensor_values). Send fewer steps at once.")
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert (socket.close_code, socket.close_reason) == (1011, error[:123])

    service = Service.make(Models(map(load, places([str(model)]))), Limits(tensor_values=100))
    with served(service) as address:
        asyncio.run(one(address))


def test_a_recording_has_an_end(model: Path) -> None:
    async def one(address: str) -> None:
        async with connect(f"ws://{address}/stream/loud") as socket:
            for _ in range(2):
                await socket.send(tone(700, 0.1).astype("<f4").tobytes())
                assert "error" not in json.loads(await socket.recv())
                await socket.send(bytes(4000))
                assert json.loads(await socket.recv())["error"] == (
                    'The recording has more than 1,000 samples (sound_values). Send {"end": true}; the next frame then '
                    "begins another."
                )
                await socket.send('{"end": true}')
                assert json.loads(await socket.recv())["final"]

    with served(Service.make(Models(map(load, places([str(model)]))), Limits(sound_values=1000))) as address:
        asyncio.run(one(address))


def test_sound_with_the_gates_of_its_steps(model: Path) -> None:
    sound = np.concatenate([tone(300, 0.4), tone(900)])
    network = holdfast.Stream(model).network

    async def test(address: str) -> None:
        async with connect(f"ws://{address}/stream/loud?inside=true") as socket:
            alone, steps = holdfast.TranscriptStream(model), 0
            for chunk in np.split(sound, [1000, 3001]):
                await socket.send(chunk.astype("<f4").tobytes())
                added = alone.accept(chunk)
                answer = json.loads(await socket.recv())
                assert (answer["text"], answer["added"], answer["final"]) == (alone.text, added, False)
                steps += len(answer["inside"][0]["states"]["hidden"])
            assert steps > 10
            hidden = network.specs[0].hidden_size
            assert np.shape(answer["inside"][0]["gates"]["forget"])[1] == hidden
            await socket.send(np.zeros(400_000, "<f4").tobytes()[: 2**20])
            assert json.loads(await socket.recv())["error"].endswith(
                "at most 20,000 are sent at once (inside_values). Send fewer steps at once."
            )
            await socket.send('{"end": true}')
            added = alone.finish()
            assert json.loads(await socket.recv())["text"] == alone.text

    limits = Limits(inside_values=20_000)
    with served(Service.make(Models(map(load, places([str(model)]))), limits)) as address:
        asyncio.run(test(address))
