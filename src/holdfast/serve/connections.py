"""Connections of HTTP with a limit on their number and on the time that a silent or slow client may take.

uvicorn waits for ever for the head of the first request of a connection, and for a client that does not read its
answer. This protocol does not.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from holdfast.serve.service import Service
from holdfast.serve.transports import ClosingTransport, Unread


def without_application(status: str, message: str, *headers: str) -> bytes:
    """An answer that ends a connection before the application knows of it."""
    content = f'{{"error":"{message}"}}'
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(content)}", *headers]
    return "\r\n".join([*lines, "Connection: close", "", content]).encode()


_READ_BYTES = 16 * 1024
"""Bytes that are read of a connection at a time; the others have their turn in between. asyncio reads 256 KiB: of tiny
chunks or frames, these would take a second."""
_FULL = without_application("503 Service Unavailable", "The server has no free connection", "Retry-After: 1")
_NOT_HTTP = without_application("400 Bad Request", "The request is not HTTP/1.1")


class GuardedProtocol(H11Protocol):
    """uvicorn's protocol of HTTP/1.1 with deadlines. :func:`protocol` makes a class with limits of its own."""

    service: Service
    _deadline: asyncio.TimerHandle | None = None
    _counted = False

    def connection_made(self, transport: Any) -> None:
        """Takes a connection, or closes it where there are too many."""
        self.limits, self.metrics = self.service.limits, self.service.metrics
        full = len(self.connections) >= self.limits.connections
        if hasattr(transport, "max_size"):  # asyncio's own; as uvloop has it otherwise
            transport.max_size = _READ_BYTES
        self._unread = Unread(self.service, transport)
        closing = ClosingTransport(transport, self.limits.send_seconds, self._is_sending)
        super().connection_made(closing)  # type: ignore[arg-type]
        self.metrics.connections.inc()
        self._counted = True
        if full:
            self.metrics.errors.labels("connections").inc()
            self.transport.write(_FULL)
            self.transport.close()
            return
        self._expect_head(self.limits.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection."""
        self._leave()
        super().connection_lost(exc)
        self.transport.lost()  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        """Takes bytes; those that begin a request after an idle time start the deadline of its head."""
        if self.transport.is_closing():
            return  # the rest of a request that is answered already
        if self._waits_for_head() and self._deadline is not None and self._idle:
            self._expect_head(self.limits.head_seconds)
        super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override]  # as asyncio has it; uvicorn always says None
        """The client sends no more. It still gets the answer to a whole request; else the connection is closed."""
        answers = not self._waits_for_head() and not self.cycle.more_body
        if answers:
            self.cycle.keep_alive = False
        return answers

    def handle_events(self) -> None:
        """Takes the events of bytes; the head of a request ends its deadline."""
        super().handle_events()
        if not self._waits_for_head():
            self._forget_deadline()

    def on_response_complete(self) -> None:
        """Waits for a further request."""
        super().on_response_complete()
        if not self.transport.is_closing() and self._waits_for_head():
            self._expect_head(self.limits.idle_seconds, idle=True)

    def send_400_response(self, msg: str) -> None:
        """Refuses what is not HTTP, unless an answer has begun: then it only closes the connection."""
        self.metrics.errors.labels("malformed").inc()
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(_NOT_HTTP)
        self.transport.close()

    def handle_websocket_upgrade(self, event: Any) -> None:
        """Hands the connection over to the protocol of websockets."""
        self._leave()
        super().handle_websocket_upgrade(event)

    def shutdown(self) -> None:
        """Ends the connection, after the answer under way, because the server ends."""
        self._ends = True
        if self.transport.is_closing():
            self.transport.end()  # type: ignore[attr-defined]
        else:
            super().shutdown()

    def pause_writing(self) -> None:
        """The client does not read: from now on it has a deadline."""
        super().pause_writing()
        self._unread.begin()

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        self._unread.end()

    _idle = _ends = False

    def _is_sending(self) -> bool:
        return not self._ends and self.cycle is not None and self.cycle.response_complete and self.cycle.more_body

    def _waits_for_head(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _expect_head(self, seconds: float, *, idle: bool = False) -> None:
        self._forget_deadline()
        self._idle = idle
        self._deadline = self.loop.call_later(seconds, self._late)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        """The time is over. A busy loop may not have read yet what has come in time: it looks once more."""
        self._deadline = self.loop.call_later(0, self._silent)

    def _silent(self) -> None:
        if self._waits_for_head():
            if not self._idle:
                self.metrics.errors.labels("slow_head").inc()
            self.transport.end()  # type: ignore[attr-defined]

    def _leave(self) -> None:
        self._forget_deadline()
        self._unread.end()
        if self._counted:
            self.metrics.connections.dec()
            self._counted = False


def protocol(service: Service) -> type[GuardedProtocol]:
    """The protocol with the limits and counters of a service."""
    return type("LimitedProtocol", (GuardedProtocol,), {"service": service})
