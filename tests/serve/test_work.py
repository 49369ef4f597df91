"""The threads that compute: bounded, in time, and fair between clients."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from holdfast.serve.limits import Limits
from holdfast.serve.metrics import Metrics
from holdfast.serve.refusals import Refusal
from holdfast.serve.work import Work


def run(test: Callable[[Work], Awaitable[Any]], **limits: Any) -> Any:
    async def whole() -> Any:
        work = Work(Limits(**limits), Metrics())
        try:
            return await test(work)
        finally:
            work.close()

    return asyncio.run(whole())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


def test_results_and_errors_of_the_function() -> None:
    async def test(work: Work) -> None:
        assert await work.run(divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await work.run(divmod, 7, 0)
        with pytest.raises(TimeoutError, match="its own"):
            await work.run(_raises, TimeoutError("its own"))
        assert not work.busy

    run(test)


def test_without_a_thread_nothing_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(work: Work) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(work._threads, "submit", lambda *_: _raises(RuntimeError("can't start new thread")))
            for _ in range(5):
                with pytest.raises(RuntimeError):
                    await work.run(int, "3", client="a")
        assert not work.busy
        assert await work.run(int, "3", client="a") == 3

    run(test, workers=1, queue=1, client_requests=1)


def _raises(error: Exception) -> None:
    raise error


def test_a_full_queue_is_refused_and_empties() -> None:
    async def test(work: Work) -> None:
        go = threading.Event()
        under_way = [asyncio.create_task(work.run(go.wait, client=f"c{k}")) for k in range(3)]
        await asyncio.sleep(0.02)
        with pytest.raises(Refusal, match="2 requests wait already") as caught:
            await work.run(int, client="d")
        assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "1"})
        go.set()
        assert await asyncio.gather(*under_way) == [True] * 3
        await until(lambda: not work.busy)
        assert await work.run(int, "3") == 3

    run(test, workers=1, queue=2)


def test_one_client_cannot_take_all_places() -> None:
    async def test(work: Work) -> None:
        go = threading.Event()
        under_way = [asyncio.create_task(work.run(go.wait, client="greedy")) for _ in range(2)]
        await asyncio.sleep(0.02)
        with pytest.raises(Refusal, match="This client has 2 requests under way") as caught:
            await work.run(int, client="greedy")
        assert caught.value.status == 429
        further = asyncio.create_task(work.run(int, "3", client="other"))
        go.set()
        assert await further == 3
        await asyncio.gather(*under_way)

    run(test, workers=1, queue=8, client_requests=2)


def test_a_request_past_its_time_is_refused_and_counts_until_it_ends() -> None:
    async def test(work: Work) -> None:
        go = threading.Event()
        began = time.monotonic()
        with pytest.raises(Refusal, match=r"more than 0\.05 seconds") as caught:
            await work.run(go.wait, client="a")
        assert time.monotonic() - began < 5
        assert (caught.value.status, caught.value.reason) == (503, "time")
        assert work.busy
        with pytest.raises(Refusal, match=r"more than 0\.05 seconds"):
            await work.run(int, client="b")  # waits behind the first; it is cancelled and never runs
        go.set()
        await until(lambda: not work.busy)

    run(test, workers=1, queue=1, request_seconds=0.05)


def test_a_result_that_comes_at_the_last_moment_is_no_error() -> None:
    async def test(work: Work) -> None:
        under_way = asyncio.create_task(work.run(time.sleep, 0.05))
        await asyncio.sleep(0.02)
        time.sleep(0.15)  # the loop is busy, and sees the result and the end of the time together
        assert await under_way is None

    run(test, workers=1, request_seconds=0.1)


def test_items_come_one_by_one_and_end_with_their_reader() -> None:
    async def test(work: Work) -> None:
        made: list[int] = []
        ended = threading.Event()

        def numbers() -> Iterator[int]:
            try:
                for number in range(10**9):
                    made.append(number)
                    yield number
                    time.sleep(0.001)
            finally:
                ended.set()

        items = work.items(numbers, client="a")
        assert [await anext(items) for _ in range(3)] == [0, 1, 2]
        await items.aclose()
        await asyncio.to_thread(ended.wait, 10)
        assert ended.is_set()
        await until(lambda: not work.busy)
        assert len(made) < 10**6
        assert [item async for item in work.items(lambda: iter([1, 2]), client="a")] == [1, 2]
        with pytest.raises(ZeroDivisionError):
            [item async for item in work.items(lambda: (1 // k for k in (1, 0)), client="a")]

    run(test, workers=1)


def test_items_past_their_time() -> None:
    async def test(work: Work) -> None:
        with pytest.raises(Refusal, match=r"more than 0\.05 seconds"):
            async for _ in work.items(_slow, client="a"):
                pass
        await until(lambda: not work.busy)

    run(test, workers=1, request_seconds=0.05)


def _slow() -> Iterator[int]:
    while True:
        yield 0
        time.sleep(0.01)
