"""Open Inference Protocol v2 (KServe, Triton) over HTTP, with Triton's extension for binary tensor data.

The protocol: https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from holdfast.serve import bodies, schemas
from holdfast.serve.endpoints import Endpoint
from holdfast.serve.facts import Facts
from holdfast.serve.guard import json_answer
from holdfast.serve.infer_message import HEADER, read_request, write_result
from holdfast.serve.installed import installed_version
from holdfast.serve.limits import Limits
from holdfast.serve.models import ServedModel
from holdfast.serve.refusals import Refusal
from holdfast.serve.service import Service, Write
from holdfast.serve.tensors import MANY_VALUES, InferRequest, InferResult

STATEFUL = ("sequence_id", "return_state", "state")
"""A request with one of these parameters has a state before it or after it."""


async def server(request: Request) -> Response:
    """The metadata of the server."""
    service = Service.of(request)
    return json_answer({"name": "holdfast", "version": installed_version(), "extensions": service.extensions})


async def metadata(request: Request) -> Response:
    """The metadata of a model."""
    model = model_of(request)
    versions = Service.of(request).models.versions(model.name)
    return json_answer({**model.document(), "versions": versions})


async def ready(request: Request) -> Response:
    """Whether a model takes work."""
    model = model_of(request)
    if Service.of(request).lifecycle.stopping.is_set():
        raise Refusal(503, "The server is stopping.", "stopping")
    return json_answer({"name": model.name, "ready": True})


async def infer(request: Request) -> Response:
    """The outputs of some inputs."""
    service, facts = Service.of(request), Facts.of(request)
    model = model_of(request)
    body = await bodies.read(request)
    header = request.headers.get(HEADER)
    until = time.monotonic() + service.limits.request_seconds
    done = await service.work.run(_infer, model, body, header, service.limits, client=facts.client)
    if isinstance(done, InferRequest):
        if service.sequences is None:
            named = next(name for name in STATEFUL if name in done.parameters)
            raise Refusal(400, f"This server keeps no state; leave out {named}.")
        done = await service.sequences(model, done, _writer(service, model, done), until)
    content, headers = done
    kind = "application/octet-stream" if HEADER in headers else "application/json"
    return Response(content, headers=headers, media_type=kind)


def _writer(service: Service, model: ServedModel, request: InferRequest) -> Write[tuple[bytes, dict[str, str]]]:
    """Makes the body of an answer and its headers, of outputs that the server may hold; a large one in a thread."""

    async def write(result: InferResult) -> tuple[bytes, dict[str, str]]:
        if sum(array.size for array in result.outputs.values()) > MANY_VALUES:
            content, headers = await asyncio.to_thread(write_result, model, request, result)
        else:
            content, headers = write_result(model, request, result)
        service.check_answer(len(content))
        return content, headers

    return write


def _infer(
    model: ServedModel, body: bytes, header: str | None, limits: Limits
) -> InferRequest | tuple[bytes, dict[str, str]]:
    """The body of an answer and its headers; the request itself where it has a state."""
    request = read_request(body, header, limits)
    check(model, request)
    if any(name in request.parameters for name in STATEFUL):
        return request
    return write_result(model, request, InferResult(model.infer(request.inputs, limits)))


def check(model: ServedModel, request: InferRequest) -> None:
    """Refuses inputs and wanted outputs that are not the model's.

    Raises:
        Refusal: 400.
    """
    known = {info.name: info for info in model.inputs}
    outputs = {info.name for info in model.outputs}
    for name in [*request.inputs, *request.outputs]:
        if name not in (known if name in request.inputs else outputs):
            expected = ", ".join(known if name in request.inputs else sorted(outputs))
            raise Refusal(400, f"The model {model.name!r} has no tensor {name[:60]!r}; expected {expected}.")
    for name, info in known.items():
        if name in request.inputs:
            info.check(request.inputs[name])
        elif not info.optional:
            raise Refusal(400, f"The input {name!r} of the model {model.name!r} is missing.")


def model_of(request: Request) -> ServedModel:
    """The model that a path names, in the version of the path or of the query, or in its highest version.

    Raises:
        Refusal: 404.
    """
    named = request.path_params.get("version") or request.query_params.get("version", "")
    model = Service.of(request).models.get(request.path_params["model"], named)
    Facts.of(request).model = model.name
    return model


_INFER = """\
Inputs are named tensors, with data nested or flat in row-major order, or as binary data after the JSON, whose length
then is in the header Inference-Header-Content-Length. NaN and Infinity are not JSON: a request with one is refused, and
in JSON data of an answer they are null. Binary data hold them."""


def _of_model(path: str) -> list[Endpoint]:
    """The paths of a model, with and without its version."""
    body: dict[str, Any] = {
        "application/json": {"schema": schemas.INFER_REQUEST},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
    }
    answers = {
        "application/json": {"schema": schemas.INFER_ANSWER},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
    }
    named = {"application/json": {"schema": schemas.MODEL_READY}}
    refusals = (400, 408, 409, 412, 413, 415, 422, 429)
    about = {"application/json": {"schema": schemas.MODEL}}
    return [
        Endpoint("GET", path, metadata, "The tensors of a model", answers=about),
        Endpoint("GET", f"{path}/ready", ready, "Whether a model takes work", answers=named),
        Endpoint("POST", f"{path}/infer", infer, "Outputs for inputs", _INFER, body, answers, refusals),
    ]


ROUTES = [
    Endpoint("GET", "/v2", server, "The server", answers={"application/json": {"schema": schemas.SERVER}}),
    *_of_model("/v2/models/{model}"),
    *_of_model("/v2/models/{model}/versions/{version}"),
]
