"""The process: a start without torch, the log, and the end after SIGTERM."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

import holdfast
from command_line import call
from holdfast.errors import OptionError
from holdfast.serve.server import listen


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    holdfast.Stream(holdfast.LSTM(3, 5)).export(folder / "stream.safetensors")
    return folder


class Process:
    """``holdfast serve`` as a process."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        command = [sys.executable, "-m", "holdfast", "serve", "--port", "0", *arguments]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})
        assert self.process.stderr is not None
        self.log: list[dict[str, Any]] = []
        while not self.log or self.log[-1]["event"] != "serving":
            line = self.process.stderr.readline()
            assert line, "the server has ended"
            self.log.append(json.loads(line))
        self.port = int(self.log[-1]["url"].rsplit(":", 1)[1])
        self.reader = threading.Thread(target=self._read, args=(self.process.stderr,))
        self.reader.start()

    def _read(self, lines: Any) -> None:
        self.log += [json.loads(line) for line in lines]

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            return response.status, response.read()

    def wait(self) -> int:
        code = self.process.wait(30)
        self.close()
        return code

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()


@contextmanager
def started(*arguments: str, **environment: str) -> Iterator[Process]:
    process = Process(*arguments, **environment)
    try:
        yield process
    finally:
        process.close()


def test_connections_beyond_the_open_files_that_the_system_allows_at_first(folder: Path) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 64), hard))  # the server inherits it
    try:
        server = Process(str(folder / "stream.safetensors"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with closing(server):
        idle = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(200)]
        assert server.ask("GET", "/v2/health/live")[0] == 200
        for connection in idle:
            connection.close()


INPUT = {"inputs": [{"name": "input", "datatype": "FP32", "shape": [1, 1, 3], "data": [1, 2, 3]}]}


def test_a_stream_is_served_without_torch(folder: Path) -> None:
    program = f"""
import sys, threading
from holdfast.serve import server
original = server.run
def run(*arguments, **options):
    def look():
        import http.client, json, os, signal
        connection = http.client.HTTPConnection("127.0.0.1", arguments[1][0].getsockname()[1])
        connection.request("POST", "/v2/models/stream/infer", {json.dumps(INPUT)!r})
        print(connection.getresponse().status, "torch" in sys.modules, flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
    threading.Thread(target=look).start()
    return original(*arguments, **options)
server.run = run
from holdfast.cli import main
main(["serve", {str(folder / "stream.safetensors")!r}, "--port", "0"])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "200 False\n"), done.stderr


def begun(server: Process, body: bytes) -> socket.socket:
    """A connection whose request the server has begun to answer: it waits for the body."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    head = "POST /v2/models/stream/infer HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: "
    connection.sendall(f"{head}{len(body)}\r\n\r\n".encode())
    assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
    return connection


def test_sigterm_finishes_what_is_under_way(folder: Path) -> None:
    body = json.dumps(INPUT).encode()
    with started(str(folder / "stream.safetensors"), "--grace", "25") as server, begun(server, body) as connection:
        server.process.send_signal(signal.SIGTERM)
        status, content = 200, b""
        while status == 200:
            status, content = server.ask("GET", "/v2/health/ready")
        assert (status, json.loads(content)) == (503, {"error": "The server is stopping."})
        assert server.ask("GET", "/v2")[0] == 503
        connection.sendall(body)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert len(json.loads(answer.partition(b"\r\n\r\n")[2])["outputs"][0]["data"]) == 5
        assert server.wait() == 0
    assert [line["event"] for line in server.log if line["event"] != "request"] == ["serving", "stopping", "stopped"]
    assert server.log[-1]["finished"] is True


def test_sigterm_is_in_time_with_a_client_that_never_ends(folder: Path) -> None:
    limits = ["--grace", "1", "--limit", "body_seconds=100"]
    with started(str(folder / "stream.safetensors"), *limits) as server, begun(server, b"{}"):
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.wait() == 1
        assert time.monotonic() - began < 8  # a busy machine adds to the second of grace
    assert server.log[-1]["finished"] is False


def test_the_token_of_the_environment(folder: Path) -> None:
    with started(str(folder / "stream.safetensors"), HOLDFAST_TOKEN="pssst") as server:
        assert server.ask("GET", "/v2/health/live")[0] == 200
        assert server.ask("GET", "/v2")[0] == 401


def test_the_names_of_the_server(folder: Path) -> None:
    """A page of another site could have its name lead to this computer (DNS rebinding)."""
    path = str(folder / "stream.safetensors")
    named = "Models.Example:8000"
    with started(path) as server:
        assert server.ask("GET", "/v2", Host="localhost")[0] == 200
        status, answer = server.ask("GET", "/v2", Host=named)
        assert (status, json.loads(answer)["error"]) == (
            421,
            "The request calls the server by a name that is not its own; name it by --allow-host.",
        )
    with started(path, "--allow-host", "models.example") as server:
        assert server.ask("GET", "/v2", Host=named)[0] == 200
    with started(path, HOLDFAST_TOKEN="pssst") as server:
        assert server.ask("GET", "/v2/health/live", Host=named)[0] == 200


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["none"], "holdfast: There is no model none. Give a run, a model file, or NAME=PATH.\n"),
        (
            ["x", "--limit", "body_byte=1"],
            "holdfast: There is no limit 'body_byte': did you mean 'body_bytes'? Known: ",
        ),
        (
            ["x", "--limit", "queue=-1"],
            "holdfast: The limit queue is '-1': input should be greater than or equal to 0.\n",
        ),
        (["x", "--limit", "queue"], "holdfast: The limit 'queue' is not of the form NAME=VALUE, such as body_bytes="),
        (["x", "--log-level", "all"], "holdfast: --log-level is 'all'; expected debug, info, warning or error.\n"),
        (["x", "--host", "256.0.0.1"], "holdfast: The server cannot listen on 256.0.0.1, port 8000: "),
        (
            ["x", "--cors", "https://a.example/"],
            "holdfast: --cors is 'https://a.example/'; expected a scheme and a host alone, such as https://their.exa",
        ),
        (
            ["x", "--allow-host", "a.example:80"],
            "holdfast: --allow-host is 'a.example:80'; expected a name without scheme and port, such as models.exam",
        ),
    ],
)
def test_errors_of_the_command(capsys: Any, arguments: list[str], error: str) -> None:
    code, _, err = call(capsys, "serve", *arguments)
    assert (code, err[: len(error)]) == (2, error)


def test_a_token_that_no_request_can_have(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for token in ("pssst\n", "two words", "schlüssel"):
        monkeypatch.setenv("HOLDFAST_TOKEN", token)
        code, _, err = call(capsys, "serve", "x")
        assert (code, err[:68]) == (2, "holdfast: HOLDFAST_TOKEN has a space, a line break or a sign beyond ")


def test_a_port_that_is_none() -> None:
    with pytest.raises(OptionError, match=r"The port is 70000; expected one from 0 to 65535\."):
        listen("127.0.0.1", 70_000)


def test_a_port_in_use(capsys: Any) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, _, err = call(capsys, "serve", "x", "--port", port)
    assert code == 2
    assert err == (
        f"holdfast: The server cannot listen on 127.0.0.1, port {port}: Address already in use. Choose another port.\n"
    )


def test_small_answers_are_not_delayed() -> None:
    """asyncio turns Nagle's algorithm off only for sockets that say that they are of TCP; else 40 ms per request."""
    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP
