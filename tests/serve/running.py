"""A server in a thread, on a free port of the loopback address, and a client of it."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.serve import server
from holdfast.serve.endpoints import Routes
from holdfast.serve.limits import Limits
from holdfast.serve.models import Models, load
from holdfast.serve.naming import places
from holdfast.serve.service import Service
from holdfast.serve.streams import add_streams


@dataclass
class Answer:
    """An answer of HTTP."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def error(self) -> str:
        document = self.json
        assert list(document) == ["error"], document
        assert isinstance(document["error"], str)
        return document["error"]


@dataclass
class Running:
    """A server that runs."""

    service: Service
    port: int
    server: server.Server

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """One request on a connection of its own; a body that is not bytes is sent as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, content, {"Content-Type": "application/json", **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, dict(response.headers.items()), response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        return self.ask("POST", path, body, headers)


@contextmanager
def serving(
    *models: Path | str,
    limits: Limits | None = None,
    further: Sequence[Routes] = (),
    grace: float = 5,
    streams: bool = False,
    **options: Any,
) -> Iterator[Running]:
    """A server of some models, as ``holdfast serve`` names them; with ``streams`` it keeps state too."""
    service = Service.make(Models(map(load, places([str(model) for model in models]))), limits, **options)
    listener = server.listen("127.0.0.1", 0)
    if streams:
        further = [*further, add_streams(service)]
    running = server.Server(server.config(service, further), service, grace)
    thread = threading.Thread(target=running.run, args=([listener],), daemon=True)
    thread.start()
    end = time.monotonic() + 20
    while not running.started:
        assert thread.is_alive()
        assert time.monotonic() < end
        time.sleep(0.005)
    loop = running.servers[0].get_loop()
    try:
        yield Running(service, listener.getsockname()[1], running)
    finally:
        loop.call_soon_threadsafe(running.stop)
        thread.join(grace + 5)
        listener.close()
        assert not thread.is_alive()


def form(files: Sequence[tuple[str, bytes]], **fields: str) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of a form."""
    parts = [
        b'Content-Disposition: form-data; name="files"; filename="%b"\r\n\r\n%b' % (name.encode(), content)
        for name, content in files
    ]
    parts += [
        b'Content-Disposition: form-data; name="%b"\r\n\r\n%b' % (name.encode(), value.encode())
        for name, value in fields.items()
    ]
    body = b"".join(b"--edge\r\n" + part + b"\r\n" for part in parts) + b"--edge--\r\n"
    return body, {"Content-Type": "multipart/form-data; boundary=edge"}
