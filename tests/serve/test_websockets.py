"""Streams over websockets against a running server: frames, limits, close codes, and the end of the server."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import threading
import time
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra 'serve' is not installed")
pytest.importorskip("uvicorn", reason="the extra 'serve' is not installed")
pytest.importorskip("websockets", reason="the extra 'serve' is not installed")
pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")

from tests.serve.stream_services import KEY, Alone, accumulator, lstm, served, service_of
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus


async def asked(socket: Any, frame: Any) -> Any:
    """The answer to a frame: an array for an array, an object for JSON."""
    if isinstance(frame, np.ndarray):
        await socket.send(np.asarray(frame, "<f4").tobytes())
        answer = await socket.recv()
        return np.frombuffer(answer, "<f4") if isinstance(answer, bytes) else json.loads(answer)
    await socket.send(frame if isinstance(frame, str) else json.dumps(frame))
    return json.loads(await socket.recv())


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_STATE_KEY", KEY)


@pytest.mark.parametrize("name", ["sum", "lstm"])
def test_many_streams_beside_each_alone(name: str) -> None:
    network = {"sum": accumulator, "lstm": lstm}[name]()

    async def one(address: str, number: int) -> None:
        random = np.random.default_rng(number)
        for _ in range(3):
            alone = Alone(network)
            async with connect(f"ws://{address}/stream/{name}", compression=None) as socket:
                for _ in range(15):
                    x = random.integers(-9, 10, (random.choice([1, 1, 5]), network.input_size)).astype(np.float32)
                    if random.random() < 0.1:
                        assert "error" in await asked(socket, np.ones(1, np.float32))
                    if random.random() < 0.1:
                        x[0, 0] = np.nan
                    y = (await asked(socket, x)).reshape(len(x), -1)
                    assert alone.gives(x, y), number
                if number % 3 == 0:
                    socket.transport.abort()  # killed

    async def all_of_them(address: str) -> None:
        await asyncio.gather(*(one(address, number) for number in range(30)))

    service = service_of(**{name: network})
    with served(service) as address:
        asyncio.run(all_of_them(address))
    assert service.metrics.registry.get_sample_value("holdfast_live_sequences", {"model": name}) == 0


def test_frames_of_json(key: None) -> None:
    async def test(address: str) -> None:
        async with connect(f"ws://{address}/stream/sum") as socket:
            assert await asked(socket, [1, 2, 3]) == {"output": [1, 2, 3]}
            assert await asked(socket, {"input": [[1, 1, 1], [2, 2, 2.5]], "id": "a"}) == {
                "id": "a",
                "output": [[2, 3, 4], [4, 5, 6.5]],
            }
            held = await asked(socket, {"input": [0, 0, 0], "return_state": True})
            assert held["output"] == [4, 5, 6.5]
            assert await asked(socket, {"input": [1, 1, 1], "reset": True, "id": 7}) == {"id": 7, "output": [1, 1, 1]}
            assert await asked(socket, {"reset": True}) == {}
            assert await asked(socket, [2, 2, 2]) == {"output": [2, 2, 2]}
            assert np.array_equal(await asked(socket, np.ones(3)), [3, 3, 3])
            path = "stream/sum/versions/1"
            async with connect(f"ws://{address}/{path}", subprotocols=["bearer.x", "holdfast"]) as other:
                assert other.subprotocol == "holdfast"
                assert await asked(other, {"input": [1, 1, 1], "state": held["state"]}) == {"output": [5, 6, 7.5]}
                await asked(other, np.full(3, np.inf))
                assert await asked(other, [1, 1, 1]) == {"output": [None] * 3}

    with served(service_of(sum=accumulator())) as address:
        asyncio.run(test(address))


def test_frames_that_are_refused_change_nothing(key: None) -> None:
    messages = {
        "{": "The frame is not JSON: ",
        "NaN": "The frame is not JSON: expected value at line 1 column 1.",
        "[" * 100_000: "The JSON is nested more than 32 deep (json_depth).",
        "7": "The frame is JSON, but neither a list of values nor an object.",
        '{"inputs": []}': "The frame has the key 'inputs'; known are end, id, input, reset, return_state, state.",
        '{"reset": 1}': "The frame's reset is '1'; expected true or false.",
        '["1", "2", "3"]': "The input is not a list of numbers; expected [I] values of a step, or [T][I] of a chunk.",
        "[[1, 2], [3]]": "The input is ragged; expected [I] values of a step, or [T][I] of a chunk.",
        "[1e999, 0, 0]": "The input has an infinite value, which JSON does not have; use a binary frame.",
        "[1, 2]": "The steps are int64 of shape [1, 2]; expected numbers of shape [T, 3], with T at least 1.",
        "[[], []]": "The steps are float64 of shape [2, 0]; expected numbers of shape [T, 3], with T at least 1.",
        '{"input": [1, 2], "reset": true}': "The steps are int64 of shape [1, 2]; expected numbers of shape [T, 3]",
        '{"return_state": true}': "state and return_state go with an input.",
        '{"input": [1, 2, 3], "state": "abc"}': "The state is not one that a server of Holdfast gave.",
    }

    async def test(address: str) -> None:
        async with connect(f"ws://{address}/stream/sum") as socket:
            await asked(socket, [1, 2, 3])
            for frame, message in messages.items():
                answer = await asked(socket, frame)
                assert list(answer) == ["error"], frame
                assert answer["error"].startswith(message), (frame[:99], answer)
            assert await asked(socket, np.zeros(1, "f4")) == {
                "error": "The frame has 4 bytes; expected a multiple of 12: float32, [T, I]."
            }
            assert await asked(socket, [0, 0, 0]) == {"output": [1, 2, 3]}
            assert "error" in await asked(socket, "{")
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert (socket.close_code, socket.close_reason) == (1008, "16 frames could not be answered.")

    with served(service_of(sum=accumulator())) as address:
        asyncio.run(test(address))


def test_a_reset_is_a_part_of_its_step() -> None:
    async def test(address: str) -> None:
        async with connect(f"ws://{address}/stream/sum") as socket:
            await asked(socket, [1, 2, 3])
            long = await asked(socket, {"input": [[0, 0, 0]] * 5, "reset": True})
            assert long["error"].startswith("The output would have 15 values; at most 12 are computed")
            assert await asked(socket, [0, 0, 0]) == {"output": [1, 2, 3]}
            many = await asked(socket, {"input": [[0, 0, 1]] * 4, "reset": True, "id": 1})
            assert many == {"id": 1, "output": [[0, 0, 1], [0, 0, 2], [0, 0, 3], [0, 0, 4]]}

    with served(service_of({"tensor_values": 12}, sum=accumulator())) as address:
        asyncio.run(test(address))


def test_a_request_that_is_no_handshake() -> None:
    with served(service_of(sum=accumulator())) as address:
        connection = http.client.HTTPConnection(address, timeout=10)
        for path, status in (("/stream/sum", 426), ("/stream/sum/versions/1", 426), ("/stream/none", 404)):
            connection.request("GET", path)
            answer = connection.getresponse()
            error = json.loads(answer.read())["error"]
            assert answer.status == status
            if status == 426:
                assert (answer.headers["Upgrade"], answer.headers["Connection"]) == ("websocket", "Upgrade")
                assert error.startswith(f"{path} is a websocket: ask with a client of websockets, and let proxies ")
        connection.close()


async def closed(socket: Any) -> tuple[int, str]:
    with contextlib.suppress(ConnectionClosed):
        async with asyncio.timeout(5):
            while True:
                await socket.recv()
    return socket.close_code, socket.close_reason


def test_limits_end_connections() -> None:
    async def test(address: str) -> None:
        url = f"ws://{address}/stream/sum"
        async with connect(url) as first, connect(url) as second:
            await asked(first, [1, 2, 3])
            with pytest.raises(InvalidStatus) as refused:
                await connect(url)
            assert refused.value.response.status_code == 503
            assert json.loads(refused.value.response.body)["error"].startswith("The model 'sum' has 2 live streams")
            await second.send(b"0" * 1212)
            assert (await closed(second))[0] == 1009
            assert await closed(first) == (4408, "No step came for 0.5 seconds.")
        async with connect(url) as socket:
            await asked(socket, [1, 2, 3])
        for path, status in (("nothing", 404), ("sum/versions/2", 404)):
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws://{address}/stream/{path}")
            assert refused.value.response.status_code == status
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://{address}/streams")
        assert refused.value.response.status_code == 404
        assert json.loads(refused.value.response.body)["error"].startswith("There is no such path")

    limits = {"sequences": 2, "frame_bytes": 1200, "sequence_idle_seconds": 0.5}
    with served(service_of(limits, sum=accumulator())) as address:
        asyncio.run(test(address))


def test_the_end_of_the_server_is_told() -> None:
    service = service_of(lstm=lstm())
    codes: list[tuple[int, str]] = []

    async def one(address: str, number: int) -> None:
        async with connect(f"ws://{address}/stream/lstm") as socket:
            try:
                while True:
                    await socket.send(np.ones(5, "<f4").tobytes())
                    assert len(await socket.recv()) == 48
                    await asyncio.sleep(0.001 * (number % 4))
            except ConnectionClosed:
                codes.append((socket.close_code or 0, socket.close_reason or ""))

    async def idle(address: str) -> None:
        async with connect(f"ws://{address}/stream/lstm") as socket:
            codes.append(await closed(socket))

    async def all_of_them(address: str) -> None:
        await asyncio.gather(*(one(address, number) for number in range(20)), *(idle(address) for _ in range(10)))

    with served(service) as address:
        thread = threading.Thread(target=lambda: asyncio.run(all_of_them(address)))
        thread.start()
        time.sleep(0.7)
        begin = time.monotonic()
    seconds = time.monotonic() - begin
    thread.join(10)
    assert codes == [(1012, "The server stops or restarts. Connect again.")] * 30
    assert seconds < 3
