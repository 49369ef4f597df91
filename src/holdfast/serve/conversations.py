"""What a websocket says: numbers to numbers, or sound to text. :mod:`holdfast.serve.websockets` has the frames."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from holdfast.serve import bodies
from holdfast.serve.gates import Gates
from holdfast.serve.limits import Limits
from holdfast.serve.live_models import LiveModel
from holdfast.serve.pool import Pool, PoolRow
from holdfast.serve.refusals import Refusal
from holdfast.serve.service import Service
from holdfast.serve.tensors import MANY_VALUES, Array, to_json
from holdfast.serve.ticks import StepRequest

if TYPE_CHECKING:
    from holdfast.tasks.transcribe.stream import LiveTranscript
    from holdfast.tasks.transcribe.task import TranscribeTask

_LITTLE_ENDIAN = np.dtype("<f4")
_KEYS = {"input", "reset", "state", "return_state", "id", "end"}
_LONGEST_ID = 256


class Conversation(Protocol):
    """Answers the frames of one websocket, one after the other."""

    async def binary(self, data: bytes) -> bytes | str:
        """The answer to a binary frame.

        Raises:
            Refusal: It cannot be answered; with a status below 500, the stream is as before.
            Exception: The server failed; where the stream is now is unknown.
        """

    async def text(self, text: str) -> str:
        """The answer to a text frame.

        Raises:
            Refusal: It cannot be answered; with a status below 500, the stream is as before.
            Exception: The server failed; where the stream is now is unknown.
        """

    def close(self) -> None:
        """Ends the stream."""


async def open_conversation(
    live: LiveModel, service: Service, on_idle: Callable[[], None], *, inside: bool = False
) -> Conversation:
    """Begins a stream.

    Args:
        live: The streams of the model.
        service: Its threads open the task of a transcriber, and import torch for gates.
        on_idle: Called when the stream had no step for too long, and was ended.
        inside: Whether each answer has the gates and states of its steps.

    Raises:
        Refusal: 503, there are too many live streams.
    """
    gates = await service.work.run(Gates, live.pool.network, service.limits) if inside else None
    if live.model.task != "transcribe":
        return Numbers(live, on_idle, service.limits, gates)
    predictor = await service.work.run(live.model.predictor)
    return Sound(live, on_idle, service.limits, cast("TranscribeTask", predictor.task), gates)


class Numbers:
    """Steps in, outputs out.

    Args:
        live: The streams of the model.
        on_idle: As for :func:`open_conversation`.
        limits: Those of JSON are used.
        gates: Writes the gates and states of each answer, which is JSON then; None for none.

    Raises:
        Refusal: 503, there are too many live streams.
    """

    def __init__(
        self, live: LiveModel, on_idle: Callable[[], None], limits: Limits, gates: Gates | None = None
    ) -> None:
        self._live, self._pool, self._limits, self._gates = live, live.pool, limits, gates
        self._row = live.pool.join(on_idle)
        self._step_bytes = 4 * live.pool.network.input_size

    async def binary(self, data: bytes) -> bytes | str:
        """The outputs of the steps in a frame, float32; with gates, JSON."""
        if not data or len(data) % self._step_bytes:
            raise Refusal(
                422, f"The frame has {len(data)} bytes; expected a multiple of {self._step_bytes}: float32, [T, I]."
            )
        x = np.frombuffer(data, _LITTLE_ENDIAN).reshape(-1, self._pool.network.input_size)
        if self._gates is not None:
            self._gates.check(len(x))
            return await self._answer(x, {})
        answer = await self._pool.step(self._row, x)
        with np.errstate(over="ignore"):
            return answer.y.astype(_LITTLE_ENDIAN, copy=False).tobytes()

    async def text(self, text: str) -> str:
        """The outputs of the steps in a JSON frame."""
        frame = parse(text, self._limits)
        state = None if frame.get("state") is None else self._live.held.unpack(frame["state"])
        if frame.get("return_state"):
            self._live.held.check_key()
        x = None if "input" not in frame else _values(frame["input"])
        if x is None and (state is not None or frame.get("return_state")):
            raise Refusal(422, "state and return_state go with an input.")
        if x is not None and self._gates is not None:
            self._gates.check(len(np.atleast_2d(x)))
        answer: dict[str, Any] = {"id": frame["id"]} if "id" in frame else {}
        reset, return_state = bool(frame.get("reset")), bool(frame.get("return_state"))
        if x is not None:
            return await self._answer(x, answer, reset=reset, state=state, return_state=return_state)
        if reset:
            self._pool.reset(self._row)
        return json.dumps(answer, allow_nan=False)

    async def _answer(self, x: Array, answer: dict[str, Any], **options: Any) -> str:
        """The JSON of an answer with the outputs of steps, and with what else was asked for.

        Args:
            x: The steps.
            answer: What it has before them.
            **options: Of :meth:`holdfast.serve.pool.Pool.step`.
        """
        steps, layers = await _step(self._pool, self._row, np.atleast_2d(x), self._gates, **options)
        more = {"state": self._live.held.pack(steps.state)} if options.get("return_state") else {}
        y = steps.y if x.ndim == 2 else steps.y[0]
        output = await asyncio.to_thread(to_json, y) if y.size > MANY_VALUES else to_json(y)
        before, after = (json.dumps(part, allow_nan=False)[1:-1] for part in (answer, more | layers))
        parts = filter(None, (before, f'"output": {output}', after))
        return f"{{{', '.join(parts)}}}"

    def close(self) -> None:
        """Ends the stream."""
        self._pool.leave(self._row)


class Sound:
    """Sound in, text out.

    Args:
        live: The streams of the model.
        on_idle: As for :func:`open_conversation`.
        limits: Those of JSON are used.
        task: The task of the model.
        gates: As for :class:`Numbers`.

    Raises:
        Refusal: 503, there are too many live streams.
    """

    def __init__(
        self,
        live: LiveModel,
        on_idle: Callable[[], None],
        limits: Limits,
        task: TranscribeTask,
        gates: Gates | None = None,
    ) -> None:
        self._pool, self._limits, self._task, self._gates = live.pool, limits, task, gates
        self._transcript = self._begin()
        self._row = live.pool.join(on_idle)

    def _begin(self) -> LiveTranscript:
        self._samples = 0  # of this recording
        from holdfast.tasks.transcribe.stream import LiveTranscript

        return LiveTranscript(self._task, scaled=self._pool.network.scaling is None)

    async def binary(self, data: bytes) -> str:
        """The text after a chunk of sound."""
        from holdfast.data.features import check_samples

        if len(data) % 4:
            raise Refusal(422, f"The frame has {len(data)} bytes; expected a multiple of 4: samples as float32.")
        samples = np.frombuffer(data, _LITTLE_ENDIAN).astype(np.float32)
        check_samples(samples, "The sound")
        if self._samples + len(samples) > self._limits.sound_values:
            raise Refusal(
                413,
                f"The recording has more than {self._limits.sound_values:,} samples (sound_values). Send "
                '{"end": true}; the next frame then begins another.',
            )
        if self._gates is not None:
            self._gates.check(self._most_steps(len(samples)))
        self._samples += len(samples)
        return await self._heard(await asyncio.to_thread(self._transcript.accept, samples), final=False)

    async def text(self, text: str) -> str:
        """The final text, at the end of the recording."""
        if parse(text, self._limits).get("end") is not True:
            raise Refusal(422, 'A transcriber takes sound as binary frames, and {"end": true} at its end.')
        answer = await self._heard(self._transcript.finish(), final=True)
        self._transcript = self._begin()
        self._pool.reset(self._row)
        return answer

    def _most_steps(self, samples: int) -> int:
        """The most steps that some samples complete, with those that came before."""
        audio = self._task.data.audio
        return 1 + int(samples / (audio.rate * audio.hop_ms / 1000 * audio.stack))

    async def _heard(self, steps: Array, final: bool) -> str:
        added, layers = "", dict[str, Any]()
        if len(steps):
            try:
                answer, layers = await _step(self._pool, self._row, steps, self._gates)
            except Refusal as error:  # the sound is heard already, so this is the end of the stream
                raise Refusal(503, str(error), error.reason) from error
            added = self._transcript.read(answer.y)
        return json.dumps({"text": self._transcript.text, "added": added, "final": final} | layers, allow_nan=False)

    def close(self) -> None:
        """Ends the stream."""
        self._pool.leave(self._row)


async def _step(
    pool: Pool, row: PoolRow, x: Array, gates: Gates | None, **options: Any
) -> tuple[StepRequest, dict[str, Any]]:
    """The answer to some steps, and what JSON has of their gates and states: ``inside``; nothing without gates."""
    if gates is None:
        return await pool.step(row, x, **options), {}
    answer = await pool.step(row, x, record=True, **options)
    return answer, {"inside": await gates.of(answer)}


def parse(text: str, limits: Limits) -> dict[str, Any]:
    """The object of a text frame; values alone are its ``input``.

    Raises:
        Refusal: 400, it is none.
    """
    frame = bodies.parsed(text.encode(), limits, "frame")
    if isinstance(frame, list):
        frame = {"input": frame}
    if not isinstance(frame, dict):
        raise Refusal(400, "The frame is JSON, but neither a list of values nor an object.")
    if unknown := sorted(set(frame) - _KEYS):
        raise Refusal(400, f"The frame has the key {unknown[0][:60]!r}; known are {', '.join(sorted(_KEYS))}.")
    for key in ("reset", "return_state", "end"):
        if type(frame.get(key, False)) is not bool:
            raise Refusal(400, f"The frame's {key} is {str(frame[key])[:60]!r}; expected true or false.")
    identifier = frame.get("id", 0)
    if (
        type(identifier) not in (int, float, str, type(None))
        or identifier in (math.inf, -math.inf)
        or _is_long(identifier)
    ):
        raise Refusal(
            400, f"The frame's id is {str(identifier)[:60]!r}; expected a number, or a text of at most {_LONGEST_ID}."
        )
    return frame


def _is_long(identifier: float | str) -> bool:
    return len(str(identifier)) > _LONGEST_ID


def _values(data: Any) -> Array:
    """The numbers in nested lists.

    Raises:
        Refusal: 422, they are no numbers, or the lists have different lengths.
    """
    rows = data if isinstance(data, list) and data and type(data[0]) is list else [data]
    if set(map(type, rows)) != {list}:
        raise Refusal(422, "The input is not a list of numbers; expected [I] values of a step, or [T][I] of a chunk.")
    if len(set(map(len, rows))) > 1:
        raise Refusal(422, "The input is ragged; expected [I] values of a step, or [T][I] of a chunk.")
    # Before NumPy sees them: of texts it would make an array in which each takes as much memory as the longest.
    numbers = set(map(type, chain.from_iterable(rows))) <= {int, float}
    x = np.asarray(data if numbers else "")
    if x.dtype.kind not in "iuf":
        raise Refusal(422, "The input is not a list of numbers; expected [I] values of a step, or [T][I] of a chunk.")
    if not np.isfinite(x).all():
        raise Refusal(422, "The input has an infinite value, which JSON does not have; use a binary frame.")
    return x
