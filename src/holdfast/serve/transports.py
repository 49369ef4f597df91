"""Connections whose end does not wait for ever: what is left to write has a time."""

from __future__ import annotations

import asyncio
from typing import Any


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
