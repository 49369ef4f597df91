"""Streams over websockets: ``WS /stream/MODEL``. Steps or chunks in, answers out, in the same order.

- A binary frame is float32, little-endian, [T, I]; the answer is one, [T, O].
- A text frame is JSON: the values of a step ``[...]`` or a chunk ``[[...], ...]``, or an object with some of
  ``input`` (such values), ``reset`` (true: a new sequence begins), ``state`` (a held state to continue from),
  ``return_state`` and ``id``. The answer is ``{"output": ...}``, with ``id`` and ``state`` where they were asked for.
- For a transcriber, a binary frame is sound: float32 samples from -1 to 1. The answer is ``{"text": ..., "added": ...,
  "final": false}``; ``{"end": true}`` ends the recording, and the next frame begins another.

A frame that cannot be answered gets ``{"error": ...}``, and the stream stays as it was. If the server fails, the stream
ends: where it is would be unknown. With ``?inside=true`` every answer is JSON and has ``inside``, the gates and states
of its steps (:mod:`holdfast.serve.gates`).
"""

from __future__ import annotations

import asyncio
import json

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from holdfast.serve.conversations import Conversation, open_conversation
from holdfast.serve.endpoints import Endpoint, Routes
from holdfast.serve.facts import Facts
from holdfast.serve.guard import FAILED, REFUSED, refusal_for
from holdfast.serve.live_models import LiveModels
from holdfast.serve.open_inference import model_of
from holdfast.serve.refusals import Refusal
from holdfast.serve.service import Service

RESTARTS, IDLE = 1012, 4408
"""Close codes: RFC 6455 and its registry; IDLE is the private counterpart of HTTP's 408."""
_PATHS = "/stream/{model}", "/stream/{model}/versions/{version}"
PROTOCOL = "holdfast"
"""The subprotocol that a browser offers beside the one with its token."""
_STOPS = "The server stops or restarts. Connect again."
_MOST_BAD_FRAMES = 16
_GRACE = 1.0


class Connections:
    """The open websockets of a service.

    Args:
        service: The service; when its ``lifecycle`` is stopping, all connections are told and closed.
        live: The streams of its models.
    """

    def __init__(self, service: Service, live: LiveModels) -> None:
        self._service, self._live = service, live
        self._open: set[Connection] = set()
        self._watch: asyncio.Task[None] | None = None
        service.lifecycle.on_start.append(self._start)

    def routes(self) -> Routes:
        """The routes for the application."""
        plain = [Endpoint("GET", path, _no_upgrade, "A websocket", in_document=False) for path in _PATHS]
        return [*(WebSocketRoute(path, self._answer) for path in _PATHS), *plain]

    async def _start(self) -> None:
        self._watch = asyncio.create_task(self._tell_when_stopping())

    async def _tell_when_stopping(self) -> None:
        await self._service.lifecycle.stopping.wait()
        for connection in list(self._open):
            connection.end(RESTARTS, _STOPS)

    async def _answer(self, websocket: WebSocket) -> None:
        """Serves one websocket from its handshake to its end."""
        service, facts, parameters = self._service, Facts.of(websocket), websocket.path_params
        facts.path = _PATHS["version" in parameters]
        model = service.models.get(parameters["model"], parameters.get("version", ""))
        facts.model = model.name
        connection = Connection(websocket, service)
        inside = _flag(websocket, "inside")
        conversation = await open_conversation(self._live.get(model), service, connection.idle, inside=inside)
        self._open.add(connection)
        if service.lifecycle.stopping.is_set():  # since the conversation was begun
            connection.end(RESTARTS, _STOPS)
        try:
            await connection.serve(conversation)
        finally:
            self._open.discard(connection)
            conversation.close()


