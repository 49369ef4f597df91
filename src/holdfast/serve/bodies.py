"""The bodies of requests: read within their limits of size and time, and parsed within those of JSON."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from pydantic_core import from_json
from starlette.requests import ClientDisconnect, Request

from holdfast.serve.facts import Facts
from holdfast.serve.limits import Limits
from holdfast.serve.refusals import Refusal
from holdfast.serve.service import Service

_CLOSE = {"Connection": "close"}  # else the rest of the body would have to be read
_STRING = re.compile(rb'"(?:[^"\\]++|\\.?+)*+"?', re.DOTALL)
"""A text of JSON, or one without its end. It always matches and never goes back, so the time is linear."""


async def read(request: Request) -> bytes:
    """The body of a request.

    Raises:
        Refusal: 408 where it comes too slowly, 413 where it is too large, 415 where it is compressed, 503 where the
            server holds too many bytes of bodies.
    """
    service, facts = Service.of(request), Facts.of(request)
    limits = service.limits
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", ""):
        raise Refusal(415, f"The body is compressed ({encoding[:20]!r}); send it as it is.", headers=_CLOSE)
    declared = request.headers.get("Content-Length", "0")
    if declared.isdecimal() and int(declared[:20]) > limits.body_bytes:
        raise _too_large(limits)
    body = bytearray()  # parts can be of one byte each
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for part in request.stream():
                facts.held += len(part)
                service.held_bytes += len(part)
                if facts.held > limits.body_bytes:
                    raise _too_large(limits)
                service.check_bytes(headers=_CLOSE)
                body += part
    except TimeoutError as error:
        message = f"The body took more than {limits.body_seconds:g} seconds to arrive (body_seconds)."
        raise Refusal(408, message, headers=_CLOSE) from error
    except ClientDisconnect as error:
        raise Refusal(400, "The client went away before the end of the body.", "gone") from error
    return bytes(body)


def _too_large(limits: Limits) -> Refusal:
    message = f"The body has more than {limits.body_bytes:,} bytes (body_bytes). Send less at once."
    return Refusal(413, message, headers=_CLOSE)


def parsed(body: bytes, limits: Limits, what: str = "body") -> Any:
    """The value of a JSON text.

    NaN and Infinity are not JSON, and refused. A number beyond the range of float64 is infinite.

    Args:
        body: The text.
        limits: ``json_values`` and ``json_depth`` are used.
        what: What it is, for messages.

    Raises:
        Refusal: 400 where it is no JSON or nested too deeply, 413 where it has too many values.
    """
    opened = body.count(b"[") + body.count(b"{")
    if body.count(b",") + opened > limits.json_values:
        message = f"The JSON has more than {limits.json_values:,} values (json_values). Send less, or binary data."
        raise Refusal(413, message)
    if opened > limits.json_depth and depth(body, limits.json_depth) > limits.json_depth:
        raise Refusal(400, f"The JSON is nested more than {limits.json_depth} deep (json_depth).")
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Refusal(400, f"The {what} is not JSON: {str(error)[:200]}.") from error


def depth(body: bytes, most: int) -> int:
    """How deep the lists and objects of a JSON text are nested; it stops to count above ``most``."""
    deepest = level = 0
    for bracket in re.finditer(rb"[\[\]{}]", _STRING.sub(b"", body)):
        if bracket[0] in b"[{":
            level += 1
            deepest = max(deepest, level)
            if deepest > most:
                break
        else:
            level -= 1
    return deepest


def object_in(value: Any) -> dict[str, Any]:
    """A JSON value that must be an object.

    Raises:
        Refusal: 400.
    """
    if not isinstance(value, dict):
        raise Refusal(400, f"The body is a JSON {_kind(value)}; expected an object.")
    return value


def _kind(value: Any) -> str:
    kinds = {list: "list", str: "text", bool: "boolean", type(None): "null"}
    return kinds.get(type(value), "number")
