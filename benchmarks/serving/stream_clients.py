"""Clients of streams that do all that clients do; each answer is compared with the stream run alone."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.serving.clients import Address, Answer, Array, ClosedError, Infer, WebSocket
from holdfast import runtime
from holdfast.runtime.network import StreamNetwork

IDLE_CODE = 4408
HEAD_SECONDS = 10
"""The default of the limit ``head_seconds``, from the opening of a connection on."""
BAD_FRAMES = (
    b"123",
    "{",
    '{"input": [1]}',
    "[1,[2]]",
    '{"x": 1}',
    '{"state": "AAAA", "input": [1,2,3,4]}',
    '["a"]',
    "7",
)


class Alone:
    """A stream of one sequence, with which the answers of a server are compared."""

    def __init__(self, network: StreamNetwork) -> None:
        self.stream, self.steps = runtime.Stream(network), 0

    def gives(self, x: Array, y: Array) -> bool:
        """Takes the steps x [T, I]; whether y [T, O] has the same bits, where every NaN counts as the same."""
        self.steps += len(x)
        expected: Array = self.stream.run(x)
        if y.shape != expected.shape:
            return False
        differ = y.view(np.uint32) != expected.view(np.uint32)
        return not (differ & ~(np.isnan(y) & np.isnan(expected))).any()


@dataclass
class Trial:
    """What the clients share.

    Attributes:
        addresses: Of the servers.
        networks: The models by name.
        idle: After how many seconds without a step the servers give up a sequence.
        left: Steps that the clients have yet to take.
        counts: What happened, by kind.
        faults: What must not be.
    """

    addresses: list[Address]
    networks: dict[str, StreamNetwork]
    idle: float
    left: int
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def check(self, right: bool, what: str, seen: object = "") -> None:
        """Counts something, and notes it with what was seen if it is not right."""
        self.counts[what] += 1
        if not right:
            self.faults.append(f"{what}: {str(seen)[:200]}")


class Client:
    """One of the clients; it begins one stream after the other, until no steps are left.

    Args:
        trial: What it shares with the others.
        number: Its own.
    """

    def __init__(self, trial: Trial, number: int) -> None:
        self.trial, self.number, self.chance = trial, number, random.Random(number)
        self.asked = self.answered = time.monotonic()

    async def run(self) -> None:
        """Takes steps until none are left."""
        while self.trial.left > 0:
            model = self.chance.choice(list(self.trial.networks))
            try:
                await self.stream(model, Alone(self.trial.networks[model]), self.chance.choice(self.trial.addresses))
            except ConnectionError as error:
                seconds = time.monotonic() - max(self.asked, self.answered)
                seen = f"{error} in {seconds:.1f} s"
                self.trial.check(seconds >= HEAD_SECONDS, "connections that were too slow", seen)
                await asyncio.sleep(1.5 * self.trial.idle)  # what it leaves is given up

    async def stream(self, model: str, alone: Alone, address: Address) -> None:
        """One stream, from its beginning to its end."""
        raise NotImplementedError

    def steps(self) -> Array:
        """The next steps; sometimes with NaN or an infinite value."""
        count = self.chance.choice([1, 1, 1, 1, 2, 3, 20])
        x = np.array([[self.chance.randrange(-9, 10) for _ in range(4)] for _ in range(count)], np.float32)
        if self.chance.random() < 0.02:
            x[-1, self.chance.randrange(4)] = self.chance.choice([np.nan, np.inf, -np.inf])
            self.trial.counts["NaN and infinite"] += 1
        self.trial.left -= count
        self.asked = time.monotonic()
        return x

    def compare(self, alone: Alone, x: Array, answer: Answer, door: str) -> None:
        """Compares an answer with the stream alone."""
        self.answered = self.asked
        self.trial.check(alone.gives(x, answer.y), f"{door}: answers", answer)
        self.trial.counts["steps"] += len(x)

    def was_idle(self) -> bool:
        """Whether the server may have given up the stream, if this program or the machine was too slow.

        The server counts from its answer, which is after the question.
        """
        return time.monotonic() - self.answered >= self.trial.idle

    def pause(self) -> Awaitable[None]:
        """The time until the next steps."""
        return asyncio.sleep(self.chance.choice([0, 0, 0.01, 0.05]))


class OnWebsocket(Client):
    """Streams over websockets."""

    async def stream(self, model: str, alone: Alone, address: Address) -> None:
        """As :meth:`Client.stream`."""
        self.answered, check = time.monotonic(), self.trial.check
        socket = await WebSocket.connect(address, f"/stream/{model}")
        try:
            while self.trial.left > 0:
                event = self.chance.random()
                if event < 0.02:
                    self.trial.counts["websocket: ends"] += 1
                    return socket.close()
                if event < 0.04:
                    socket.send(self.steps().tobytes())
                    await asyncio.sleep(self.chance.choice([0, 0.001]))
                    self.trial.counts["websocket: drops in a step"] += 1
                    return socket.kill()
                if event < 0.045:
                    await asyncio.sleep(1.5 * self.trial.idle)
                    await socket.receive()
                    check(False, "websocket: an idle one was not closed")
                if event < 0.08:
                    socket.send(self.chance.choice(BAD_FRAMES))
                    check("error" in json.loads(await socket.receive()), "websocket: bad frames")
                elif event < 0.11:
                    socket.send('{"reset": true}')
                    check(await socket.receive() == "{}", "websocket: resets")
                    alone.stream.reset()
                else:
                    await self._step(socket, alone)
                await self.pause()
            socket.close()
        except ClosedError as closed:
            check(closed.code == IDLE_CODE and self.was_idle(), f"websocket: closed with {closed.code}")

    async def _step(self, socket: WebSocket, alone: Alone) -> None:
        x, text = self.steps(), self.chance.random() < 0.3
        text = text and bool(np.isfinite(x).all())
        twice = self.chance.random() < 0.05  # the same frame again, before the first is answered
        for _ in range(1 + twice):
            socket.send(json.dumps(x.tolist()) if text else x.tobytes())
        for _ in range(1 + twice):
            answer = await socket.receive()
            if isinstance(answer, bytes):
                y = np.frombuffer(answer, np.float32)
            else:
                y = np.array(json.loads(answer).get("output", []), np.float32)  # null becomes NaN
            if text and not np.isfinite(y).all():  # and so did the infinite values
                self.trial.counts["steps"] += len(x)
                alone.stream.run(x)
                continue
            self.compare(alone, x, Answer(200, y.reshape(len(x), -1)), "websocket")
        self.trial.counts["websocket: frames twice"] += twice


class OnSequence(Client):
    """Sequences that a server keeps. The ids of two clients are a number and the same number as a text."""

    async def stream(self, model: str, alone: Alone, address: Address) -> None:
        """As :meth:`Client.stream`."""
        infer, other = Infer(address, model), Infer(address, model)
        with closing(infer.http), closing(other.http):
            await self._sequence(infer, other, alone)

    async def _sequence(self, infer: Infer, other: Infer, alone: Alone) -> None:
        check = self.trial.check
        name: dict[str, Any] = {"sequence_id": self.number // 2 + 1 if self.number % 2 else str(self.number // 2 + 1)}
        x = self.steps()
        if (await infer.step(x, **name)).status not in (404, 412):
            check(False, "sequence: a step before the start")
        self.compare(alone, x, await infer.step(x, **name, sequence_start=True), "sequence")
        while self.trial.left > 0:
            event, x = self.chance.random(), self.steps()
            now = {**name, "sequence_step": alone.steps}
            if event < 0.03:
                answer = await infer.step(x, **name, sequence_end=True)
                if self._is_given_up(answer):
                    return
                self.compare(alone, x, answer, "sequence")
                check((await infer.step(x, **name)).status == 412, "sequence: ends")
                break
            if event < 0.035:
                await asyncio.sleep(1.5 * self.trial.idle)
                check((await infer.step(x, **name)).status == 404, "sequence: time-outs")
                return
            if event < 0.07:
                await other.die(x, **now)
                answer = await self._again(infer, x, now, alone, "sequence: drops in a step")
            elif event < 0.1:
                answer, late = await asyncio.gather(infer.step(x, **now), other.step(x, **now))
                answer, late = (late, answer) if late.status == 200 else (answer, late)
                check(late.status in (412, 404), "sequence: the same step twice at once")
            else:
                answer = await infer.step(x, **now)
            if self._is_given_up(answer):
                return
            if answer.status != 0:
                self.compare(alone, x, answer, "sequence")
            if await self._wrong(infer, x, name, now):
                return
            await self.pause()
        else:
            await infer.step(x[:1], **name, sequence_end=True)

    def _is_given_up(self, answer: Answer) -> bool:
        given_up = answer.status == 404 and self.was_idle()
        self.trial.counts["sequence: this program was too slow"] += given_up
        return given_up

    async def _again(self, infer: Infer, x: Array, now: dict[str, Any], alone: Alone, what: str) -> Answer:
        """Sends steps again whose answer was lost: they count once, whether the server had them or not."""
        answer = await infer.step(x, **now)
        if answer.status != 412:
            self.trial.check(answer.status in (200, 404), what)
            return answer
        alone.gives(x, answer.y)
        self.trial.check(f"has taken {alone.steps} steps" in answer.error, what)
        self.trial.counts["steps"] += len(x)
        return Answer(0)

    async def _wrong(self, infer: Infer, x: Array, name: Any, now: Any) -> bool:
        """What changes nothing; whether the sequence was given up meanwhile."""
        event, check = self.chance.random(), self.trial.check
        if event < 0.05:
            answer = await infer.step(x, **now)
            check(answer.status == 412 or self._is_given_up(answer), "sequence: the same step again", answer)
        elif event < 0.1:
            answer = await infer.step(x, **name, sequence_start=True)
            if answer.status == 200 and self.was_idle():  # it was given up, and this is another one
                await infer.step(x, **name, sequence_end=True)
                return True
            check(answer.status == 409, "sequence: started twice", answer)
        elif event < 0.13:
            check((await infer.step(x[:, :3], **name)).status == 400, "sequence: bad requests")
        elif event < 0.15:
            check((await infer.step(x, sequence_id=0, sequence_end=True)).status == 400, "sequence: the id 0")
        return False


class WithState(Client):
    """Streams whose state the client holds; each request goes to any server."""

    async def stream(self, model: str, alone: Alone, address: Address) -> None:
        """As :meth:`Client.stream`."""
        infers = [Infer(of_one, model) for of_one in self.trial.addresses]
        of_other = Infer(address, next(name for name in self.trial.networks if name != model))
        with ExitStack() as stack:
            for infer in (*infers, of_other):
                stack.callback(infer.http.close)
            await self._held(infers, of_other, alone)

    async def _held(self, infers: list[Infer], of_other: Infer, alone: Alone) -> None:
        check = self.trial.check
        kept: list[tuple[dict[str, str], Any]] = [({}, alone.stream.state)]
        while self.trial.left > 0:
            held, event, x = kept[-1][0], self.chance.random(), self.steps()
            infer = self.chance.choice(infers)
            if event < 0.02:
                self.trial.counts["held state: ends"] += 1
                return
            if event < 0.05:  # the step is lost, or was taken by a server that keeps nothing
                await infer.die(x, **held, return_state=True)
                self.trial.counts["held state: drops in a step"] += 1
            elif event < 0.08 and held:
                place = self.chance.randrange(len(held["state"]) - 4)
                letter = "A" if held["state"][place] != "A" else "B"
                forged = held["state"][:place] + letter + held["state"][place + 1 :]
                check((await infer.step(x, state=forged)).status == 422, "held state: forged")
            elif event < 0.1 and held:
                check((await of_other.step(x, **held)).status == 422, "held state: of another model")
            elif event < 0.14:  # an older state is a branch
                kept = kept[: self.chance.randrange(len(kept)) + 1]
                alone.stream.state = kept[-1][1]
                held = kept[-1][0]
                self.trial.counts["held state: older ones"] += 1
            answer = await infer.step(x, **held, return_state=True)
            self.compare(alone, x, answer, "held state")
            if not answer.state:
                check(False, f"held state: status {answer.status}")
                return
            kept = [*kept, ({"state": answer.state}, alone.stream.state)][-8:]
            await self.pause()
