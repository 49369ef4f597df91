"""Hostile frames: each ends its own connection at most, and the server's memory stays within its limits."""

from __future__ import annotations

import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra 'serve' is not installed")
pytest.importorskip("uvicorn", reason="the extra 'serve' is not installed")
pytest.importorskip("websockets", reason="the extra 'serve' is not installed")
pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")

from tests.serve.raw_websocket import BINARY, CLOSE, PING, TEXT, Raw, frame, memory
from tests.serve.stream_services import accumulator, served, service_of

from holdfast.serve.service import Service

LIMITS = {"send_seconds": 1, "sequence_idle_seconds": 20, "frame_bytes": 2**20, "all_bodies_bytes": 2**23}


@pytest.fixture(scope="module")
def service() -> Service:
    return service_of(LIMITS, sum=accumulator())


@pytest.fixture(scope="module")
def address(service: Service) -> Iterator[str]:
    with served(service) as address:
        yield address


def metric(service: Service, name: str, **labels: str) -> float:
    return service.metrics.registry.get_sample_value(name, labels) or 0.0


def wait(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def nothing_is_left(service: Service) -> Iterator[None]:
    yield
    wait(lambda: metric(service, "holdfast_connections") == 0)
    wait(lambda: metric(service, "holdfast_live_sequences", model="sum") == 0)
    assert service.held_bytes == 0


ONE_STEP = frame(BINARY, np.ones(3, "<f4").tobytes())


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ([frame(TEXT, b"\xff\xfe")], 1007),
        ([frame(TEXT, b"\xc3", fin=False), frame(0, b"\x28")], 1007),
        ([frame(TEXT, b"\xff\xfe"), frame(CLOSE, b"\x03\xe8")], 1000),
        ([frame(BINARY, bytes(2**20 + 4))], 1009),
        ([frame(BINARY, bytes(2**19), fin=False), frame(0, bytes(2**19 + 4))], 1009),
        ([frame(BINARY, b"")[:1] + b"\xff" + b"\x7f" + b"\xff" * 7], 1009),
        ([frame(3)], 1002),
        ([frame(11)], 1002),
        ([frame(0, b"a")], 1002),
        ([frame(TEXT, b"a", fin=False), frame(TEXT, b"a")], 1002),
        ([frame(PING, b"a" * 126)], 1002),
        ([frame(PING, b"a", fin=False)], 1002),
        ([frame(BINARY, bytes(12), masked=False)], 1002),
        ([frame(BINARY, bytes(12), reserved=0x40)], 1002),
        ([frame(BINARY, bytes(12), reserved=0x20)], 1002),
        ([frame(CLOSE, b"\x03")], 1002),
        ([ONE_STEP, frame(3)], 1002),
    ],
)
def test_frames_that_break_the_protocol(address: str, sent: list[bytes], code: int) -> None:
    with Raw(address) as raw:
        raw.send(*sent)
        assert raw.close_code() == code


@pytest.mark.parametrize("headers", [b"X-A: %b\r\n" % (b"a" * 9000), b"X-A: a\r\n" * 200])
def test_a_handshake_that_the_library_refuses_is_answered(address: str, headers: bytes) -> None:
    with Raw(address, headers=headers) as raw:
        assert raw.head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert json.loads(raw._take(55)) == {"error": "The handshake of the websocket is not valid"}
        assert raw.answer() == (-1, b"")


@pytest.mark.parametrize(
    ("headers", "method", "status"),
    [
        (b"Origin: http://[\r\n", b"GET", 403),
        (b"Origin: null\r\n", b"GET", 403),
        (b"Content-Length: 0\r\n", b"POST", 405),
        (b"Sec-WebSocket-Version: 12\r\n", b"GET", 400),
        (b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99\r\n", b"GET", 101),
    ],
)
def test_other_handshakes(address: str, headers: bytes, method: bytes, status: int) -> None:
    with Raw(address, headers=headers, method=method) as raw:
        assert raw.head.startswith(b"HTTP/1.1 %d " % status)


def test_a_compressed_frame_does_not_unpack_beyond_the_limit(address: str) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -12)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(100)) + packer.flush(zlib.Z_SYNC_FLUSH)[:-4]
    before = memory()
    with Raw(address, headers=b"Sec-WebSocket-Extensions: permessage-deflate\r\n") as raw:
        assert b"permessage-deflate" in raw.head
        raw.send(frame(BINARY, bomb, reserved=0x40))
        assert raw.close_code() == 1009
    assert memory() - before < 64


