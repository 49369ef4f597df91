"""Failures of the server itself: its client is told why, the others go on to the same bits, and nothing is left."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
from collections.abc import Callable, Iterator
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

from holdfast.serve import pool as pools
from holdfast.serve.held_state import HeldStates
from holdfast.serve.logs import JsonLines
from holdfast.serve.service import Service

NO_MEMORY, BUG, LOST = 666.0, 667.0, 668.0
"""Values of an input at which the computation fails."""
OF_MEMORY = "There is not enough memory for this request. Send less at once."


@pytest.fixture(autouse=True)
def failing_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams that fail at some values, after their states have changed."""
    monkeypatch.setenv("HOLDFAST_STATE_KEY", KEY)
    original = pools.make_stream

    def make(network: Any, batch: int) -> Any:
        stream = original(network, batch)
        run = stream.run

        def failing(x: Any, rows: Any) -> Any:
            y = run(x, rows)
            if (x == NO_MEMORY).any():
                raise MemoryError
            if (x == BUG).any():
                raise RuntimeError("a secret of the server")
            if (x == LOST).any():
                stream.set_state_of = lambda *_: (_ for _ in ()).throw(MemoryError)
                raise RuntimeError("a secret of the server")
            stream.__dict__.pop("set_state_of", None)
            return y

        stream.run = failing
        return stream

    monkeypatch.setattr(pools, "make_stream", make)


