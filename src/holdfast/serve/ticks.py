"""The thread that owns the stream of a model: it takes the steps that wait, of any rows, in one call of the kernels."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from holdfast.runtime.network import Array
from holdfast.runtime.stream import Stream

MOST_STEPS = 16
"""The most steps of a row in one call, so that a long chunk does not hold up the other rows."""


class DroppedError(Exception):
    """A request was dropped before it was computed to its end: nobody wants it, it is late, or the thread ends."""


@dataclass(eq=False, slots=True)
class StepRequest:
    """Steps that a row takes.

    All steps are taken or none: with an ``error``, the state of the row is as it was before the request.

    Attributes:
        row: The number of the row. It has no other request under way.
        x: [T, I], T at least 1, as the stream reads it.
        begin: The state from which it starts: :data:`ZERO`, or one that :meth:`Stream.state_of` returned; None for the
            row's own.
        return_state: Whether the state after the last step is wanted.
        record: Whether the state after every step is wanted; then each tick takes one step of the row.
        until: When it is too late for an answer, in the time of :func:`time.monotonic`.
        wanted: Any thread may set it to False: the steps are then not computed further.
        y: [T, O], when it is done.
        state: The state after the last step, as :meth:`Stream.state_of` returns it, if it is wanted.
        states: With ``record``, the state before the first step and after each step, T + 1 of them.
        error: Why there is no answer.
        lost: Whether the state of the row could not be restored after an error either.
    """

    row: int
    x: Array
    begin: Any = None
    return_state: bool = False
    record: bool = False
    until: float = math.inf
    wanted: bool = True
    y: Array = field(default_factory=lambda: np.zeros((0, 0)))
    state: Any = None
    states: list[Any] = field(default_factory=list)
    error: Exception | None = None
    lost: bool = False
    since: float = field(default_factory=time.monotonic)
    pieces: list[Array] = field(default_factory=list)
    taken: int = 0
    before: tuple[Any, int] | None = None
    """A state of several rows from before the request, and which of them is that of its row."""


ZERO = object()
"""The zero state, for :attr:`StepRequest.begin`."""


class Ticks:
    """Takes requests and answers them in ticks: each is one call of the kernels for up to ``max_batch`` rows.

    A tick begins when every live row has a step that waits, or ``max_batch`` of them have, or the first one has waited
    for ``max_delay``. While a tick is computed, the next requests gather. If the call for all rows fails, each row
    takes its steps alone, so that one that cannot be computed does not fail the others.

    Args:
        stream: The stream; only the thread uses it from now on.
        max_batch: The most rows of a tick.
        max_delay: Seconds.
        deliver: Called from the thread with the requests that are done.
        observe: Called from the thread after each call of the kernels, with the number of rows and the number of steps
            of each.
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
        """Queues a request; ``deliver`` gets it back. Any thread may call this.

        Raises:
            DroppedError: The thread ends.
        """
        with self._condition:
            if self._closed:
                raise DroppedError("the streams have ended")
            self._queue.append(request)
            if len(self._queue) >= self._wake_at:
                self._condition.notify()

    def close(self) -> None:
        """Ends the thread after the tick under way; requests that are not done by then are dropped."""
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
        if self._queue:
            for request in self._queue:
                self._fail(request, DroppedError("the streams have ended"))
            self._deliver(list(self._queue))

    def _next(self) -> list[StepRequest]:
        """The requests of the next tick, at most one per row; none when the thread must end."""
        with self._condition:
            while not self._queue and not self._closed:
                self._wake_at = 1
                self._condition.wait()
            if self._closed:
                return []
            end = self._queue[0].since + self._max_delay
            while len(self._queue) < (wanted := min(self._max_batch, self.live)) and not self._closed:
                self._wake_at = wanted
                left = end - time.monotonic()
                if left <= 0 or not self._condition.wait(left):
                    break
            self._wake_at = self._max_batch + len(self._queue) + 1  # the thread is awake
            return [self._queue.popleft() for _ in range(min(len(self._queue), self._max_batch))]

    def _tick(self, batch: list[StepRequest]) -> list[StepRequest]:
        """Takes steps of all rows of a batch; returns the requests that are done.

        Whatever goes wrong, the thread lives on for the other requests.
        """
        now = time.monotonic()
        active = []
        for request in batch:
            if request.wanted and now <= request.until:
                active.append(request)
            else:
                self._fail(request, DroppedError("it is late" if request.wanted else "nobody waits for it"))
        try:
            before = Stream.state_of(self._stream, [request.row for request in active])  # arrays, also with torch
        except Exception as error:
            for request in active:
                self._fail(request, error)
        else:
            self._advance_from(before, active)
            for request in active:
                if request.before is not None and request.before[0] is before:  # it goes on, with its own row alone
                    request.before = _of_row(*request.before), 0
        return [request for request in batch if request.error or request.taken == len(request.x)]

    def _advance_from(self, before: Any, requests: list[StepRequest]) -> None:
        """Takes steps of some rows: of all together, or of each alone if that fails.

        Args:
            before: The state of these rows.
            requests: What they ask for.
        """
        for place, request in enumerate(requests):
            if not request.taken:
                request.before = before, place
        begun = [request for request in requests if self._begin(request)]
        try:
            self._advance(begun)
        except Exception as error:
            if len(begun) == 1:
                self._fail(begun[0], error)
                return
            for place, request in enumerate(requests):
                if request.error is None:
                    self._advance_alone(request, _of_row(before, place))

    def _advance_alone(self, request: StepRequest, before: Any) -> None:
        try:
            self._stream.set_state_of([request.row], before)
            if self._begin(request):
                self._advance([request])
        except Exception as error:
            self._fail(request, error)

    def _begin(self, request: StepRequest) -> bool:
        """Sets the state from which a request starts; False where it cannot."""
        if request.taken or request.begin is None:
            return True
        try:
            if request.begin is ZERO:
                self._stream.reset([request.row])
            else:
                self._stream.set_state_of([request.row], request.begin)
        except Exception as error:
            self._fail(request, error)
            return False
        return True

    def _advance(self, requests: list[StepRequest]) -> None:
        """One call of the kernels. If it raises, no request has changed, but the states may have."""
        if not requests:
            return
        count = min(MOST_STEPS, *(1 if request.record else len(request.x) - request.taken for request in requests))
        for request in requests:
            if request.record and not request.taken:
                request.states = [self._state_of(request)]
        x = np.stack([request.x[request.taken : request.taken + count] for request in requests])
        y = self._stream.run(x, np.array([request.row for request in requests], np.int64))
        for request, values in zip(requests, y, strict=True):
            try:
                self._take(request, values)
            except Exception as error:
                self._fail(request, error)
        self._observe(len(requests), count)

    def _take(self, request: StepRequest, values: Array) -> None:
        """Adds the outputs of steps to an answer."""
        request.pieces.append(values)
        request.taken += len(values)
        if request.record:
            request.states.append(self._state_of(request))
        if request.taken < len(request.x):
            return
        request.y = values if len(request.pieces) == 1 else np.concatenate(request.pieces)
        if request.return_state:
            request.state = self._state_of(request)
        request.before = None

    def _state_of(self, request: StepRequest) -> Any:
        return Stream.state_of(self._stream, [request.row])  # arrays, also of a stream with torch

    def _fail(self, request: StepRequest, error: Exception) -> None:
        """Gives a request an error, and its row the state from before it."""
        request.error = error
        request.pieces.clear()
        request.states.clear()
        if request.before is None:  # it has not begun
            return
        before, place = request.before
        request.before = None
        try:
            self._stream.set_state_of([request.row], _of_row(before, place))
        except Exception as second:
            error.add_note(f"The state of the row could not be restored: {second!r}.")
            request.lost = True


def _of_row(state: Any, place: int) -> Any:
    """A copy of the state of one row in that of several, as :meth:`Stream.state_of` returns it."""
    if isinstance(state, tuple):
        return tuple(_of_row(part, place) for part in state)
    return state[:, place : place + 1].copy()
