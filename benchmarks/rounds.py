"""Times contenders in turn, so a machine that gets slower or faster affects all of them equally."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Answers = Mapping[str, NDArray[np.float32]]

TURN = 0.05  # target seconds of a turn: short passes run many times in it
PAUSE = 0.01  # seconds; in a pause, threads that sleep use less than a tenth of it
LONGEST_PAUSE = 0.5  # seconds after which a turn begins even if some thread of this process never sleeps
FEWEST = 3  # rounds, even if they take longer than the budget


class Unavailable(Exception):  # noqa: N818  # a missing peer is not an error
    """A contender cannot take part; the text says why."""


class Wrong(Exception):  # noqa: N818
    """A contender's numbers differ from the others', so its speed is not reported."""


class Contender(Protocol):
    """A layer of one library whose passes are timed."""

    name: str

    @property
    def passes(self) -> Sequence[str]:
        """The passes that it can run."""

    def answers(self) -> Answers:
        """The output and the gradients of the parameters, by torch.nn's names, for the comparison."""

    def seconds(self, which: str, calls: int, warm: bool) -> float:
        """The mean seconds of ``calls`` calls of a pass; ``warm`` makes one untimed call first."""


def check(ours: Answers, theirs: Answers, tolerance: float) -> float:
    """The largest difference, relative to the largest value of each array.

    Raises:
        Wrong: The difference is larger than the tolerance.
    """
    worst = 0.0
    for key, expected in theirs.items():
        actual = ours[key]
        if actual.shape != expected.shape:
            raise Wrong(f"{key} has shape {actual.shape}; the peer's has {expected.shape}.")
        scale = float(np.abs(expected).max()) or 1.0
        difference = float(np.abs(actual - expected).max()) / scale
        if not difference <= tolerance:
            raise Wrong(f"{key} differs by {difference:.1e} of the largest value; {tolerance:.0e} is allowed.")
        worst = max(worst, difference)
    return worst


def settle() -> None:
    """Waits until the threads of the previous turn sleep.

    After their work, the threads of OpenMP and of onnxruntime wait for more of it in a loop, for up to some hundredths
    of a second. In its own turn each contender has the advantage of that; in the next turn it must not take a core.
    """
    end = time.perf_counter() + LONGEST_PAUSE
    used = PAUSE
    while used > PAUSE / 10 and time.perf_counter() < end:
        before = time.process_time()
        time.sleep(PAUSE)
        used = time.process_time() - before


def average(run: Callable[[], object], calls: int, warm: bool) -> float:
    """The mean seconds of ``calls`` calls."""
    if warm:
        run()
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - start) / calls


def timed(
    contenders: Sequence[Contender], which: str, pairs: int, budget: float, progress: Callable[[str], None]
) -> dict[str, list[float]]:
    """Seconds of each contender in each round: ``pairs`` rounds, or as many as fit into ``budget`` seconds."""
    calls, whole, start = {}, 0.0, time.perf_counter()
    for contender in contenders:
        settle()
        once = contender.seconds(which, 1, False)  # allocates, starts threads
        if once < 10 * TURN:
            once = contender.seconds(which, 1, True)
        calls[contender.name] = max(1, math.ceil(TURN / once))
        whole += once * (calls[contender.name] + (once < TURN)) + 2 * PAUSE
    left = budget - (time.perf_counter() - start)
    rounds = max(min(FEWEST, pairs), min(pairs, int(left / whole)))
    return in_turn(contenders, which, calls, rounds, progress)


def in_turn(
    contenders: Sequence[Contender], which: str, calls: Mapping[str, int], rounds: int, progress: Callable[[str], None]
) -> dict[str, list[float]]:
    """Seconds of each contender in each round; every second round runs backwards, so no contender is always first."""
    times: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for number in range(rounds):
        progress(f"{which}, round {number + 1} of {rounds}")
        for contender in contenders if number % 2 == 0 else reversed(contenders):
            settle()
            n = calls[contender.name]
            times[contender.name].append(contender.seconds(which, n, n > 1))
    return times


def ratio(theirs: Sequence[float], ours: Sequence[float]) -> float:
    """The median over the rounds of a peer's time divided by ours."""
    return statistics.median(a / b for a, b in zip(theirs, ours, strict=True))


def quartiles(theirs: Sequence[float], ours: Sequence[float]) -> list[float]:
    """The lower and the upper quartile of the same ratios: how much they vary from round to round."""
    return [float(value) for value in np.quantile([a / b for a, b in zip(theirs, ours, strict=True)], [0.25, 0.75])]