def test_fragments_without_end_take_the_memory_of_their_bytes(address: str, service: Service) -> None:
    before = memory()
    with Raw(address) as raw, Raw(address) as other:
        raw.send(frame(TEXT, b"[1,2,", fin=False), frame(0, b"", fin=False) * 40_000)
        other.send(frame(TEXT, b"[", fin=False), frame(0, b" ", fin=False) * 40_000)
        wait(lambda: service.held_bytes == 40_000 + 6)
        assert memory() - before < 16
        raw.send(frame(PING, b"p"), frame(0, b"3]"))
        other.send(frame(0, b"1,2,3]"))
        assert [raw.answer(), raw.answer()] == [(10, b"p"), (TEXT, b'{"output": [1.0,2.0,3.0]}')]
        assert other.answer() == (TEXT, b'{"output": [1.0,2.0,3.0]}')


def test_messages_of_one_packet_do_not_wait_as_objects(address: str) -> None:
    before, raws = memory(), [Raw(address) for _ in range(20)]
    for raw in raws:
        raw.flood(frame(TEXT, b'{"reset":true}') * 4000, 0.05)
    assert memory() - before < 64
    for raw in raws:
        raw.socket.close()


def test_many_messages_of_one_packet_are_answered_in_order(address: str) -> None:
    with Raw(address) as raw:
        raw.send(ONE_STEP * 500)
        sums = [np.frombuffer(raw.answer()[1], "<f4")[0] for _ in range(500)]
        assert sums == list(range(1, 501))
        raw.send(frame(CLOSE, b"\x03\xe8"))
        assert raw.close_code() == 1000


@pytest.mark.parametrize(
    ("tiny", "count"), [(frame(PING), 40_000), (frame(TEXT, b'{"reset":true}'), 12_000)], ids=["pings", "messages"]
)
def test_a_flood_of_tiny_frames_leaves_turns_to_others(address: str, service: Service, tiny: bytes, count: int) -> None:
    with Raw(address) as raw:
        raw.send(ONE_STEP)
        raw.answer()
        loop = next(iter(service.sequences._live)).pool._loop  # type: ignore[union-attr]
        beats, going = list[float](), [True]

        def beat() -> None:
            beats.append(time.thread_time())  # of the server's thread: other processes do not count
            loop.call_later(0.001, beat) if len(beats) < 10**5 and going[0] else None

        loop.call_soon_threadsafe(beat)
        drain = threading.Thread(target=lambda: [raw.answer() for _ in range(count + 1)])
        drain.start()
        raw.send(tiny * count, ONE_STEP)
        drain.join(60)
        going[0] = False
    gaps = np.diff(beats)
    assert gaps.max() < gaps.sum() / 3, (gaps.max(), gaps.sum())


def test_pings_that_nobody_reads_the_answers_of(address: str, service: Service) -> None:
    before, cut = memory(), metric(service, "holdfast_errors_total", reason="slow_reader")
    with Raw(address, buffer=4096) as raw:
        raw.flood(frame(PING, b"p" * 125) * 1000, 8)
        assert memory() - before < 32
        assert metric(service, "holdfast_errors_total", reason="slow_reader") == cut + 1


def test_answers_that_nobody_reads(address: str, service: Service) -> None:
    raw = Raw(address, buffer=4096)
    raw.flood(frame(BINARY, bytes(2**20 - 4)), 8)
    wait(lambda: metric(service, "holdfast_connections") == 0)
    raw.socket.close()


def test_an_end_that_nobody_reads(service: Service, address: str) -> None:
    """The client sends its good-bye behind a chunk, and reads neither."""
    raw = Raw(address, buffer=4096)
    raw.send(frame(BINARY, bytes(2**20 - 4)) * 4, frame(CLOSE, b"\x03\xe8"))
    wait(lambda: metric(service, "holdfast_connections") == 0)
    raw.socket.close()


