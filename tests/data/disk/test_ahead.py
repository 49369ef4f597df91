"""What a thread reads ahead comes in order, with its errors, and the thread ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from holdfast.data.disk.ahead import read_ahead


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "holdfast-read-ahead"]


def test_items_come_in_order_and_some_are_made_before_they_are_asked_for() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            yield number

    ahead = read_ahead(items(), 3)
    assert not made
    assert next(ahead) == 0
    deadline = time.monotonic() + 30
    while len(made) < 4:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert len(made) <= 6
    assert [0, *ahead] == list(range(50))
    assert not threads()


def test_an_error_is_raised_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("the second cannot be read")

    ahead = read_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="the second cannot be read"):
        next(ahead)
    assert not threads()


def test_an_iterator_that_is_dropped_ends_its_thread() -> None:
    ahead = read_ahead(iter(range(10**9)))
    assert next(ahead) == 0
    assert threads()
    ahead.close()  # type: ignore[attr-defined]  # a generator
    assert not threads()
