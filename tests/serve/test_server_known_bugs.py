"""What other servers are known to do wrong with sequences, streams and their end, over HTTP and websockets."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra 'serve' is not installed")
pytest.importorskip("uvicorn", reason="the extra 'serve' is not installed")
pytest.importorskip("websockets", reason="the extra 'serve' is not installed")
pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")

from tests.serve.raw_websocket import BINARY, CLOSE, TEXT, Raw, frame
from tests.serve.stream_services import KEY, accumulator, served, service_of

from holdfast.serve.limits import Limits
from holdfast.serve.metrics import Metrics
from holdfast.serve.pool import Pool


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_STATE_KEY", KEY)


def step(address: str, value: float, *, steps: int = 1, **parameters: Any) -> Any:
    """A step of a sequence of the model "sum"; its last output, or the status."""
    tensor = {"name": "input", "datatype": "FP32", "shape": [1, steps, 1], "data": [value] * steps}
    connection = http.client.HTTPConnection(address, timeout=30)
    with contextlib.closing(connection):
        connection.request("POST", "/v2/models/sum/infer", json.dumps({"inputs": [tensor], "parameters": parameters}))
        response = connection.getresponse()
        answer = json.loads(response.read())
    return answer["outputs"][0]["data"][-1] if response.status == 200 else response.status


START = {"sequence_id": 5, "sequence_start": True}


def _ends(address: str) -> None:
    assert step(address, 100, **START) == 100
    assert step(address, 100, sequence_id=5, sequence_end=True) == 200


def _is_idle(address: str) -> None:
    assert step(address, 100, **START) == 100
    time.sleep(0.7)
    assert step(address, 1, sequence_id=5) == 404


def _is_killed(address: str) -> None:
    with Raw(address) as raw:
        raw.send(frame(BINARY, np.full(1000, 100, "<f4").tobytes()))
        time.sleep(0.05)


def _says_good_bye(address: str) -> None:
    with Raw(address) as raw:
        raw.send(frame(BINARY, np.full(1, 100, "<f4").tobytes()))
        raw.answer()
        raw.send(frame(CLOSE, b"\x03\xe8"))
        assert raw.close_code() == 1000


def _fails_to_begin(address: str) -> None:
    assert step(address, 100, **START, sequence_step=3) == 412
    assert step(address, 100, **START, state="AAAA") == 422


def _holds_its_state(address: str) -> None:
    assert step(address, 100, return_state=True) == 100


def _begins_over_http(address: str) -> float:
    for _ in range(200):
        got = step(address, 1, sequence_id=6, sequence_start=True, sequence_end=True)
        if got != 503:  # the slot is free
            return float(got)
        time.sleep(0.01)
    raise AssertionError("the slot is not free")


def _begins_on_a_websocket(address: str) -> float:
    for _ in range(200):
        with Raw(address) as raw:
            if b" 101 " in raw.head:
                raw.send(frame(TEXT, b"[1]"))
                return float(json.loads(raw.answer()[1])["output"][0])
        time.sleep(0.01)
    raise AssertionError("the slot is not free")


@pytest.mark.parametrize("begins", [_begins_over_http, _begins_on_a_websocket])
@pytest.mark.parametrize("leaves", [_ends, _is_idle, _is_killed, _says_good_bye, _fails_to_begin, _holds_its_state])
def test_a_slot_that_is_used_again_shows_nothing_of_the_sequence_before(
    leaves: Callable[[str], None], begins: Callable[[str], float], one_slot: str
) -> None:
    """Triton 7117."""
    leaves(one_slot)
    assert begins(one_slot) == 1
    assert begins(one_slot) == 1


@pytest.fixture(scope="module")
def one_slot() -> Iterator[str]:
    limits = {"sequences": 1, "sequence_idle_seconds": 0.5}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOLDFAST_STATE_KEY", KEY)
        with served(service_of(limits, sum=accumulator(1))) as address:
            yield address


def test_the_reaper_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton 8449: it looked again and again."""
    looks = []

    def evict(pool: Pool, original: Any = Pool._evict) -> None:
        looks.append(len(pool))
        original(pool)

    monkeypatch.setattr(Pool, "_evict", evict)

    async def test() -> None:
        pool = Pool(accumulator(1), "sum", Limits(sequence_idle_seconds=0.2, max_delay_ms=0), Metrics())
        busy, idle, under_way = pool.join(), pool.join(), pool.join()
        long = asyncio.create_task(pool.step(under_way, np.ones((3_000_000, 1), np.float32)))
        end = time.monotonic() + 1
        while time.monotonic() < end:
            await pool.step(busy, np.ones((1, 1), np.float32))
            await asyncio.sleep(0.01)
        assert idle.left
        assert not busy.left
        assert not under_way.left
        assert 4 <= len(looks) <= 100 + 2  # at most once per twentieth of the idle time
        long.cancel()
        pool.leave(busy)
        pool.leave(under_way)
        await asyncio.sleep(0.5)
        count = len(looks)
        await asyncio.sleep(0.5)
        assert len(looks) == count  # without a stream there is no reaper
        assert pool._timer is None
        await pool.close()

    asyncio.run(test())


