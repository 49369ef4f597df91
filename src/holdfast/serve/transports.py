"""What a client has yet to read: it is counted, and has a time, also after the end of the connection."""

from __future__ import annotations

import asyncio
from typing import Any

from holdfast.serve.service import Service


class ClosingTransport:
    """A transport that is cut where the client does not read the rest in time after ``close()``.

    asyncio keeps a closed connection, and what is left to write, until the client has read all of it.

    Args:
        transport: It; everything but ``close`` is its own.
        seconds: For what is left.
    """

    def __init__(self, transport: asyncio.Transport, seconds: float) -> None:
        self._transport, self._seconds = transport, seconds
        self._timer: asyncio.TimerHandle | None = None
        self._lost = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        """Closes the connection when everything is written, or after some time."""
        self._transport.close()
        if self._timer is None and not self._lost and self._transport.get_write_buffer_size():
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._transport.abort)

    def lost(self) -> None:
        """The connection has ended."""
        self._lost = True
        if self._timer is not None:
            self._timer.cancel()


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
