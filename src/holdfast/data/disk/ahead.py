"""Reads ahead: a thread prepares the next batches while the current one is computed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar, cast

T = TypeVar("T")
_DEPTH = 4
"""Batches that wait."""


def read_ahead(items: Iterator[T], depth: int = _DEPTH) -> Iterator[T]:
    """The same items in the same order, made by a thread.

    The thread starts with the first item that is asked for, and ends with the iterator. An error of the thread is
    raised in the place of the item that could not be made.

    Args:
        items: They must not depend on what is done with the items before them.
        depth: The number of items that may wait.
    """
    waiting: queue.Queue[tuple[bool, object]] = queue.Queue(depth)
    stopped = threading.Event()

    def put(last: bool, value: object) -> bool:
        while not stopped.is_set():
            try:
                waiting.put((last, value), timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(False, item):
                    return
            put(True, None)
        except BaseException as error:  # raised in the thread that asks for the item
            put(True, error)

    thread = threading.Thread(target=work, name="holdfast-read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            last, value = waiting.get()
            if not last:
                yield cast(T, value)
            elif isinstance(value, BaseException):
                raise value
            else:
                return
    finally:
        stopped.set()
        thread.join()
