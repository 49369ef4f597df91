"""Sequences of Open Inference Protocol v2, by Triton's sequence extension, and states that clients hold.

A request has one of these forms, by its parameters:

- ``sequence_id``, a number or a text, with ``sequence_start`` in the first request and ``sequence_end`` in the last.
  The server keeps the state. ``sequence_step``, if the request has it, is the number of steps that the sequence must
  have taken before: a request that arrives twice or out of order is refused.
- ``return_state``: the answer has the state as its parameter ``state``; ``state``: the request continues from it.

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_sequence.md
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from holdfast.serve.live_models import LiveModel, LiveModels
from holdfast.serve.models import ServedModel
from holdfast.serve.pool import PoolRow
from holdfast.serve.refusals import Refusal
from holdfast.serve.service import Service, Write, Written
from holdfast.serve.tensors import Array, InferRequest, InferResult

_LONGEST_ID = 256
_MOST_WAITING = 16
Id = tuple[str, str, str, int | str]


@dataclass(eq=False)
class _Sequence:
    row: PoolRow
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    steps: int = 0


@dataclass(frozen=True)
class _Wish:
    """The parameters of a request."""

    id: int | str | None
    start: bool
    end: bool
    step: int | None
    state: Any
    return_state: bool

    @classmethod
    def of(cls, parameters: Any) -> _Wish:
        """Reads them.

        Raises:
            Refusal: 400 where one has the wrong type.
        """
        identifier, step = parameters.get("sequence_id"), parameters.get("sequence_step")
        if not (identifier is None or (type(identifier) in (int, str) and len(str(identifier)) <= _LONGEST_ID)):
            raise Refusal(400, f"sequence_id is {str(identifier)[:60]!r}; expected a number, or a text of at most 256.")
        if not (step is None or (type(step) is int and step >= 0)):
            raise Refusal(400, f"sequence_step is {str(step)[:60]!r}; expected a number of steps.")
        flags = {name: parameters.get(name, False) for name in ("sequence_start", "sequence_end", "return_state")}
        for name, value in flags.items():
            if type(value) is not bool:
                raise Refusal(400, f"{name} is {str(value)[:60]!r}; expected true or false.")
        absent = identifier in (None, 0, "")  # as Triton has it: these identify no sequence
        start, end, return_state = flags.values()
        wish = cls(None if absent else identifier, start, end, step, parameters.get("state"), return_state)
        if absent and (wish.start or wish.end or step is not None):
            raise Refusal(400, "sequence_start, sequence_end and sequence_step need a sequence_id other than 0.")
        if not absent and wish.state is not None and not wish.start:
            raise Refusal(400, "A sequence takes a state with its sequence_start alone: afterwards it has its own.")
        return wish


class Sequences:
    """Answers requests for steps of sequences; a :class:`holdfast.serve.service.SequenceInference`.

    The requests of one sequence are answered one after the other, in the order of their arrival. A request that is
    refused leaves the sequence as it was. If the server fails after it took the steps, the sequence ends: its client
    cannot know where it is.

    Args:
        service: ``limits.sequences`` bounds the sequences, and ``limits.sequence_idle_seconds`` their time without one.
        live: The streams of its models.
    """

    def __init__(self, service: Service, live: LiveModels) -> None:
        self._live, self._limits = live, service.limits
        self._sequences: dict[Id, _Sequence] = {}
        self._ended: OrderedDict[Id, None] = OrderedDict()  # the last ones
        self._most_ended = 4 * service.limits.sequences

    async def __call__(
        self, model: ServedModel, request: InferRequest, write: Write[Written], until: float | None = None
    ) -> Written:
        """The answer to the next steps of a sequence.

        Args:
            model: One with a network that streams.
            request: With one of the parameters above, and an input [1, T, I], T at least 1.
            write: As for :class:`holdfast.serve.service.SequenceInference`.
            until: The same.

        Raises:
            Refusal: 400 and 422 for a request that does not fit, 404 for an unknown sequence, 409 for one that exists,
                412 for one that has ended or is at another step, 429 where too many of its requests wait, 503 if full
                or late.
        """
        until = time.monotonic() + self._limits.request_seconds if until is None else until
        wish, live = _Wish.of(request.parameters), self._live.get(model)
        x = _steps(request, live)
        state = None if wish.state is None else live.held.unpack(wish.state)
        if wish.return_state:
            live.held.check_key()
        if wish.id is None:
            return await write(await self._of_client(live, x, state, wish.return_state, until))
        key = (model.name, model.version, type(wish.id).__name__, wish.id)
        sequence = self._begun(key, live, wish) if wish.start else self._known(key, wish)
        if sequence.waiting >= _MOST_WAITING:
            raise Refusal(429, f"The sequence {wish.id!r} has {_MOST_WAITING} requests that wait. Wait for answers.")
        sequence.waiting += 1
        try:
            async with sequence.turn:
                return await self._next(key, sequence, live, wish, x, state, write, until)
        except BaseException:
            if wish.start and not sequence.steps:  # it has not begun
                self._end(key, live, sequence)
            raise
        finally:
            sequence.waiting -= 1

    async def _of_client(self, live: LiveModel, x: Array, state: Any, return_state: bool, until: float) -> InferResult:
        """Steps of a stream whose state the client holds."""
        row = live.pool.join()
        try:
            answer = await live.pool.step(row, x, state=state, return_state=return_state, until=until)
        finally:
            live.pool.leave(row)
        return _result(answer, live)

    def _begun(self, key: Id, live: LiveModel, wish: _Wish) -> _Sequence:
        if key in self._sequences:
            raise Refusal(409, f"The sequence {wish.id!r} exists. End it first, or choose another sequence_id.")
        sequence = _Sequence(live.pool.join(partial(self._forget, key)))
        self._sequences[key] = sequence
        return sequence

    def _forget(self, key: Id) -> None:
        del self._sequences[key]

    def _known(self, key: Id, wish: _Wish) -> _Sequence:
        if key in self._sequences:
            return self._sequences[key]
        if key in self._ended:
            raise _ended(wish)
        raise Refusal(
            404,
            f"There is no sequence {wish.id!r}: it has not begun, or had no step for too long "
            "(sequence_idle_seconds). Begin it with sequence_start.",
            "sequence",
        )

    async def _next(
        self,
        key: Id,
        sequence: _Sequence,
        live: LiveModel,
        wish: _Wish,
        x: Array,
        state: Any,
        write: Write[Written],
        until: float,
    ) -> Written:
        """Takes the steps of a request whose turn it is."""
        if self._sequences.get(key) is not sequence:  # it ended while the request waited
            raise _ended(wish)
        if wish.step is not None and wish.step != sequence.steps:
            raise Refusal(
                412,
                f"The sequence {wish.id!r} has taken {sequence.steps} steps, not {wish.step} (sequence_step).",
                "order",
            )
        sequence.steps += len(x)  # also if the client goes away meanwhile
        try:
            answer = await live.pool.step(sequence.row, x, state=state, return_state=wish.return_state, until=until)
        except Exception:  # no step was taken
            sequence.steps -= len(x)
            raise
        try:
            written = await write(_result(answer, live))
        except Exception:
            self._end(key, live, sequence)
            raise
        self._ended.pop(key, None)
        if wish.end:
            self._end(key, live, sequence)
            self._ended[key] = None
            if len(self._ended) > self._most_ended:
                self._ended.popitem(last=False)
        return written

    def _end(self, key: Id, live: LiveModel, sequence: _Sequence) -> None:
        if self._sequences.get(key) is sequence:
            del self._sequences[key]
        live.pool.leave(sequence.row)


def _ended(wish: _Wish) -> Refusal:
    return Refusal(412, f"The sequence {wish.id!r} has ended. Begin it again with sequence_start.")


def _steps(request: InferRequest, live: LiveModel) -> Array:
    """The steps [T, I] of a request.

    Raises:
        Refusal: 422.
    """
    x: Array = request.inputs["input"]
    if len(x) != 1 or not x.shape[1]:
        raise Refusal(
            422,
            f"The input has shape {list(x.shape)}; a sequence takes [1, T, {live.pool.network.input_size}], with T at "
            "least 1.",
        )
    steps: Array = x[0]
    return steps


def _result(answer: Any, live: LiveModel) -> InferResult:
    parameters = {} if answer.state is None else {"state": live.held.pack(answer.state)}
    return InferResult({"output": answer.y[None]}, parameters)