def test_all_frames_together_are_bounded(address: str, service: Service) -> None:
    wait(lambda: service.held_bytes == 0)  # of the clients before
    raws, before = [Raw(address) for _ in range(12)], memory()
    sent = frame(BINARY, bytes(2**20 - 4))[:-1]
    for part in (sent[: 5 * 2**17], sent[5 * 2**17 :]):  # the first parts together are 7.5 MB, of 8 that are allowed
        for raw in raws:
            raw.send(part)
        wait(lambda: service.held_bytes > 7 * 2**20)
    codes = []
    for raw in raws:
        raw.socket.settimeout(0.2)
        try:
            codes.append(raw.close_code())
        except TimeoutError:
            codes.append(0)
        raw.socket.close()
    assert set(codes) == {0, 1013}
    assert codes.count(0) in (7, 8)  # those that were ended made room for the others
    assert memory() - before < 64


def test_answers_that_nobody_reads_are_bounded_together(address: str, service: Service) -> None:
    refused, most, before = metric(service, "holdfast_errors_total", reason="bodies"), 0, memory()
    raws = [Raw(address, buffer=4096) for _ in range(24)]
    for raw in raws:
        raw.flood(frame(BINARY, bytes(2**20 - 4)), 0.06)
        most = max(most, service.held_bytes)
    assert metric(service, "holdfast_errors_total", reason="bodies") > refused
    assert 2**20 < most < 2**23 + 2**21
    assert memory() - before < 64
    for raw in raws:
        raw.socket.close()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (json.dumps(["x" * 500_000] + [""] * 100_000), "The input is not a list of numbers; expected [I] values"),
        (json.dumps([["x" * 1000] + [""] * 9999]), "The input is not a list of numbers; expected [I] values"),
        ('{"id": 1e999, "input": [1,2,3]}', "The frame's id is 'inf'; expected a number, or a text of at most 256."),
        ('{"id": {"a": 1}, "input": [1,2,3]}', "The frame's id is \"{'a': 1}\"; expected a number, or a text"),
        ('{"id": ' + "[" * 900 + "]" * 900 + "}", "The JSON is nested more than 32 deep (json_depth)."),
        ("[true, 1, 2]", "The input is not a list of numbers"),
        ("[1, 2, 99999999999999999999]", "The input is not a list of numbers"),
        ("9" * 5000, "The frame is not JSON: number out of range"),
        ("[1, 2, " + "9" * 4000 + "]", "The input is not a list of numbers"),
    ],
)
def test_texts_that_would_take_memory_or_fail(address: str, text: str, error: str) -> None:
    before = memory()
    with Raw(address) as raw:
        raw.send(frame(TEXT, text.encode()))
        opcode, answer = raw.answer()
        assert opcode == TEXT
        assert json.loads(answer)["error"].startswith(error)
        raw.send(ONE_STEP)
        assert raw.answer() == (BINARY, np.ones(3, "<f4").tobytes())
    assert memory() - before < 64


def test_outputs_are_bounded_before_they_are_computed() -> None:
    with served(service_of({"tensor_values": 30}, sum=accumulator())) as address, Raw(address) as raw:
        raw.send(frame(BINARY, bytes(12 * 11)))
        assert json.loads(raw.answer()[1])["error"] == (
            "The output would have 33 values; at most 30 are computed (tensor_values). Send fewer steps at once."
        )
        raw.send(frame(BINARY, bytes(12 * 10)))
        assert len(raw.answer()[1]) == 120


def test_a_client_that_waits_for_a_long_step_is_not_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answers to pings wait behind its next frames, which the server does not read yet."""
    from holdfast.serve import server

    monkeypatch.setattr(server, "_PING_SECONDS", 0.05)
    service = service_of({"tensor_values": 10**7, "frame_bytes": 2**23}, sum=accumulator(1))
    x = np.ones(2**20, "<f4").tobytes()
    with served(service) as address, Raw(address) as raw:
        raw.send(frame(BINARY, x), ONE_STEP[:2] + bytes(4) + bytes(12))
        answers: list[Any] = []
        while not answers or answers[-1][0] == PING:
            opcode, data = raw.answer()
            if opcode == PING:
                raw.send(frame(10, data))
            answers.append((opcode, len(data)))
        assert answers[-1] == (BINARY, len(x))
        assert len(answers) > 2
