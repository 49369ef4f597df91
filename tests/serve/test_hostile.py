"""Hostile requests: whatever comes, the server answers with no 500, keeps its memory, and serves the next client.

``HOLDFAST_HOSTILE=2000`` sets the number of requests; ``make hostile`` does so.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from tests.serve.raw_websocket import BINARY, TEXT, Raw, frame, memory
from tests.serve.running import Running, form, serving
from tests.serve.stream_services import KEY
from tests.tasks import untrained

import holdfast
from holdfast.serve.limits import Limits

COUNT = int(os.environ.get("HOLDFAST_HOSTILE", "300"))
MOST_GROWTH = 256
"""MiB; the limits below let one request hold far less."""
LIMITS = Limits(
    head_seconds=1,
    body_seconds=1,
    idle_seconds=1,
    request_seconds=20,
    sequence_idle_seconds=1,
    body_bytes=2**20,
    json_values=100_000,
    tensor_values=100_000,
    generated_tokens=300,
    batch_steps=10_000,
)
ALLOWED = {100, 200, 400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 431, 501, 503}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    patch = pytest.MonkeyPatch()
    patch.setenv("HOLDFAST_STATE_KEY", KEY)
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    holdfast.Stream(holdfast.LSTM(3, 5)).export(folder / "stream.safetensors")
    names = ("numbers", "texts", "generate", "forecast")
    models = [untrained.write(name, folder) for name in names]
    with serving(folder / "stream.safetensors", *models, limits=LIMITS, streams=True) as running:
        yield running
    patch.undo()


def raw(method: str, path: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {"Content-Type": "application/json"}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def valid() -> list[bytes]:
    tensor = {"name": "input", "datatype": "FP32", "shape": [1, 2, 3], "data": [1, 2, 3.5, -4, 5e-3, 6]}
    binary = {"name": "input", "datatype": "FP32", "shape": [1, 2, 3], "parameters": {"binary_data_size": 24}}
    text = {"name": "input", "datatype": "BYTES", "shape": [1], "data": ["4 1 ü"]}
    infer = json.dumps({"id": "a", "inputs": [tensor], "outputs": [{"name": "output"}]}).encode()
    header = json.dumps({"inputs": [binary], "parameters": {"binary_data_output": True}}).encode()
    length = {"Inference-Header-Content-Length": str(len(header))}
    files = [("train.csv", untrained.FILES["train.csv"].encode()), ("a.npy", b"\x93NUMPY\x01\x00v\x00{'descr': '<f4'}")]
    image = ("a.png", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x08\x00\x00\x00\x08\x08\x00\x00\x00\x00")
    sequence = {"inputs": [tensor], "parameters": {"sequence_id": 7, "sequence_start": True, "sequence_end": True}}
    held = {"inputs": [tensor], "parameters": {"return_state": True}}
    series = {"time": ["2000-01-01", "2000-02-01"], "value": [1.5, None]}
    return [
        raw("GET", "/v2/models/stream/versions/1", b""),
        raw("POST", "/v2/models/stream/infer", infer),
        raw("POST", "/v2/models/stream/infer", header + np.ones(6, np.float32).tobytes(), length),
        raw("POST", "/v2/models/stream/infer", json.dumps(sequence).encode()),
        raw("POST", "/v2/models/stream/infer", json.dumps(held).encode()),
        raw("POST", "/v2/models/texts/infer", json.dumps({"inputs": [text]}).encode()),
        raw("POST", "/predict/numbers", json.dumps({"examples": [[1.0, 2.0], [3.0]], "options": {}}).encode()),
        raw("POST", "/predict/texts", json.dumps({"texts": ["4 1", ""]}).encode()),
        raw("POST", "/predict/texts", b"4 1\n2\n", {"Content-Type": "text/plain"}),
        raw("POST", "/predict/numbers", *form(files[:1])),
        raw("POST", "/predict/numbers", *form([*files, image], options="{}")),
        raw("POST", "/predict/numbers", files[0][1], {"Content-Type": "text/csv"}),
        raw("POST", "/predict/numbers", image[1], {"Content-Type": "image/png"}),
        raw("POST", "/forecast/forecast", json.dumps({"examples": series, "options": {"horizon": 2}}).encode()),
        raw("POST", "/generate/generate", json.dumps({"prompt": "row", "options": {"length": 5}}).encode()),
        raw("POST", "/generate/generate", json.dumps({"options": {"length": 5}, "stream": True}).encode()),
    ]


def flip(request: bytes, dice: random.Random) -> bytes:
    changed = bytearray(request)
    for _ in range(dice.choice([1, 1, 2, 8])):
        changed[dice.randrange(len(changed))] = dice.randrange(256)
    return bytes(changed)


def cut(request: bytes, dice: random.Random) -> bytes:
    return request[: dice.randrange(1, len(request))]


def remove(request: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(len(request))
    return request[:start] + request[start + dice.randrange(1, 40) :]


def repeat(request: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(len(request))
    piece = request[start : start + dice.randrange(1, 40)]
    return request[:start] + piece * dice.choice([2, 3, 1000]) + request[start:]


def number(request: bytes, dice: random.Random) -> bytes:
    """Another number in the place of one in the body, with the right length of the body."""
    head, _, body = request.partition(b"\r\n\r\n")
    extremes = [b"-1", b"0", b"1e999", b"9" * 400, b"2147483648", b"9223372036854775808", b"NaN", b"null", b"true"]
    extremes += [b'"a"', b"[]", b"{}", b"[[[]]]", b"-0.0", b"1e-400", b"0.5", b"4294967296"]
    places = list(re.finditer(rb"\d+(\.\d+)?", body))
    if places:
        place = dice.choice(places)
        body = body[: place.start()] + dice.choice(extremes) + body[place.end() :]
    return re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(body), head) + b"\r\n\r\n" + body


def length(request: bytes, dice: random.Random) -> bytes:
    values = [b"0", b"-1", b"1", b"99999999999999999999", b"1048577", b"4294967296", b"ten", b"5, 6"]
    return re.sub(rb"(Content-Length|Inference-Header-Content-Length): \d+", rb"\1: " + dice.choice(values), request)


def nest(request: bytes, dice: random.Random) -> bytes:
    head, _, _ = request.partition(b"\r\n\r\n")
    opened, closed = dice.choice([(b"[", b"]"), (b'{"a":', b"1}"), (b'{"inputs":[', b"]}")])
    body = opened * dice.choice([40, 5000, 90_000]) + closed * dice.choice([0, 40, 5000])
    return re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(body), head) + b"\r\n\r\n" + body


def many(request: bytes, dice: random.Random) -> bytes:
    head, _, _ = request.partition(b"\r\n\r\n")
    body = dice.choice([b'{"examples":[' + b"[]," * 99_000 + b"[]]}", b'{"texts":["' + b"x" * 1_000_000 + b'"]}'])
    if dice.random() < 0.5:
        body = b'{"examples":[["' + b"x" * 500_000 + b'"' + b',""' * 49_000 + b"]]}"
    return re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(body), head) + b"\r\n\r\n" + body


def chunked(request: bytes, dice: random.Random) -> bytes:
    head, _, body = request.partition(b"\r\n\r\n")
    head = re.sub(rb"Content-Length: \d+", b"Transfer-Encoding: chunked", head)
    size = dice.choice([b"%x" % len(body), b"ffffffffffffffff", b"-1", b"x", b"%x" % (len(body) + 5), b"0" * 5000])
    if dice.random() < 0.3:  # a chunk per byte, some with an extension
        chunks = b"".join(b"1%b\r\n%c\r\n" % (dice.choice([b"", b";a=b"]), byte) for byte in body)
        return head + b"\r\n\r\n" + chunks + dice.choice([b"0\r\n\r\n", b"0\r\nA: b\r\n\r\n", b"", b"g\r\n"])
    return head + b"\r\n\r\n" + size + b"\r\n" + body + b"\r\n0\r\n\r\n"


def rewrite(request: bytes, dice: random.Random) -> bytes:
    head, separator, body = request.partition(b"\r\n\r\n")
    extra = [
        b"Content-Encoding: gzip",
        b"Transfer-Encoding: chunked",
        b"Expect: 100-continue",
        b"X-Request-ID: " + b"\xff" * 50,
        b"Content-Type: multipart/form-data",
        b"Content-Type: multipart/form-data; boundary=" + b"x" * 5000,
        b"Cookie: " + b"a" * 70_000,
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13",
        b"Host: other",
    ]
    paths = [
        b"/v2/models/" + b"../" * 20 + b"etc/passwd",
        b"/predict/%00",
        b"/" + b"a" * 9000,
        b"*",
        b"//",
        b"/docs?" * 9,
    ]
    if dice.random() < 0.5:
        return head + b"\r\n" + dice.choice(extra) + separator + body
    return re.sub(rb"^(\w+) \S+", rb"\1 " + dice.choice(paths), head) + separator + body


def state(request: bytes, dice: random.Random) -> bytes:
    """A state that no server gave, in a request of a stream."""
    head, _, _ = request.partition(b"\r\n\r\n")
    tensor = {"name": "input", "datatype": "FP32", "shape": [1, 1, 3], "data": [1, 2, 3]}
    text = base64.urlsafe_b64encode(bytes([dice.choice([0, 1, 1, 1, 255])]) + dice.randbytes(dice.choice([0, 31, 500])))
    made_up: list[object] = [text.decode(), text.decode()[:-1], "\ud800", "A" * 900_000, 7, [], {"a": 1}, None, ""]
    parameters = {
        "state": dice.choice(made_up),
        "return_state": dice.choice([True, 1]),
        "sequence_id": dice.choice([0, 1]),
    }
    body = json.dumps({"inputs": [tensor], "parameters": parameters}).encode()
    head = re.sub(rb"^\w+ \S+", b"POST /v2/models/stream/infer", head)
    return re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(body), head) + b"\r\n\r\n" + body


def pipelined(request: bytes, dice: random.Random) -> bytes:
    return request * dice.choice([2, 5]) + cut(request, dice)


def old(request: bytes, dice: random.Random) -> bytes:
    return request.replace(b"HTTP/1.1", dice.choice([b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.10"]), 1)


def headers(request: bytes, dice: random.Random) -> bytes:
    head, separator, body = request.partition(b"\r\n\r\n")
    line = dice.choice([b"\r\nA:", b"\r\nX-%d: a" % dice.randrange(9), b"\r\n folded", b"\r\nContent-Length: 3"])
    return head + line * dice.choice([1, 200, 20_000]) + separator + body


def no_text(request: bytes, dice: random.Random) -> bytes:
    """Bytes that are not UTF-8 in the body."""
    head, _, body = request.partition(b"\r\n\r\n")
    place = dice.randrange(len(body) + 1)
    body = body[:place] + dice.choice([b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\x00", b"\\ud800"]) + body[place:]
    return re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(body), head) + b"\r\n\r\n" + body


MUTATIONS: list[Callable[[bytes, random.Random], bytes]] = [
    flip, cut, remove, repeat, number, number, length, nest, many, chunked, rewrite,
    state, pipelined, old, headers, no_text,
]  # fmt: skip


def exchange(server: Running, request: bytes, dice: random.Random) -> bytes:
    """What the server says to a request, sent in one or two pieces, until it or the client closes the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=15) as connection:
        parts = []
        try:
            middle = dice.randrange(len(request)) if dice.random() < 0.2 else len(request)
            connection.sendall(request[:middle])
            connection.sendall(request[middle:])
            if dice.random() < 0.98:  # the others are let go for their time
                with contextlib.suppress(OSError):  # the server has ended the connection
                    connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                parts.append(part)
        except (ConnectionResetError, BrokenPipeError):
            pass  # the server did not wait for the rest
        return b"".join(parts)


