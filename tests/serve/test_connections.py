"""Silent, slow and too many clients are let go; the others are not disturbed."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import pytest
import torch
from tests.serve.running import Running, serving

import holdfast
from holdfast.serve.limits import Limits

LIMITS = Limits(
    head_seconds=0.3,
    idle_seconds=0.3,
    body_seconds=2,
    send_seconds=0.3,
    connections=8,
    body_bytes=100_000_000,
    json_values=20_000_000,
    tensor_values=20_000_000,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    path = tmp_path_factory.mktemp("models") / "stream.safetensors"
    torch.manual_seed(0)
    holdfast.Stream(holdfast.LSTM(3, 5)).export(path)
    with serving(path, limits=LIMITS) as running:
        yield running


def connected(server: Running) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=10)


def flood(connection: socket.socket) -> None:
    """Sends until that fails, for at most 20 seconds."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        connection.sendall(bytes(100_000))


def received(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


@pytest.mark.parametrize(
    "start", [b"", b"POST /predict/stream HTTP/1.1\r\nHost: a\r\nX-A: "], ids=["silent", "half a head"]
)
def test_a_client_without_a_whole_head_is_let_go(server: Running, start: bytes) -> None:
    with connected(server) as connection:
        began = time.monotonic()
        connection.sendall(start)
        assert received(connection) == b""
        assert 0.2 < time.monotonic() - began < 5


def test_drops_of_a_head_do_not_prolong_its_time(server: Running) -> None:
    with connected(server) as connection:
        began = time.monotonic()
        connection.sendall(b"GET /v2 HTTP/1.1\r\n")
        connection.settimeout(0.05)
        open_ = True
        while open_:
            assert time.monotonic() - began < 5
            try:
                connection.sendall(b"X-A: b\r\n")
                open_ = connection.recv(1) != b""
            except TimeoutError:
                pass
            except (ConnectionResetError, BrokenPipeError):
                open_ = False


def test_a_slow_body_is_refused(server: Running) -> None:
    with connected(server) as connection:
        connection.sendall(b"POST /predict/stream HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
        answer = received(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"The body took more than 2 seconds to arrive (body_seconds)." in answer


def test_an_idle_connection_is_closed_and_a_busy_one_is_not(server: Running) -> None:
    with connected(server) as connection:
        for _ in range(6):
            connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = b""
            while not answer.endswith(b'{"live":true}'):
                answer += connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200 ")
            time.sleep(0.1)
        began = time.monotonic()
        assert received(connection) == b""
        assert time.monotonic() - began < 5


def test_a_client_that_does_not_read_is_cut(server: Running) -> None:
    shape = [1, 1_000_000, 3]
    header = json.dumps(
        {
            "inputs": [
                {"name": "input", "datatype": "FP32", "shape": shape, "parameters": {"binary_data_size": 12_000_000}}
            ],
            "parameters": {"binary_data_output": True},
        }
    ).encode()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(10)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(
            b"POST /v2/models/stream/infer HTTP/1.1\r\nHost: a\r\nInference-Header-Content-Length: %d\r\n"
            b"Content-Length: %d\r\n\r\n" % (len(header), len(header) + 12_000_000)
        )
        connection.sendall(header + bytes(12_000_000))
        end = time.monotonic() + 10
        while b'reason="slow_reader"' not in server.get("/metrics").content:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert len(received(connection)) < 20_000_000


def test_a_client_that_sends_everything_first_reads_why_it_is_refused(server: Running) -> None:
    path = server.service.models.get("stream").path
    with serving(str(path), limits=Limits(body_bytes=1000, send_seconds=1)) as other:
        for headers in ({}, {"Connection": "close"}, {"Content-Encoding": "gzip"}):
            answer = other.post("/predict/stream", bytes(20_000_000), headers)
            assert answer.status == (415 if "Content-Encoding" in headers else 413)
        with connected(other) as connection:  # not for ever
            connection.sendall(b"POST /predict/stream HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999\r\n\r\n")
            began = time.monotonic()
            with pytest.raises(OSError, match=r"reset|[Bb]roken"):
                flood(connection)
        assert 0.9 < time.monotonic() - began < 10


def test_a_connection_too_many_is_closed(server: Running) -> None:
    time.sleep(0.4)  # the connections of the tests before are gone
    others = [connected(server) for _ in range(8)]
    time.sleep(0.05)
    with connected(server) as further:
        answer = received(further)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert answer.endswith(b'{"error":"The server has no free connection"}')
    for other in others:
        received(other)
        other.close()
    assert server.get("/v2/health/live").status == 200
    assert b"holdfast_connections 1.0" in server.get("/metrics").content


@pytest.mark.parametrize(
    "start", [b"\x16\x03\x01", b"GET / HTTP/1.1\r\nHost a\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000]
)
def test_what_is_not_http_is_refused(server: Running, start: bytes) -> None:
    with connected(server) as connection:
        connection.sendall(start + b"\r\n")
        answer = received(connection)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b'{"error":"The request is not HTTP/1.1"}')
