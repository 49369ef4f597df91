"""A closed connection whose client does not read ends in time, and others are closed as always."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from holdfast.serve.transports import ClosingTransport


class Writer(asyncio.Protocol):
    """Writes until some bytes are left to write, and closes the connection."""

    def __init__(self, least: int, lost: asyncio.Future[float]) -> None:
        self.least, self.lost = least, lost

    def connection_made(self, transport: Any) -> None:
        self.transport = ClosingTransport(transport, 0.3, lambda: False)
        for _ in range(10_000):
            if self.transport.get_write_buffer_size() >= self.least:
                break
            self.transport.write(bytes(1000))
        self.transport.close()
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport.lost()
        self.transport.close()
        self.lost.set_result(time.monotonic())


async def ended(least: int, reads_after: float) -> tuple[float, int]:
    """After how many seconds the server's connection has ended, and what the client got."""
    lost = asyncio.get_running_loop().create_future()
    server = await asyncio.get_running_loop().create_server(lambda: Writer(least, lost), "127.0.0.1", 0)
    async with server:
        began = time.monotonic()
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), limit=1000)
        await asyncio.sleep(reads_after)
        received = 0
        try:
            while part := await reader.read(65536):
                received += len(part)
        except ConnectionResetError:
            received = -1
        seconds = await lost - began
        writer.close()
    return seconds, received


def test_what_is_not_read_is_cut() -> None:
    seconds, _ = asyncio.run(ended(1, 1.0))
    assert 0.25 < seconds < 0.9


def test_what_is_read_in_time_arrives() -> None:
    _, received = asyncio.run(ended(1, 0.05))
    assert received % 1000 == 0 < received


def test_with_nothing_left_the_end_is_at_once() -> None:
    seconds, received = asyncio.run(ended(0, 0.5))
    assert seconds < 0.3
    assert received == 0
