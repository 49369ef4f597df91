"""The gates and states of live streams: with ``?inside=true``, and bounded."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra 'serve' is not installed")
pytest.importorskip("uvicorn", reason="the extra 'serve' is not installed")
pytest.importorskip("websockets", reason="the extra 'serve' is not installed")
pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")

from tests.serve.stream_services import KEY, Alone, accumulator, lstm, served, service_of
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from holdfast.inspect.stream_recording import record_steps
from holdfast.runtime import Stream

DIGITS = 1e-4


def expected(network: Any, x: np.ndarray) -> dict[str, Any]:
    stream = Stream(network)
    states = [stream.state_of([0])]
    for step in x:
        stream.step(step)
        states.append(stream.state_of([0]))
    return record_steps(network, x, states)


async def asked(socket: Any, frame: Any) -> Any:
    await socket.send(frame if isinstance(frame, bytes) else json.dumps(frame))
    return json.loads(await socket.recv())


def same(inside: list[dict[str, Any]], layers: dict[str, Any], begin: int, end: int) -> None:
    assert [layer["name"] for layer in inside] == list(layers)
    for layer, whole in zip(inside, layers.values(), strict=True):
        assert layer["cell"] == whole.cell
        for kind in ("gates", "states"):
            assert list(layer[kind]) == list(getattr(whole, kind))
            for name, values in layer[kind].items():
                np.testing.assert_allclose(values, getattr(whole, kind)[name][0, begin:end], rtol=0, atol=DIGITS)


def test_gates_beside_those_of_the_sequence_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_STATE_KEY", KEY)
    network = lstm()
    x = np.random.default_rng(0).normal(size=(20, network.input_size)).astype(np.float32)
    layers, rows = expected(network, x), x.tolist()

    async def watched(address: str) -> None:
        alone = Alone(network)
        async with connect(f"ws://{address}/stream/lstm?inside=true") as socket:
            first = await asked(socket, rows[0])
            assert alone.gives(x[:1], np.array([first["output"]], np.float32))
            same(first["inside"], layers, 0, 1)
            chunk = await asked(socket, {"input": rows[1:19], "id": 1, "return_state": True})
            assert list(chunk) == ["id", "output", "state", "inside"]
            assert alone.gives(x[1:19], np.array(chunk["output"], np.float32))
            same(chunk["inside"], layers, 1, 19)
            binary = await asked(socket, x[19:].tobytes())
            assert alone.gives(x[19:], np.array(binary["output"], np.float32))
            same(binary["inside"], layers, 19, 20)
            again = await asked(socket, {"input": rows[0], "reset": True})
            same(again["inside"], layers, 0, 1)
            after = await asked(socket, {"input": rows[19], "state": chunk["state"]})
            same(after["inside"], layers, 19, 20)

    async def plain(address: str, number: int) -> None:  # others in the same ticks
        alone, random = Alone(network), np.random.default_rng(number)
        async with connect(f"ws://{address}/stream/lstm") as socket:
            for _ in range(20):
                steps = random.normal(size=(random.choice([1, 30]), network.input_size)).astype("<f4")
                await socket.send(steps.tobytes())
                answer = np.frombuffer(await socket.recv(), "<f4").reshape(len(steps), -1)
                assert alone.gives(steps, answer)

    async def all_of_them(address: str) -> None:
        await asyncio.gather(watched(address), *(plain(address, number) for number in range(8)))

    with served(service_of(lstm=network)) as address:
        asyncio.run(all_of_them(address))


def test_the_answer_is_bounded_and_the_stream_stays_as_it_was() -> None:
    async def test(address: str) -> None:
        async with connect(f"ws://{address}/stream/sum?inside=true") as socket:
            assert (await asked(socket, [1, 2, 3]))["output"] == [1, 2, 3]
            message = (
                "4 steps have 24 values of gates and states; at most 20 are sent at once (inside_values). Send fewer "
                "steps at once."
            )
            for frame in ({"input": [[1, 1, 1]] * 4, "reset": True}, np.ones((4, 3), "<f4").tobytes()):
                assert await asked(socket, frame) == {"error": message}
            assert (await asked(socket, [[1, 1, 1]] * 3))["output"][-1] == [4, 5, 6]
            nothing = np.array([[np.nan, 1, 1]], "<f4").tobytes()
            answer = await asked(socket, nothing)
            assert answer["output"] == answer["inside"][0]["states"]["hidden"] == [[None, None, None]]

    with served(service_of({"inside_values": 20}, sum=accumulator())) as address:
        asyncio.run(test(address))


def test_inside_is_true_or_false() -> None:
    async def test(address: str) -> None:
        async with connect(f"ws://{address}/stream/sum?inside=false") as socket:
            assert await asked(socket, [1, 2, 3]) == {"output": [1, 2, 3]}
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://{address}/stream/sum?inside=1")
        assert refused.value.response.status_code == 400
        assert json.loads(refused.value.response.body) == {"error": "inside is '1'; expected true or false."}

    with served(service_of(sum=accumulator())) as address:
        asyncio.run(test(address))
