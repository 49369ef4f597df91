"""A limit on the time that a listener takes from training."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class TimeShare:
    """Says when there is time for work whose cost is not known beforehand.

    The work takes at most ``grace`` seconds and ``share`` of the time since :meth:`start`, if the next piece of work
    costs no more than the last one.

    Args:
        share: The share of the time, from 0 to 1.
        grace: Seconds that the work may take in any case, so that something is seen of a short run too.
        interval: The shortest time between two pieces of work, in seconds.
        clock: Returns seconds and never goes backwards.

    Attributes:
        spent: Seconds that the work has taken.
    """

    def __init__(
        self, share: float, *, grace: float = 0.0, interval: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._share, self._grace, self.interval, self._clock = share, grace, interval, clock
        self.spent = self._last_cost = 0.0
        self.start()

    def start(self) -> None:
        """The time begins now; nothing has been spent."""
        self._began = self._ended = self._clock()
        self.spent = self._last_cost = 0.0

    def due(self) -> bool:
        """Whether there is time for another piece of work."""
        now = self._clock()
        if now - self._ended < self.interval:
            return False
        return self.spent + self._last_cost <= self._grace + self._share * (now - self._began)

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Counts the time of the block."""
        began = self._clock()
        try:
            yield
        finally:
            self._ended = self._clock()
            self._last_cost = self._ended - began
            self.spent += self._last_cost
