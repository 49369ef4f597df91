"""States in the hands of clients: the same bits go on, and everything else is refused in one sentence."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra 'serve' is not installed")
pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")

from tests.serve.stream_services import KEY, accumulator, lstm

from holdfast import runtime
from holdfast.errors import OptionError
from holdfast.serve import held_state
from holdfast.serve.held_state import HeldStates, key_from_environment
from holdfast.serve.refusals import Refusal


def states(network: Any, digest: str = "digest", key: str = KEY, seconds: float = 60) -> HeldStates:
    return HeldStates(network, digest, key.encode(), seconds)


def test_a_stream_goes_on_in_another_process_to_the_same_bits() -> None:
    network, x = lstm(), np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    stream, expected = runtime.Stream(network, 3), runtime.Stream(network).run(x)
    held = states(network)
    for t in range(6):
        y = stream.step(x[t : t + 1], [t % 3])
        assert np.array_equal(y[0], expected[t])
        text = held.pack(stream.state_of([t % 3]))
        assert text.isascii()
        stream.set_state_of([(t + 1) % 3], states(network).unpack(text))


def refusal(held: HeldStates, text: object) -> str:
    with pytest.raises(Refusal) as error:
        held.unpack(text)
    assert error.value.status == 422
    return str(error.value)


def test_foreign_altered_and_older_states_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    network = accumulator()
    held = states(network)
    state = runtime.Stream(network).state
    text = held.pack(state)
    assert np.array_equal(held.unpack(text), state)
    data = bytearray(base64.urlsafe_b64decode(text))
    altered = "The state was altered, or signed by a server with another key."
    for place in range(1, len(data)):
        data[place] ^= 1
        assert refusal(held, base64.urlsafe_b64encode(data).decode()) == altered
        data[place] ^= 1
    assert refusal(states(network, key="another key, as long as that one"), text) == altered
    assert refusal(states(network, "other"), text) == (
        "The state is of another model, or of another version of it: begin again."
    )
    not_one = "The state is not one that a server of Holdfast gave."
    for other in ("", "AAAA", "é", text[:40], text[:-1], 7, None, ["x"], "!" * 400):
        assert refusal(held, other) in (not_one, altered), other
    monkeypatch.setattr(held_state, "VERSION", 2)
    assert refusal(held, text) == "The state has format 1, and this server reads format 2: begin again."
    monkeypatch.setattr(held_state, "VERSION", 1)
    now = held_state.time.time()
    monkeypatch.setattr(held_state.time, "time", lambda: now + 61)
    assert refusal(held, text) == "The state is older than 60 seconds (held_state_seconds): begin again."


def test_without_a_key_no_state_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    held = states(accumulator(), key="")
    with pytest.raises(Refusal, match=r"^This server gives and takes no states: its HOLDFAST_STATE_KEY is not set\.$"):
        held.pack(runtime.Stream(accumulator()).state)
    assert "HOLDFAST_STATE_KEY" in refusal(held, "x")
    monkeypatch.delenv(held_state.VARIABLE, raising=False)
    assert key_from_environment() == b""
    monkeypatch.setenv(held_state.VARIABLE, KEY)
    assert key_from_environment() == KEY.encode()
    monkeypatch.setenv(held_state.VARIABLE, "short")
    with pytest.raises(OptionError, match=r"^HOLDFAST_STATE_KEY has 5 bytes; expected at least 16 random ones, such"):
        key_from_environment()
