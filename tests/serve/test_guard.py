"""What every request passes: the token, its id, the log, the counters, the state of the server."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from starlette.requests import Request
from starlette.responses import Response
from tests.serve.running import Running, serving

import holdfast
from holdfast.errors import ModelFileError
from holdfast.serve.endpoints import Endpoint
from holdfast.serve.logs import JsonLines


async def fails(request: Request) -> Response:
    raise {
        "bug": RuntimeError("a secret of the server"),
        "file": ModelFileError("/srv/secret.safetensors is damaged."),
        "memory": MemoryError(),
    }[request.query_params["how"]]


FURTHER = [[Endpoint("GET", "/fails", fails, "Fails")]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "stream.safetensors"
    torch.manual_seed(0)
    holdfast.Stream(holdfast.LSTM(3, 5)).export(path)
    return path


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[Running]:
    with serving(model, token="pssst", cors=("https://a.example",), further=FURTHER) as running:
        yield running


BEARER = {"Authorization": "Bearer pssst"}


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic pssst"}])
def test_without_the_token_there_is_only_health(server: Running, header: dict[str, str]) -> None:
    for path in ("/v2/health/live", "/v2/health/ready"):
        assert server.get(path, **header).status == 200
    for path in ("/v2", "/v2/models/stream", "/metrics", "/docs", "/openapi.json", "/nothing"):
        answer = server.get(path, **header)
        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert answer.error == "The request has no valid token; expected the header Authorization: Bearer TOKEN."
    assert server.get("/v2", **BEARER).status == 200


class Records(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(record)


def test_the_id_of_a_request_is_echoed_and_logged(server: Running) -> None:
    logger, handler = logging.getLogger("holdfast.serve"), Records()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        given = server.get("/v2/models/stream/ready", **BEARER, **{"X-Request-ID": "call-7"})
        made = server.get("/v2/models/none", **BEARER, **{"X-Request-ID": 'forged "id"'})
        failed = server.get("/fails?how=bug", **BEARER)
        end = time.monotonic() + 10
        while failed.headers["x-request-id"] not in [record.__dict__["fields"]["id"] for record in handler.kept[-1:]]:
            assert time.monotonic() < end  # the line is written after the answer
            time.sleep(0.005)
        time.sleep(0.05)
    finally:
        logger.removeHandler(handler)
    assert given.headers["x-request-id"] == "call-7"
    assert len(made.headers["x-request-id"]) == 32
    lines = [json.loads(JsonLines().format(record)) for record in handler.kept]
    ids = [answer.headers["x-request-id"] for answer in (given, made, failed)]
    first, second, error, third = (line for line in lines if line["id"] in ids)
    assert first.items() >= {"id": "call-7", "status": 200, "model": "stream", "method": "GET"}.items()
    assert second.items() >= {"id": made.headers["x-request-id"], "status": 404, "reason": "unknown"}.items()
    assert "a secret of the server" in error["traceback"]
    assert (third["status"], third["reason"]) == (500, "internal")
    assert failed.error == f"The server failed; its log says why, at request {error['id']}."


def test_errors_of_the_server_tell_nothing_of_it(server: Running) -> None:
    answers = [server.get(f"/fails?how={how}", **BEARER) for how in ("file", "memory")]
    assert [answer.status for answer in answers] == [503, 503]
    assert answers[0].error.startswith("The model cannot be used now; the server's log says why, at request ")
    assert answers[1].error == "There is not enough memory for this request. Send less at once."
    assert answers[0].headers["retry-after"] == "1"


def test_pages_of_other_sites(server: Running) -> None:
    known = server.get("/v2", **BEARER, Origin="https://a.example")
    assert known.headers["access-control-allow-origin"] == "https://a.example"
    other = server.get("/v2", **BEARER, Origin="https://b.example")
    assert "access-control-allow-origin" not in other.headers
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    assert server.ask("OPTIONS", "/v2/models/stream/infer", None, asked).status == 200


def test_without_cors_there_are_no_headers_of_it(model: Path) -> None:
    with serving(model) as server:
        answer = server.get("/v2", Origin="https://a.example")
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
        assert "server" not in {name.lower() for name in answer.headers}


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:80", 200),
        ("[::1]:80", 200),
        ("192.168.0.7", 200),
        ("localhost", 200),
        ("LOCALHOST:8000", 200),
        ("holdfast.localhost", 200),
        ("models.example", 200),
        ("Models.example:443", 200),
        ("", 200),
        ("evil.example", 421),
        ("models.example.evil", 421),
        ("evil.models.example", 421),
        ("localhost.evil", 421),
        ("127.0.0.1.evil.example", 421),
        ("[::1", 421),
    ],
)
def test_names_of_the_server(named: Running, host: str, status: int) -> None:
    assert named.get("/v2", Host=host).status == status


@pytest.fixture(scope="module")
def named(model: Path) -> Iterator[Running]:
    with serving(model, hosts=frozenset({"models.example"})) as running:
        yield running


def test_the_counters(model: Path) -> None:
    with serving(model) as server:
        server.get("/v2/models/stream")
        server.get("/v2/models/none")
        server.post("/v2/models/stream/infer", b"{")
        text = server.get("/metrics").content.decode()
    for line in (
        'holdfast_requests_total{model="stream",path="/v2/models/{model}",status="200"} 1.0',
        'holdfast_requests_total{model="",path="/v2/models/{model}",status="404"} 1.0',
        'holdfast_errors_total{reason="unknown"} 1.0',
        'holdfast_errors_total{reason="malformed"} 1.0',
        'holdfast_request_seconds_count{path="/v2/models/{model}"} 2.0',
        "holdfast_queue_requests 0.0",
    ):
        assert line in text


def test_a_server_that_stops_takes_no_new_work(model: Path) -> None:
    with serving(model) as server:
        lifecycle = server.service.lifecycle
        loop = server.server.servers[0].get_loop()
        loop.call_soon_threadsafe(lifecycle.stopping.set)
        answers: dict[str, Any] = {path: server.get(path) for path in ("/v2/health/ready", "/v2", "/v2/health/live")}
        assert [answer.status for answer in answers.values()] == [503, 503, 200]
        assert answers["/v2"].error == "The server is stopping. Ask another replica."
        assert answers["/v2"].headers["connection"] == "close"


def test_large_answers_wait_for_memory_and_small_ones_do_not(model: Path) -> None:
    steps = {"name": "input", "datatype": "FP32", "shape": [1, 10_000, 3], "data": [0.5] * 30_000}
    with serving(model) as server:
        server.service.held_bytes += server.service.limits.all_bodies_bytes - 250_000
        answer = server.post("/v2/models/stream/infer", {"inputs": [steps]})
        assert answer.status == 503
        assert answer.error == (
            "The server holds as many bytes of bodies and answers as it may (all_bodies_bytes). Try again."
        )
        server.service.held_bytes += 250_000
        assert server.get("/v2/health/live").status == 200
        server.service.held_bytes = 0
        assert server.post("/v2/models/stream/infer", {"inputs": [steps]}).status == 200
