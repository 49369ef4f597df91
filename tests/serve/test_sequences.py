"""Sequences by their ids, and streams whose state the client holds, beside each stream alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra 'serve' is not installed")
pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")

from tests.serve.stream_services import KEY, Alone, accumulator, lstm, service_of, unwritten

from holdfast.serve.refusals import Refusal
from holdfast.serve.service import Service
from holdfast.serve.streams import add_streams
from holdfast.serve.tensors import InferRequest, InferResult


class Replica:
    """A server without its HTTP."""

    def __init__(self, limits: Any = None) -> None:
        self.service: Service = service_of({"max_delay_ms": 0, **(limits or {})}, sum=accumulator(), lstm=lstm())
        add_streams(self.service)

    async def infer(self, name: str, x: Any, **parameters: Any) -> InferResult:
        assert self.service.sequences is not None
        x = np.asarray(x, np.float32)
        request = InferRequest({"input": x if x.ndim == 3 else x[None]}, parameters)
        return await self.service.sequences(self.service.models.get(name), request, unwritten)

    async def refused(self, name: str, x: Any, **parameters: Any) -> tuple[int, str]:
        with pytest.raises(Refusal) as error:
            await self.infer(name, x, **parameters)
        return error.value.status, str(error.value)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_STATE_KEY", KEY)


def with_replicas(test: Callable[..., Awaitable[None]], count: int = 1, **limits: Any) -> None:
    async def run() -> None:
        replicas = [Replica(limits) for _ in range(count)]
        try:
            await test(*replicas)
        finally:
            for replica in replicas:
                for stop in replica.service.lifecycle.on_stop:
                    await stop()

    asyncio.run(run())


@pytest.mark.parametrize("name", ["sum", "lstm"])
def test_interleaved_sequences_are_as_if_alone(name: str) -> None:
    """Joins, ends, drops, duplicates, time-outs and NaN, at random."""
    seen = dict.fromkeys(["end", "duplicate", "time-out", "unknown", "ended", "exists"], 0)

    async def one(replica: Replica, number: int) -> None:
        random, network = np.random.default_rng(number), replica.service.models.get(name).network
        assert network is not None
        alone, identifier = Alone(network), number if number % 2 else f"sequence {number}"
        live, ended = False, False
        for _ in range(40):
            x = random.integers(-9, 10, (random.choice([1, 1, 3]), network.input_size)).astype(np.float32)
            if random.random() < 0.05:
                x[0, 0] = np.nan
            event = random.random()
            if not live:
                if event < 0.3:
                    status, _ = await replica.refused(name, x, sequence_id=identifier)
                    assert status == (412 if ended else 404)
                    seen["ended" if ended else "unknown"] += 1
                    continue
                alone.reset()
                result = await replica.infer(name, x, sequence_id=identifier, sequence_start=True)
                live = True
            elif event < 0.1:
                status, _ = await replica.refused(name, x, sequence_id=identifier, sequence_start=True)
                assert status == 409
                seen["exists"] += 1
                continue
            elif event < 0.15 and number < 10:
                await asyncio.sleep(0.5)
                live, ended = False, False
                seen["time-out"] += 1
                continue
            else:
                end = bool(event > 0.9)
                step = {"sequence_step": alone.steps}
                result = await replica.infer(name, x, sequence_id=identifier, sequence_end=end, **step)
                if not end:
                    status, _ = await replica.refused(name, x, sequence_id=identifier, **step)
                    assert status == 412
                    seen["duplicate"] += 1
                live, ended = not end, end
                seen["end"] += end
            assert alone.gives(x, result.outputs["output"][0]), number

    async def test(replica: Replica) -> None:
        await asyncio.gather(*(one(replica, number) for number in range(40)))

    with_replicas(test, sequence_idle_seconds=0.3)
    assert all(count > 5 for count in seen.values()), seen


@pytest.mark.parametrize("name", ["sum", "lstm"])
def test_each_step_goes_to_any_replica(name: str) -> None:
    async def one(replicas: Any, number: int) -> None:
        random, network = np.random.default_rng(number), replicas[0].service.models.get(name).network
        alone, held = Alone(network), {}
        for _ in range(20):
            x = random.integers(-9, 10, (random.choice([1, 2]), network.input_size)).astype(np.float32)
            result = await random.choice(replicas).infer(name, x, return_state=True, **held)
            assert alone.gives(x, result.outputs["output"][0])
            held = {"state": result.parameters["state"]}
        last = await replicas[0].infer(name, x, **held)
        assert alone.gives(x, last.outputs["output"][0])
        assert not last.parameters

    async def test(*replicas: Replica) -> None:
        await asyncio.gather(*(one(replicas, number) for number in range(20)))
        status, message = await replicas[0].refused(name, np.ones((1, 4)), state="x", return_state=True)
        assert (status, message) == (422, "The state is not one that a server of Holdfast gave.")

    with_replicas(test, count=2)


def test_a_held_state_begins_a_sequence() -> None:
    async def test(replica: Replica) -> None:
        x = np.ones((1, 3))
        state = (await replica.infer("sum", x, return_state=True)).parameters["state"]
        result = await replica.infer("sum", x, state=state, sequence_id=5, sequence_start=True, return_state=True)
        assert np.array_equal(result.outputs["output"], [[[2, 2, 2]]])
        assert (await replica.refused("sum", x, state=state, sequence_id=5))[0] == 400
        again = await replica.infer("sum", x, state=result.parameters["state"])
        assert np.array_equal(again.outputs["output"], [[[3, 3, 3]]])

    with_replicas(test)


def test_requests_of_one_sequence_wait_for_one_another() -> None:
    async def test(replica: Replica) -> None:
        x = np.ones((1, 3))
        await replica.infer("sum", x, sequence_id=1, sequence_start=True)
        results = await asyncio.gather(*(replica.infer("sum", x, sequence_id=1) for _ in range(16)))
        assert [result.outputs["output"][0, 0, 0] for result in results] == list(range(2, 18))
        waiting = [asyncio.create_task(replica.infer("sum", x, sequence_id=1)) for _ in range(16)]
        await asyncio.sleep(0)
        status, message = await replica.refused("sum", x, sequence_id=1)
        assert (status, message) == (429, "The sequence 1 has 16 requests that wait. Wait for answers.")
        await asyncio.gather(*waiting)
        end = asyncio.create_task(replica.infer("sum", x, sequence_id=1, sequence_end=True))
        await asyncio.sleep(0)
        assert (await replica.refused("sum", x, sequence_id=1))[0] == 412
        await end

    with_replicas(test)


@pytest.mark.parametrize(
    ("parameters", "status", "message"),
    [
        ({"sequence_id": 1.5}, 400, "sequence_id is '1.5'; expected a number, or a text of at most 256."),
        ({"sequence_id": True}, 400, "sequence_id is 'True'; expected a number, or a text of at most 256."),
        ({"sequence_id": "x" * 257}, 400, f"sequence_id is {'x' * 60!r}; expected a number, or a text of at most 256."),
        ({"sequence_id": 1, "sequence_start": 1}, 400, "sequence_start is '1'; expected true or false."),
        ({"sequence_id": 1, "sequence_step": -1}, 400, "sequence_step is '-1'; expected a number of steps."),
        (
            {"sequence_id": 0, "sequence_start": True},
            400,
            "sequence_start, sequence_end and sequence_step need a sequence_id other than 0.",
        ),
        (
            {"sequence_id": "a"},
            404,
            "There is no sequence 'a': it has not begun, or had no step for too long (sequence_idle_seconds). Begin it "
            "with sequence_start.",
        ),
        (
            {"sequence_id": 8, "sequence_step": 3},
            412,
            "The sequence 8 has taken 1 steps, not 3 (sequence_step).",
        ),
        ({"sequence_id": 8, "sequence_start": True}, 409, "The sequence 8 exists. End it first, or choose another"),
        ({"sequence_id": 9}, 412, "The sequence 9 has ended. Begin it again with sequence_start."),
    ],
)
def test_what_is_refused(parameters: Any, status: int, message: str) -> None:
    async def test(replica: Replica) -> None:
        x = np.ones((1, 3))
        await replica.infer("sum", x, sequence_id=8, sequence_start=True)
        await replica.infer("sum", x, sequence_id=9, sequence_start=True, sequence_end=True)
        got = await replica.refused("sum", x, **parameters)
        assert (got[0], got[1][: len(message)]) == (status, message)
        assert np.array_equal((await replica.infer("sum", x, sequence_id=8)).outputs["output"], [[[2, 2, 2]]])

    with_replicas(test)


def test_inputs_that_do_not_fit_and_a_start_that_fails() -> None:
    async def test(replica: Replica) -> None:
        message = "; a sequence takes [1, T, 3], with T at least 1."
        for shape in ((2, 1, 3), (1, 0, 3), (0, 1, 3)):
            got = await replica.refused("sum", np.ones(shape), sequence_id=1, sequence_start=True)
            assert got == (422, f"The input has shape {list(shape)}{message}")
        assert (await replica.refused("sum", np.ones((1, 4)), sequence_id=1, sequence_start=True))[0] == 422
        assert (await replica.refused("sum", np.ones((1, 3)), sequence_id=1))[0] == 404

    with_replicas(test)


def test_few_ended_sequences_are_remembered() -> None:
    async def test(replica: Replica) -> None:
        for number in range(1, 30):
            both = {"sequence_start": True, "sequence_end": True}
            await replica.infer("sum", np.ones((1, 3)), sequence_id=number, **both)
        assert (await replica.refused("sum", np.ones((1, 3)), sequence_id=29))[0] == 412
        assert (await replica.refused("sum", np.ones((1, 3)), sequence_id=1))[0] == 404

    with_replicas(test, sequences=5)
