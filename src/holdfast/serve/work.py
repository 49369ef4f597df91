"""The threads that compute, outside the event loop: a bounded number, with a bounded queue before them."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from holdfast.serve.limits import Limits
from holdfast.serve.metrics import Metrics
from holdfast.serve.refusals import Refusal

Result = TypeVar("Result")
_END = object()


class Work:
    """Computes requests in threads.

    A request that has begun cannot be stopped: past its time the client gets its refusal, and the thread counts as
    busy until it has finished. A generator ends at its next item.

    Args:
        limits: ``workers``, ``queue``, ``client_requests`` and ``request_seconds`` are used.
        metrics: ``waiting`` and ``computing`` are kept up to date.
    """

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self._limits, self._metrics = limits, metrics
        self._threads = ThreadPoolExecutor(limits.workers, thread_name_prefix="holdfast-serve")
        self._admitted = 0
        self._clients: Counter[str] = Counter()

    @property
    def busy(self) -> bool:
        """Whether a request waits or is computed."""
        return self._admitted > 0

    async def run(self, function: Callable[..., Result], *arguments: Any, client: str = "") -> Result:
        """The result of a function, which a thread computes.

        Args:
            function: The function.
            *arguments: Its arguments.
            client: Whose request it is; empty for the server's own.

        Raises:
            Refusal: 429 where the client has too many requests, 503 where the queue is full or the time is over.
        """
        future = self._submit(client, function, *arguments)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._limits.request_seconds)
        except TimeoutError as error:
            if future.done() and not future.cancelled():
                return future.result()  # it came at the last moment; or the error is the function's own
            raise self._limits.late() from error

    async def items(
        self, function: Callable[..., Iterator[Result]], *arguments: Any, client: str
    ) -> AsyncIterator[Result]:
        """The items of a generator, which runs in a thread, as they come.

        Args:
            function: Makes the generator. It ends early when the reader of the items goes away or the time is over.
            *arguments: Its arguments.
            client: Whose request it is.

        Raises:
            Refusal: As :meth:`run`.
        """
        loop, queue = asyncio.get_running_loop(), asyncio.Queue[Any]()  # as long as the generator: it has a limit
        stop = threading.Event()

        def produce() -> None:
            for item in function(*arguments):
                if stop.is_set():
                    return
                loop.call_soon_threadsafe(queue.put_nowait, item)

        future = self._submit(client, produce)
        future.add_done_callback(lambda _: _call(loop, queue.put_nowait, _END))
        end = loop.time() + self._limits.request_seconds
        try:
            while True:
                try:
                    item = await asyncio.wait_for(queue.get(), max(0.0, end - loop.time()))
                except TimeoutError as error:
                    raise self._limits.late() from error
                if item is _END:
                    break
                yield item
            future.result()
        finally:
            stop.set()
            future.cancel()

    def close(self) -> None:
        """Takes no more work, and does not wait for what is under way."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _submit(self, client: str, function: Callable[..., Result], *arguments: Any) -> Future[Result]:
        limits, loop = self._limits, asyncio.get_running_loop()
        if client and self._clients[client] >= limits.client_requests:
            message = f"This client has {limits.client_requests} requests under way (client_requests). Wait for one."
            raise Refusal(429, message)
        if self._admitted >= limits.workers + limits.queue:
            raise Refusal(503, f"{limits.queue} requests wait already (queue). Try again in a moment.")
        self._admitted += 1
        self._clients[client] += 1
        self._metrics.waiting.inc()

        def call() -> Result:
            self._metrics.waiting.dec()
            self._metrics.computing.inc()
            try:
                return function(*arguments)
            finally:
                self._metrics.computing.dec()

        try:
            future = self._threads.submit(call)
        except BaseException:  # no thread could be started
            self._release(client, cancelled=True)
            raise
        future.add_done_callback(lambda done: _call(loop, self._release, client, done.cancelled()))
        return future

    def _release(self, client: str, cancelled: bool) -> None:
        if cancelled:
            self._metrics.waiting.dec()
        self._admitted -= 1
        self._clients[client] -= 1
        if not self._clients[client]:
            del self._clients[client]


def _call(loop: asyncio.AbstractEventLoop, function: Callable[..., object], *arguments: Any) -> None:
    """Calls a function in the loop, unless the server has ended meanwhile."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(function, *arguments)
