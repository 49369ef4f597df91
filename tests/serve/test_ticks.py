"""The thread of a pool: when its ticks begin, that a long chunk holds up nobody, and that it survives errors."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra 'serve' is not installed")
pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")

from tests.serve.stream_services import accumulator

from holdfast.runtime import Stream
from holdfast.serve.ticks import MOST_STEPS, ZERO, StepRequest, Ticks


class Desk:
    """Ticks whose answers come here."""

    def __init__(self, max_batch: int = 8, max_delay: float = 0.0, live: int = 1) -> None:
        self.stream = Stream(accumulator(), 16)
        self.done: list[StepRequest] = []
        self.sizes: list[tuple[int, int]] = []
        self.came = threading.Condition()
        self.ticks = Ticks(self.stream, max_batch, max_delay, self._deliver, lambda *size: self.sizes.append(size))
        self.ticks.live = live

    def _deliver(self, done: Sequence[StepRequest]) -> None:
        with self.came:
            self.done += done
            self.came.notify()

    def ask(self, row: int, steps: int = 1, begin: Any = ZERO) -> StepRequest:
        request = StepRequest(row, np.ones((steps, 3), np.float32), begin)
        self.ticks.submit(request)
        return request

    def wait(self, count: int) -> list[StepRequest]:
        with self.came:
            assert self.came.wait_for(lambda: len(self.done) >= count, 10)
        return self.done

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None:
        self.ticks.close()
        self.ticks.join()


def test_a_tick_waits_for_the_live_rows_and_no_longer() -> None:
    with Desk(max_delay=5, live=3) as desk:
        began = time.monotonic()
        for row in range(3):
            desk.ask(row)
        desk.wait(3)
        assert time.monotonic() - began < 4
    assert desk.sizes == [(3, 1)]
    with Desk(max_delay=0.1, live=3) as desk:
        began = time.monotonic()
        desk.ask(0)
        desk.wait(1)
        assert time.monotonic() - began >= 0.1
    with Desk(max_delay=5, max_batch=2, live=16) as desk:
        for row in range(6):
            desk.ask(row)
        desk.wait(6)
    assert [size for size, _ in desk.sizes] == [2, 2, 2]


def test_a_long_chunk_holds_up_nobody() -> None:
    with Desk(max_batch=2) as desk:
        long = desk.ask(0, 100 * MOST_STEPS)
        others = [desk.ask(row) for row in range(1, 9)]
        done = desk.wait(9)
        assert done[-1] is long
        assert np.array_equal(long.y[:, 0], np.arange(1, 100 * MOST_STEPS + 1))
        assert all(np.array_equal(other.y, np.ones((1, 3))) for other in others)
    assert max(steps for _, steps in desk.sizes) == MOST_STEPS


def test_an_error_reaches_those_who_wait_and_the_thread_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with Desk() as desk:
        desk.ask(0)
        desk.wait(1)
        with monkeypatch.context() as patch:
            patch.setattr(desk.stream, "run", lambda *_: (_ for _ in ()).throw(MemoryError("full")))
            failed = desk.ask(0, begin=None)
            desk.wait(2)
        assert isinstance(failed.error, MemoryError)
        wrong = desk.ask(1, begin=np.ones(7))
        again = desk.ask(0, begin=None)
        desk.wait(4)
        assert str(wrong.error).startswith("The stream's state h is float64 of shape (7,); expected float32 of shape")
        assert np.array_equal(again.y, np.full((1, 3), 2))


def test_the_end_answers_what_waits() -> None:
    with Desk(max_delay=5, live=16) as desk:
        asked = [desk.ask(row, 50) for row in range(10)]
    assert all(len(request.y) == 50 for request in asked)
    assert len(desk.done) == 10
