"""Sequences that the program makes: a cosine from a sine, and the adding problem."""

from __future__ import annotations

import numpy as np

from holdfast.data.examples import Examples
from holdfast.tasks.regress.settings import RegressData

STEP = 0.3
"""The step between two values of the sine; a period is not a whole number of steps."""
COSINE_TEST_STEPS = 1000
ADDING_TEST_EXAMPLES = 1000


def cosine(settings: RegressData, seed: int) -> tuple[Examples, Examples]:
    """One long sequence sin(0.3 t) with the targets cos(0.3 t), and the steps after it to test on.

    A network must remember earlier values: one value of the sine does not show the sign of the cosine.

    Args:
        settings: ``steps`` is used.
        seed: Not used: the curves are always the same.
    """
    end = settings.steps
    return _curves(0, end), _curves(end, end + COSINE_TEST_STEPS)


def _curves(begin: int, end: int) -> Examples:
    angles = STEP * np.arange(begin, end)
    return Examples(np.sin(angles)[None, :, None], [np.cos(angles)], [f"cosine[{begin}:{end}]"], per_step=True)


def adding(settings: RegressData, seed: int) -> tuple[Examples, Examples]:
    """The adding problem: each step has a random number from 0 to 1 and a mark, and the target is a sum of two numbers.

    The marks are 1 at one step of each half of the sequence, else 0; the target is the sum of the two marked numbers.
    From Hochreiter and Schmidhuber 1997, "Long short-term memory", section 5.4, in the form of Arjovsky et al. 2016.
    The answer 1 for every sequence has a mean squared error of 1/6.

    Args:
        settings: ``steps`` and ``examples`` are used.
        seed: The same seed gives the same training sequences. The test sequences depend on ``steps`` alone.
    """
    train = _adding(np.random.default_rng((settings.steps, 1, seed)), settings.examples, settings.steps, "adding")
    test = _adding(np.random.default_rng((settings.steps, 0)), ADDING_TEST_EXAMPLES, settings.steps, "adding test")
    return train, test


def _adding(generator: np.random.Generator, count: int, steps: int, name: str) -> Examples:
    numbers, half, rows = generator.random((count, steps), np.float32), steps // 2, np.arange(count)
    marks = np.zeros_like(numbers)
    first, second = generator.integers(0, half, count), generator.integers(half, steps, count)
    marks[rows, first] = marks[rows, second] = 1
    sums = numbers[rows, first].astype(np.float64) + numbers[rows, second]
    return Examples(np.stack([numbers, marks], -1), sums.tolist(), [f"{name}[{k}]" for k in rows])


MADE = {"cosine": cosine, "adding": adding}
"""The sources that need no files."""
