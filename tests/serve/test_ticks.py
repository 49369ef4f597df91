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
from holdfast.serve.ticks import MOST_STEPS, ZERO, DroppedError, StepRequest, Ticks


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
        for name in ("run", "reset", "set_state_of"):
            with monkeypatch.context() as patch:
                patch.setattr(desk.stream, name, lambda *_: (_ for _ in ()).throw(MemoryError("full")))
                begin = {"run": None, "reset": ZERO, "set_state_of": np.ones((1, 1, 3), np.float32)}[name]
                failed = desk.ask(0, begin=begin)
                desk.wait(len(desk.done) + 1)
            assert isinstance(failed.error, MemoryError)
            assert failed.lost == (name == "set_state_of")
        wrong = desk.ask(1, begin=np.ones(7))
        again = desk.ask(0, begin=None)
        desk.wait(6)
        assert str(wrong.error).startswith("The stream's state h is float64 of shape (7,); expected float32 of shape")
        assert np.array_equal(again.y, np.full((1, 3), 2))


class Failing:
    """Lets the calls of ``run`` fail that have a row, or that come late."""

    def __init__(self, desk: Desk, row: int, from_call: int = 0) -> None:
        self.run, self.row, self.from_call, self.calls = desk.stream.run, row, from_call, 0

    def __call__(self, x: Any, rows: Any) -> Any:
        y = self.run(x, rows)  # it fails when the states have changed
        if self.row in rows:
            self.calls += 1
            if self.calls > self.from_call:
                raise RuntimeError("this row is bad")
        return y


def test_a_bad_row_does_not_fail_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    with Desk(max_delay=5, live=8) as desk:
        first = [desk.ask(row) for row in range(8)]
        desk.wait(8)
        with monkeypatch.context() as patch:
            patch.setattr(desk.stream, "run", Failing(desk, 3))
            second = [desk.ask(row, begin=ZERO if row == 5 else None) for row in range(8)]
            desk.wait(16)
        third = [desk.ask(row, begin=None) for row in range(8)]
        desk.wait(24)
    assert all(np.array_equal(request.y, np.ones((1, 3))) for request in first)
    assert [str(request.error) for request in second if request.error] == ["this row is bad"]
    assert [request.y[0, 0] for request in second if not request.error] == [2, 2, 2, 2, 1, 2, 2]
    assert [request.y[0, 0] for request in third] == [3, 3, 3, 2, 3, 2, 3, 3]
    assert all(request.before is None for request in (*first, *second, *third))


def test_a_chunk_that_fails_half_way_was_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with Desk(max_delay=0.2, live=2) as desk:
        desk.ask(0), desk.ask(1)
        desk.wait(2)
        with monkeypatch.context() as patch:
            patch.setattr(desk.stream, "run", Failing(desk, 0, 6))
            chunk, other = desk.ask(0, 10 * MOST_STEPS, None), desk.ask(1, 10 * MOST_STEPS, None)
            desk.wait(4)
        after = [desk.ask(row, begin=None) for row in (0, 1)]
        desk.wait(6)
    assert str(chunk.error) == "this row is bad"
    assert np.array_equal(other.y[:, 0], np.arange(2, 10 * MOST_STEPS + 2))
    assert [request.y[0, 0] for request in after] == [2, 10 * MOST_STEPS + 2]


def test_an_answer_that_cannot_be_put_together_was_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Any:
        raise MemoryError

    with Desk(max_delay=0.2, live=2) as desk:
        desk.ask(0), desk.ask(1)
        desk.wait(2)
        with monkeypatch.context() as patch:
            patch.setattr("holdfast.serve.ticks.np.concatenate", full)
            chunk, other = desk.ask(0, MOST_STEPS + 1, None), desk.ask(1, begin=None)
            desk.wait(4)
        after = [desk.ask(row, begin=None) for row in (0, 1)]
        desk.wait(6)
    assert isinstance(chunk.error, MemoryError)
    assert other.error is None
    assert [request.y[0, 0] for request in after] == [2, 3]


def test_what_is_late_or_not_wanted_is_not_computed() -> None:
    with Desk(max_delay=0.2, live=3) as desk:
        first = desk.ask(0)
        desk.wait(1)
        late = StepRequest(0, np.ones((1, 3), np.float32), None, until=time.monotonic() + 0.05)
        desk.ticks.submit(late)
        unwanted = desk.ask(1)
        unwanted.wanted = False
        desk.wait(3)
        after = desk.ask(0, begin=None)
        desk.wait(4)
    assert (str(late.error), str(unwanted.error)) == ("it is late", "nobody waits for it")
    assert isinstance(late.error, DroppedError)
    assert (first.y[0, 0], after.y[0, 0]) == (1, 2)


def test_the_end_does_not_wait_for_what_is_not_done() -> None:
    with Desk() as desk:
        asked = [desk.ask(row, 20_000 * MOST_STEPS) for row in range(10)]
        time.sleep(0.05)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert [str(request.error) for request in asked] == ["the streams have ended"] * 10
    assert len(desk.done) == 10
    with pytest.raises(DroppedError):
        desk.ask(0)