class Log(logging.Handler):
    """What the server logged."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(json.loads(JsonLines().format(record)))


@pytest.fixture
def log() -> Iterator[list[dict[str, Any]]]:
    """The records of errors."""
    handler, loggers = Log(), [logging.getLogger(name) for name in ("holdfast.serve", "uvicorn", "asyncio")]
    handler.setLevel(logging.ERROR)
    for logger in loggers:
        logger.addHandler(handler)
    yield handler.kept
    for logger in loggers:
        logger.removeHandler(handler)


def free_rows(service: Service) -> dict[str, int]:
    """The free rows of each model, which the clients have left."""
    live = service.sequences._live  # type: ignore[union-attr]
    assert all(not of_model.pool._under_way for of_model in live)
    return {of_model.model.name: len(of_model.pool._free) for of_model in live}


def ask(address: str, body: Any, path: str = "/v2/models/sum/infer") -> tuple[int, Any]:
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        connection.request("POST", path, json.dumps(body))
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def step(address: str, *values: float, **parameters: Any) -> tuple[int, Any]:
    """A step of a sequence; the values of the answer, or its error."""
    tensor = {"name": "input", "datatype": "FP32", "shape": [1, 1, 3], "data": list(values)}
    status, answer = ask(address, {"inputs": [tensor], "parameters": parameters})
    return status, answer["outputs"][0]["data"] if status == 200 else answer["error"]


@pytest.mark.parametrize("name", ["sum", "lstm"])
@pytest.mark.parametrize("bad", [NO_MEMORY, BUG])
def test_one_stream_of_many_fails(name: str, bad: float, log: list[dict[str, Any]]) -> None:
    network = {"sum": accumulator, "lstm": lstm}[name]()

    async def one(address: str, number: int) -> None:
        alone, random = Alone(network), np.random.default_rng(number)
        async with connect(f"ws://{address}/stream/{name}") as socket:
            for _ in range(20):
                x = random.integers(-9, 10, (random.choice([1, 2]), network.input_size)).astype("<f4")
                await socket.send(x.tobytes())
                y = await socket.recv()
                assert isinstance(y, bytes)
                assert alone.gives(x, np.frombuffer(y, "<f4").reshape(len(x), -1))

    async def fails(address: str) -> str:
        async with connect(f"ws://{address}/stream/{name}") as socket:
            await socket.send(np.ones(network.input_size, "<f4").tobytes())
            await socket.recv()
            await socket.send(np.full(network.input_size, bad, "<f4").tobytes())
            error = json.loads(await socket.recv())["error"]
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert (socket.close_code, socket.close_reason) == (1011, error)
            return str(error)

    async def all_of_them(address: str) -> list[str]:
        *_, errors = await asyncio.gather(
            *(one(address, number) for number in range(20)), asyncio.gather(*(fails(address) for _ in range(5)))
        )
        return errors

    service = service_of({"max_delay_ms": 5}, **{name: network})
    with served(service) as address:
        errors = asyncio.run(all_of_them(address))
        assert free_rows(service) == {name: 1024}
    assert len(log) == 5
    assert {line["event"] for line in log} == {"memory" if bad == NO_MEMORY else "failed"}
    for line, error in zip(sorted(log, key=lambda line: str(line["id"])), sorted(errors), strict=True):
        expected = f"The server failed; its log says why, at request {line['id']}."
        assert error == (OF_MEMORY if bad == NO_MEMORY else expected)
        assert line["traceback"].endswith("MemoryError" if bad == NO_MEMORY else "RuntimeError: a secret of the server")


def test_a_sequence_is_as_before_a_failure(log: list[dict[str, Any]]) -> None:
    service = service_of(sum=accumulator())
    with served(service) as address:
        assert step(address, 1, 2, 3, sequence_id=7, sequence_start=True) == (200, [1, 2, 3])
        assert step(address, 0, 0, NO_MEMORY, sequence_id=7) == (503, OF_MEMORY)
        status, error = step(address, 0, 0, BUG, sequence_id=7)
        assert (status, error) == (500, f"The server failed; its log says why, at request {log[-1]['id']}.")
        assert step(address, 1, 1, 1, sequence_id=7, sequence_step=1) == (200, [2, 3, 4])
        assert step(address, 0, 0, BUG, sequence_id=8, sequence_start=True)[0] == 500
        assert step(address, 1, 1, 1, sequence_id=8)[0] == 404
        assert step(address, 0, 0, BUG, return_state=True)[0] == 500
        assert free_rows(service) == {"sum": 1023}
        assert step(address, 1, 1, 1, sequence_id=7, sequence_end=True) == (200, [3, 4, 5])
        assert free_rows(service) == {"sum": 1024}
    assert len(log) == 4


def test_a_sequence_ends_where_its_answer_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    service = service_of(sum=accumulator())
    with served(service) as address:
        assert step(address, 1, 2, 3, sequence_id=7, sequence_start=True)[0] == 200
        with monkeypatch.context() as patch:
            patch.setattr(HeldStates, "pack", lambda *_: (_ for _ in ()).throw(MemoryError))
            assert step(address, 1, 2, 3, sequence_id=7, return_state=True) == (503, OF_MEMORY)
        assert step(address, 1, 2, 3, sequence_id=7)[0] == 404
        assert free_rows(service) == {"sum": 1024}


def test_a_sequence_ends_where_its_answer_is_too_large_to_hold() -> None:
    """If it went on, a client that sends the same steps again would take them twice."""
    service = service_of(sum=accumulator())
    tensor = {"name": "input", "datatype": "FP32", "shape": [1, 10_000, 3], "data": [1] * 30_000}
    with served(service) as address:
        assert step(address, 1, 2, 3, sequence_id=7, sequence_start=True)[0] == 200
        service.held_bytes += service.limits.all_bodies_bytes - 270_000  # enough for the body and the outputs
        status, answer = ask(address, {"inputs": [tensor], "parameters": {"sequence_id": 7}})
        assert (status, answer["error"][:40]) == (503, "The server holds as many bytes of bodies")
        assert step(address, 1, 2, 3, sequence_id=7)[0] == 404
        assert free_rows(service) == {"sum": 1024}
        service.held_bytes += 120_000  # not enough for the outputs: no step is taken
        assert step(address, 1, 2, 3, sequence_id=7, sequence_start=True)[0] == 200
        assert ask(address, {"inputs": [tensor], "parameters": {"sequence_id": 7}})[0] == 503
        assert step(address, 1, 2, 3, sequence_id=7, sequence_step=1) == (200, [2, 4, 6])


def test_a_lost_state_is_told_until_a_new_sequence_begins() -> None:
    async def on_websocket(address: str) -> None:
        async with connect(f"ws://{address}/stream/sum") as socket:
            await socket.send(f"[0, 0, {LOST}]")
            assert "error" in json.loads(await socket.recv())
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert socket.close_code == 1011

    service = service_of({"sequence_idle_seconds": 0.5}, sum=accumulator())
    with served(service) as address:
        assert step(address, 1, 2, 3, sequence_id=7, sequence_start=True)[0] == 200
        assert step(address, 0, 0, LOST, sequence_id=7)[0] == 500
        lost = 500, "The state of the stream was lost when the server failed. Begin a new one."
        assert step(address, 1, 2, 3, sequence_id=7) == lost
        asyncio.run(on_websocket(address))
        assert step(address, 1, 2, 3, sequence_id=8, sequence_start=True, sequence_end=True) == (200, [1, 2, 3])
        while step(address, 1, 2, 3, sequence_id=7) == lost:
            pass  # it is given up like an idle one
        assert step(address, 1, 2, 3, sequence_id=7)[0] == 404
        assert free_rows(service) == {"sum": 1024}


def test_streams_that_cannot_begin(monkeypatch: pytest.MonkeyPatch, log: list[dict[str, Any]]) -> None:
    async def handshake(address: str) -> tuple[int, str]:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://{address}/stream/sum")
        return refused.value.response.status_code, json.loads(refused.value.response.body)["error"]

    def fail(error: Exception) -> Callable[..., Any]:
        return lambda *_: (_ for _ in ()).throw(error)

    service = service_of(sum=accumulator())
    with served(service) as address:
        for error, status in ((MemoryError(), 503), (RuntimeError("a secret of the server"), 500)):
            with monkeypatch.context() as patch:
                patch.setattr(pools, "make_stream", fail(error))
                assert step(address, 1, 2, 3, sequence_id=7, sequence_start=True)[0] == status
                got = asyncio.run(handshake(address))
                assert got[0] == status
                assert "secret" not in got[1]
        assert step(address, 1, 2, 3, sequence_id=7, sequence_start=True) == (200, [1, 2, 3])
    assert [line["event"] for line in log] == ["memory", "memory", "failed", "failed"]


def test_requests_past_their_time_change_nothing() -> None:
    """A step takes about 10 us, so these would take a minute."""
    service = service_of({"request_seconds": 0.3, "tensor_values": 10**8}, one=accumulator(1))
    x = np.ones((4_000_000, 1), "<f4")
    tensor = {
        "name": "input",
        "datatype": "FP32",
        "shape": [1, len(x), 1],
        "parameters": {"binary_data_size": x.nbytes},
    }

    def long(address: str, **parameters: Any) -> int:
        head = json.dumps({"inputs": [tensor], "parameters": parameters}).encode()
        connection = http.client.HTTPConnection(address, timeout=30)
        length = {"Inference-Header-Content-Length": str(len(head))}
        connection.request("POST", "/v2/models/one/infer", head + x.tobytes(), length)
        status = connection.getresponse().status
        connection.close()
        return status

    def short(address: str, **parameters: Any) -> Any:
        small = {"name": "input", "datatype": "FP32", "shape": [1, 1, 1], "data": [1]}
        status, answer = ask(address, {"inputs": [small], "parameters": parameters}, "/v2/models/one/infer")
        return answer["outputs"][0]["data"] if status == 200 else status

    with served(service) as address:
        assert short(address, sequence_id=1, sequence_start=True) == [1]
        assert long(address, sequence_id=1) == 503
        assert short(address, sequence_id=1, sequence_step=1) == [2]
        assert long(address, sequence_id=2, sequence_start=True) == 503
        assert short(address, sequence_id=2) == 404
        assert long(address, return_state=True) == 503
        assert free_rows(service) == {"one": 1023}
