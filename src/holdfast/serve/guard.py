"""What every request and websocket passes: its id, the token, the state of the server, refusals, counters, the log."""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import json
import re
import time
import uuid
from collections.abc import Container, Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.errors import DataError, HoldfastError, MissingLibraryError, OptionError, RecipeError, ShapeError
from holdfast.serve.facts import KEY, Facts
from holdfast.serve.logs import LOG
from holdfast.serve.refusals import REASONS, Refusal
from holdfast.serve.service import Service

_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
UNFIT = (DataError, ShapeError, OptionError, RecipeError, MissingLibraryError)
"""Errors about what the client sent."""
REFUSED, FAILED = 1008, 1011
"""Close codes of websockets (RFC 6455): what the client sent cannot be answered; the server failed."""
_SUBPROTOCOL = "bearer."
"""A browser cannot send a token with a websocket in a header; it offers the subprotocol ``bearer.TOKEN``."""


class Guard:
    """The middleware around all routes.

    Args:
        app: The routes.
        service: The server.
        public: The paths that need no token.
    """

    def __init__(self, app: ASGIApp, service: Service, public: frozenset[str]) -> None:
        self._app, self._service, self._public = app, service, public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("X-Request-ID", "")
        client = scope["client"][0] if scope.get("client") else ""
        facts = scope[KEY] = Facts(given if _ID.fullmatch(given) else uuid.uuid4().hex, client)
        answer = self._http if scope["type"] == "http" else self._websocket
        self._service.lifecycle.enter()
        try:
            await answer(scope, receive, send, facts, headers)
        finally:
            self._service.lifecycle.leave()
            self._service.held_bytes -= facts.held

    async def _http(self, scope: Scope, receive: Receive, send: Send, facts: Facts, headers: Headers) -> None:
        began = time.perf_counter()

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] < 400:
                    self._service.check_answer(int(Headers(raw=message["headers"]).get("Content-Length", "0")))
                facts.status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = facts.id
                if self._service.lifecycle.stopping.is_set():
                    MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        try:
            self._check(scope, headers)
            await self._app(scope, receive, sent)
        except Exception as error:
            refusal = refusal_for(error, facts)
            facts.reason = refusal.reason
            if facts.status:
                raise  # the answer has begun; the connection is cut
            await refused(refusal)(scope, receive, sent)
        finally:
            self._record(scope, facts, time.perf_counter() - began)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send, facts: Facts, headers: Headers) -> None:
        began, accepted, gone = time.perf_counter(), False, False

        async def sent(message: Message) -> None:
            nonlocal accepted, gone
            if message["type"] == "websocket.accept":
                accepted, facts.status = True, 101
            elif message["type"] == "websocket.close" and not accepted:
                raise HTTPException(404)  # no route; starlette would say 403, without a message
            try:
                await send(message)
            except OSError:  # as ASGI has it
                gone = True
                raise

        try:
            self._check(scope, headers)
            self._check_origin(headers)
            await self._app(scope, receive, sent)
        except Exception as error:
            if not gone:
                await _end(scope, receive, send, refusal_for(error, facts), facts, accepted)
        finally:
            self._record(scope, facts, time.perf_counter() - began)

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Refuses a request under another name or without the token, and new work while the server stops."""
        service, public = self._service, scope["path"] in self._public
        if service.hosts is not None and not _is_named(headers.get("Host", ""), service.hosts):
            raise Refusal(421, "The request calls the server by a name that is not its own; name it by --allow-host.")
        if service.token and not public and not _has_token(headers, service.token):
            message = "The request has no valid token; expected the header Authorization: Bearer TOKEN."
            raise Refusal(401, message, headers={"WWW-Authenticate": "Bearer"})
        if service.lifecycle.stopping.is_set() and not public and scope["path"] != "/metrics":
            raise Refusal(503, "The server is stopping. Ask another replica.", "stopping")

    def _check_origin(self, headers: Headers) -> None:
        """Refuses a websocket of a web page of another site."""
        origin = headers.get("Origin", "")
        allowed = self._service.cors
        if origin and _host_of(origin) != headers.get("Host", "") and not {origin, "*"} & set(allowed):
            raise Refusal(403, "The page is of another site; name its origin by --cors.")

    def _record(self, scope: Scope, facts: Facts, seconds: float) -> None:
        metrics, path = self._service.metrics, facts.path or "unknown"
        metrics.requests.labels(path, facts.model, str(facts.status)).inc()
        if facts.reason:
            metrics.errors.labels(facts.reason).inc()
        if scope["type"] == "http":
            metrics.seconds.labels(path).observe(seconds)
        LOG.info(
            "request",
            extra={
                "fields": {
                    "id": facts.id,
                    "client": facts.client,
                    "method": scope.get("method", "WS"),
                    "path": scope["path"][:200],
                    "status": facts.status,
                    "ms": round(1000 * seconds, 3),
                    **({"model": facts.model} if facts.model else {}),
                    **({"reason": facts.reason} if facts.reason else {}),
                }
            },
        )


def _is_named(host: str, names: Container[str]) -> bool:
    """Whether a header ``Host`` is an address, ``localhost``, or one of these names.

    A page of another site can have its own name lead to this computer (DNS rebinding), and a browser then takes the
    server for a part of that site. It cannot do so with an address, and browsers resolve ``localhost`` themselves.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if not name or name == "localhost" or name.endswith(".localhost") or name in names:
        return True
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(name))
    return False


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return "an origin that is no URL"


