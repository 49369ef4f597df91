"""What a client has yet to read: it is counted, and has a time, also after the end of the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from holdfast.serve.service import Service

_LINGER_SECONDS = 5.0


class ClosingTransport:
    """A transport that is cut where the client does not read the rest in time after ``close()``.

    asyncio keeps a closed connection, and what is left to write, until the client has read all of it. If the client is
    still sending, the system would reset the connection, and most clients would then not read the answer that says why.
    So the server says that it sends no more, and forgets what comes until the client ends too, or for a few seconds.

    Args:
        transport: It; everything but ``close`` and ``is_closing`` is its own.
        seconds: For what is left.
        is_sending: Whether the client is in the middle of a request that is answered already.
    """

    def __init__(self, transport: asyncio.Transport, seconds: float, is_sending: Callable[[], bool]) -> None:
        self._transport, self._seconds, self._is_sending = transport, seconds, is_sending
        self._timer: asyncio.TimerHandle | None = None
        self._lingers = self._lost = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether nothing further is to be read or written."""
        return self._lingers or self._transport.is_closing()

    def close(self) -> None:
        """Closes the connection when everything is written and the client has ended too, or after some time."""
        if self._lingers:
            return
        if self._transport.is_closing() or self._lost or not self._is_sending():
            self.end()
            return
        self._lingers = True
        self._transport.write_eof()
        self._transport.resume_reading()
        self._timer = asyncio.get_running_loop().call_later(min(_LINGER_SECONDS, self._seconds), self.end)

    def end(self) -> None:
        """Closes the connection when everything is written, or after some time."""
        if self._lingers:
            self._lingers = False
            self._forget_timer()
        self._transport.close()
        if self._timer is None and not self._lost and self._transport.get_write_buffer_size():
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._transport.abort)

    def lost(self) -> None:
        """The connection has ended."""
        self._lost = True
        self._forget_timer()

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Unread:
    """The answers of a connection that wait for its client to read.

    Args:
        service: ``held_bytes`` has them too; ``limits.send_seconds`` is the time that they have.
        transport: Of the connection.
    """

    def __init__(self, service: Service, transport: Any) -> None:
        self._service, self._transport = service, transport
        self._timer: asyncio.TimerHandle | None = None
        self._size = 0

    def begin(self) -> None:
        """The client does not read as fast as the server writes."""
        self.end()
        self._size = self._transport.get_write_buffer_size()
        self._service.held_bytes += self._size
        self._timer = asyncio.get_running_loop().call_later(self._service.limits.send_seconds, self._cut)

    def end(self) -> None:
        """It reads again, or is gone."""
        self._service.held_bytes -= self._size
        self._size = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cut(self) -> None:
        self._service.metrics.errors.labels("slow_reader").inc()
        self._transport.abort()
