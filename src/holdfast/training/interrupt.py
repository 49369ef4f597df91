"""Ctrl-C while training: the first one asks for a stop after the current update, the second stops at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class TrainingInterrupted(KeyboardInterrupt):
    """Training stopped on request, after a whole update. The message says how to go on."""


class Interrupt:
    """Whether a stop was requested."""

    def __init__(self) -> None:
        self.requested = False


@contextlib.contextmanager
def deferred_interrupt() -> Iterator[Interrupt]:
    """In the block, the first Ctrl-C only sets ``requested`` and restores the handler from before.

    Python delivers signals to the main thread only, so in other threads nothing is installed.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = signal.getsignal(signal.SIGINT)

    def handle(number: int, frame: FrameType | None) -> None:
        interrupt.requested = True
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, handle)
    try:
        yield interrupt
    finally:
        if signal.getsignal(signal.SIGINT) is handle:
            signal.signal(signal.SIGINT, before)