def nothing_is_left(server: Running) -> None:
    """No connection, stream or body, and nothing that the server itself did wrong."""
    end = time.monotonic() + 10
    counters = b""
    while server.service.held_bytes or not re.search(rb"\nholdfast_connections 1\.0\n", counters):
        assert time.monotonic() < end, "connections or bodies are left"
        time.sleep(0.05)
        counters = server.get("/metrics").content
    assert not re.search(rb"holdfast_live_sequences{.*} [1-9]", counters)
    assert b'reason="internal"' not in counters
    assert not server.service.work.busy


def test_mutated_requests(server: Running) -> None:
    dice = random.Random(11)
    requests = valid()
    for request in requests:
        assert re.match(rb"HTTP/1.1 (200|422) ", exchange(server, request, dice)), request
    before, seen = memory(), Counter[int]()
    half_open = []
    for number_ in range(COUNT):
        if number_ % 10 == 0 and len(half_open) < 50:
            half_open.append(socket.create_connection(("127.0.0.1", server.port), timeout=15))
            half_open[-1].sendall(cut(dice.choice(requests), dice))
        request = dice.choice(MUTATIONS)(dice.choice(requests), dice)
        answer = exchange(server, request, dice)
        for status in re.findall(rb"^HTTP/1.1 (\d+) ", answer, re.MULTILINE):
            seen[int(status)] += 1
            assert int(status) in ALLOWED, (request[:500], answer[:500])
    assert memory() - before < MOST_GROWTH
    assert server.get("/v2/health/ready").status == 200
    assert seen[200] >= COUNT // 50
    assert seen[400] >= COUNT // 10
    assert len(seen) >= 5
    for connection in half_open:
        connection.close()
    nothing_is_left(server)
    print(f"{COUNT} requests: {dict(sorted(seen.items()))}, memory grew by {memory() - before:.0f} MiB")


