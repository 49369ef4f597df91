"""Websockets byte by byte, for what no client library sends."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Self

TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9


def frame(opcode: int, data: bytes = b"", *, fin: bool = True, reserved: int = 0, masked: bool = True) -> bytes:
    """A frame (RFC 6455, 5.2), masked with zeros."""
    size, mask = len(data), 0x80 if masked else 0
    first = bytes([(0x80 if fin else 0) | reserved | opcode])
    if size < 126:
        head = bytes([mask | size])
    elif size < 65536:
        head = bytes([mask | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([mask | 127]) + size.to_bytes(8, "big")
    return first + head + (bytes(4) if masked else b"") + data


class Raw:
    """A connection.

    Args:
        address: Of the server, ``"127.0.0.1:8000"``.
        path: Of the websocket.
        headers: Further lines of the handshake, each with its end.
        method: Of the handshake.
        buffer: Bytes of the receive buffer; 0 for the usual.
    """

    def __init__(
        self, address: str, path: str = "/stream/sum", *, headers: bytes = b"", method: bytes = b"GET", buffer: int = 0
    ) -> None:
        host, port = address.split(":")
        self.socket = socket.socket()
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(10)
        self.socket.connect((host, int(port)))
        self.socket.sendall(
            b"%b %b HTTP/1.1\r\nHost: %b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%b\r\n"
            % (method, path.encode(), address.encode(), headers)
        )
        self._received = b""
        self.head = self._until_head()

    def _until_head(self) -> bytes:
        while b"\r\n\r\n" not in self._received:
            part = self.socket.recv(65536)
            if not part:
                return self._received
            self._received += part
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        return head

    def send(self, *frames: bytes) -> None:
        self.socket.sendall(b"".join(frames))

    def flood(self, data: bytes, seconds: float) -> int:
        """Sends some bytes again and again, and reads nothing; returns how many the server took."""
        self.socket.setblocking(False)
        end, sent = time.monotonic() + seconds, 0
        rest = memoryview(data)
        while time.monotonic() < end:
            try:
                count = self.socket.send(rest)
            except BlockingIOError:
                time.sleep(0.01)
                continue
            except OSError:
                break
            sent += count
            rest = rest[count:] or memoryview(data)
        self.socket.settimeout(10)
        return sent

    def answer(self) -> tuple[int, bytes]:
        """The next frame: its opcode and its data; ``(-1, b"")`` where the connection has ended."""
        first = self._take(2)
        if len(first) < 2:
            return -1, b""
        size = first[1]
        if size > 125:
            size = int.from_bytes(self._take(2 if size == 126 else 8), "big")
        return first[0] & 15, self._take(size)

    def _take(self, size: int) -> bytes:
        while len(self._received) < size:
            try:
                part = self.socket.recv(65536)
            except ConnectionResetError:
                part = b""
            if not part:
                return b""
            self._received += part
        taken, self._received = self._received[:size], self._received[size:]
        return taken

    def close_code(self) -> int:
        """The code with which the server closes; -1 where it only ends the connection."""
        while True:
            opcode, data = self.answer()
            if opcode in (-1, CLOSE):
                return int.from_bytes(data[:2], "big") if data else -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.socket.close()


def memory(process: int | str = "self") -> float:
    """MiB that a process has in memory."""
    return int(Path(f"/proc/{process}/statm").read_text("ascii").split()[1]) * 4096 / 2**20
