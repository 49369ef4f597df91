"""The plain door: examples as a person writes them, answers as ``holdfast predict`` gives them."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from holdfast.files.json_values import finite
from holdfast.serve import bodies, schemas, uploads
from holdfast.serve.endpoints import Endpoint, Handler
from holdfast.serve.facts import Facts
from holdfast.serve.guard import refusal_for
from holdfast.serve.installed import check_whole
from holdfast.serve.limits import Limits
from holdfast.serve.models import ServedModel
from holdfast.serve.open_inference import model_of
from holdfast.serve.refusals import Refusal
from holdfast.serve.service import Service
from holdfast.serve.uploads import Upload

_LINES = "application/x-ndjson"
_EVENTS = "text/event-stream"


def _handler(task: str) -> Handler:
    """What answers the examples of a request by a model of a task; empty for any task."""

    async def answer(request: Request) -> Response:
        service, facts, model = Service.of(request), Facts.of(request), model_of(request)
        received = await uploads.receive(request, service.limits)
        lines = _LINES in request.headers.get("Accept", "")
        content = await service.work.run(_content, model, received, service.limits, task, lines, client=facts.client)
        return Response(content, media_type=_LINES if lines else "application/json")

    return answer


def _content(model: ServedModel, received: Upload | bytes, limits: Limits, task: str, lines: bool) -> bytes:
    """The body of an answer."""
    check_whole(model.name)
    from holdfast.serve.answering import answers  # it imports the readers of files, and with them torch

    upload = uploads.of_json(received, limits) if isinstance(received, bytes) else received
    found = answers(model, upload, limits, task)
    if lines:
        return "".join(f"{_text(answer)}\n" for answer in found).encode("utf-8", "replace")
    return _text({"model": model.name, "version": model.version, "answers": found}).encode("utf-8", "replace")


def _text(value: Any) -> str:
    """A value as ``holdfast predict`` prints it: JSON in one line, with null for NaN and infinities."""
    return json.dumps(finite(value), ensure_ascii=False, allow_nan=False)


async def generate(request: Request) -> Response:
    """A text that continues a prompt: at once, or token by token as server-sent events."""
    service, facts, model = Service.of(request), Facts.of(request), model_of(request)
    body = await bodies.read(request)
    prompt, options, streamed = await service.work.run(_prompt, body, service.limits, client=facts.client)
    streamed = streamed or _EVENTS in request.headers.get("Accept", "")
    arguments = model, prompt, options, service.limits
    if not streamed:
        pieces = await service.work.run(lambda: list(_pieces(*arguments)), client=facts.client)
        service.metrics.tokens.labels(model.name).inc(len(pieces) - 2)  # without the prompt and the whole text
        return Response(_text(pieces[-1]), media_type="application/json")
    items = service.work.items(_pieces, *arguments, client=facts.client)
    first = await anext(items)  # a refusal is answered with its status, before the stream begins
    return StreamingResponse(
        _events(first, items, service, facts), media_type=_EVENTS, headers={"Cache-Control": "no-store"}
    )


def _prompt(body: bytes, limits: Limits) -> tuple[str | None, Mapping[str, Any], bool]:
    document = bodies.object_in(bodies.parsed(body or b"{}", limits))
    if unknown := [name for name in document if name not in ("prompt", "options", "stream")]:
        raise Refusal(400, f"The body has {unknown[0][:60]!r}; expected prompt, options, stream.")
    prompt, options, streamed = document.get("prompt"), document.get("options", {}), document.get("stream", False)
    if prompt is not None and not isinstance(prompt, str):
        raise Refusal(400, "prompt is no text.")
    if not isinstance(options, dict) or not isinstance(streamed, bool):
        raise Refusal(400, "options is no object, or stream is neither true nor false.")
    return prompt, options, streamed


def _pieces(
    model: ServedModel, prompt: str | None, options: Mapping[str, Any], limits: Limits
) -> Iterator[dict[str, Any]]:
    """An event with the prompt, one for each piece of text, and one with the whole text."""
    check_whole(model.name)
    from holdfast.serve.answering import check_tokens, predictor_for

    end = time.monotonic() + limits.request_seconds
    predictor = predictor_for(model, Upload(options=options), limits, "generate")
    prompt = str(getattr(predictor.task.answering, "prompt", "")) if prompt is None else prompt
    check_tokens(predictor, 1, limits)
    examples = predictor.task.from_lines([prompt])
    yield {"prompt": prompt}
    parts = []
    for stream in predictor.compute(examples, predictor.task.stream, 1, most_steps=limits.batch_steps):  # type: ignore[attr-defined]
        for piece in stream:
            if time.monotonic() > end:
                raise limits.late()
            parts.append(piece)
            yield {"piece": piece}
    yield {"model": model.name, "version": model.version, "prompt": prompt, "text": prompt + "".join(parts)}


async def _events(
    first: dict[str, Any], items: AsyncIterator[dict[str, Any]], service: Service, facts: Facts
) -> AsyncIterator[bytes]:
    """Server-sent events: ``prompt``, ``piece`` for each piece, ``done``; ``error`` in the place of the last."""
    yield _event("prompt", first)
    try:
        async for item in items:
            if "piece" in item:
                service.metrics.tokens.labels(facts.model).inc()
            yield _event("piece" if "piece" in item else "done", item)
    except Exception as error:
        refusal = refusal_for(error, facts)
        facts.reason = refusal.reason
        yield _event("error", {"error": str(refusal)})


def _event(name: str, value: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {_text(value)}\n\n".encode("utf-8", "replace")


_EXAMPLES = """\
Examples as JSON; files as a form, as JSON in base64, or one file as the body itself; or lines of text. The answers are
those of `holdfast predict`: NaN and infinities are null. With `Accept: application/x-ndjson` they are its lines. The
query `version` names a version of the model."""

_FORM = {
    "type": "object",
    "properties": {
        "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
        "texts": {"type": "array", "items": {"type": "string"}},
        "options": {"type": "string", "description": "A JSON object, as options of the JSON body."},
    },
}
_BODY = {
    "application/json": {"schema": schemas.PREDICT_REQUEST},
    "multipart/form-data": {"schema": _FORM},
    "text/plain": {"schema": {"type": "string"}},
    **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in uploads.KINDS},
}
_ANSWERS = {
    "application/json": {"schema": schemas.ANSWERS},
    _LINES: {"schema": {"type": "string"}},
}
_TEXT = {
    "application/json": {"schema": {"type": "object"}},
    _EVENTS: {"schema": {"type": "string"}},
}
_REFUSALS = (400, 408, 413, 415, 422, 429)
_PROMPT = {"application/json": {"schema": schemas.GENERATE_REQUEST}}
_EVENT_WORDS = """\
With `stream` true, or `Accept: text/event-stream`, the text comes as server-sent events: `prompt`, a `piece` for each
piece of text, then `done` with the whole text, or `error`."""

ROUTES = [
    Endpoint("POST", "/predict/{model}", _handler(""), "Answers for examples", _EXAMPLES, _BODY, _ANSWERS, _REFUSALS),
    Endpoint(
        "POST", "/forecast/{model}", _handler("forecast"), "Forecasts of series", _EXAMPLES, _BODY, _ANSWERS, _REFUSALS
    ),
    Endpoint(
        "POST",
        "/transcribe/{model}",
        _handler("transcribe"),
        "Transcripts of recordings",
        _EXAMPLES,
        _BODY,
        _ANSWERS,
        _REFUSALS,
    ),
    Endpoint("POST", "/generate/{model}", generate, "A text, token by token", _EVENT_WORDS, _PROMPT, _TEXT, _REFUSALS),
]
