"""The thread that owns the stream of a model: it takes the steps that wait, of any rows, in one call of the kernels."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from holdfast.errors import HoldfastError
from holdfast.runtime.network import Array
from holdfast.runtime.stream import Stream

MOST_STEPS = 16
"""The most steps of a row in one call, so that a long chunk does not hold up the other rows."""


@dataclass(eq=False, slots=True)
class StepRequest:
    """Steps that a row takes.

    Attributes:
        row: The number of the row. It has no other request under way.
        x: [T, I], T at least 1, as the stream reads it.
        begin: The state from which it starts: :data:`ZERO`, or one that :meth:`Stream.state_of` returned; None for the
            row's own.
        return_state: Whether the state after the last step is wanted.
        record: Whether the state after every step is wanted; then each tick takes one step of the row.
        y: [T, O], when it is done.
        state: The state after the last step, as :meth:`Stream.state_of` returns it, if it is wanted.
        states: With ``record``, the state before the first step and after each step, T + 1 of them.
        error: Why there is no answer.
    """

    row: int
    x: Array
    begin: Any = None
    return_state: bool = False
    record: bool = False
    y: Array = field(default_factory=lambda: np.zeros((0, 0)))
    state: Any = None
    states: list[Any] = field(default_factory=list)
    error: Exception | None = None
    since: float = field(default_factory=time.monotonic)
    pieces: list[Array] = field(default_factory=list)
    taken: int = 0


ZERO = object()
"""The zero state, for :attr:`StepRequest.begin`."""


class Ticks:
    """Takes requests and answers them in ticks: each is one call of the kernels for up to ``max_batch`` rows.

    A tick begins when every live row has a step that waits, or ``max_batch`` of them have, or the first one has waited
    for ``max_delay``. While a tick is computed, the next requests gather.

    Args:
        stream: The stream; only the thread uses it from now on.
        max_batch: The most rows of a tick.
        max_delay: Seconds.
        deliver: Called from the thread with the requests that are done.
        observe: Called from the thread after each tick, with the number of rows and the number of steps of each.
    """

    def __init__(
        self,
        stream: Stream,
        max_batch: int,
        max_delay: float,
        deliver: Callable[[Sequence[StepRequest]], None],
        observe: Callable[[int, int], None],
    ) -> None:
        self._stream, self._max_batch, self._max_delay = stream, max_batch, max_delay
        self._deliver, self._observe = deliver, observe
        self._queue: deque[StepRequest] = deque()
        self._condition = threading.Condition()
        self._wake_at = 1  # the number of waiting requests at which the thread wants to be woken
        self._closed = False
        self.live = 0
        """The number of live rows: more requests than that are not waited for."""
        self._thread = threading.Thread(target=self._run, name="holdfast-streams", daemon=True)
        self._thread.start()

    def submit(self, request: StepRequest) -> None:
        """Queues a request; ``deliver`` gets it back. Any thread may call this."""
        with self._condition:
            self._queue.append(request)
            if len(self._queue) >= self._wake_at:
                self._condition.notify()

    def close(self) -> None:
        """Ends the thread when all requests are answered. It does not wait for that."""
        with self._condition:
            self._closed = True
            self._condition.notify()

    def join(self) -> None:
        """Waits for the end of the thread."""
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next():
            done = self._tick(batch)
            if done:
                self._deliver(done)
            if len(done) < len(batch):
                with self._condition:
                    self._queue.extend(request for request in batch if request not in done)

    def _next(self) -> list[StepRequest]:
        """The requests of the next tick, at most one per row; none when the thread must end."""
        with self._condition:
            while not self._queue:
                if self._closed:
                    return []
                self._wake_at = 1
                self._condition.wait()
            end = self._queue[0].since + self._max_delay
            while len(self._queue) < (wanted := min(self._max_batch, self.live)) and not self._closed:
                self._wake_at = wanted
                left = end - time.monotonic()
                if left <= 0 or not self._condition.wait(left):
                    break
            self._wake_at = self._max_batch + len(self._queue) + 1  # the thread is awake
            return [self._queue.popleft() for _ in range(min(len(self._queue), self._max_batch))]

    def _tick(self, batch: list[StepRequest]) -> list[StepRequest]:
        """Takes steps of all rows of a batch; returns the requests that are done."""
        active = [request for request in batch if self._begin(request)]
        if active:
            try:
                self._advance(active)
            except Exception as error:  # whatever it is, those who wait get it, and the thread lives on for the others
                for request in active:
                    request.error = error
        return [request for request in batch if request.error or request.taken == len(request.x)]

    def _begin(self, request: StepRequest) -> bool:
        """Sets the state from which a request starts; False where it cannot."""
        if request.taken or request.begin is None:
            return True
        if request.begin is ZERO:
            self._stream.reset([request.row])
            return True
        try:
            self._stream.set_state_of([request.row], request.begin)
        except HoldfastError as error:
            request.error = error
            return False
        return True

    def _advance(self, batch: list[StepRequest]) -> None:
        count = min(MOST_STEPS, *(1 if request.record else len(request.x) - request.taken for request in batch))
        for request in batch:
            if request.record and not request.taken:
                self._keep_state(request)
        x = np.stack([request.x[request.taken : request.taken + count] for request in batch])
        y = self._stream.run(x, np.array([request.row for request in batch], np.int64))
        for request, values in zip(batch, y, strict=True):
            request.taken += count
            request.pieces.append(values)
            if request.record:
                self._keep_state(request)
            if request.taken < len(request.x):
                continue
            request.y = values if len(request.pieces) == 1 else np.concatenate(request.pieces)
            if request.return_state:
                request.state = self._state_of(request)
        self._observe(len(batch), count)

    def _keep_state(self, request: StepRequest) -> None:
        request.states.append(self._state_of(request))

    def _state_of(self, request: StepRequest) -> Any:
        return Stream.state_of(self._stream, [request.row])  # arrays, also of a stream with torch
