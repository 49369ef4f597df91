"""Every limit of the server, with its default. ``docs/serve.md`` has the same table; a test compares them."""

from __future__ import annotations

import os
from collections.abc import Sequence

from pydantic import Field, ValidationError

from holdfast.errors import OptionError, did_you_mean
from holdfast.serve.refusals import Refusal
from holdfast.settings import Settings


class Limits(Settings):
    """What the server accepts. Nothing is unlimited; ``holdfast serve --limit NAME=VALUE`` changes one."""

    body_bytes: int = Field(16 * 2**20, ge=1)
    """Largest body of a request; a larger one is answered with 413."""
    all_bodies_bytes: int = Field(256 * 2**20, ge=1)
    """Bytes of bodies, frames, outputs of steps and unread answers at a time; beyond: 503, or code 1011 or 1013."""
    json_values: int = Field(2_000_000, ge=1)
    """Values in a JSON body: numbers, texts, lists and objects, counted by their commas and brackets; beyond, 413."""
    json_depth: int = Field(32, ge=1)
    """Lists and objects within each other in a JSON body; deeper ones are answered with 400."""
    tensor_values: int = Field(4_000_000, ge=1)
    """Values of one tensor, of the output of a stream, and of its state; beyond that, 413."""
    files: int = Field(64, ge=1)
    """Files in one request; beyond that, 413."""
    examples: int = Field(10_000, ge=1)
    """Examples in one request; beyond that, 413."""
    batch_steps: int = Field(2**18, ge=1)
    """Steps of the examples that are computed together, up to 256, padding included; beyond that, 422."""
    sound_values: int = Field(2**25, ge=1)
    """Samples of one recording, all channels together; beyond that, 413."""
    generated_tokens: int = Field(4096, ge=1)
    """Tokens that one request may generate, over all of its texts; beyond that, 413."""
    beam: int = Field(16, ge=1)
    """Widest beam of a search; beyond that, 413."""
    horizon: int = Field(10_000, ge=1)
    """Longest horizon of a forecast, in rows; beyond that, 413."""
    workers: int = Field(default_factory=lambda: min(4, os.cpu_count() or 1), ge=1)
    """Requests that are computed at a time, each in a thread of its own."""
    queue: int = Field(64, ge=0)
    """Requests that wait for a thread; beyond that, 503."""
    client_requests: int = Field(32, ge=1)
    """Requests of one client (its address) that wait or are computed; beyond that, 429."""
    connections: int = Field(1024, ge=1)
    """Open connections; a further one is closed at once."""
    head_seconds: float = Field(10, gt=0)
    """Time from the opening of a connection, or from the first byte of a further request, to the end of its head."""
    idle_seconds: float = Field(30, gt=0)
    """Time that a connection may stay open without a request."""
    body_seconds: float = Field(30, gt=0)
    """Time for the body of a request to arrive; beyond that, 408."""
    send_seconds: float = Field(30, gt=0)
    """Time that a client may leave an answer, or the rest of a closed connection, unread before it is cut."""
    request_seconds: float = Field(60, gt=0)
    """Time from the arrival of a body or a frame to the answer, the wait in queues included; beyond that, 503."""
    sequences: int = Field(1024, ge=1)
    """Live sequences and streams of one model; beyond that, 503."""
    sequence_idle_seconds: float = Field(60, gt=0)
    """Time that a sequence may stay without a step before it is given up."""
    held_state_seconds: float = Field(86_400, gt=0)
    """Time for which a state that a client holds is taken."""
    frame_bytes: int = Field(2**20, ge=1)
    """Largest frame of a websocket."""
    inside_values: int = Field(200_000, ge=1)
    """Values of the gates and states in one answer of a stream that shows them; beyond that, 413."""
    max_batch: int = Field(64, ge=1)
    """Rows of one call of the kernels for streams."""
    max_delay_ms: float = Field(2, ge=0)
    """Time that a step of a stream may wait for others to share its call."""

    def check_examples(self, count: int) -> None:
        """Refuses more examples than one request may have.

        Raises:
            Refusal: 413.
        """
        if count > self.examples:
            raise Refusal(413, f"There are {count:,} examples; at most {self.examples:,} are taken (examples).")

    def late(self) -> Refusal:
        """The answer to a request that took too long."""
        message = f"The request took more than {self.request_seconds:g} seconds (request_seconds). Send less at once."
        return Refusal(503, message, "time")


def with_changes(changes: Sequence[str]) -> Limits:
    """The default limits with some changed.

    Args:
        changes: Items such as ``"body_bytes=1000000"``.

    Raises:
        OptionError: There is no such limit, or the value is not allowed.
    """
    values: dict[str, str] = {}
    for change in changes:
        name, equals, value = (part.strip() for part in change.partition("="))
        if not equals:
            raise OptionError(f"The limit {change!r} is not of the form NAME=VALUE, such as body_bytes=1000000.")
        if name not in Limits.model_fields:
            raise OptionError(f"There is no limit {name!r}: {did_you_mean(name, Limits.model_fields)}")
        values[name] = value
    try:
        return Limits.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise OptionError(
            f"The limit {name} is {values[name]!r}: {first['msg'][0].lower()}{first['msg'][1:]}."
        ) from error
