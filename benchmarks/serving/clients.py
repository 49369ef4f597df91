"""Small clients of websockets and HTTP for load: on two cores, a client must take less time than the server."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
import time
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Address = tuple[str, int]
OLD_SECONDS = 20
"""A connection that was unused for longer is not used again: servers close it after ``idle_seconds``, 30 by default."""


class ClosedError(Exception):
    """The server closed a websocket.

    Args:
        code: The close code; 1006 where there was none.
    """

    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


class HalfError(Exception):
    """The server sent only a part of an answer."""


class WebSocket:
    """A websocket (RFC 6455) without extensions; frames are masked with zeros."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def connect(cls, address: Address, path: str) -> Self:
        """Opens one.

        Raises:
            OSError: There is no server, or it refused.
        """
        reader, writer = await asyncio.open_connection(*address)
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            raise ConnectionError("the handshake was not answered") from error
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise ConnectionError(head.decode(errors="replace"))
        return cls(reader, writer)

    def send(self, data: bytes | str) -> None:
        """Sends a message in one frame."""
        text = isinstance(data, str)
        data = data.encode() if isinstance(data, str) else data
        self._frame(1 if text else 2, data)

    def _frame(self, opcode: int, data: bytes) -> None:
        size = len(data)
        if size < 126:
            head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
        elif size < 65536:
            head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
        self._writer.write(head + b"\0\0\0\0" + data)

    async def receive(self) -> bytes | str:
        """The next message.

        Raises:
            ClosedError: The server closed the websocket.
        """
        while True:
            try:
                first, size = await self._reader.readexactly(2)
                if size > 125:
                    size = int.from_bytes(await self._reader.readexactly(2 if size == 126 else 8), "big")
                data = await self._reader.readexactly(size)
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                self._writer.close()
                raise ClosedError(1006) from error
            opcode = first & 15
            if opcode == 8:
                self._frame(8, data[:2])
                self._writer.close()
                raise ClosedError(int.from_bytes(data[:2], "big") if data else 1005)
            if opcode == 9:
                self._frame(10, data)
            if opcode in (1, 2):
                return data if opcode == 2 else data.decode()

    def close(self) -> None:
        """Says good-bye, and does not wait for an answer."""
        self._frame(8, struct.pack("!H", 1000))
        self._writer.close()

    def kill(self) -> None:
        """Breaks the connection, as a client that dies does."""
        self._writer.transport.abort()


class Http:
    """A connection of HTTP/1.1 that stays open."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._writer: asyncio.StreamWriter | None = None
        self._used = 0.0

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        """Posts JSON; bytes are sent as they are.

        Returns:
            The status, and the JSON of the answer.

        Raises:
            OSError: There is no server, or it went away.
        """
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.request(f"POST {path} HTTP/1.1\r\nContent-Type: application/json", data)

    async def request(self, head: str, data: bytes = b"") -> tuple[int, Any]:
        """A request with any head, whose answer is JSON."""
        status, _, content = await self.exchange(head, data)
        return status, json.loads(content)

    async def exchange(self, head: str, data: bytes = b"") -> tuple[int, str, bytes]:
        """A request with any head: the status, the head and the content of its answer.

        Raises:
            HalfError: Only a part of the answer came.
            OSError: There is no server, or it went away.
        """
        try:
            await self.send(head, data)
            answer = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            content = await self._reader.readexactly(int(header_of(answer, "content-length")))
        except asyncio.IncompleteReadError as error:
            self.close()
            if not error.partial and error.expected is None:
                raise ConnectionResetError("there is no answer") from error
            raise HalfError("the answer is not whole") from error
        if "connection: close" in answer:
            self.close()
        return int(answer.split()[1]), answer, content

    async def send(self, head: str, data: bytes = b"") -> None:
        """Sends a request, and does not wait for its answer; on a new connection if the server may have closed it."""
        if time.monotonic() - self._used > OLD_SECONDS:
            self.close()
        self._used = time.monotonic()
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(*self._address)
        self._writer.write(f"{head}\r\nHost: {self._address[0]}\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)

    def kill(self) -> None:
        """Breaks the connection, as a client that dies does."""
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None

    def close(self) -> None:
        """Closes the connection."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def header_of(head: str, name: str) -> str:
    """The value of a header in a head in small letters; empty without it."""
    return head.partition(f"\r\n{name}:")[2].partition("\r\n")[0].strip()


class Infer:
    """Steps over Open Inference Protocol v2, with binary data: every float32 goes both ways as it is.

    Args:
        address: Of the server.
        model: The name of the model.
    """

    def __init__(self, address: Address, model: str) -> None:
        self.http, self._model = Http(address), model

    async def step(self, x: Array, **parameters: Any) -> Answer:
        """The answer to the steps x [T, I]."""
        status, head, content = await self.http.exchange(*self._request(x, parameters))
        size = header_of(head, "inference-header-content-length")
        document = json.loads(content[: int(size)] if size else content)
        if status != 200:
            return Answer(status, error=document["error"])
        output = document["outputs"][0]
        y = np.frombuffer(content[int(size) :], np.float32).reshape(output["shape"][1:])
        return Answer(status, y, document.get("parameters", {}).get("state", ""))

    async def die(self, x: Array, **parameters: Any) -> None:
        """Sends the same and breaks the connection."""
        await self.http.send(*self._request(x, parameters))
        await asyncio.sleep(0)
        self.http.kill()

    def _request(self, x: Array, parameters: Any) -> tuple[str, bytes]:
        data = np.ascontiguousarray(x, np.float32).tobytes()
        tensor = {
            "name": "input",
            "datatype": "FP32",
            "shape": [1, *x.shape],
            "parameters": {"binary_data_size": len(data)},
        }
        document = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True, **parameters}}).encode()
        head = f"POST /v2/models/{self._model}/infer HTTP/1.1\r\nInference-Header-Content-Length: {len(document)}"
        return head, document + data


@dataclass
class Answer:
    """The answer to steps: the outputs and perhaps the state, or an error."""

    status: int
    y: Array = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    state: str = ""
    error: str = ""
