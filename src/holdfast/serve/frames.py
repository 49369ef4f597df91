"""Websockets with limits on the memory and the time that a hostile or silent client may take.

uvicorn's protocol keeps every fragment of a message, and every message of a packet, as an object of its own. It answers
pings that the client does not read, waits for ever for a client that does not read, leaves a connection open if the
library refuses its handshake, and takes a client for dead whose answer to a ping it does not read. This protocol does
none of that.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from holdfast.serve.connections import without_application
from holdfast.serve.service import Service
from holdfast.serve.transports import Unread

_PART = 4096
"""Bytes that are parsed at a time. As messages, which then wait as objects, they take up to forty times as much."""
_NO_TEXT, _TRY_LATER = 1007, 1013
"""Close codes: RFC 6455 and its registry."""
_NO_HANDSHAKE = without_application("400 Bad Request", "The handshake of the websocket is not valid")


class GuardedWebSocket(WebSocketsSansIOProtocol):
    """uvicorn's protocol of websockets with limits. :func:`protocol` makes a class for a service."""

    service: Service
    _held = 0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._waiting = bytearray()  # received, and not yet parsed
        self._sizes: deque[int] = deque()  # of the messages that the application has not answered
        self._answers = False  # the application answers the first of them

    def connection_made(self, transport: Any) -> None:
        """Takes a connection over from the protocol of HTTP."""
        super().connection_made(transport)
        self._unread = Unread(self.service, transport)
        self.service.metrics.connections.inc()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection."""
        self.service.metrics.connections.dec()
        self._unread.end()
        super().connection_lost(exc)
        self._waiting.clear()
        self._sizes.clear()
        self._count(0)
        self.transport.lost()  # type: ignore[attr-defined]  # a ClosingTransport

    def data_received(self, data: bytes) -> None:
        """Takes bytes; the first ones are the whole head of the handshake."""
        self._waiting += data
        self._parse()
        if not self.handshake_initiated and not self.transport.is_closing():
            self.service.metrics.errors.labels("malformed").inc()
            self.transport.write(_NO_HANDSHAKE)
            self.transport.close()

    def _parse(self) -> None:
        """Parses what was received until a message is there for the application, or the client must read first."""
        while self._waiting and not self.read_paused and self.writable.is_set() and not self._ended():
            part = bytes(self._waiting[:_PART])
            del self._waiting[:_PART]
            super().data_received(part)
        if self._ended():
            self._waiting.clear()
        self._count(len(self._waiting) + len(self.conn.reader.buffer) + sum(map(len, self.frames)) + sum(self._sizes))

    def _ended(self) -> bool:
        return self.conn.parser_exc is not None or self.disconnected or self.transport.is_closing()

    def _count(self, held: int) -> None:
        """Adds the bytes that the connection holds to those of all bodies; too many end it."""
        self._hold(0 if self.disconnected else held)
        if self.service.held_bytes > self.service.limits.all_bodies_bytes and held > _PART and not self._ended():
            self.service.metrics.errors.labels("bodies").inc()
            self._fail(_TRY_LATER, "The server holds as many bytes as it may (all_bodies_bytes).")
            if self._ended():  # what it held is free now, so that the others are not ended for it
                self._waiting.clear()
                self._hold(len(self.conn.reader.buffer) + sum(self._sizes))

    def _hold(self, held: int) -> None:
        self.service.held_bytes += held - self._held
        self._held = held

    async def receive(self) -> Any:
        """The next message for the application, which has answered the one before."""
        if self._answers and self._sizes:
            self._sizes.popleft()
        self._answers = False
        if not self.queue.empty():
            await asyncio.sleep(0)  # else a client whose messages are there already would keep the loop from the others
        message = await super().receive()
        self._answers = message["type"] == "websocket.receive"
        if not self.writable.is_set():
            self.transport.pause_reading()
        self._parse()
        return message

    async def send(self, message: Any) -> None:
        """Sends a message of the application.

        Raises:
            OSError: The connection has ended, or will.
        """
        await self.writable.wait()
        if self.handshake_complete and self.close_sent:
            raise ClientDisconnected
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            self.handshake_complete = True  # it was refused; uvicorn would take that for an error of the application
        if self.close_sent:
            self._parse()  # the client may have said good-bye already

    def handle_cont(self, event: Any) -> None:
        """Takes a further fragment of a message. All are one buffer: a list would grow with empty ones too."""
        buffer: Any = self.frames[0]
        if not isinstance(buffer, bytearray):
            self.frames = [buffer := bytearray(buffer)]  # type: ignore[list-item]
        buffer += event.data
        if event.fin:
            self.send_receive_event_to_app()

    def send_receive_event_to_app(self) -> None:
        """Queues a whole message for the application, and reads no further ones."""
        data = bytes(self.frames[0])
        self.frames = []
        if self.close_sent:
            return
        if self.curr_msg_data_type == "bytes":
            self.queue.put_nowait({"type": "websocket.receive", "bytes": data})
        else:
            try:
                self.queue.put_nowait({"type": "websocket.receive", "text": data.decode()})
            except UnicodeDecodeError as error:
                self.service.metrics.errors.labels("malformed").inc()
                self._fail(_NO_TEXT, f"The frame is not text in UTF-8 ({error.reason} at byte {error.start}).")
                return
        self._sizes.append(len(data))
        self.read_paused = True
        self.transport.pause_reading()

    def keepalive_timeout(self) -> None:
        """A ping was not answered in time. The answer may wait behind what is not read now."""
        if self.read_paused or not self.writable.is_set():
            self.pong_timer = self.pending_ping_payload = None
            self.schedule_ping()
        else:
            super().keepalive_timeout()

    def _fail(self, code: int, reason: str) -> None:
        """Ends the connection because of what the client sent."""
        self.frames = []
        if self.close_sent or self.transport.is_closing():
            return
        self.conn.fail(code, reason)
        self.handle_parser_exception()

    def pause_writing(self) -> None:
        """The client does not read: from now on it has a deadline, and nothing further is read from it."""
        super().pause_writing()
        self.transport.pause_reading()
        self._unread.begin()

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        self._unread.end()
        if not self.read_paused:
            self.transport.resume_reading()
            self._parse()

    def shutdown(self) -> None:
        """Ends the connection because the server ends."""
        if not self.transport.is_closing():  # else the end was told, and the client does not read it
            super().shutdown()


def protocol(service: Service) -> type[GuardedWebSocket]:
    """The protocol with the limits and counters of a service."""
    return type("LimitedWebSocket", (GuardedWebSocket,), {"service": service})