def test_many_clients_with_slow_bodies_do_not_disturb_others(server: Running) -> None:
    slow = [socket.create_connection(("127.0.0.1", server.port), timeout=15) for _ in range(100)]
    for connection in slow:
        connection.sendall(b"POST /predict/texts HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n{")
    began = time.monotonic()
    assert server.post("/predict/texts", {"texts": ["4"]}).status == 200
    assert time.monotonic() - began < 2
    for connection in slow:
        assert connection.recv(65536).startswith(b"HTTP/1.1 408 ")
        connection.close()
    while server.service.held_bytes:
        assert time.monotonic() < began + 20
        time.sleep(0.05)


def hostile_frames(dice: random.Random) -> bytes:
    """Frames of a websocket, most of them wrong in some way."""
    texts = [b"[1,2,3]", b'{"input":[1,2,3],"id":1}', b"[[1,2,3]]", b'{"input":[1,2,3],"return_state":true}', b"{}"]
    binary = np.ones(3 * dice.randrange(1, 4), "<f4").tobytes()
    opcode, data = dice.choice([(TEXT, dice.choice(texts)), (BINARY, binary)])
    made: list[Callable[[], bytes]] = [
        lambda: frame(opcode, data),
        lambda: flip(frame(opcode, data), dice),
        lambda: cut(frame(opcode, data), dice),
        lambda: frame(dice.randrange(16), data, fin=dice.random() < 0.5, reserved=dice.choice([0, 16, 32, 64])),
        lambda: frame(opcode, data, masked=False),
        lambda: frame(opcode, flip(data, dice)),
        lambda: frame(TEXT, number(b"\r\n\r\n" + dice.choice(texts), dice).partition(b"\r\n\r\n")[2]),
        lambda: frame(TEXT, dice.choice([b"[", b'{"a":', b'{"input":[']) * dice.choice([30, 5000])),
        lambda: frame(opcode, data[:2], fin=False) + frame(0, b"", fin=False) * 500 + frame(0, data[2:]),
        lambda: frame(9, b"p" * 125) * 200,
        lambda: frame(8, dice.choice([b"", b"\x03", b"\x03\xe8", b"\x00\x00", b"\xff\xff\xff"])),
        lambda: frame(BINARY, dice.randbytes(12 * dice.randrange(1, 2000))),
    ]
    return dice.choice(made)()


