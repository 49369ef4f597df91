"""Sequences, rows and states that clients hold, in any order of what clients do, beside a model of two dictionaries."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

pytest.importorskip("starlette", reason="the extra 'serve' is not installed")
pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")

from tests.serve.stream_services import KEY, accumulator, service_of, unwritten

from holdfast.serve.pool import PoolRow
from holdfast.serve.refusals import Refusal
from holdfast.serve.streams import add_streams
from holdfast.serve.tensors import InferRequest

ROWS, ENDED = 4, 16
IDS = st.sampled_from([1, "1", 2, "2", "two"])
VALUES = st.integers(-9, 9)
FAILS = 666


class Streams(RuleBasedStateMachine):
    """A service with one model, whose output is the sum of its inputs."""

    states = Bundle("states")

    def __init__(self) -> None:
        super().__init__()
        os.environ["HOLDFAST_STATE_KEY"] = KEY
        self.loop = asyncio.new_event_loop()
        self.service = service_of(
            {"sequences": ROWS, "max_delay_ms": 0, "sequence_idle_seconds": 1000}, sum=accumulator(1)
        )
        add_streams(self.service)
        self.model = self.service.models.get("sum")
        self.pool = self.service.sequences._live.get(self.model).pool  # type: ignore[union-attr]
        self._let_fail()
        self.sums: dict[int | str, tuple[int, int]] = {}  # the sum and the number of steps of each sequence
        self.ended: set[int | str] = set()
        self.rows: dict[PoolRow, int] = {}

    def _let_fail(self) -> None:
        stream = self.pool._ticks._stream
        run = stream.run

        def failing(x: Any, rows: Any) -> Any:
            y = run(x, rows)
            if (x == FAILS).any():
                raise RuntimeError("it fails")
            return y

        stream.run = failing  # type: ignore[method-assign]

    def teardown(self) -> None:
        self.loop.run_until_complete(self.pool.close())
        self.loop.close()
        self.service.work.close()

    def ask(self, value: int, **parameters: Any) -> Any:
        return self.loop.run_until_complete(self.answer(value, **parameters))

    async def answer(self, value: int, **parameters: Any) -> tuple[int, Any]:
        """The status, and the sum with the state."""
        request = InferRequest({"input": np.full((1, 1, 1), value, np.float32)}, parameters)
        assert self.service.sequences is not None
        try:
            result = await self.service.sequences(self.model, request, unwritten)
        except Refusal as refusal:
            return refusal.status, None
        except RuntimeError:
            return 500, None
        return 200, (result.outputs["output"][0, 0, 0], result.parameters.get("state"))

    @property
    def full(self) -> bool:
        return len(self.sums) + len(self.rows) == ROWS

    def expected(self, name: int | str, start: bool, fails: bool, step: int | None) -> int:
        if start and name in self.sums:
            return 409
        if start and self.full:
            return 503
        if not start and name not in self.sums:
            return 412 if name in self.ended else 404
        if step is not None and step != (0 if start else self.sums[name][1]):
            return 412
        return 500 if fails else 200

    @rule(name=IDS, value=VALUES, start=st.booleans(), end=st.booleans(), fails=st.booleans())
    def a_step(self, name: int | str, value: int, start: bool, end: bool, fails: bool) -> None:
        self._step(name, value, start, end, fails, None)

    @rule(name=IDS, value=VALUES, start=st.booleans(), step=st.integers(0, 3))
    def a_step_with_its_number(self, name: int | str, value: int, start: bool, step: int) -> None:
        self._step(name, value, start, False, False, step)

    def _step(self, name: int | str, value: int, start: bool, end: bool, fails: bool, step: int | None) -> None:
        parameters = {} if step is None else {"sequence_step": step}
        expected = self.expected(name, start, fails, step)
        status, answer = self.ask(
            FAILS if fails else value, sequence_id=name, sequence_start=start, sequence_end=end, **parameters
        )
        assert status == expected
        if status != 200:
            return
        self.ended.discard(name)
        before, count = (0, 0) if start else self.sums[name]
        assert answer[0] == before + value
        self.sums[name] = before + value, count + 1
        if end:
            del self.sums[name]
            self.ended.add(name)

    @rule(name=IDS, value=VALUES)
    def the_same_step_twice_at_once(self, name: int | str, value: int) -> None:
        if name not in self.sums:
            return
        before, count = self.sums[name]

        async def both() -> list[tuple[int, Any]]:
            return await asyncio.gather(*(self.answer(value, sequence_id=name, sequence_step=count) for _ in range(2)))

        first, second = self.loop.run_until_complete(both())
        assert (first[0], first[1][0], second[0]) == (200, before + value, 412)
        self.sums[name] = before + value, count + 1

    @rule(target=states, value=VALUES, fails=st.booleans())
    def a_new_held_state(self, value: int, fails: bool) -> Any:
        status, answer = self.ask(FAILS if fails else value, return_state=True)
        assert status == (503 if self.full else 500 if fails else 200)
        return multiple() if answer is None else multiple((value, answer[1]))

    @rule(target=states, held=states, value=VALUES)
    def a_further_held_state(self, held: tuple[int, str], value: int) -> Any:
        status, answer = self.ask(value, state=held[1], return_state=True)
        assert status == (503 if self.full else 200)
        if answer is None:
            return multiple()
        assert answer[0] == held[0] + value
        return multiple((held[0] + value, answer[1]))

    @rule(held=states, name=IDS, value=VALUES)
    def a_sequence_from_a_held_state(self, held: tuple[int, str], name: int | str, value: int) -> None:
        expected = self.expected(name, True, False, None)
        status, answer = self.ask(value, sequence_id=name, sequence_start=True, state=held[1])
        assert status == expected
        if status == 200:
            assert answer[0] == held[0] + value
            self.sums[name] = held[0] + value, 1
            self.ended.discard(name)

    @rule()
    def a_row_joins(self) -> None:
        async def join() -> PoolRow | None:
            try:
                return self.pool.join()
            except Refusal:
                return None

        row = self.loop.run_until_complete(join())
        assert (row is None) == self.full
        if row is not None:
            self.rows[row] = 0

    @rule(
        place=st.integers(0, ROWS - 1), value=VALUES, what=st.sampled_from(["step", "fails", "reset", "drop", "leave"])
    )
    def a_row_does(self, place: int, value: int, what: str) -> None:
        if place >= len(self.rows):
            return
        row = list(self.rows)[place]

        async def drop() -> None:
            task = asyncio.ensure_future(self.pool.step(row, np.full((1, 1), value, np.float32)))
            await asyncio.sleep(0)
            task.cancel()
            self.pool.leave(row)
            await asyncio.gather(task, return_exceptions=True)
            while self.pool._under_way:
                await asyncio.sleep(0)

        if what == "drop":
            self.loop.run_until_complete(drop())
        elif what == "leave":
            self.pool.leave(row)
        elif what == "reset":
            self.pool.reset(row)
            self.rows[row] = 0
        elif what == "fails":
            with pytest.raises(RuntimeError, match="it fails"):
                self.loop.run_until_complete(self.pool.step(row, np.full((1, 1), FAILS, np.float32)))
        else:
            answer = self.loop.run_until_complete(self.pool.step(row, np.full((1, 1), value, np.float32)))
            self.rows[row] += value
            assert answer.y[0, 0] == self.rows[row]
        if what in ("drop", "leave"):
            del self.rows[row]

    @rule(name=IDS)
    def a_sequence_is_idle(self, name: int | str) -> None:
        if name not in self.sums:
            return
        sequences = self.service.sequences._sequences  # type: ignore[union-attr]
        sequences["sum", "1", type(name).__name__, name].row.used -= 10_000
        self.pool._evict()
        del self.sums[name]

    @invariant()
    def nothing_is_lost_or_there_twice(self) -> None:
        pool = self.pool
        taken = [row.number for row in pool._rows]
        assert sorted([*taken, *pool._free]) == list(range(ROWS))
        assert len(pool) == len(self.sums) + len(self.rows)
        assert not pool._under_way
        known = {key[3] for key in self.service.sequences._sequences}  # type: ignore[union-attr]
        assert known == set(self.sums)
        gauge = self.service.metrics.registry.get_sample_value("holdfast_live_sequences", {"model": "sum"})
        assert gauge == len(pool)


TestStreams = Streams.TestCase
TestStreams.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
