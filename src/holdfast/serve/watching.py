"""The health of the server and its counters."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from holdfast.serve.endpoints import Endpoint
from holdfast.serve.guard import json_answer
from holdfast.serve.metrics import CONTENT_TYPE
from holdfast.serve.refusals import Refusal
from holdfast.serve.service import Service


async def live(request: Request) -> Response:
    """Whether the process works."""
    return json_answer({"live": True})


async def ready(request: Request) -> Response:
    """Whether the server takes work."""
    if Service.of(request).lifecycle.stopping.is_set():
        raise Refusal(503, "The server is stopping.", "stopping")
    return json_answer({"ready": True})


async def metrics(request: Request) -> Response:
    """The counters as Prometheus reads them."""
    return Response(Service.of(request).metrics.text(), media_type=CONTENT_TYPE)


def _flag(name: str) -> dict[str, object]:
    schema = {"type": "object", "properties": {name: {"const": True}}, "required": [name]}
    return {"application/json": {"schema": schema}}


ROUTES = [
    Endpoint("GET", "/v2/health/live", live, "Whether the process works", answers=_flag("live"), public=True),
    Endpoint(
        "GET",
        "/v2/health/ready",
        ready,
        "Whether the server takes work",
        "It answers 503 from the moment when the server is told to stop.",
        answers=_flag("ready"),
        public=True,
    ),
    Endpoint(
        "GET",
        "/metrics",
        metrics,
        "The counters, for Prometheus",
        answers={"text/plain": {"schema": {"type": "string"}}},
    ),
]
