"""The live streams of a model: rows that join, leave, take steps at their own pace, and share calls of the kernels."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from holdfast.errors import ShapeError
from holdfast.runtime.network import Array, StreamNetwork
from holdfast.serve.limits import Limits
from holdfast.serve.metrics import Metrics
from holdfast.serve.refusals import Refusal
from holdfast.serve.runners import make_stream
from holdfast.serve.ticks import ZERO, DroppedError, StepRequest, Ticks

Hold = Callable[[int], AbstractContextManager[object]]


@dataclass(eq=False, slots=True)
class PoolRow:
    """A stream of the pool.

    Attributes:
        number: The row of the batch.
        used: When its last step was asked for or answered, in the loop's time.
        on_idle: Called when the pool gives it up because it had no step for too long.
        fresh: Whether its next step begins a sequence, from the zero state.
        left: Whether it is no longer in the pool.
        lost: Whether its state could not be restored after an error.
        request: The steps that are under way.
        future: Their answer.
    """

    number: int
    used: float
    on_idle: Callable[[], None] | None = None
    fresh: bool = True
    left: bool = False
    lost: bool = False
    request: StepRequest | None = None
    future: asyncio.Future[StepRequest] | None = None


class Pool:
    """The streams of one model, all rows of one :class:`holdfast.runtime.Stream`, which a thread of its own runs.

    Everything is bounded: the rows by ``limits.sequences``, and the requests because each row has at most one under
    way. All methods are for the event loop.

    Args:
        network: What the streams compute.
        name: The label of the model in the counters.
        limits: ``sequences``, ``sequence_idle_seconds``, ``request_seconds``, ``max_batch`` and ``max_delay_ms`` are
            used.
        metrics: ``rows``, ``steps``, ``sequences`` and ``evictions`` are kept up to date.
        hold: As :meth:`holdfast.serve.service.Service.holding`, for the outputs of steps that are under way.
    """

    def __init__(
        self, network: StreamNetwork, name: str, limits: Limits, metrics: Metrics, hold: Hold = nullcontext
    ) -> None:
        self._hold = hold
        stream = make_stream(network, limits.sequences)
        self.network, self._name, self._limits = stream.network, name, limits
        self._idle = limits.sequence_idle_seconds
        self._rows: set[PoolRow] = set()
        self._free = list(range(limits.sequences - 1, -1, -1))
        self._under_way: dict[StepRequest, tuple[PoolRow, bool]] = {}  # and whether the row was fresh
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._live, self._evictions = metrics.sequences.labels(name), metrics.evictions.labels(name, "idle")
        rows, steps = metrics.rows.labels(name), metrics.steps.labels(name)

        def observe(count: int, of_each: int) -> None:
            rows.observe(count)
            steps.inc(count * of_each)

        self._ticks = Ticks(stream, limits.max_batch, limits.max_delay_ms / 1000, self._deliver, observe)

    def __len__(self) -> int:
        """The number of live rows."""
        return len(self._rows)

    def join(self, on_idle: Callable[[], None] | None = None) -> PoolRow:
        """A new stream, whose state is zero.

        Args:
            on_idle: Called if the pool gives it up because it had no step for ``sequence_idle_seconds``.

        Raises:
            Refusal: 503, all rows are taken.
        """
        if not self._free:
            most = self._limits.sequences
            raise Refusal(
                503, f"The model {self._name!r} has {most} live streams already (sequences). Try again later."
            )
        self._loop = asyncio.get_running_loop()
        row = PoolRow(self._free.pop(), self._loop.time(), on_idle)
        self._rows.add(row)
        self._live.inc()
        self._ticks.live = len(self._rows)
        if self._timer is None:
            self._timer = self._loop.call_later(self._idle, self._evict)
        return row

    async def step(
        self,
        row: PoolRow,
        x: Array,
        *,
        reset: bool = False,
        state: Any = None,
        return_state: bool = False,
        record: bool = False,
        until: float | None = None,
    ) -> StepRequest:
        """The next steps of a stream. All are taken or none: after an error, the stream is as it was before.

        Args:
            row: The stream. It has no steps under way.
            x: [T, I], real numbers, T at least 1.
            reset: Whether a new sequence begins, from the zero state.
            state: Continue from this state instead, the ``state`` of an answer.
            return_state: Whether the answer has the state after the last step.
            record: Whether the answer has the state before the first step and after each step.
            until: When it is too late for an answer, in the time of :func:`time.monotonic`; None for
                ``request_seconds`` from now.

        Returns:
            The answer, with ``y`` [T, O], ``state`` and ``states``.

        Raises:
            Refusal: 422 where the values do not fit, 413 where there are too many, 409 where steps are under way, 404
                where the stream has ended, 503 where it is too late, or the server stops or holds too much, 500 where
                the state was lost in an earlier failure.
            Exception: What went wrong in the computation.
        """
        if row.left:
            raise Refusal(404, "The stream has ended. Begin a new one.")
        if row.future is not None:
            raise Refusal(409, "The stream has a step under way. Wait for its answer.", "busy")
        fresh = row.fresh or reset
        if row.lost and state is None and not fresh:
            raise Refusal(500, "The state of the stream was lost when the server failed. Begin a new one.", "lost")
        until = time.monotonic() + self._limits.request_seconds if until is None else until
        begin = ZERO if fresh and state is None else state
        request = StepRequest(row.number, self._checked(x), begin, return_state, record, until)
        with self._hold(len(x) * self.network.output_size * self.network.dtype.itemsize):
            try:
                self._ticks.submit(request)
            except DroppedError as error:
                raise _stopping() from error
            loop = asyncio.get_running_loop()
            row.request, row.future, row.used = request, loop.create_future(), loop.time()
            self._under_way[request] = row, row.fresh
            row.fresh = False
            return await row.future

    def reset(self, row: PoolRow) -> None:
        """Lets the next step of a stream begin a new sequence."""
        row.fresh = True

    def leave(self, row: PoolRow) -> None:
        """Ends a stream. Steps under way are not computed further."""
        if row.left:
            return
        row.left = True
        self._rows.discard(row)
        self._live.dec()
        self._ticks.live = len(self._rows)
        if row.request is None:
            self._free.append(row.number)
        else:
            row.request.wanted = False  # its row is free when the thread has seen that

    async def close(self) -> None:
        """Ends the thread after the call of the kernels that is under way."""
        if self._timer is not None:
            self._timer.cancel()
        self._ticks.close()
        await asyncio.to_thread(self._ticks.join)

    def _checked(self, x: Array) -> Array:
        """The steps as the stream reads them.

        Raises:
            Refusal: 422 where they do not fit, 413 where they have too large an output.
        """
        size = self.network.input_size
        if x.ndim != 2 or x.shape[1] != size or not len(x) or x.dtype.kind not in "iuf":
            got = f"{x.dtype} of shape {list(x.shape)}"
            raise Refusal(422, f"The steps are {got}; expected numbers of shape [T, {size}], with T at least 1.")
        values, most = len(x) * self.network.output_size, self._limits.tensor_values
        if values > most:
            raise Refusal(
                413,
                f"The output would have {values:,} values; at most {most:,} are computed (tensor_values). Send fewer "
                "steps at once.",
            )
        if self.network.scaling is not None:
            return x
        with np.errstate(over="ignore"):
            return x.astype(self.network.dtype, copy=False)

    def _deliver(self, done: Sequence[StepRequest]) -> None:
        """Hands answers from the thread to the loop."""
        assert self._loop is not None  # steps have come
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._delivered, done)

    def _delivered(self, done: Sequence[StepRequest]) -> None:
        assert self._loop is not None
        now = self._loop.time()
        for request in done:
            row, was_fresh = self._under_way.pop(request)
            future, row.request, row.future, row.used = row.future, None, None, now
            row.fresh |= was_fresh and request.error is not None
            row.lost = request.lost or (row.lost and request.error is not None)
            if row.left:
                self._free.append(row.number)
            assert future is not None
            if not future.done():  # else it was cancelled
                _resolve(future, request, self._limits)

    def _evict(self) -> None:
        """Gives up the streams that had no step for too long, and looks again when the next one could have."""
        assert self._loop is not None
        now = self._loop.time()
        for row in [row for row in self._rows if row.future is None and now - row.used >= self._idle]:
            self.leave(row)
            self._evictions.inc()
            if row.on_idle is not None:
                row.on_idle()
        self._timer = None
        if self._rows:
            oldest = min(row.used for row in self._rows)
            wait = max(oldest + self._idle - now, self._idle / 20)
            self._timer = self._loop.call_later(wait, self._evict)


def _stopping() -> Refusal:
    return Refusal(503, "The server is stopping. Ask another replica.", "stopping")


def _resolve(future: asyncio.Future[StepRequest], request: StepRequest, limits: Limits) -> None:
    """Gives a future its answer, or the reason why there is none."""
    error = request.error
    if error is None:
        future.set_result(request)
    elif isinstance(error, ShapeError):
        future.set_exception(Refusal(422, str(error)))
    elif not isinstance(error, DroppedError):
        future.set_exception(error)
    elif time.monotonic() > request.until:
        future.set_exception(limits.late())
    else:
        future.set_exception(_stopping())
