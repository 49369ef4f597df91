"""What every handler needs: the models, the limits, the threads that compute, the counters, the state of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from starlette.requests import HTTPConnection

from holdfast.serve.limits import Limits
from holdfast.serve.metrics import Metrics
from holdfast.serve.models import Models, ServedModel
from holdfast.serve.refusals import Refusal
from holdfast.serve.tensors import InferRequest, InferResult
from holdfast.serve.work import Work

_SMALL_ANSWER = 64 * 1024
"""Bytes that asyncio takes without counting the client as one that does not read."""


Written = TypeVar("Written")
Write = Callable[[InferResult], Awaitable[Written]]


class SequenceInference(Protocol):
    """Answers the requests of Open Inference Protocol v2 that have a ``sequence_id``."""

    async def __call__(
        self, model: ServedModel, request: InferRequest, write: Write[Written], until: float | None = None
    ) -> Written:
        """The answer to the next steps of a sequence.

        Args:
            model: One with a network that streams.
            request: Its parameters have ``sequence_id`` (a number or a text), ``sequence_start``, ``sequence_end``.
            write: Makes the answer from the outputs. If it fails, the steps were taken all the same: the sequence ends.
            until: When it is too late for an answer, in the time of :func:`time.monotonic`; None for
                ``request_seconds`` from now.

        Raises:
            Refusal: 404 for an unknown sequence, 409 for one that exists, 412 for one that has ended, 503 when full.
        """


@dataclass
class Lifecycle:
    """The state of the server.

    Attributes:
        stopping: Set when the server must stop: it takes no new work, and streams tell their clients and end.
        idle: Set while no request and no stream is under way.
        on_start: Called before the first request.
        on_stop: Called after the last one.
    """

    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    on_start: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    on_stop: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    _under_way: int = 0

    def __post_init__(self) -> None:
        self.idle.set()

    def enter(self) -> None:
        """Counts a request or a stream that is under way; every call is followed by one of :meth:`leave`."""
        self._under_way += 1
        self.idle.clear()

    def leave(self) -> None:
        """The counterpart of :meth:`enter`."""
        self._under_way -= 1
        if not self._under_way:
            self.idle.set()


@dataclass
class Service:
    """The server without its HTTP.

    Attributes:
        models: By name and version.
        limits: What is accepted.
        work: The threads that compute.
        metrics: The counters.
        lifecycle: Whether the server is stopping.
        token: What clients must send as ``Authorization: Bearer TOKEN``; empty for none.
        cors: The origins of web pages that may call the server; empty for none.
        hosts: The names by which requests may call the server, next to addresses and localhost; None for any.
        examples: Whether the page offers examples of each run's test data.
        sequences: Answers requests with a ``sequence_id``; None where nothing does.
        extensions: The extensions of Open Inference Protocol v2, by name.
        held_bytes: Bytes of all bodies, frames, outputs of steps and unread answers that are held now.
        of_page: What the page was told about each model, by its name, its version and the path.
    """

    models: Models
    limits: Limits
    work: Work
    metrics: Metrics
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    token: str = ""
    cors: tuple[str, ...] = ()
    hosts: frozenset[str] | None = None
    examples: bool = False
    sequences: SequenceInference | None = None
    extensions: list[str] = field(default_factory=lambda: ["binary_tensor_data"])
    held_bytes: int = 0
    of_page: dict[tuple[str, str, str], Any] = field(default_factory=dict)

    def check_bytes(self, more: int = 0, headers: Mapping[str, str] | None = None) -> None:
        """Checks that the server may hold some more bytes than now.

        Args:
            more: How many.
            headers: Of the answer where it may not.

        Raises:
            Refusal: 503, it may not.
        """
        if self.held_bytes + more > self.limits.all_bodies_bytes:
            message = "The server holds as many bytes of bodies and answers as it may (all_bodies_bytes). Try again."
            raise Refusal(503, message, "bodies", headers)

    def check_answer(self, size: int) -> None:
        """Checks that the server may hold an answer until its client has read it; a small one it always may.

        Raises:
            Refusal: 503, it may not.
        """
        if size > _SMALL_ANSWER:
            self.check_bytes(size)

    @contextmanager
    def holding(self, size: int) -> Iterator[None]:
        """Counts an output among the bytes that the server holds, while it is computed; a small one is not counted.

        Raises:
            Refusal: 503, the server may not hold it.
        """
        counted = size if size > _SMALL_ANSWER else 0
        self.check_answer(size)
        self.held_bytes += counted
        try:
            yield
        finally:
            self.held_bytes -= counted

    @classmethod
    def of(cls, connection: HTTPConnection) -> Service:
        """The service of a request or a websocket."""
        service = connection.app.state.service
        assert isinstance(service, cls)
        return service

    @classmethod
    def make(cls, models: Models, limits: Limits | None = None, **options: Any) -> Service:
        """A service with threads and counters of its own."""
        limits = limits or Limits()
        metrics = Metrics()
        return cls(models, limits, Work(limits, metrics), metrics, **options)
