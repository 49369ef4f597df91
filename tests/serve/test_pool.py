"""The pool of a model's streams: each as if it were alone, a bounded number, and none for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("starlette", reason="the extra 'serve' is not installed")
pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")

from tests.serve.stream_services import Alone, accumulator, lstm

import holdfast
from holdfast.serve.limits import Limits
from holdfast.serve.metrics import Metrics
from holdfast.serve.pool import Pool
from holdfast.serve.refusals import Refusal

NETWORKS = {"sum": accumulator, "lstm": lstm}


def in_pool(test: Callable[..., Awaitable[None]], network: Any, **limits: Any) -> Metrics:
    """Runs a test with a pool, and closes it."""
    metrics = Metrics()

    async def run() -> None:
        pool = Pool(network, "model", Limits(**{"max_delay_ms": 0.5, **limits}), metrics)
        try:
            await test(pool)
        finally:
            await pool.close()

    asyncio.run(run())
    return metrics


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, {"model": "model", **labels}) or 0.0


@pytest.mark.parametrize("max_batch", [1, 7, 64])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_stream_is_as_if_alone(name: str, max_batch: int) -> None:
    network, counts = NETWORKS[name](), {"steps": 0, "cancelled": 0, "reset": 0}

    async def one(pool: Pool, number: int) -> None:
        random = np.random.default_rng(number)
        row, alone = pool.join(), Alone(network)
        for _ in range(40):
            x = random.integers(-9, 10, (random.choice([1, 1, 1, 2, 40]), network.input_size)).astype(np.float32)
            if random.random() < 0.05:
                x[-1, 0] = random.choice([np.nan, np.inf])
            event = random.random()
            if event < 0.05:
                pool.leave(row)
                row = pool.join()
                alone.reset()
            elif event < 0.1:
                pool.reset(row)
                alone.reset()
                counts["reset"] += 1
            elif event < 0.15:  # the client goes away while its step is under way
                task = asyncio.create_task(pool.step(row, x))
                await asyncio.sleep(0)
                task.cancel()
                pool.leave(row)
                row = pool.join()
                alone.reset()
                counts["cancelled"] += 1
                continue
            answer = await pool.step(row, x)
            assert alone.gives(x, answer.y), number
            counts["steps"] += len(x)
            await asyncio.sleep(random.choice([0, 0, 0.001]))
        pool.leave(row)

    async def test(pool: Pool) -> None:
        await asyncio.gather(*(one(pool, number) for number in range(50)))
        assert len(pool) == 0

    metrics = in_pool(test, network, sequences=120, max_batch=max_batch)
    assert counts["cancelled"] > 10 < counts["reset"]
    assert value(metrics, "holdfast_stream_steps_total") >= counts["steps"] > 3000
    ticks, rows = (value(metrics, f"holdfast_stream_rows_{what}") for what in ("count", "sum"))
    assert rows / ticks <= max_batch
    assert max_batch == 1 or rows / ticks > 2


def test_a_network_without_kernels() -> None:
    network = holdfast.Stream(holdfast.RNN(3, 4, activation=torch.sin)).network

    async def test(pool: Pool) -> None:
        x, row, alone = np.ones((2, 3), np.float32), pool.join(), holdfast.Stream(network)
        answer, _ = await asyncio.gather(pool.step(row, x, return_state=True), pool.step(pool.join(), x))
        assert np.array_equal(answer.y, alone.run(x))
        again = await pool.step(pool.join(), x, state=answer.state)
        assert np.array_equal(again.y, alone.run(x))

    in_pool(test, network)


def test_a_sum_is_the_sum() -> None:
    async def test(pool: Pool) -> None:
        rows = [pool.join() for _ in range(20)]
        x = np.random.default_rng(0).integers(-99, 99, (20, 30, 3)).astype(np.float32)
        for t in range(30):
            answers = await asyncio.gather(*(pool.step(row, x[k, t : t + 1]) for k, row in enumerate(rows)))
            assert np.array_equal([answer.y[0] for answer in answers], x[:, : t + 1].sum(1))

    in_pool(test, accumulator())


def test_states_go_to_other_rows() -> None:
    async def test(pool: Pool) -> None:
        x = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
        alone, state = Alone(pool.network), None
        for t in range(8):
            row = pool.join()
            other = pool.join()
            answer, _ = await asyncio.gather(
                pool.step(row, x[t : t + 1], state=state, return_state=True), pool.step(other, x)
            )
            assert alone.gives(x[t : t + 1], answer.y)
            state = answer.state
            pool.leave(row)

    in_pool(test, lstm())


async def refused(awaited: Awaitable[Any]) -> tuple[int, str]:
    with pytest.raises(Refusal) as error:
        await awaited
    return error.value.status, str(error.value)


def test_what_is_refused_leaves_the_stream_as_it_was() -> None:
    async def test(pool: Pool) -> None:
        row, alone, x = pool.join(), Alone(pool.network), np.ones((2, 3), np.float32)
        assert alone.gives(x, (await pool.step(row, x)).y)
        for wrong in (np.ones((2, 4)), np.ones(3), np.ones((0, 3)), np.full((1, 3), "1")):
            status, message = await refused(pool.step(row, wrong))
            assert status == 422
            assert message.endswith("expected numbers of shape [T, 3], with T at least 1."), message
        assert (await refused(pool.step(row, x, state=np.ones((1, 1, 4), np.float32))))[0] == 422
        first = asyncio.create_task(pool.step(row, x))
        await asyncio.sleep(0)
        assert await refused(pool.step(row, x)) == (409, "The stream has a step under way. Wait for its answer.")
        assert alone.gives(x, (await first).y)
        pool.leave(row)
        pool.leave(row)
        assert await refused(pool.step(row, x)) == (404, "The stream has ended. Begin a new one.")

    in_pool(test, accumulator())


def test_a_refused_state_of_a_new_row_shows_nothing_of_the_row_before() -> None:
    async def test(pool: Pool) -> None:
        x = np.ones((1, 3), np.float32)
        row = pool.join()
        await pool.step(row, 100 * x)
        pool.leave(row)
        row = pool.join()
        assert (await refused(pool.step(row, x, state=np.ones((2, 1, 3), np.float32))))[0] == 422
        assert np.array_equal((await pool.step(row, x)).y, x)

    in_pool(test, accumulator(), sequences=1)


def test_a_reset_while_a_step_is_under_way_counts() -> None:
    async def test(pool: Pool) -> None:
        x, row = np.ones((1, 3), np.float32), pool.join()
        first = asyncio.create_task(pool.step(row, x))
        await asyncio.sleep(0)
        pool.reset(row)
        assert np.array_equal((await first).y, x)
        assert np.array_equal((await pool.step(row, x)).y, x)
        assert np.array_equal((await pool.step(row, x)).y, 2 * x)

    in_pool(test, accumulator())


def test_a_full_pool_and_idle_streams() -> None:
    async def test(pool: Pool) -> None:
        given_up: list[int] = []
        rows = [pool.join(lambda k=k: given_up.append(k)) for k in range(3)]  # type: ignore[misc]
        with pytest.raises(Refusal, match=r"^The model 'model' has 3 live streams already \(sequences\)\. Try") as full:
            pool.join()
        assert full.value.status == 503
        for _ in range(6):
            await asyncio.sleep(0.1)
            await pool.step(rows[1], np.ones((1, 3), np.float32))
        assert sorted(given_up) == [0, 2]
        assert len(pool) == 1
        assert (await refused(pool.step(rows[0], np.ones((1, 3), np.float32))))[0] == 404
        pool.leave(rows[0])
        pool.join(), pool.join()
        await asyncio.sleep(0.8)
        assert len(pool) == 0

    metrics = in_pool(test, accumulator(), sequences=3, sequence_idle_seconds=0.3)
    assert value(metrics, "holdfast_evictions_total", reason="idle") == 5
    assert value(metrics, "holdfast_live_sequences") == 0
