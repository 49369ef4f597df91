"""Runs the application: listens, answers, and stops in time."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from types import FrameType

import uvicorn

from holdfast.errors import OptionError
from holdfast.serve import connections, frames, logs
from holdfast.serve.app import build
from holdfast.serve.endpoints import Routes
from holdfast.serve.service import Service

_MARGIN = 0.5
"""Seconds of the grace that are left for closing connections."""
_HEAD_BYTES = 64 * 1024
_PING_SECONDS = 20.0
"""A websocket gets a ping that often, and has as long to answer it."""


class Server(uvicorn.Server):
    """uvicorn's server. A signal makes it not ready at once; what is under way is finished within the grace.

    Args:
        config: Of uvicorn.
        service: What is served.
        grace: Seconds from the signal to the end.
    """

    def __init__(self, config: uvicorn.Config, service: Service, grace: float) -> None:
        super().__init__(config)
        self._service, self._grace, self._signals = service, grace, 0
        self._stopper: asyncio.Task[None] | None = None
        self.stopped_in_time = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handles SIGTERM and SIGINT in the event loop while it runs, if it runs in the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        if sys.platform == "win32":  # its event loops take no signals; uvicorn's handlers then call handle_exit
            with super().capture_signals():
                yield
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal stops in order, a second one at once."""
        self._signals += 1
        if self._signals > 1:
            self.force_exit = self.should_exit = True
            return
        logs.LOG.info("stopping", extra={"fields": {"signal": signal.Signals(sig).name, "grace": self._grace}})
        self.stop()

    def stop(self) -> None:
        """Begins to stop; called in the event loop."""
        self._service.lifecycle.stopping.set()
        self._stopper = asyncio.get_running_loop().create_task(self._stop())

    async def _stop(self) -> None:
        """Waits for what is under way, then ends the server."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._grace
        try:
            async with asyncio.timeout(max(0.0, self._grace - _MARGIN)):
                await self._service.lifecycle.idle.wait()
        except TimeoutError:
            self.stopped_in_time = False
        self.config.timeout_graceful_shutdown = max(_MARGIN / 2, end - loop.time())  # type: ignore[assignment]
        self.should_exit = True


def run(
    service: Service,
    sockets: Sequence[socket.socket],
    *,
    grace: float = 20.0,
    log_level: str = "info",
    further: Sequence[Routes] = (),
) -> int:
    """Serves until a signal stops the server.

    Args:
        service: What is served.
        sockets: Where to listen, from :func:`listen`.
        grace: Seconds that the end may take after SIGTERM.
        log_level: The least severe level of the log.
        further: Routes beyond the server's own.

    Returns:
        The exit code: 0, or 1 where work was cut off at the end of the grace.
    """
    logs.begin(log_level)
    server = Server(config(service, further), service, grace)
    server.run(list(sockets))
    logs.LOG.info("stopped", extra={"fields": {"finished": server.stopped_in_time and not service.work.busy}})
    sys.stderr.flush()
    if service.work.busy:
        os._exit(1)  # a thread that computes past the grace would keep the process
    return 0 if server.stopped_in_time else 1


def config(service: Service, further: Sequence[Routes] = ()) -> uvicorn.Config:
    """How uvicorn runs a service; arguments as for :func:`run`."""
    return uvicorn.Config(
        build(service, further),
        http=connections.protocol(service),
        ws=frames.protocol(service),
        ws_max_size=service.limits.frame_bytes,
        ws_ping_interval=_PING_SECONDS,
        ws_ping_timeout=_PING_SECONDS,
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=int(service.limits.idle_seconds) + 1,  # the protocol's own deadline comes first
        h11_max_incomplete_event_size=_HEAD_BYTES,
        lifespan="on",
    )


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Args:
        host: An address or the name of one.
        port: 0 for a free one.

    Raises:
        OptionError: The address cannot be used.
    """
    if not 0 <= port < 2**16:  # getaddrinfo would take the rest of a division
        raise OptionError(f"The port is {port}; expected one from 0 to 65535.")
    try:
        family, kind, protocol_number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with contextlib.ExitStack() as on_error:
            listener = on_error.enter_context(socket.socket(family, kind, protocol_number))
            if os.name == "posix":  # on Windows it would let two servers have one port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(2048)  # with the number of its protocol, without which asyncio leaves TCP's delay on
            on_error.pop_all()
    except (OSError, OverflowError, ValueError) as error:  # UnicodeError is a ValueError
        reason = (getattr(error, "strerror", None) or str(error)).rstrip(".")
        of_port = isinstance(error, OverflowError) or getattr(error, "errno", 0) in (errno.EADDRINUSE, errno.EACCES)
        advice = "Choose another port." if of_port else "Choose an address of this machine, such as 127.0.0.1."
        raise OptionError(f"The server cannot listen on {host}, port {port}: {reason}. {advice}") from error
    return listener