async def _end(scope: Scope, receive: Receive, send: Send, refusal: Refusal, facts: Facts, accepted: bool) -> None:
    """Ends a websocket: by an answer of HTTP before it is accepted, afterwards with a close code."""
    facts.reason = refusal.reason
    with contextlib.suppress(OSError):  # the client went away
        if accepted:
            code = FAILED if refusal.status >= 500 else REFUSED
            await send({"type": "websocket.close", "code": code, "reason": refusal.close_reason})
        elif "websocket.http.response" in scope.get("extensions", {}):
            facts.status = refusal.status
            await refused(refusal)(scope, receive, send)
        else:
            facts.status = refusal.status
            await send({"type": "websocket.close", "code": REFUSED})


def _has_token(headers: Headers, token: str) -> bool:
    scheme, _, given = headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        offered = [name.strip() for name in headers.get("Sec-WebSocket-Protocol", "").split(",")]
        given = next((name.removeprefix(_SUBPROTOCOL) for name in offered if name.startswith(_SUBPROTOCOL)), "")
    return hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), token.encode())


def refusal_for(error: Exception, facts: Facts) -> Refusal:
    """The refusal that answers an error. A failure of the server is logged; the client gets its id."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, HTTPException):
        reason = REASONS.get(error.status_code, "malformed")
        return Refusal(error.status_code, _sentence(error, facts), reason, error.headers)
    if isinstance(error, UNFIT):
        return Refusal(422, str(error))
    fields = {"fields": {"id": facts.id, "path": facts.path, "model": facts.model}}
    if is_about_memory(error):
        LOG.error("memory", exc_info=error, extra=fields)
        return Refusal(503, "There is not enough memory for this request. Send less at once.", "memory")
    LOG.error("failed", exc_info=error, extra=fields)
    if isinstance(error, HoldfastError):  # such as a model file that was removed: its path is for the log alone
        return Refusal(503, f"The model cannot be used now; the server's log says why, at request {facts.id}.", "model")
    return Refusal(500, f"The server failed; its log says why, at request {facts.id}.")


def _sentence(error: HTTPException, facts: Facts) -> str:
    sentences = {404: "There is no such path; /docs lists the paths.", 405: "The path does not take this method."}
    return sentences.get(error.status_code, str(error.detail))


def is_about_memory(error: Exception) -> bool:
    """Whether an error says that there is not enough memory; torch and NumPy have no class of their own for it."""
    known = "out of memory", "can't allocate memory", "not enough memory"
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(k in str(error) for k in known))


def refused(refusal: Refusal) -> Response:
    """The answer of a refusal: ``{"error": ...}``."""
    return json_answer({"error": str(refusal)}, refusal.status, refusal.headers)


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer in JSON."""
    content = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")
    return Response(content, status, headers, media_type="application/json")