def test_ids_that_look_alike_and_ids_that_are_none() -> None:
    with served(service_of(sum=accumulator(1))) as address:
        ids: list[Any] = [1, "1", "01", " 1", "1.0", "true", "\u0661", -1, 2**64, str(2**64)]
        for place, name in enumerate(ids):
            assert step(address, 10 * place, sequence_id=name, sequence_start=True) == 10 * place
        for place, name in enumerate(ids):
            assert step(address, 1, sequence_id=name) == 10 * place + 1
        for name in (1.0, True, [1], {"a": 1}, 1e300):
            assert step(address, 1, sequence_id=name) == 400
        for name in (0, "", None):
            assert step(address, 7, sequence_id=name) == 7  # no sequence: a request by itself
            assert step(address, 7, sequence_id=name) == 7
            assert step(address, 7, sequence_id=name, sequence_start=True) == 400
            assert step(address, 7, sequence_id=name, sequence_end=True) == 400


def test_starts_and_ends_out_of_order() -> None:
    with served(service_of(sum=accumulator(1))) as address:
        assert step(address, 1, sequence_id=3, sequence_end=True) == 404
        assert step(address, 1, sequence_id=3) == 404
        assert step(address, 1, sequence_id=3, sequence_start=True) == 1
        assert step(address, 9, sequence_id=3, sequence_start=True) == 409
        assert step(address, 9, sequence_id=3, sequence_start=True, sequence_end=True) == 409
        assert step(address, 1, sequence_id=3) == 2
        assert step(address, 1, sequence_id=3, sequence_end=True) == 3
        assert step(address, 1, sequence_id=3, sequence_end=True) == 412
        assert step(address, 1, sequence_id=3, sequence_start=True, sequence_end=True) == 1
        assert step(address, 1, sequence_id=3) == 412
        assert step(address, 1, sequence_id=3, sequence_start=True, sequence_step=1) == 412
        assert step(address, 1, sequence_id=3) == 412  # the refused start left it as it was
        assert step(address, 5, sequence_id=3, sequence_start=True) == 5


def test_the_end_waits_for_no_client() -> None:
    """Websockets that are idle, in a long chunk, do not answer the good-bye or do not read; requests that never end."""
    limits = {"sequence_idle_seconds": 100, "body_seconds": 100, "send_seconds": 100, "tensor_values": 10**8}
    service = service_of(limits, sum=accumulator(1))
    with contextlib.ExitStack() as stack:
        with served(service, grace=3) as address:
            for _ in range(10):
                stack.enter_context(Raw(address))
                in_chunk = stack.enter_context(Raw(address))
                in_chunk.send(frame(BINARY, bytes(2**20)))
                deaf = stack.enter_context(Raw(address, buffer=4096))
                deaf.flood(frame(BINARY, bytes(2**20)), 0.05)
                half = stack.enter_context(Raw(address))
                half.send(frame(BINARY, bytes(2**20))[:-1])
            began = time.monotonic()
        seconds = time.monotonic() - began
        assert seconds < 3 + 1.5  # the last part is for a busy machine
        assert in_chunk.close_code() == 1012
    assert service.metrics.registry.get_sample_value("holdfast_live_sequences", {"model": "sum"}) == 0