async def _no_upgrade(request: Request) -> Response:
    """Refuses a request that is no handshake, such as that of a proxy that does not pass the upgrade on."""
    place = request.url.path if model_of(request) else ""
    raise Refusal(
        426,
        f"{place} is a websocket: ask with a client of websockets, and let proxies pass on the headers Upgrade and "
        "Connection.",
        headers={"Upgrade": "websocket", "Connection": "Upgrade"},
    )


class Connection:
    """One websocket.

    Args:
        websocket: It, before the handshake is answered.
        service: Its limits and the counter of errors are used.
    """

    def __init__(self, websocket: WebSocket, service: Service) -> None:
        self._websocket, self._service = websocket, service
        self._limits, self._errors = service.limits, service.metrics.errors
        self._facts = Facts.of(websocket)
        self._task = asyncio.current_task()
        self._receiving = False
        self._ending: tuple[int, str] | None = None
        self._grace: asyncio.TimerHandle | None = None
        self._bad_frames = 0

    def idle(self) -> None:
        """Ends the connection, whose stream had no step for too long."""
        seconds = self._limits.sequence_idle_seconds
        self.end(IDLE, f"No step came for {seconds:g} seconds.")

    def end(self, code: int, reason: str) -> None:
        """Ends the connection as soon as the frame under way is answered, or after a second."""
        if self._ending is not None:
            return
        self._ending = code, reason
        if self._receiving:
            self._cancel()
        else:
            self._grace = asyncio.get_running_loop().call_later(_GRACE, self._cancel)

    def _cancel(self) -> None:
        if self._task is not None and not self._task.done():
            self._task.cancel()

    async def serve(self, conversation: Conversation) -> None:
        """Answers frames until one side ends."""
        websocket = self._websocket
        try:
            await websocket.accept(_subprotocol(websocket))
            while self._ending is None:
                self._receiving = True
                message = await websocket.receive()
                self._receiving = False
                if message["type"] == "websocket.disconnect":
                    return
                await self._answer(conversation, message.get("bytes"), message.get("text"))
        except asyncio.CancelledError:
            if self._ending is None or self._task is None:
                raise
            self._task.uncancel()
        except WebSocketDisconnect:
            return
        await self._close()

    async def _close(self) -> None:
        if self._grace is not None:
            self._grace.cancel()
        assert self._ending is not None  # the loop ended
        code, reason = self._ending
        try:
            async with asyncio.timeout(_GRACE):
                await self._websocket.close(code, reason)
        except (TimeoutError, WebSocketDisconnect):
            return  # the client is gone, or does not read

    async def _answer(self, conversation: Conversation, data: bytes | None, text: str | None) -> None:
        answer: bytes | str
        refusal = None
        try:
            answer = await (conversation.binary(data) if data is not None else conversation.text(text or ""))
            self._service.check_answer(len(answer))
        except Exception as error:
            refusal = refusal_for(error, self._facts)
            answer = json.dumps({"error": str(refusal)})
            self._errors.labels(refusal.reason).inc()
            self._bad_frames += 1
        kind = "text" if isinstance(answer, str) else "bytes"
        await self._websocket.send({"type": "websocket.send", kind: answer})
        if refusal is not None and refusal.status >= 500:
            self.end(FAILED, refusal.close_reason)
        if self._bad_frames >= _MOST_BAD_FRAMES:
            self.end(REFUSED, f"{self._bad_frames} frames could not be answered.")


def _flag(websocket: WebSocket, name: str) -> bool:
    """A value of the query that is true or false, and false without it.

    Raises:
        Refusal: 400, it is another word.
    """
    value = websocket.query_params.get(name, "false")
    if value not in ("true", "false"):
        raise Refusal(400, f"{name} is {value[:60]!r}; expected true or false.")
    return value == "true"


def _subprotocol(websocket: WebSocket) -> str | None:
    """The subprotocol of the answer: a browser that offers some, for its token, needs one of them."""
    offered: list[str] = websocket.scope.get("subprotocols", [])
    return PROTOCOL if PROTOCOL in offered else next(iter(offered), None)