def test_hostile_frames(server: Running) -> None:
    dice, before, codes = random.Random(12), memory(), Counter[int]()
    for _ in range(COUNT // 3):
        deflate = b"Sec-WebSocket-Extensions: permessage-deflate\r\n" if dice.random() < 0.3 else b""
        with Raw(f"127.0.0.1:{server.port}", "/stream/stream", headers=deflate) as raw:
            try:
                for _ in range(dice.randrange(1, 6)):
                    raw.send(hostile_frames(dice))
                raw.send(frame(8, b"\x03\xe8"))
                if dice.random() < 0.8:  # the others are let go for their time
                    raw.socket.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # the server ended the connection
            codes[raw.close_code()] += 1
    assert set(codes) <= {-1, 1000, 1002, 1005, 1007, 1008, 1009, 4408}, codes
    assert codes[1002] > COUNT // 30
    assert memory() - before < MOST_GROWTH
    nothing_is_left(server)
    print(f"{COUNT // 3} websockets: {dict(sorted(codes.items()))}, memory grew by {memory() - before:.0f} MiB")


def test_slow_silent_and_half_open_clients_are_let_go_at_the_same_time(server: Running) -> None:
    """Each kind many times: the server lets all go within its times, and serves others meanwhile."""
    body = b"POST /predict/texts HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n"
    stream = b"POST /generate/generate HTTP/1.1\r\nHost: a\r\nContent-Length: 37\r\n\r\n"
    starts = {
        "silent": b"",
        "half a head": b"GET /v2 HTTP/1.1\r\nHost",
        "no body": body,
        "half a body": body + b'{"texts": ["',
        "half a chunk": body.replace(b"Content-Length: 900000", b"Transfer-Encoding: chunked") + b"ff\r\nab",
        "events that nobody reads": stream + b'{"options":{"length":300},"stream":1}',
        "more body than was asked for": b"GET /v2 HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
    }
    clients = {}
    for kind, start in starts.items():
        for _ in range(12):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=15)
            connection.sendall(start)
            clients[connection] = kind
    began, before = time.monotonic(), memory()
    while clients and time.monotonic() - began < 15:
        assert server.get("/v2/health/live").status == 200
        for connection, kind in list(clients.items()):
            connection.setblocking(False)
            try:
                if kind in ("half a head", "half a body"):
                    connection.send(b"a")  # a byte at a time
                if kind == "events that nobody reads" and time.monotonic() - began < 3:
                    continue
                if connection.recv(65536) == b"":
                    raise ConnectionResetError
            except BlockingIOError:
                continue
            except (ConnectionResetError, BrokenPipeError):
                connection.close()
                del clients[connection]
        time.sleep(0.1)
    assert not clients, Counter(clients.values())
    assert memory() - before < 64
    nothing_is_left(server)
